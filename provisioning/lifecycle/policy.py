"""What a service should be now, as one pure function of what billing and staff said and of the time.

Because time is an argument, a grace period that ends or an undo window that closes needs no job of its own:
the sweep asks the same question again at `Decision.next_at`.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from provisioning.choices import BillingStatus, DesiredState, ProductKind, SuspendReason


@dataclass(frozen=True)
class Grace:
    """A grace policy's windows."""

    warn_after: dt.timedelta = dt.timedelta(0)
    suspend_after: dt.timedelta = dt.timedelta(days=7)
    undo_window: dt.timedelta = dt.timedelta(days=7)


@dataclass(frozen=True)
class Facts:
    """What is known of a service; nothing here is computed."""

    status: BillingStatus
    status_at: dt.datetime | None = None
    cancel_at: dt.datetime | None = None
    cancel_known_at: dt.datetime | None = None
    paid_at: dt.datetime | None = None
    failed_payments: tuple[dt.datetime, ...] = ()
    hold_until: dt.datetime | None = None
    staff_reasons: tuple[SuspendReason, ...] = ()
    undone_at: dt.datetime | None = None
    ended_by_staff_at: dt.datetime | None = None
    unproven_cancel: bool = False
    kind: ProductKind = ProductKind.RECURRING
    grace: Grace = Grace()


@dataclass(frozen=True)
class Decision:
    """What follows, with every date that people are shown. `next_at`: when to ask again."""

    state: DesiredState
    reasons: tuple[SuspendReason, ...] = ()
    overdue_since: dt.datetime | None = None
    warn_at: dt.datetime | None = None
    suspend_at: dt.datetime | None = None
    ended_at: dt.datetime | None = None
    undo_until: dt.datetime | None = None
    next_at: dt.datetime | None = None


def overdue_since(facts: Facts) -> dt.datetime | None:
    """The first failed payment (or billing's own suspension) that no later payment made good."""
    if facts.kind == ProductKind.ONE_TIME:  # T83-24: bought once, never overdue
        return None
    failures = list(facts.failed_payments)
    if facts.status == BillingStatus.SUSPENDED and facts.status_at:
        failures.append(facts.status_at)
    open_failures = [at for at in failures if facts.paid_at is None or at > facts.paid_at]
    return min(open_failures, default=None)


def _suspended_by_billing(facts: Facts) -> bool:
    return (
        facts.status == BillingStatus.SUSPENDED
        and facts.status_at is not None
        and (facts.paid_at is None or facts.status_at > facts.paid_at)
    )


def _suspend_at(facts: Facts, since: dt.datetime | None) -> dt.datetime | None:
    if since is None:
        return None
    at = since + facts.grace.suspend_after
    if facts.status_at and _suspended_by_billing(facts):
        # Billing has already waited; it never lengthens a grace period of ours that ended earlier.
        at = min(at, facts.status_at)
    return max(filter(None, (at, facts.hold_until)))


def _ended_at(facts: Facts) -> dt.datetime | None:
    if facts.ended_by_staff_at:
        return facts.ended_by_staff_at
    if facts.status != BillingStatus.CANCELLED:
        return None
    undone = facts.undone_at and facts.status_at and facts.undone_at >= facts.status_at
    return None if undone else (facts.cancel_at or facts.status_at)


def _window_begins(facts: Facts, ended_at: dt.datetime) -> dt.datetime:
    """The end, but never before we knew of it: old news must not delete at once what ran until now (B14)."""
    if facts.ended_by_staff_at or facts.cancel_known_at is None:
        return ended_at
    return max(ended_at, facts.cancel_known_at)


def _after_end(facts: Facts, ended_at: dt.datetime, now: dt.datetime) -> Decision:
    undo_until = _window_begins(facts, ended_at) + facts.grace.undo_window
    reasons = (*facts.staff_reasons, SuspendReason.CANCELLED)
    if facts.unproven_cancel and not facts.ended_by_staff_at:
        # Nothing proves that this cancellation is fresh: it may suspend, and staff decide on the rest.
        return Decision(DesiredState.SUSPENDED, reasons, ended_at=ended_at)
    if now < undo_until:
        return Decision(
            DesiredState.SUSPENDED, reasons, ended_at=ended_at, undo_until=undo_until, next_at=undo_until
        )
    return Decision(DesiredState.ABSENT, reasons, ended_at=ended_at, undo_until=undo_until)


def decide(facts: Facts, now: dt.datetime) -> Decision:
    """What the service should be at `now` (DESIGN rules 1 and 4; T83-02, 03, 05, 24)."""
    ended_at = _ended_at(facts)
    if ended_at and ended_at <= now:
        return _after_end(facts, ended_at, now)
    if facts.status == BillingStatus.PENDING:
        return Decision(DesiredState.NONE)
    since = overdue_since(facts)
    suspend_at = _suspend_at(facts, since)
    reasons = facts.staff_reasons
    if suspend_at and suspend_at <= now:
        reasons = (*reasons, SuspendReason.OVERDUE)
    warn_at = since + facts.grace.warn_after if since else None
    ahead = [at for at in (warn_at, suspend_at, ended_at) if at and at > now]
    return Decision(
        DesiredState.SUSPENDED if reasons else DesiredState.PRESENT,
        reasons,
        overdue_since=since,
        warn_at=warn_at,
        suspend_at=suspend_at,
        ended_at=ended_at,
        next_at=min(ahead, default=None),
    )
