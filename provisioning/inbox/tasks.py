"""The job that works on one event: claim, parse under guard, handle, close. Safe to run twice."""

from __future__ import annotations

import datetime as dt
import time
from dataclasses import replace

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet

from provisioning import audit, queue
from provisioning.billing.events import BillingEvent, EventInvalid, event_type, read_event
from provisioning.choices import ActorKind, EventStatus
from provisioning.inbox.early import event_came_early
from provisioning.inbox.registry import Handled, handler_for
from provisioning.lib import clock
from provisioning.lib.jsonsafe import BodyRejected, parse_body
from provisioning.lib.ratelimit import backoff
from provisioning.lifecycle.customers import EventHeld
from provisioning.models import Event
from provisioning.notifications import staff_notify

CROWD_SECONDS = 1.0
"""For so long a job takes further events before it leaves the rest to the next one."""

log = structlog.get_logger(__name__)


def process_event(event_id: int) -> None:
    """Works on one received event, then on its service. A second job for it finds nothing to claim."""
    event = _claim(event_id)
    if event is None:
        return
    with structlog.contextvars.bound_contextvars(request_id=event.request_id), queue.going_on():
        _process(event)


def process_events(event_id: int) -> None:
    """Works on an event and then on all others that nobody has begun: one wake-up stands for many of them.

    Where more than one waits, another worker is woken, which does the same: a panel that is slow for one
    event keeps no other waiting. The last one begins while a whole piece of work still fits into the job, and
    soon: the wake-ups that queue behind this one begin with the newest events.
    """
    spare = (settings.JOB_TIMEOUT_SECONDS - settings.JOB_DEADLINE_SECONDS) / 2
    ends = time.monotonic() + min(spare, CROWD_SECONDS)
    _wake_another(besides=event_id)
    following: int | None = event_id
    while following and time.monotonic() < ends:
        process_event(following)
        following = _untouched().first()
    if following:
        queue.enqueue(queue.PROCESS_EVENTS, following)


def _untouched() -> QuerySet[Event, int]:
    """The ids of events that nobody has begun, in the order in which they came."""
    waiting = Event.objects.filter(status=EventStatus.RECEIVED, attempts=0)
    return waiting.order_by("pk").values_list("pk", flat=True)


def _wake_another(*, besides: int) -> None:
    other = _untouched().exclude(pk=besides).first()
    if other:
        queue.enqueue(queue.PROCESS_EVENTS, other)


def _process(event: Event) -> None:
    with structlog.contextvars.bound_contextvars(event_id=event.pk):
        try:
            if event.attempts > settings.MAX_ATTEMPTS:
                _give_up(event, "Its worker died each time it was tried")
            else:
                _work(event)
        except Exception as error:
            log.exception("event_crashed", event_id=event.pk)
            _event_retry(event=event, error=error)


def _claim(event_id: int) -> Event | None:
    """Counts the attempt before the work, so that an event that kills its worker is seen."""
    now = clock.now()
    event = Event.objects.select_related("connection", "endpoint").filter(pk=event_id).first()
    if event is None or event.status != EventStatus.RECEIVED:
        return None
    free = Q(claimed_until=None) | Q(claimed_until__lte=now)
    rows = Event.objects.filter(free, pk=event_id, status=EventStatus.RECEIVED, attempts=event.attempts)
    event.attempts += 1
    event.claimed_until = now + dt.timedelta(seconds=settings.LEASE_SECONDS)
    claimed = rows.update(
        attempts=event.attempts, claimed_until=event.claimed_until, next_attempt_at=event.claimed_until
    )
    return event if claimed else None


def _work(event: Event) -> None:
    try:
        body = parse_body(bytes(event.body))
        payload = body if isinstance(body, dict) else {}
        event.type = event_type(payload)
        if event.type and handler_for(event.type) is None:
            _ignore(event)
            return
        fact = read_event(payload)
    except BodyRejected as error:
        event_close(
            event=event, status=EventStatus.REJECTED, words=f"Not readable: {error}", reason="unreadable"
        )
        return
    except EventInvalid as error:
        event_close(event=event, status=EventStatus.REJECTED, words=_sentence(error), reason="invalid")
        return
    event.type, event.subject = fact.type, fact.subscription_id
    event.occurred_at, event.sequence = fact.occurred_at, fact.sequence
    _handle(event, _believed(event, fact))


