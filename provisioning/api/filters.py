"""By what the lists can be narrowed. Several values of one filter mean *any of them*."""

from __future__ import annotations

import django_filters as filters
from django.db.models import F, Q, QuerySet

from provisioning.choices import (
    BillingStatus,
    DesiredState,
    DriftKind,
    EventStatus,
    ObservedState,
    OperationKind,
    Outcome,
    ProductKind,
)
from provisioning.lib import clock
from provisioning.models import (
    BillingConnection,
    Drift,
    Event,
    Operation,
    Panel,
    Product,
    Service,
    WebhookEndpoint,
)


class Connection(filters.ModelChoiceFilter):  # type: ignore[misc]  # untyped library
    """A billing connection by its key."""

    def __init__(self, field_name: str = "connection") -> None:
        super().__init__(field_name=field_name, queryset=BillingConnection.objects.all(), to_field_name="key")


class Between(filters.IsoDateTimeFromToRangeFilter):  # type: ignore[misc]  # untyped library
    """`<name>_after` and `<name>_before`, ISO 8601 with zone."""


class ServiceFilter(filters.FilterSet):  # type: ignore[misc]  # untyped library
    """Services."""

    billing_status = filters.MultipleChoiceFilter(choices=BillingStatus.choices)
    desired_state = filters.MultipleChoiceFilter(choices=DesiredState.choices)
    observed_state = filters.MultipleChoiceFilter(choices=ObservedState.choices)
    connection = Connection()
    panel = filters.ModelChoiceFilter(queryset=Panel.objects.defer("api_key"))
    product = filters.ModelChoiceFilter(queryset=Product.objects.all())
    customer_email = filters.CharFilter(field_name="customer__email_folded", method="by_email")
    billing_id = filters.CharFilter()
    external_id = filters.CharFilter()
    server_id = filters.CharFilter()
    converged = filters.BooleanFilter(method="by_converged", label="The panel showed all that is wanted.")
    search = filters.CharFilter(method="by_search", label="Id, mark, server or part of the e-mail address.")
    trial = filters.BooleanFilter(
        field_name="is_trial", label="Test servers of “Try it”. They are left out unless this is given."
    )
    created = Between(field_name="created_at")
    suspend_at = Between()
    undo_until = Between()

    class Meta:
        model = Service
        fields: list[str] = []

    def by_email(self, rows: QuerySet[Service], name: str, value: str) -> QuerySet[Service]:
        """The whole address, folded."""
        return rows.filter(customer__email_folded=value.strip().casefold())

    def by_converged(self, rows: QuerySet[Service], name: str, value: bool) -> QuerySet[Service]:
        """Whether the last wanted generation was seen."""
        same = Q(generation=F("observed_generation"))
        return rows.filter(same if value else ~same)

    def by_search(self, rows: QuerySet[Service], name: str, value: str) -> QuerySet[Service]:
        """Exact ids first of all; a part of the address is what staff remember."""
        exact = Q(billing_id=value) | Q(external_id=value) | Q(server_identifier=value) | Q(server_uuid=value)
        return rows.filter(exact | Q(customer__email_folded__contains=value.casefold()))


class OperationFilter(filters.FilterSet):  # type: ignore[misc]  # untyped library
    """Operations."""

    outcome = filters.MultipleChoiceFilter(choices=Outcome.choices)
    kind = filters.MultipleChoiceFilter(choices=OperationKind.choices)
    reason = filters.CharFilter()
    panel = filters.ModelChoiceFilter(queryset=Panel.objects.defer("api_key"))
    service = filters.NumberFilter(field_name="service_id", max_value=2**62, min_value=1)
    billing_id = filters.CharFilter(field_name="service__billing_id")
    created = Between(field_name="created_at")
    finished = Between(field_name="finished_at")

    class Meta:
        model = Operation
        fields: list[str] = []


class EventFilter(filters.FilterSet):  # type: ignore[misc]  # untyped library
    """Events."""

    status = filters.MultipleChoiceFilter(choices=EventStatus.choices)
    type = filters.CharFilter()
    connection = Connection()
    endpoint = filters.ModelChoiceFilter(queryset=WebhookEndpoint.objects.all(), to_field_name="name")
    subject = filters.CharFilter()
    service = filters.NumberFilter(field_name="service_id", max_value=2**62, min_value=1)
    sender_id = filters.CharFilter()
    received = Between(field_name="received_at")

    class Meta:
        model = Event
        fields: list[str] = []


class PanelFilter(filters.FilterSet):  # type: ignore[misc]  # untyped library
    """Panels."""

    driver = filters.CharFilter()
    retired = filters.BooleanFilter()
    observe_only = filters.BooleanFilter()

    class Meta:
        model = Panel
        fields: list[str] = []


class ProductFilter(filters.FilterSet):  # type: ignore[misc]  # untyped library
    """Products."""

    connection = Connection()
    panel = filters.ModelChoiceFilter(queryset=Panel.objects.defer("api_key"))
    kind = filters.ChoiceFilter(choices=ProductKind.choices)
    billing_product_id = filters.CharFilter()
    search = filters.CharFilter(field_name="name", lookup_expr="icontains")

    class Meta:
        model = Product
        fields: list[str] = []


class DriftFilter(filters.FilterSet):  # type: ignore[misc]  # untyped library
    """Differences."""

    kind = filters.MultipleChoiceFilter(choices=DriftKind.choices)
    panel = filters.ModelChoiceFilter(queryset=Panel.objects.defer("api_key"))
    service = filters.NumberFilter(field_name="service_id", max_value=2**62, min_value=1)
    server_id = filters.CharFilter()
    resolved = filters.BooleanFilter(
        field_name="resolved_at", lookup_expr="isnull", exclude=True, label="A later check no longer saw it."
    )
    ignored = filters.BooleanFilter(method="by_ignored", label="Staff ignore it now.")
    since = Between()

    class Meta:
        model = Drift
        fields: list[str] = []

    def by_ignored(self, rows: QuerySet[Drift], name: str, value: bool) -> QuerySet[Drift]:
        """Until the day that staff named."""
        now = Q(ignored_until__gt=clock.now())
        return rows.filter(now) if value else rows.exclude(now)
