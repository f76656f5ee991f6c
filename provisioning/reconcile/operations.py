"""Operations: the durable record of an attempt. Opened before the first call, closed after the proof."""

from __future__ import annotations

import datetime as dt

from django.conf import settings
from django.db import IntegrityError, transaction

from provisioning import audit
from provisioning.choices import LIVE_OUTCOMES, Outcome
from provisioning.lib import clock
from provisioning.lib.ratelimit import backoff
from provisioning.models import AuditEntry, Operation, Panel, Service
from provisioning.notifications import staff_notify

ALERTED_WAITS = ("no_capacity", "product_unmapped", "observe_only")
"""Waits that only staff can end, each told once per operation. A panel that is down is told by its gate."""


BRAKES = {"brake": "brake", "create_brake": "waiting"}
"""The waits under a mass brake, and the mail that tells staff of each."""


LONG_WAITS = (
    "panel_unknown",
    "panel_not_there",
    "node_unreachable",
    "server_busy",
    "create_unknown",
    "allocation_taken",
    "rate_limited",
    "deadline",
)
"""Waits that end by themselves as a rule. If one lasts, staff are told once a day for each panel."""
ONE_TROUBLE = frozenset({*LONG_WAITS, "panel_unreachable"})
"""One trouble may show itself by turns as several of these (a create that fails, and the look that follows):
going from one to the other does not begin a new wait."""
LONG = dt.timedelta(minutes=15)
USUAL_WAITS = ("installing", "rate_budget", "change_pace")
"""Waits that are part of any day: they show while they last, and leave no line on the timeline."""


def operation_live(service: Service) -> Operation | None:
    """The operation that the engine works on, if there is one."""
    return Operation.objects.filter(service=service, outcome__in=LIVE_OUTCOMES).first()


def operation_open(*, service: Service, panel: Panel | None) -> Operation | None:
    """The live operation of the present generation, made if needed.

    Returns None if this generation has ended as *needs staff*: nothing more happens until staff or a new
    event raise the generation. An older generation's live operation is closed as superseded.
    """
    live = operation_live(service)
    if live and live.generation == service.generation:
        return live
    if live:
        operation_close(operation=live, outcome=Outcome.SUPERSEDED, detail="A newer change took its place.")
    ended = Operation.objects.filter(service=service, generation=service.generation)
    if ended.filter(outcome=Outcome.NEEDS_STAFF).exists():
        return None
    return _create(service, panel, ended.count())


def operation_drop(*, service: Service) -> None:
    """Ends what is live of a service that billing calls pending again: nothing is to be done for it."""
    live = operation_live(service)
    if live:
        words = "Billing calls the service pending."
        operation_close(operation=live, outcome=Outcome.SUPERSEDED, detail=words)


def _create(service: Service, panel: Panel | None, rounds: int) -> Operation | None:
    cause = AuditEntry.objects.filter(service=service).order_by("-id").first()
    try:
        with transaction.atomic():
            return Operation.objects.create(
                key=f"{service.pk}:{service.generation}:{rounds}",
                service=service,
                panel=panel,
                generation=service.generation,
                actor_kind=cause.actor_kind if cause else "bridge",
                actor=cause.actor if cause else "",
                request_id=(cause.request_id if cause else "") or audit.request_id(),
            )
    except IntegrityError:
        # Another worker opened it a moment ago; the lease decides who works on it.
        return operation_live(service)


def operation_attempt(*, operation: Operation) -> None:
    """Counts the attempt before the work, so that a job that kills its worker is seen (B13)."""
    operation.attempts += 1
    operation.save(update_fields=["attempts"])


def waits_since(operation: Operation, reason: str) -> dt.datetime | None:
    """Since when the operation has waited for what is now called `reason`; None if that wait is new."""
    same = operation.reason == reason or ONE_TROUBLE.issuperset({operation.reason, reason})
    return operation.waiting_since if same else None


