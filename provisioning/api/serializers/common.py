"""Parts that several answers share."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from provisioning.lib.redact import redact, redact_data
from provisioning.models import AuditEntry, Customer


@extend_schema_field(OpenApiTypes.OBJECT)
class SafeJson(serializers.Field[Any, Any, Any, Any]):
    """A stored document without what looks like a secret: product variables hold passwords at times."""

    def to_representation(self, value: Any) -> Any:
        """The masked copy."""
        return redact_data(value)


class SafeText(serializers.CharField):
    """Words of others (a panel, a sender), masked."""

    def to_representation(self, value: Any) -> str:
        """The masked text."""
        return redact(str(value))


class CustomerSerializer(serializers.ModelSerializer[Customer]):
    """Who pays."""

    class Meta:
        model = Customer
        fields = ["id", "billing_user_id", "email", "email_verified", "first_name", "last_name"]


class NamedSerializer(serializers.Serializer[Any]):
    """A row that is shown in full elsewhere."""

    id = serializers.IntegerField()
    name = serializers.CharField()


class EntrySerializer(serializers.ModelSerializer[AuditEntry]):
    """One sentence of a timeline."""

    message = SafeText()
    data = SafeJson()  # type: ignore[assignment]  # the column is called so

    class Meta:
        model = AuditEntry
        fields = [
            "at",
            "actor_kind",
            "actor",
            "action",
            "message",
            "public",
            "event",
            "operation",
            "request_id",
            "data",
        ]
