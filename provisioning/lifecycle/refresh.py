"""Writes what a service should be: asks `policy.decide`, stores the answer, raises the generation."""

from __future__ import annotations

import datetime as dt
import hashlib
from urllib.parse import quote

from django.conf import settings

from provisioning import audit
from provisioning.choices import BillingStatus, DesiredState, ProductKind, SuspendReason
from provisioning.lib import clock
from provisioning.lifecycle.policy import Decision, Facts, Grace, decide
from provisioning.lifecycle.registers import Stamp
from provisioning.models import BillingConnection, Entitlement, GracePolicyVersion, Service

REFRESHED = [
    "desired_state",
    "suspend_reasons",
    "overdue_since",
    "suspend_at",
    "warn_at",
    "ended_at",
    "undo_until",
    "policy",
    "generation",
    "next_check_at",
]

LONGEST_MARK = 191
"""What a panel's column takes."""


def make_mark(connection: BillingConnection, billing_id: str) -> str:
    """Our mark on the server: `<installation>-<connection>-<billing service id>` (DESIGN section 4).

    Never made from our own primary key: a restored database would hand out the same key twice.
    """
    mark = f"{settings.INSTALLATION_ID}-{connection.key}-{quote(billing_id, safe='')}"
    if len(mark) <= LONGEST_MARK:
        return mark
    # Cut alone, two long ids that begin alike would be one server.
    digest = hashlib.sha256(billing_id.encode()).hexdigest()[:32]
    return f"{mark[: LONGEST_MARK - 33]}-{digest}"


def facts_of(service: Service) -> Facts:
    """What billing and staff said of the service, as `policy.decide` takes it."""
    status_stamp = service.registers.get("status")
    return Facts(
        status=BillingStatus(service.billing_status),
        status_at=Stamp.from_json(status_stamp).occurred_at if status_stamp else service.created_at,
        cancel_at=service.cancel_at,
        cancel_known_at=service.cancel_known_at,
        paid_at=service.paid_at,
        failed_payments=tuple(dt.datetime.fromisoformat(text) for text in service.failed_payments),
        hold_until=service.hold_until,
        staff_reasons=_staff_reasons(service),
        undone_at=service.undone_at,
        ended_by_staff_at=service.terminated_by_staff_at,
        unproven_cancel=service.unproven_cancel,
        kind=ProductKind(service.product.kind) if service.product else ProductKind.RECURRING,
        grace=_grace(service),
    )


def _staff_reasons(service: Service) -> tuple[SuspendReason, ...]:
    rows = service.suspensions.filter(lifted_at=None).order_by("since").values_list("reason", flat=True)
    return tuple(SuspendReason(reason) for reason in rows)


def _policy_version(service: Service) -> GracePolicyVersion | None:
    if service.policy:
        return service.policy
    return service.product.grace_policy.current() if service.product else None


def _grace(service: Service) -> Grace:
    version = _policy_version(service)
    if version is None:
        return Grace()
    # Nobody's data is on a test server: its end needs no time to be undone.
    undo_window = dt.timedelta(0) if service.is_trial else version.undo_window
    return Grace(version.warn_after, version.suspend_after, undo_window)


def service_refresh(*, service: Service, raise_generation: bool = False) -> bool:
    """Recomputes what the service should be. Returns whether that changed.

    Call it inside the transaction that changed a fact, or from a job when time has passed. A changed state
    (or `raise_generation`: changed limits, owner, product) raises the generation; the signal does the rest.
    """
    now = clock.now()
    decision = decide(facts_of(service), now)
    before = DesiredState(service.desired_state)
    reasons_before = list(service.suspend_reasons)
    changed = before != decision.state
    limits_changed = _close_entitlements(service, now) or raise_generation
    warned = bool(decision.warn_at and decision.warn_at <= now and decision.warn_at != service.warn_at)
    _store(service, decision)
    if changed or (limits_changed and decision.state is not DesiredState.NONE):
        service.generation += 1
    # Nothing is to be done on the panel when a warning is due at once, but its mail must not wait.
    _wake(service, decision, at_once=warned or service.generation != service.loaded_generation)
    service.save(update_fields=REFRESHED)
    if changed or reasons_before != service.suspend_reasons:
        _tell(service, before, decision)
    return changed


def _store(service: Service, decision: Decision) -> None:
    service.desired_state = decision.state
    service.suspend_reasons = [reason.value for reason in decision.reasons]
    service.overdue_since = decision.overdue_since
    service.suspend_at, service.warn_at = decision.suspend_at, decision.warn_at
    service.ended_at, service.undo_until = decision.ended_at, decision.undo_until
    # A grace period or undo window that has begun keeps the policy version it began with.
    running = decision.overdue_since or decision.ended_at
    version = _policy_version(service) if running else None
    service.policy = version if version is not None and version.pk else None


def _close_entitlements(service: Service, now: dt.datetime) -> bool:
    """Carries entitlements whose end has come over to the limits; returns whether there were any."""
    ended = Entitlement.objects.filter(service=service, ends_at__lte=now, closed_at=None)
    return bool(ended.update(closed_at=now))


def next_date(service: Service, decision: Decision) -> dt.datetime | None:
    """The next moment at which time alone changes something of this service."""
    rows = Entitlement.objects.filter(service=service, closed_at=None, ends_at__isnull=False)
    ends = rows.order_by("ends_at").values_list("ends_at", flat=True).first()
    return min(filter(None, (decision.next_at, ends)), default=None)


def _wake(service: Service, decision: Decision, *, at_once: bool) -> None:
    due = clock.now() if at_once else next_date(service, decision)
    if due and (service.next_check_at is None or due < service.next_check_at):
        service.next_check_at = due


def moment(at: dt.datetime | None) -> str:
    """A time in a sentence of the timeline."""
    return at.astimezone(dt.UTC).strftime("%d %b %Y %H:%M UTC") if at else "an unknown time"


def _tell(service: Service, before: DesiredState, decision: Decision) -> None:
    audit.record(
        service=service,
        action=f"desired.{decision.state.value}",
        message=_sentence(service, before, decision),
        public=True,
        data={"reasons": service.suspend_reasons, "generation": service.generation},
    )


def _sentence(service: Service, before: DesiredState, decision: Decision) -> str:
    if service.is_trial and decision.state is DesiredState.ABSENT:
        return "The test server is to be deleted."
    if service.is_trial and before is DesiredState.NONE:
        return "The test server is to be made."
    if decision.state is DesiredState.ABSENT:
        return "The undo window is over: the server is to be deleted."
    if decision.state is DesiredState.SUSPENDED and SuspendReason.CANCELLED in decision.reasons:
        if decision.undo_until is None:
            return "Cancelled by a sender that proves no time: suspended, deleting waits for staff."
        return f"Cancelled: suspended, can be undone until {moment(decision.undo_until)}, then deleted."
    if decision.state is DesiredState.SUSPENDED:
        labels = ", ".join(str(SuspendReason(reason).label) for reason in service.suspend_reasons)
        return f"To be suspended: {labels}."
    if decision.state is DesiredState.PRESENT:
        return "Paid: the server is to be made." if before is DesiredState.NONE else "To be running."
    return "Billing says pending: nothing is made yet."
