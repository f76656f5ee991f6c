"""Which rows of the set-up keep a history of their fields, and which fields never enter it (CAL-12)."""

from __future__ import annotations

from typing import Any

from auditlog.models import LogEntry
from auditlog.registry import auditlog
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.db.models import Model
from django.http import HttpRequest

from provisioning.admin.base import ReadOnlyAdmin
from provisioning.models import (
    ApiToken,
    BillingConnection,
    EndpointSecret,
    GracePolicy,
    GracePolicyVersion,
    Installation,
    Panel,
    Product,
    WebhookEndpoint,
)
from provisioning.templatetags.bb import code, when

FOLLOWED: tuple[tuple[type[Model], tuple[str, ...]], ...] = (
    (Panel, ("api_key",)),
    (EndpointSecret, ("value",)),
    (ApiToken, ("hash", "last_used_at")),
    (User, ("password", "last_login")),
    (BillingConnection, ()),
    (WebhookEndpoint, ()),
    (Product, ()),
    (GracePolicy, ()),
    (GracePolicyVersion, ()),
    (Installation, ()),
    (Group, ()),
)
"""Each followed model with the fields that are left out: secrets, and what changes by itself."""


def follow() -> None:
    """Registers the models; called once, when this module is loaded."""
    for model, left_out in FOLLOWED:
        if not auditlog.contains(model):
            auditlog.register(model, exclude_fields=list(left_out))


follow()
if admin.site.is_registered(LogEntry):
    admin.site.unregister(LogEntry)


@admin.register(LogEntry)
class ChangeAdmin(ReadOnlyAdmin):
    """The history of the set-up, field by field."""

    empty = "Every change of the set-up stands here, field by field."
    list_display = ("row_name", "kind", "verb", "actor", "age")
    list_filter = ("action",)
    search_fields = ("object_repr__startswith", "=actor__username")
    search_help_text = "The beginning of the row's name, or a user name"
    ordering = ("-id",)
    list_select_related = ("content_type", "actor")
    fields = ("object_repr", "kind", "verb", "actor", "details", "age")
    readonly_fields = fields

    @admin.display(description="Row")
    def row_name(self, row: Any) -> str:
        """The row's name at that time."""
        return str(row.object_repr)

    @admin.display(description="What")
    def kind(self, row: Any) -> str:
        """The model."""
        return str(row.content_type.name).capitalize()

    @admin.display(description="Action")
    def verb(self, row: Any) -> str:
        """Added, changed or deleted."""
        return str(row.get_action_display())

    @admin.display(description="Fields")
    def details(self, row: Any) -> str:
        """Before and after, without secrets."""
        return code(row.changes_dict)

    @admin.display(description="When", ordering="id")
    def age(self, row: Any) -> str:
        """The time."""
        return when(row.timestamp)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """For those who may read the audit."""
        return request.user.has_perm("provisioning.view_auditentry")
