"""Events: every verified message, what it changed and what it caused; and who may send them."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin import SimpleListFilter
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from provisioning.admin.actions import ActionsAdmin, StaffAction
from provisioning.admin.base import ReadOnlyAdmin
from provisioning.admin.runbook import paragraphs_for
from provisioning.choices import EventType
from provisioning.inbox.tasks import event_replay
from provisioning.models import AuditEntry, Event, Operation
from provisioning.templatetags.bb import badge, payload, when


def _replay(row: Event, data: Any, request: HttpRequest) -> str:
    event_replay(event=row)
    return f"Event {row.pk} is worked on once more. Its own time still orders it: old news stays old."


class TypeFilter(SimpleListFilter):
    """The types that have a handler: distinct values of a long table would be a full read."""

    title = "type"
    parameter_name = "type"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """The five types of T83-10."""
        return [(kind.value, str(kind.label)) for kind in EventType]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Events of that type."""
        return queryset.filter(type=self.value()) if self.value() else queryset


@admin.register(Event)
class EventAdmin(ActionsAdmin, ReadOnlyAdmin):
    """The inbox."""

    empty = (
        "Every verified message of billing stands here. Give a webhook endpoint's address to its "
        "sender first."
    )
    list_display = ("label", "standing", "subject", "endpoint", "outcome", "age")
    list_filter = ("status", TypeFilter, "endpoint")
    search_fields = ("=subject", "=sender_id", "=request_id")
    search_help_text = "Billing service id, the sender's id or a request id"
    ordering = ("-id",)
    list_select_related = ("endpoint",)
    staff_actions = (
        StaffAction(
            "replay",
            "Replay event",
            "provisioning.act_replay",
            "The event is worked on once more, as it came. What it changed already is not changed twice, "
            "and a newer event is not overruled.",
            _replay,
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Event]:
        """Events without their bodies: a list shows none."""
        rows: QuerySet[Event] = super().get_queryset(request)
        return rows.defer("body")

    @admin.display(description="Event", ordering="id")
    def label(self, row: Event) -> str:
        """Number and type."""
        return f"{row.pk} {row.type or 'not read yet'}"

    @admin.display(description="Status")
    def standing(self, row: Event) -> str:
        """Where it stands."""
        return badge(row.status, row.get_status_display())

    @admin.display(description="What it did")
    def outcome(self, row: Event) -> str:
        """The words."""
        return row.result[:160]

    @admin.display(description="Received", ordering="id")
    def age(self, row: Event) -> str:
        """When it came."""
        return when(row.received_at)

    def found(self, request: HttpRequest, pk: str, rows: QuerySet[Any] | None = None) -> Any:
        """One event with what its page names."""
        return super().found(
            request, pk, Event.objects.select_related("endpoint__connection", "service__product")
        )

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """The page of one event."""
        row = self.found(request, object_id)
        entries = AuditEntry.objects.filter(event=row).select_related("service__product").order_by("id")[:100]
        return self.render(
            request,
            "event.html",
            f"Event {row.pk} {row.type}",
            row,
            event=row,
            payload=payload(bytes(row.body)),
            entries=entries,
            caused=caused_by(row),
            advice=paragraphs_for(row.reason),
            offered=self.offered(request, row),
        )


def caused_by(event: Event) -> list[Operation]:
    """The operations that go back to this event: they carry its request id."""
    if not event.request_id or not event.service_id:
        return []
    rows = Operation.objects.filter(service=event.service_id, request_id=event.request_id)
    return list(rows.select_related("panel").order_by("id")[:50])