def _believed(event: Event, fact: BillingEvent) -> BillingEvent:
    """Whether an address is verified is believed only of a sender that staff marked so (DESIGN rule 6)."""
    said = fact.email_verified is not False
    return replace(fact, email_verified=said if event.endpoint.verifies_email else None)


def _ignore(event: Event) -> None:
    words = f"No handler for “{event.type}”: kept, nothing was changed."
    event_close(event=event, status=EventStatus.IGNORED, words=words)


def _sentence(error: EventInvalid) -> str:
    return " ".join(f"“{name}” {text}" for name, text in error.problems.items())


def _handle(event: Event, fact: BillingEvent) -> None:
    handler = handler_for(fact.type)
    if handler is None:
        _ignore(event)
        return
    if _in_the_future(event, fact):
        words = f"occurred_at ({fact.occurred_at}) lies in the future: check the sender's clock, then replay."
        event_close(event=event, status=EventStatus.REJECTED, words=words, reason="future")
        return
    try:
        with transaction.atomic(), audit.acting_as(ActorKind.BILLING, event.endpoint.name, event=event):
            handled = handler(event, fact)
            _close(event, handled)
    except EventInvalid as error:
        event_close(event=event, status=EventStatus.REJECTED, words=_sentence(error), reason="invalid")
    except EventHeld as held:
        event_close(event=event, status=EventStatus.HELD, words=held.detail, reason=held.reason)
        event_came_early(event=event, reason=held.reason)


def _in_the_future(event: Event, fact: BillingEvent) -> bool:
    # A stamp ahead of time would make every later event look stale.
    slack = dt.timedelta(seconds=settings.WEBHOOK_TOLERANCE_SECONDS)
    return fact.occurred_at is not None and fact.occurred_at > event.received_at + slack


def _close(event: Event, handled: Handled) -> None:
    event.service = handled.service
    event.status, event.result = handled.status, handled.words
    event.reason, event.next_attempt_at, event.processed_at = "", None, clock.now()
    event.save()


@transaction.atomic
def event_close(*, event: Event, status: EventStatus, words: str, reason: str = "") -> None:
    """Ends the work on an event with words; staff are told once of what only they can mend."""
    event.status, event.result, event.reason = status, words, reason
    event.next_attempt_at, event.processed_at = None, clock.now()
    event.save()
    if status in (EventStatus.HELD, EventStatus.REJECTED, EventStatus.FAILED):
        staff_notify(
            key=f"event:{event.pk}:{reason or status}",
            template="staff_event",
            context={"event_id": event.pk, "status": str(status), "words": words, "subject": event.subject},
        )


def _event_retry(*, event: Event, error: Exception) -> None:
    words = f"An error of ours ({type(error).__name__})"
    if event.attempts >= settings.MAX_ATTEMPTS:
        _give_up(event, words)
        return
    wait = backoff(event.attempts, base=settings.BACKOFF_BASE, cap=settings.BACKOFF_CAP)
    Event.objects.filter(pk=event.pk, status=EventStatus.RECEIVED).update(
        next_attempt_at=clock.now() + dt.timedelta(seconds=wait),
        claimed_until=None,
        result=f"{words}: it is tried again.",
    )


def _give_up(event: Event, words: str) -> None:
    words = f"{words}; the log has it under request id {event.request_id}."
    event_close(event=event, status=EventStatus.FAILED, words=words, reason="internal")


def event_replay(*, event: Event) -> None:
    """Staff ask for an event to be worked on again. Its own time still orders it: old news stays old."""
    with transaction.atomic():
        Event.objects.filter(pk=event.pk).update(
            status=EventStatus.RECEIVED,
            reason="",
            attempts=0,
            claimed_until=None,
            next_attempt_at=clock.now(),
        )
        audit.record(
            service=event.service, action="event.replay", message=f"Event {event.pk} is worked on once more."
        )
