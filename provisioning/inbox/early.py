"""Events that came before their subscription was known: kept, and applied once it is."""

from __future__ import annotations

from provisioning.choices import EventStatus
from provisioning.lib import clock
from provisioning.models import BillingConnection, Event, Service

EARLY_REASONS = ("unknown_subscription", "no_customer")
"""Reasons of a hold that end by themselves when another event makes the subscription known."""


def early_events_wake(*, connection: BillingConnection, billing_id: str) -> int:
    """Has the early events of a subscription worked on now; their own time orders them. Returns how many."""
    early = Event.objects.filter(
        connection=connection, subject=billing_id, status=EventStatus.HELD, reason__in=EARLY_REASONS
    )
    return early.update(
        status=EventStatus.RECEIVED, reason="", attempts=0, claimed_until=None, next_attempt_at=clock.now()
    )


def event_came_early(*, event: Event, reason: str) -> None:
    """Closes the gap in which the subscription became known just before this event was held."""
    known = Service.objects.filter(connection=event.connection, billing_id=event.subject)
    if reason in EARLY_REASONS and known.exists():
        early_events_wake(connection=event.connection, billing_id=event.subject)
