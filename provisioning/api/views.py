"""Six lists, read only: services, operations, events, panels, products, differences."""

from __future__ import annotations

from typing import Any

from django.db.models import Prefetch, QuerySet
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework.authentication import SessionAuthentication
from rest_framework.filters import OrderingFilter
from rest_framework.renderers import JSONRenderer
from rest_framework.serializers import BaseSerializer
from rest_framework.viewsets import ReadOnlyModelViewSet

from provisioning import selectors
from provisioning.api import filters
from provisioning.api.authentication import TokenAuthentication
from provisioning.api.paging import Pages
from provisioning.api.permissions import CallerThrottle, StaffOrMachine, ViewPermission
from provisioning.api.serializers import catalogue, records, services
from provisioning.models import Drift, Event, Operation, Panel, PanelCall, Product, Service


class ReadOnly(ReadOnlyModelViewSet[Any]):
    """What the six have in common. A detail shows more than a line, so each has two serializers."""

    authentication_classes = [TokenAuthentication, SessionAuthentication]
    permission_classes = [StaffOrMachine, ViewPermission]
    throttle_classes = [CallerThrottle]
    renderer_classes = [JSONRenderer]
    pagination_class = Pages
    filter_backends = [DjangoFilterBackend, OrderingFilter]
    ordering_fields = ["id", "created_at"]
    ordering = ["-id"]
    # Longer numbers fit no database column.
    lookup_value_regex = "[0-9]{1,18}"
    detail_class: type[BaseSerializer[Any]] | None = None

    def get_serializer_class(self) -> type[BaseSerializer[Any]]:
        """The detail's own, where there is one."""
        wanted = self.detail_class if self.action == "retrieve" else None
        return wanted or super().get_serializer_class()


class ServiceViewSet(ReadOnly):
    """What was sold: what billing says, what we want, what the panel shows."""

    queryset = Service.objects.all()
    serializer_class = services.ServiceSerializer
    detail_class = services.ServiceDetailSerializer
    filterset_class = filters.ServiceFilter

    def get_queryset(self) -> QuerySet[Service]:
        """With the state's word, and without the panels' keys."""
        joined = ("connection", "customer", "product", "product_version", "panel")
        rows = selectors.services().select_related(*joined)
        rows = rows.defer("panel__api_key")
        if self.action == "retrieve":
            rows = rows.prefetch_related("suspensions", "entitlements", "pins")
        return rows

    def filter_queryset(self, queryset: Any) -> Any:
        """The test servers of *Try it* are no services that were sold: listed only if asked for."""
        found = super().filter_queryset(queryset)
        asked = self.action != "list" or "trial" in self.request.query_params
        return found if asked else found.filter(is_trial=False)

    def paginate_queryset(self, queryset: Any) -> Any:
        """A page, with the newest operation of each of its services."""
        page = super().paginate_queryset(queryset)
        return selectors.operations_attach(page or [])

    def get_object(self) -> Service:
        """One service with its newest operation."""
        return selectors.operations_attach([super().get_object()])[0]


class OperationViewSet(ReadOnly):
    """What was attempted on panels."""

    queryset = Operation.objects.select_related("service", "panel").defer("panel__api_key")
    serializer_class = records.OperationSerializer
    detail_class = records.OperationDetailSerializer
    filterset_class = filters.OperationFilter

    def get_queryset(self) -> QuerySet[Operation]:
        """With its calls where one is shown."""
        rows = super().get_queryset()
        calls = Prefetch("panel_calls", PanelCall.objects.order_by("id"))
        return rows.prefetch_related(calls) if self.action == "retrieve" else rows


class EventViewSet(ReadOnly):
    """What billing sent."""

    queryset = Event.objects.select_related("connection", "endpoint")
    serializer_class = records.EventSerializer
    detail_class = records.EventDetailSerializer
    filterset_class = filters.EventFilter
    ordering_fields = ["id", "received_at"]

    def get_queryset(self) -> QuerySet[Event]:
        """Bodies are read for one event, not for a list."""
        rows = super().get_queryset()
        return rows.prefetch_related("entries") if self.action == "retrieve" else rows.defer("body")


class PanelViewSet(ReadOnly):
    """The panels that are called."""

    queryset = Panel.objects.select_related("gate").defer("api_key")
    serializer_class = catalogue.PanelSerializer
    filterset_class = filters.PanelFilter
    ordering_fields = ["id", "name"]


class ProductViewSet(ReadOnly):
    """What can be sold."""

    queryset = Product.objects.select_related("connection", "panel", "grace_policy").defer("panel__api_key")
    serializer_class = catalogue.ProductSerializer
    detail_class = catalogue.ProductDetailSerializer
    filterset_class = filters.ProductFilter
    ordering_fields = ["id", "name"]


class DriftViewSet(ReadOnly):
    """Differences that nobody asked for: standing, ignored, or gone again."""

    queryset = Drift.objects.select_related("panel", "service", "ignored_by").defer("panel__api_key")
    serializer_class = records.DriftSerializer
    filterset_class = filters.DriftFilter
    ordering_fields = ["id", "since", "last_seen_at"]
