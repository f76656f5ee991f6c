"""Services: the three truths side by side, the dates, what is waited for, the timeline."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from provisioning import selectors
from provisioning.api.links import service_server_url
from provisioning.api.serializers.common import CustomerSerializer, EntrySerializer, NamedSerializer, SafeJson
from provisioning.desired import service_limits
from provisioning.lib import clock
from provisioning.models import Entitlement, Pin, Service, Suspension

TIMELINE = 50
"""Entries that a detail shows, the newest first."""

_Fields = serializers.Serializer[Any]


class WaitingSerializer(_Fields):
    """What the service waits for, since when, and when it is tried next."""

    words = serializers.CharField(source="what", help_text="A phrase that continues “Waiting for”.")
    since = serializers.DateTimeField(allow_null=True)
    next_try = serializers.DateTimeField(source="next_at", allow_null=True)
    attempt = serializers.IntegerField()


class BillingTruthSerializer(_Fields):
    """What billing last said."""

    status = serializers.CharField(source="billing_status")
    product_id = serializers.CharField(source="billing_product_id")
    tier = serializers.CharField()
    properties = SafeJson()
    paid_at = serializers.DateTimeField(allow_null=True)
    paid_until = serializers.DateTimeField(allow_null=True)
    cancel_at = serializers.DateTimeField(allow_null=True)
    failed_payments = serializers.ListField(child=serializers.DateTimeField())


class DesiredTruthSerializer(_Fields):
    """What we want. Limits in MiB, percent of a thread, or counts."""

    state = serializers.CharField(source="desired_state")
    reasons = serializers.ListField(source="suspend_reasons", child=serializers.CharField())
    generation = serializers.IntegerField()
    limits = serializers.SerializerMethodField()

    def get_limits(self, service: Service) -> dict[str, int]:
        """Product, entitlements and pins together."""
        return service_limits(service, service.sold) if service.sold else {}


class ObservedTruthSerializer(_Fields):
    """What the panel last showed."""

    state = serializers.CharField(source="observed_state")
    at = serializers.DateTimeField(source="observed_at", allow_null=True)
    generation = serializers.IntegerField(source="observed_generation")
    server_id = serializers.CharField()
    server_uuid = serializers.CharField()
    server_identifier = serializers.CharField()
    look = SafeJson(source="observed")


class DatesSerializer(serializers.ModelSerializer[Service]):
    """Every date that time alone acts on, and those that were passed."""

    class Meta:
        model = Service
        fields = [
            "created_at",
            "ready_at",
            "overdue_since",
            "warn_at",
            "suspend_at",
            "hold_until",
            "ended_at",
            "undo_until",
            "undone_at",
            "terminated_by_staff_at",
            "terminated_at",
            "next_check_at",
        ]


class SuspensionSerializer(serializers.ModelSerializer[Suspension]):
    """A reason that staff set."""

    class Meta:
        model = Suspension
        fields = ["reason", "note", "since", "lifted_at"]


class EntitlementSerializer(serializers.ModelSerializer[Entitlement]):
    """An extra, from when to when."""

    class Meta:
        model = Entitlement
        fields = ["resource", "amount", "source", "starts_at", "ends_at"]


class PinSerializer(serializers.ModelSerializer[Pin]):
    """A limit that staff fixed."""

    class Meta:
        model = Pin
        fields = ["resource", "value", "note", "created_at"]


class ServiceSerializer(serializers.ModelSerializer[Service]):
    """A line of the list."""

    connection = serializers.CharField(source="connection.key")
    customer = CustomerSerializer()
    product = NamedSerializer(allow_null=True)
    panel = NamedSerializer(allow_null=True)
    word = serializers.SerializerMethodField(help_text="The state in one word.")
    converged = serializers.BooleanField(help_text="The panel showed all that is wanted.")
    waiting = serializers.SerializerMethodField()

    class Meta:
        model = Service
        fields = [
            "id",
            "connection",
            "billing_id",
            "external_id",
            "customer",
            "product",
            "panel",
            "word",
            "billing_status",
            "desired_state",
            "observed_state",
            "suspend_reasons",
            "converged",
            "is_trial",
            "waiting",
            "suspend_at",
            "undo_until",
            "created_at",
        ]

    def get_word(self, service: Service) -> str:
        """Computed by the database, as the admin's lists do."""
        return selectors.word_of(service).value

    @extend_schema_field(WaitingSerializer(allow_null=True))
    def get_waiting(self, service: Service) -> Any:
        """Null if nothing is under way."""
        waits = selectors.waiting(service, selectors.newest_of(service))
        return WaitingSerializer(waits).data if waits else None


class ServiceDetailSerializer(ServiceSerializer):
    """Everything of one service."""

    situation = serializers.SerializerMethodField(help_text="Is it all right, and if not, who does what.")
    billing = BillingTruthSerializer(source="*")
    desired = DesiredTruthSerializer(source="*")
    observed = ObservedTruthSerializer(source="*")
    dates = DatesSerializer(source="*")
    suspensions = SuspensionSerializer(many=True)
    entitlements = EntitlementSerializer(many=True)
    pins = PinSerializer(many=True)
    server_url = serializers.SerializerMethodField(help_text="Empty while no server was seen.")
    timeline = serializers.SerializerMethodField(help_text=f"The newest {TIMELINE} entries.")

    class Meta(ServiceSerializer.Meta):
        fields = [
            *ServiceSerializer.Meta.fields,
            "situation",
            "billing",
            "desired",
            "observed",
            "dates",
            "suspensions",
            "entitlements",
            "pins",
            "server_url",
            "timeline",
        ]

    def get_situation(self, service: Service) -> str:
        """The first line of the service's page."""
        return selectors.situation(service, selectors.newest_of(service), clock.now())

    def get_server_url(self, service: Service) -> str:
        """For *Go to server*."""
        return service_server_url(service)

    @extend_schema_field(EntrySerializer(many=True))
    def get_timeline(self, service: Service) -> Any:
        """The newest first."""
        entries = service.timeline.order_by("-at", "-id")[:TIMELINE]
        return EntrySerializer(entries, many=True).data
