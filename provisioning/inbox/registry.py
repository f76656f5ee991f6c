"""Which handler an event type has. `upsell` registers its own here; provisioning never imports it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from provisioning.billing.events import BillingEvent
from provisioning.choices import EventStatus
from provisioning.models import Event, Service


@dataclass(frozen=True)
class Handled:
    """What became of an event."""

    status: EventStatus
    words: str
    service: Service | None = None


Handler = Callable[[Event, BillingEvent], Handled]
_handlers: dict[str, Handler] = {}


def handles(*types: str) -> Callable[[Handler], Handler]:
    """Decorator: this function is what these event types do."""

    def register(handler: Handler) -> Handler:
        for event_type in types:
            _handlers[event_type] = handler
        return handler

    return register


def handler_for(event_type: str) -> Handler | None:
    """The handler of an event type, or None: the event is then kept as ignored."""
    return _handlers.get(event_type)
