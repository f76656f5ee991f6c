"""A service's story: what happened, by whom, grouped by the event or the operation it belongs to."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, field

from provisioning.choices import ActorKind
from provisioning.models import AuditEntry, Event, Operation, PanelCall, Service
from provisioning.templatetags.bb import payload

ENTRIES, GROUPS, CALLS = 150, 60, 600
"""How much of each kind one page shows; older rows are reached through the lists."""
PAYLOAD_SHOWN = 4_000


@dataclass
class Chapter:
    """One event or operation with what was recorded under it, or a single entry of its own."""

    at: dt.datetime
    event: Event | None = None
    operation: Operation | None = None
    entries: list[AuditEntry] = field(default_factory=list)
    calls: list[PanelCall] = field(default_factory=list)

    @property
    def payload(self) -> str:
        """The event's body, pretty and without secrets."""
        return payload(bytes(self.event.body), PAYLOAD_SHOWN) if self.event else ""

    @property
    def actor(self) -> str:
        """Who began this, in words."""
        if self.operation:
            return actor_words(self.operation.actor_kind, self.operation.actor)
        if self.event:
            return actor_words(ActorKind.BILLING, self.event.endpoint.name)
        return actor_words(self.entries[0].actor_kind, self.entries[0].actor)


def actor_words(kind: str, name: str) -> str:
    """*billing (Shop)*, *staff grace*, *bridge*."""
    label = str(ActorKind(kind).label)
    if not name:
        return label
    return f"{label} {name}" if kind == ActorKind.STAFF else f"{label} ({name})"


def story(service: Service) -> list[Chapter]:
    """The newest chapters of a service's story, newest first. Five queries, however long the story is."""
    entries = AuditEntry.objects.filter(service=service).order_by("-at", "-id")[:ENTRIES]
    operations = Operation.objects.filter(service=service).select_related("panel").order_by("-id")[:GROUPS]
    events = Event.objects.filter(service=service).select_related("endpoint").order_by("-id")[:GROUPS]
    chapters = _group(list(entries), list(operations), list(events))
    _add_calls(chapters)
    return sorted(chapters, key=lambda chapter: chapter.at, reverse=True)


def _group(entries: list[AuditEntry], operations: list[Operation], events: list[Event]) -> list[Chapter]:
    by_operation = {row.pk: Chapter(row.created_at, operation=row) for row in operations}
    by_event = {row.pk: Chapter(row.received_at, event=row) for row in events}
    single: list[Chapter] = []
    for entry in reversed(entries):
        home = by_operation.get(entry.operation_id or 0) or by_event.get(entry.event_id or 0)
        if home:
            home.entries.append(entry)
        else:
            single.append(Chapter(entry.at, entries=[entry]))
    return [*by_operation.values(), *by_event.values(), *single]


def _add_calls(chapters: Iterable[Chapter]) -> None:
    homes = {chapter.operation.pk: chapter for chapter in chapters if chapter.operation}
    newest = PanelCall.objects.filter(operation__in=list(homes)).order_by("-id")[:CALLS]
    for call in reversed(newest):
        homes[call.operation_id or 0].calls.append(call)
