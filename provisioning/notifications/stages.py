"""Which mails a service's customer is owed now: read from the row's state, never from an event.

Because a stage is a state, a stage that passed while the bridge was down and that a later one replaced
(paid again meanwhile) is not mailed late, and a replayed event mails nothing. What was written before is
read from the Notification rows, so that a suspension is told once and answered once (field.md row 33).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from provisioning.choices import DesiredState, ObservedState, SuspendReason
from provisioning.drivers.types import SignIn
from provisioning.lib import clock
from provisioning.models import Notification, Service
from provisioning.notifications.writers import notification_write

READY, PAYMENT_FAILED, SUSPENDED = "ready", "payment_failed", "suspended"
RUNNING_AGAIN, ENDING, CANCELLED, DELETED = "running_again", "ending", "cancelled", "deleted"
CUSTOMER_TEMPLATES = (READY, PAYMENT_FAILED, SUSPENDED, RUNNING_AGAIN, ENDING, CANCELLED, DELETED)
"""The mails that go to a customer; every other template is for staff."""

STOPPED = (SUSPENDED, CANCELLED)
STATE_TOLD = (READY, SUSPENDED, RUNNING_AGAIN, CANCELLED, DELETED)
"""The mails that tell whether the server runs: the newest of them is what the customer believes."""

SIGN_IN = tuple(item.name for item in fields(SignIn))
"""What the ready mail may say of signing in (T83-07). A closed list: no password and no token gets in."""

MOST_REMEMBERED = 50


@dataclass(frozen=True)
class Stage:
    """One mail that is due. `key` makes it unique for ever."""

    template: str
    key: str
    context: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Told:
    """One mail that was written before."""

    template: str
    key: str
    context: Mapping[str, Any]


def service_notify_due(*, service: Service) -> int:
    """Writes every customer mail whose stage the service has reached. Returns how many were new.

    One query where nothing is due. Call it with a freshly read service.
    """
    now = clock.now()
    if not _candidate(service):
        return 0
    return sum(_write(service, stage) for stage in stages_due(service, _history(service), now))


def _write(service: Service, stage: Stage) -> bool:
    return notification_write(
        key=stage.key,
        template=stage.template,
        recipients=[service.customer.email],
        context={"service": str(service), "service_id": service.pk, **_product(service), **stage.context},
        service=service,
    )


def _product(service: Service) -> dict[str, str]:
    return {"product": str(service.product or service.billing_product_id)}


def _history(service: Service) -> list[Told]:
    rows = Notification.objects.filter(service=service, template__in=CUSTOMER_TEMPLATES).order_by("-id")
    return [Told(*row) for row in rows.values_list("template", "key", "context")[:MOST_REMEMBERED]]


def _candidate(service: Service) -> bool:
    # Nothing is mailed for a service that never had a server, and nobody is behind a test server.
    return not service.is_trial and bool(_present_once(service) or service.terminated_at)


def _present_once(service: Service) -> bool:
    return bool(service.ready_at or service.created_confirmed_at or service.adopted_at)


def stages_due(service: Service, history: Iterable[Told], now: dt.datetime) -> list[Stage]:
    """The mails that the service is owed at `now`, given those written before (newest first)."""
    told = list(history)
    if service.desired_state == DesiredState.ABSENT:
        due = [_deleted(service, told)]
    elif not _present_once(service):
        due = []
    elif service.ended_at and service.ended_at <= now:
        due = [_cancelled(service, told)]
    else:
        due = [_ending(service), _payment_failed(service, told, now), _suspended(service, told)]
        due.append(_ready(service, told) or _running_again(service, told))
    keys = {entry.key for entry in told}
    return [stage for stage in due if stage and stage.key not in keys]


def _iso(at: dt.datetime | None) -> str:
    return at.isoformat() if at else ""


def _deleted(service: Service, told: list[Told]) -> Stage | None:
    if service.terminated_at is None or not told:
        return None  # a service that ended before its server was made: its customer never heard of one
    return Stage(DELETED, f"{DELETED}:{service.pk}:{_iso(service.terminated_at)}")


def _cancelled(service: Service, told: list[Told]) -> Stage | None:
    until = service.undo_until
    last = _last(told, STATE_TOLD)
    if last and last.template == CANCELLED and not _sooner(until, last.context.get("undo_until")):
        return None  # a repeated cancellation only gives more time than was promised
    key = f"{CANCELLED}:{service.pk}:{_iso(until or service.ended_at)}"
    return Stage(CANCELLED, key, {"ended_at": _iso(service.ended_at), "undo_until": _iso(until)})


def _sooner(until: dt.datetime | None, promised: str | None) -> bool:
    if until is None:
        return False
    return not promised or until < dt.datetime.fromisoformat(promised)


def _ending(service: Service) -> Stage | None:
    if service.ended_at is None:
        return None
    at = _iso(service.ended_at)
    return Stage(ENDING, f"{ENDING}:{service.pk}:{at}", {"ended_at": at})


def _payment_failed(service: Service, told: list[Told], now: dt.datetime) -> Stage | None:
    since = service.overdue_since
    overdue = SuspendReason.OVERDUE in service.suspend_reasons
    if since is None or overdue or service.warn_at is None or now < service.warn_at:
        return None
    before = _last(told, (PAYMENT_FAILED,))
    if before and _still_unpaid(service, before):
        return None
    context = {"overdue_since": _iso(since), "suspend_at": _iso(service.suspend_at)}
    return Stage(PAYMENT_FAILED, f"{PAYMENT_FAILED}:{service.pk}:{_iso(since)}", context)


def _still_unpaid(service: Service, before: Told) -> bool:
    """Whether that mail was of the same unpaid time: no payment came after the failure that it told of."""
    since = dt.datetime.fromisoformat(before.context["overdue_since"])
    return service.paid_at is None or since > service.paid_at


def _suspended(service: Service, told: list[Told]) -> Stage | None:
    confirmed = service.observed_state == ObservedState.SUSPENDED
    wanted = service.desired_state == DesiredState.SUSPENDED
    reasons = [reason for reason in service.suspend_reasons if reason != SuspendReason.CANCELLED]
    if not (confirmed and wanted and reasons) or _believed_stopped(told):
        return None
    context = {"reasons": reasons, "overdue": SuspendReason.OVERDUE in reasons}
    return Stage(SUSPENDED, f"{SUSPENDED}:{service.pk}:{_round(told, SUSPENDED)}", context)


def _running(service: Service) -> bool:
    return service.observed_state == ObservedState.ACTIVE and service.desired_state == DesiredState.PRESENT


def _ready(service: Service, told: list[Told]) -> Stage | None:
    if service.ready_at is None or not _running(service):
        return None
    key = f"{READY}:{service.pk}:{_iso(service.ready_at)}"
    return None if any(entry.key == key for entry in told) else Stage(READY, key, _sign_in(service))


def _sign_in(service: Service) -> dict[str, str]:
    known = service.observed.get("sign_in") or {"panel_url": service.panel.url if service.panel else ""}
    return {name: str(known.get(name) or "") for name in SIGN_IN}


def _running_again(service: Service, told: list[Told]) -> Stage | None:
    if not (_running(service) and _believed_stopped(told)):
        return None
    return Stage(RUNNING_AGAIN, f"{RUNNING_AGAIN}:{service.pk}:{_round(told, RUNNING_AGAIN)}")


def _last(told: list[Told], templates: tuple[str, ...]) -> Told | None:
    return next((entry for entry in told if entry.template in templates), None)


def _believed_stopped(told: list[Told]) -> bool:
    last = _last(told, STATE_TOLD)
    return last is not None and last.template in STOPPED


def _round(told: list[Told], template: str) -> int:
    """A number that the next mail of this kind has and no other: its dates may come back, rounds don't."""
    numbers = [int(entry.key.rpartition(":")[2]) for entry in told if entry.template == template]
    return max(numbers, default=0) + 1
