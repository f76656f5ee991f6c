"""Operations with their calls, events with what they caused, and differences."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from provisioning.api.serializers.common import EntrySerializer, NamedSerializer, SafeJson, SafeText
from provisioning.lib.jsonsafe import BodyRejected, parse_body
from provisioning.lib.redact import redact
from provisioning.models import Drift, Event, Operation, PanelCall


class CallSerializer(serializers.ModelSerializer[PanelCall]):
    """One HTTP call to a panel."""

    path = SafeText()
    error = SafeText()
    words = SafeText()

    class Meta:
        model = PanelCall
        fields = ["at", "method", "path", "status", "error", "words", "ms", "attempt", "request_id"]


class OperationSerializer(serializers.ModelSerializer[Operation]):
    """A line of the list."""

    number = serializers.CharField()
    billing_id = serializers.CharField(source="service.billing_id")
    panel = NamedSerializer(allow_null=True)
    detail = SafeText()

    class Meta:
        model = Operation
        fields = [
            "id",
            "number",
            "service",
            "billing_id",
            "panel",
            "kind",
            "generation",
            "outcome",
            "reason",
            "detail",
            "public",
            "actor_kind",
            "actor",
            "attempts",
            "waiting_since",
            "next_attempt_at",
            "calls",
            "polls",
            "created_at",
            "finished_at",
            "request_id",
        ]


class OperationDetailSerializer(OperationSerializer):
    """With its plan, its proofs and every call."""

    plan = SafeJson()
    proofs = SafeJson()
    panel_calls = CallSerializer(many=True)

    class Meta(OperationSerializer.Meta):
        fields = [*OperationSerializer.Meta.fields, "plan", "proofs", "panel_calls"]


class EventSerializer(serializers.ModelSerializer[Event]):
    """A line of the list."""

    connection = serializers.CharField(source="connection.key")
    endpoint = serializers.CharField(source="endpoint.name")
    result = SafeText()

    class Meta:
        model = Event
        fields = [
            "id",
            "connection",
            "endpoint",
            "sender_id",
            "type",
            "subject",
            "service",
            "status",
            "reason",
            "result",
            "fresh",
            "occurred_at",
            "sequence",
            "received_at",
            "processed_at",
            "next_attempt_at",
            "attempts",
            "remote_ip",
            "verified_by",
            "request_id",
        ]


class EventDetailSerializer(EventSerializer):
    """With its payload, masked, and the entries that it caused."""

    payload = serializers.SerializerMethodField(help_text="Masked; as text where it is not readable JSON.")
    entries = EntrySerializer(many=True)

    class Meta(EventSerializer.Meta):
        fields = [*EventSerializer.Meta.fields, "body_sha256", "payload", "entries"]

    @extend_schema_field({"oneOf": [{"type": "object"}, {"type": "string"}]})
    def get_payload(self, event: Event) -> Any:
        """What was sent, without what looks like a secret."""
        body = bytes(event.body)
        try:
            return SafeJson().to_representation(parse_body(body))
        except BodyRejected:
            return redact(body.decode("utf-8", "replace"))


class DriftSerializer(serializers.ModelSerializer[Drift]):
    """A difference, and what staff said of it."""

    panel = NamedSerializer()
    billing_id = serializers.CharField(source="service.billing_id", allow_null=True, default=None)
    words = SafeText()
    ignored_by = serializers.CharField(source="ignored_by.username", allow_null=True, default=None)

    class Meta:
        model = Drift
        fields = [
            "id",
            "panel",
            "kind",
            "subject",
            "service",
            "billing_id",
            "server_id",
            "words",
            "since",
            "last_seen_at",
            "resolved_at",
            "ignored_until",
            "ignored_because",
            "ignored_by",
        ]