def operation_wait(
    *, operation: Operation, reason: str, words: str, seconds: float, public: str = ""
) -> None:
    """Nothing is wrong with the work itself: it waits, uses up no attempt, and goes on by itself."""
    now = clock.now()
    operation.waiting_since = waits_since(operation, reason) or now
    operation.attempts = max(0, operation.attempts - 1)
    operation.outcome, operation.reason, operation.detail = Outcome.WAITING, reason, words
    operation.public = public
    operation.next_attempt_at = now + dt.timedelta(seconds=seconds)
    operation.save()
    _tell_wait(operation, reason, words)
    if reason in BRAKES:
        # One mail a day for each panel, not one for each of five hundred.
        _alert(operation, f"{reason}:{operation.panel_id}:{now:%Y-%m-%d}", BRAKES[reason])
    elif reason in ALERTED_WAITS:
        # One cause, one alert: two hundred orders of an unmapped product are one thing to do.
        cause = f"{operation.panel_id}:{operation.service.billing_product_id}"
        _alert(operation, f"waiting:{reason}:{cause}:{now:%Y-%m-%d}"[:160], "waiting")
    elif reason in LONG_WAITS and now - operation.waiting_since > LONG:
        _alert(operation, f"long_wait:{operation.panel_id}:{reason}:{now:%Y-%m-%d}", "waiting")


def _tell_wait(operation: Operation, reason: str, words: str) -> None:
    """The timeline keeps for what an operation waited, once for each reason, also when the wait is over."""
    action = f"waiting.{reason}"
    if reason in USUAL_WAITS or AuditEntry.objects.filter(operation=operation, action=action).exists():
        return
    whom = f"Waiting for panel “{operation.panel}”" if operation.panel else "Waiting"
    audit.record(service=operation.service, operation=operation, action=action, message=f"{whom}: {words}")


def operation_retry(*, operation: Operation, reason: str, words: str, public: str = "") -> None:
    """Something is ours to mend or strange: try again with backoff, and after the last attempt call staff."""
    if operation.attempts >= settings.MAX_ATTEMPTS:
        operation_park(operation=operation, reason=reason, words=words, public=public)
        return
    wait = backoff(operation.attempts, base=settings.BACKOFF_BASE, cap=settings.BACKOFF_CAP)
    operation.outcome, operation.reason, operation.detail = Outcome.RETRYING, reason, words
    operation.public = public
    operation.waiting_since = operation.waiting_since or clock.now()
    operation.next_attempt_at = clock.now() + dt.timedelta(seconds=wait)
    operation.save()


def operation_park(*, operation: Operation, reason: str, words: str, public: str = "") -> None:
    """Only staff can go on: outcome `needs_staff`, one alert, a line on the timeline, never silence."""
    operation_close(
        operation=operation, outcome=Outcome.NEEDS_STAFF, reason=reason, detail=words, public=public
    )
    audit.record(
        service=operation.service,
        operation=operation,
        action="operation.needs_staff",
        message=f"{operation.number} needs staff: {words}",
        data={"reason": reason},
    )
    _alert(operation, f"needs_staff:{operation.pk}", "needs_staff")


def undone_too_late(*, operation: Operation) -> None:
    """The service was brought back while its server was deleted: on its timeline, and a mail to staff."""
    words = (
        "The end was undone while the server was already being deleted. That was too late: the server is "
        "deleted and its data is gone. Once the service is to run, it gets a new, empty server."
    )
    audit.record(
        service=operation.service,
        operation=operation,
        action="server.undone_too_late",
        message=words,
        public=True,
    )
    operation.detail = words
    _alert(operation, f"undone_too_late:{operation.pk}", "undone_too_late")


def operation_remark(*, operation: Operation, words: str) -> None:
    """It was done, but staff should know something of it: a line on the timeline and one mail."""
    audit.record(service=operation.service, operation=operation, action="operation.remark", message=words)
    _alert(operation, f"remark:{operation.pk}:{words}"[:160], "remark", words=words)


def operation_close(
    *, operation: Operation, outcome: Outcome, reason: str = "", detail: str = "", public: str = ""
) -> None:
    """Ends an operation."""
    operation.outcome, operation.reason, operation.detail = outcome, reason, detail
    operation.public, operation.next_attempt_at, operation.finished_at = public, None, clock.now()
    operation.waiting_since = None
    operation.save()


def _parked(operation: Operation) -> int:
    same = Operation.objects.filter(panel=operation.panel, outcome=Outcome.WAITING, reason=operation.reason)
    return same.count() if operation.reason in BRAKES else 0


def _alert(operation: Operation, key: str, template: str, *, words: str = "") -> None:
    if operation.service.is_trial:
        # Whoever tries a product looks on; a clean-up that lasts is told by the trial itself.
        return
    staff_notify(
        key=key,
        template=template,
        service=operation.service,
        operation=operation,
        context={
            "operation_number": operation.number,
            "operation_id": operation.pk,
            "service": str(operation.service),
            "service_id": operation.service_id,
            "reason": operation.reason,
            "words": words or operation.detail,
            "panel": str(operation.panel or ""),
            "panel_id": operation.panel_id,
            "count": _parked(operation),
        },
    )
