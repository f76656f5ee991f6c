"""Who did what and why: one append-only table, one writer. A service's entries are its timeline.

`acting_as` names the actor for everything that happens inside it, so that writers need not pass it on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import structlog

from provisioning.choices import ActorKind
from provisioning.lib import clock
from provisioning.models import AuditEntry, Event, Operation, Service


@dataclass(frozen=True)
class Actor:
    """Who acts. `name` is a person's user name, an endpoint's name, or empty for the bridge itself."""

    kind: ActorKind = ActorKind.BRIDGE
    name: str = ""
    event: Event | None = None


_actor: ContextVar[Actor | None] = ContextVar("actor", default=None)


def current_actor() -> Actor:
    """The actor in force; the bridge itself where nobody said otherwise."""
    return _actor.get() or Actor()


def request_id() -> str:
    """The id that joins webhook, job, panel call and log line (T83-41)."""
    return str(structlog.contextvars.get_contextvars().get("request_id", ""))[:40]


@contextmanager
def acting_as(kind: ActorKind, name: str = "", *, event: Event | None = None) -> Iterator[Actor]:
    """Names the actor of all entries recorded inside."""
    actor = Actor(kind, name, event)
    token = _actor.set(actor)
    try:
        yield actor
    finally:
        _actor.reset(token)


def record(
    *,
    service: Service | None,
    action: str,
    message: str,
    operation: Operation | None = None,
    public: bool = False,
    data: Mapping[str, Any] | None = None,
) -> AuditEntry:
    """Writes one sentence about what just happened, inside the transaction that made it happen."""
    actor = current_actor()
    return AuditEntry.objects.create(
        service=service,
        event=actor.event,
        operation=operation,
        actor_kind=actor.kind,
        actor=actor.name,
        action=action,
        message=message,
        public=public,
        data=dict(data or {}),
        request_id=request_id(),
        at=clock.now(),
    )
