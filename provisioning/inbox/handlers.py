"""Provisioning's own handlers: an event never calls a panel, it changes what a service should be."""

from __future__ import annotations

from provisioning.billing.events import BillingEvent, EventInvalid
from provisioning.choices import EventStatus, EventType
from provisioning.inbox.early import early_events_wake
from provisioning.inbox.registry import Handled, handles
from provisioning.lifecycle.billing import service_apply_event
from provisioning.models import Event


@handles(*EventType.values)
def subscription_changed(event: Event, fact: BillingEvent) -> Handled:
    """Any of the five events of T83-10: billing said something of a subscription."""
    if fact.type == EventType.CREATED and not fact.status:
        raise EventInvalid({"status": "is missing: only an active subscription gets a server."})
    applied = service_apply_event(event=event, fact=fact)
    if applied.created:
        # An event that came before its subscription was known is applied now.
        early_events_wake(connection=event.connection, billing_id=fact.subscription_id)
    status = EventStatus.PROCESSED if applied.newer else EventStatus.STALE
    words = applied.words if applied.newer else "Older than what is known already: nothing was changed."
    return Handled(status, words, applied.service)
