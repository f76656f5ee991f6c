"""Panels and products. No key of a panel is read from the database for these, so none can be shown."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from provisioning.api.serializers.common import NamedSerializer, SafeJson, SafeText
from provisioning.models import GracePolicyVersion, Panel, PanelGate, Product


class GateSerializer(serializers.ModelSerializer[PanelGate]):
    """How the panel does: null dates are good news."""

    last_error = SafeText()

    class Meta:
        model = PanelGate
        fields = [
            "limit_seen",
            "remaining_seen",
            "silent_until",
            "down_since",
            "open_until",
            "parked_at",
            "last_error",
            "last_ok_at",
        ]


class PanelSerializer(serializers.ModelSerializer[Panel]):
    """A panel."""

    gate = serializers.SerializerMethodField(help_text="Null before the first call.")

    class Meta:
        model = Panel
        fields = [
            "id",
            "name",
            "driver",
            "url",
            "language",
            "version",
            "observe_only",
            "retired",
            "rate_per_minute",
            "deletes_hour_floor",
            "deletes_hour_percent",
            "deletes_day_floor",
            "deletes_day_percent",
            "creates_hour_floor",
            "creates_hour_percent",
            "creates_day_floor",
            "creates_day_percent",
            "created_at",
            "gate",
        ]

    @extend_schema_field(GateSerializer(allow_null=True))
    def get_gate(self, panel: Panel) -> object:
        """The panel's rate budget and breaker."""
        gate = getattr(panel, "gate", None)
        return GateSerializer(gate).data if gate else None


class PolicySerializer(serializers.ModelSerializer[GracePolicyVersion]):
    """The grace policy in force; spans as ISO 8601 durations or days and time."""

    name = serializers.CharField(source="policy.name")

    class Meta:
        model = GracePolicyVersion
        fields = ["name", "number", "warn_after", "suspend_after", "undo_window"]


class ProductSerializer(serializers.ModelSerializer[Product]):
    """A product and the driver's own document."""

    connection = serializers.CharField(source="connection.key")
    panel = NamedSerializer()
    grace_policy = serializers.CharField(source="grace_policy.name")
    document = SafeJson()

    class Meta:
        model = Product
        fields = [
            "id",
            "connection",
            "billing_product_id",
            "name",
            "kind",
            "panel",
            "grace_policy",
            "name_prefix",
            "document",
            "created_at",
        ]


class ProductDetailSerializer(ProductSerializer):
    """With the grace policy's spans."""

    policy = PolicySerializer(source="grace_policy.current")

    class Meta(ProductSerializer.Meta):
        fields = [*ProductSerializer.Meta.fields, "policy"]
