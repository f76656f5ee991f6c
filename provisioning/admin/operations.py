"""Operations like a build's run, and the records beside them: audit entries and mails."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin import SimpleListFilter
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from provisioning.admin.actions import ActionsAdmin, StaffAction
from provisioning.admin.base import ReadOnlyAdmin
from provisioning.admin.runbook import paragraphs_for
from provisioning.admin.service_actions import SkipForm, can_skip, operation_skip
from provisioning.admin.timeline import actor_words
from provisioning.lib.redact import redact
from provisioning.lifecycle import staff
from provisioning.models import AuditEntry, Notification, Operation, PanelCall
from provisioning.templatetags.bb import badge, code, when

CALLS_SHOWN = 300


def _retry(row: Operation, data: Any, request: HttpRequest) -> str:
    staff.service_retry(service=row.service)
    return f"{row.service} is tried again now."


class RecentReasonFilter(SimpleListFilter):
    """The reasons of the newest operations: a full list of distinct values would read the whole table."""

    title = "reason"
    parameter_name = "reason"
    LOOKED_AT = 500

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Reasons seen lately."""
        newest = Operation.objects.order_by("-id").values_list("reason", flat=True)[: self.LOOKED_AT]
        return [(reason, reason.replace("_", " ")) for reason in sorted({*newest, self.value() or ""} - {""})]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Operations with that reason."""
        return queryset.filter(reason=self.value()) if self.value() else queryset


@admin.register(Operation)
class OperationAdmin(ActionsAdmin, ReadOnlyAdmin):
    """Every attempt on a panel, with its calls, proofs and outcome."""

    empty = "Each attempt on a panel stands here, with every call that it made."
    list_display = ("label", "result", "service_name", "panel", "reason", "attempts", "calls", "age")
    list_filter = ("outcome", "kind", "panel", RecentReasonFilter)
    search_fields = ("=service__billing_id", "=service__external_id", "=request_id")
    search_help_text = "Billing id, external id or request id"
    ordering = ("-id",)
    list_select_related = ("service__product", "panel")
    staff_actions = (
        StaffAction(
            "skip",
            "Skip operation",
            "provisioning.act_retry",
            "The operation is closed without touching the panel. Do this when you did the work by hand.",
            operation_skip,
            form=SkipForm,
            shown=can_skip,
        ),
        StaffAction(
            "retry",
            "Try again now",
            "provisioning.act_retry",
            "The service is looked at once more; what is missing is done.",
            _retry,
        ),
    )

    @admin.display(description="Operation", ordering="id")
    def label(self, row: Operation) -> str:
        """Number and verb."""
        return f"{row.number} {row.get_kind_display()}"

    @admin.display(description="Outcome")
    def result(self, row: Operation) -> str:
        """How it stands."""
        return badge(row.outcome, row.get_outcome_display())

    @admin.display(description="Service")
    def service_name(self, row: Operation) -> str:
        """Whose server."""
        return str(row.service)

    @admin.display(description="Began", ordering="id")
    def age(self, row: Operation) -> str:
        """When it began."""
        return when(row.created_at)

    def found(self, request: HttpRequest, pk: str, rows: QuerySet[Any] | None = None) -> Any:
        """One operation with what its page names."""
        joined = Operation.objects.select_related("service__product", "service__customer", "panel")
        return super().found(request, pk, joined)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """The page of one operation."""
        row = self.found(request, object_id)
        calls = PanelCall.objects.filter(operation=row).order_by("-id")[:CALLS_SHOWN]
        return self.render(
            request,
            "operation.html",
            f"{row.number} {row.get_kind_display()}",
            row,
            operation=row,
            actor=actor_words(row.actor_kind, row.actor),
            calls=list(reversed(calls)),
            entries=AuditEntry.objects.filter(operation=row).order_by("id")[:100],
            advice=paragraphs_for(row.reason),
            offered=self.offered(request, row),
        )


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    """Who did what. Nobody changes it, nobody deletes it."""

    empty = "Everything that billing, staff and the bridge do is recorded here."
    list_display = ("said", "who", "service", "action", "age")
    list_filter = ("actor_kind",)
    search_fields = ("=actor", "=request_id", "=service__billing_id")
    search_help_text = "User name, request id or billing id"
    ordering = ("-id",)
    list_select_related = ("service__product",)
    fields = (
        "said",
        "who",
        "service",
        "event",
        "operation",
        "action",
        "details",
        "public",
        "request_id",
        "age",
    )
    readonly_fields = fields

    @admin.display(description="What happened")
    def said(self, row: AuditEntry) -> str:
        """The sentence."""
        return redact(row.message, limit=400)

    @admin.display(description="By")
    def who(self, row: AuditEntry) -> str:
        """The actor."""
        return actor_words(row.actor_kind, row.actor)

    @admin.display(description="Data")
    def details(self, row: AuditEntry) -> str:
        """What was recorded with it."""
        return code(row.data)

    @admin.display(description="When")
    def age(self, row: AuditEntry) -> str:
        """The time."""
        return when(row.at)


@admin.register(Notification)
class NotificationAdmin(ReadOnlyAdmin):
    """Mails: each stage once."""

    empty = "Every mail that the bridge writes stands here, with when it left."
    list_display = ("stage", "to", "service", "written", "sent", "error")
    list_filter = ("template",)
    search_fields = ("=service__billing_id", "key__startswith")
    search_help_text = "Billing id, or the beginning of the key"
    ordering = ("-id",)
    list_select_related = ("service__product",)
    fields = (
        "template",
        "to",
        "key",
        "service",
        "operation",
        "details",
        "written",
        "sent",
        "attempts",
        "error",
    )
    readonly_fields = fields

    @admin.display(description="Mail", ordering="template")
    def stage(self, row: Notification) -> str:
        """The template's name in words."""
        return row.template.replace("_", " ").capitalize()

    @admin.display(description="To")
    def to(self, row: Notification) -> str:
        """The addresses."""
        return ", ".join(str(address) for address in row.recipients) or "nobody"

    @admin.display(description="Filled in with")
    def details(self, row: Notification) -> str:
        """What the template was filled in with."""
        return code(row.context)

    @admin.display(description="Written")
    def written(self, row: Notification) -> str:
        """When the stage was reached."""
        return when(row.created_at)

    @admin.display(description="Sent")
    def sent(self, row: Notification) -> str:
        """When it left."""
        return when(row.sent_at, "not yet")
