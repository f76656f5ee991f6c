"""What a service should be, as a table: billing's word, staff's word and the time (DESIGN rules 1 and 4)."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from provisioning.choices import BillingStatus, DesiredState, ProductKind, SuspendReason
from provisioning.lifecycle.policy import Decision, Facts, Grace, decide

T = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)
SECOND = dt.timedelta(seconds=1)


def day(number: float) -> dt.datetime:
    """Midnight of that day after T; the failed payment of these tests is on day 0."""
    return T + dt.timedelta(days=number)


def decided(now: dt.datetime, status: str = "active", **facts: Any) -> Decision:
    """The decision at `now`; the status was said on day 0 unless told otherwise."""
    return decide(Facts(**{"status": BillingStatus(status), "status_at": T, **facts}), now)


ABUSE = {"staff_reasons": (SuspendReason.ABUSE,)}
ONCE = {"kind": ProductKind.ONE_TIME}
UNPAID: dict[str, Any] = {"failed_payments": (T,), "status_at": day(-30)}
ENDED = {"status": "cancelled"}
SAID = {"status": "suspended"}
TABLE: list[tuple[str, dt.datetime, dict[str, Any], str]] = [
    ("pending makes nothing", day(0), {"status": "pending"}, "none"),
    ("active", day(0), {}, "present"),
    ("unpaid, the day of", day(0), UNPAID, "present"),
    ("unpaid, a second before", day(7) - SECOND, UNPAID, "present"),
    ("unpaid, grace over", day(7), UNPAID, "suspended overdue"),
    ("unpaid twice: the first counts", day(7), {"failed_payments": (T, day(3))}, "suspended overdue"),
    ("paid since", day(9), {**UNPAID, "paid_at": day(8)}, "present"),
    ("paid at the same moment", day(9), {**UNPAID, "paid_at": T}, "present"),
    ("paid before", day(9), {**UNPAID, "paid_at": day(-1)}, "suspended overdue"),
    ("paid between two failures", day(9), {"failed_payments": (T, day(5)), "paid_at": day(4)}, "present"),
    ("held", day(9), {**UNPAID, "hold_until": day(10)}, "present"),
    ("hold over", day(10), {**UNPAID, "hold_until": day(10)}, "suspended overdue"),
    ("a hold never shortens grace", day(5), {**UNPAID, "hold_until": day(2)}, "present"),
    ("billing suspends: it has waited", day(0), SAID, "suspended overdue"),
    ("billing suspends, held", day(0), {**SAID, "hold_until": day(1)}, "present"),
    ("billing suspended, paid since", day(2), {**SAID, "paid_at": day(1)}, "present"),
    (
        "billing suspends after our own grace",
        day(8),
        {**SAID, "status_at": day(9), "failed_payments": (T,)},
        "suspended overdue",
    ),
    ("one-time, unpaid", day(99), {**UNPAID, **ONCE}, "present"),
    ("one-time, suspended as unpaid", day(99), {**SAID, **ONCE}, "present"),
    ("one-time, cancelled", day(1), {**ENDED, **ONCE}, "suspended cancelled"),
    ("staff's reason", day(0), {**ABUSE}, "suspended abuse"),
    (
        "a payment lifts overdue and nothing else",
        day(9),
        {**UNPAID, "paid_at": day(8), **ABUSE},
        "suspended abuse",
    ),
    ("both", day(9), {**UNPAID, **ABUSE}, "suspended abuse overdue"),
    ("a hold lifts no staff reason", day(9), {**UNPAID, "hold_until": day(99), **ABUSE}, "suspended abuse"),
    ("cancelled", day(0), ENDED, "suspended cancelled"),
    ("a second before the window ends", day(7) - SECOND, ENDED, "suspended cancelled"),
    ("undo window over", day(7), ENDED, "absent cancelled"),
    ("cancelled at the period's end, before it", day(9), {**ENDED, "cancel_at": day(10)}, "present"),
    (
        "cancelled at the period's end, unpaid",
        day(9),
        {**ENDED, **UNPAID, "cancel_at": day(10)},
        "suspended overdue",
    ),
    ("period over", day(10), {**ENDED, "cancel_at": day(10)}, "suspended cancelled"),
    ("its window over", day(17), {**ENDED, "cancel_at": day(10)}, "absent cancelled"),
    ("unproven: waits for staff", day(999), {**ENDED, "unproven_cancel": True}, "suspended cancelled"),
    (
        "staff's word proves it",
        day(999),
        {**ENDED, "unproven_cancel": True, "ended_by_staff_at": T},
        "absent cancelled",
    ),
    ("undone by staff", day(9), {**ENDED, "undone_at": day(1)}, "present"),
    ("undone before it was said", day(1), {**ENDED, "undone_at": day(-1)}, "suspended cancelled"),
    ("ended by staff, billing active", day(1), {"ended_by_staff_at": T}, "suspended cancelled"),
    ("ended by staff, window over", day(7), {"ended_by_staff_at": T}, "absent cancelled"),
    ("ended and abused", day(1), {**ENDED, **ABUSE}, "suspended abuse cancelled"),
    ("unpaid and ended: the end decides", day(8), {**ENDED, **UNPAID, "status_at": T}, "absent cancelled"),
]


@pytest.mark.req("T83-02", "T83-03", "T83-05")
@pytest.mark.parametrize(
    ("now", "facts", "expected"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)
def test_state_and_reasons(now: dt.datetime, facts: dict[str, Any], expected: str) -> None:
    decision = decided(now, **facts)
    assert " ".join([decision.state, *decision.reasons]) == expected


@pytest.mark.req("T83-24")
def test_a_one_time_purchase_has_no_date_at_all() -> None:
    assert decided(day(99), **UNPAID, kind=ProductKind.ONE_TIME) == Decision(DesiredState.PRESENT)


HELD = {**UNPAID, "hold_until": day(9)}
GRACE = Grace(
    warn_after=dt.timedelta(days=2), suspend_after=dt.timedelta(days=5), undo_window=dt.timedelta(days=3)
)


@pytest.mark.parametrize(
    ("now", "facts", "dates"),
    [
        (day(0), UNPAID, {"overdue_since": T, "warn_at": day(2), "suspend_at": day(5), "next_at": day(2)}),
        (day(2), UNPAID, {"overdue_since": T, "warn_at": day(2), "suspend_at": day(5), "next_at": day(5)}),
        (day(5), UNPAID, {"overdue_since": T, "warn_at": day(2), "suspend_at": day(5), "next_at": None}),
        (day(3), HELD, {"overdue_since": T, "warn_at": day(2), "suspend_at": day(9), "next_at": day(9)}),
        (day(0), {**ENDED, "cancel_at": day(4)}, {"ended_at": day(4), "next_at": day(4)}),
        (day(1), ENDED, {"ended_at": T, "undo_until": day(3), "next_at": day(3)}),
        (day(3), ENDED, {"ended_at": T, "undo_until": day(3), "next_at": None}),
        (day(1), {**ENDED, "unproven_cancel": True}, {"ended_at": T, "undo_until": None, "next_at": None}),
        (day(0), {"status": "pending"}, {"next_at": None}),
    ],
)  # fmt: skip
def test_the_dates_that_people_are_shown(
    now: dt.datetime, facts: dict[str, Any], dates: dict[str, Any]
) -> None:
    decision = decided(now, grace=GRACE, **facts)
    assert decision == Decision(decision.state, decision.reasons, **dates)


@pytest.mark.parametrize("row", TABLE, ids=[row[0] for row in TABLE])
def test_asking_again_at_next_at_is_enough(row: tuple[str, dt.datetime, dict[str, Any], str]) -> None:
    now, facts = row[1], row[2]
    decision = decided(now, **facts)
    if decision.next_at is None:
        assert decided(now + dt.timedelta(days=9999), **facts).state == decision.state
        return
    just_before = decided(decision.next_at - dt.timedelta(microseconds=1), **facts)
    assert (just_before.state, just_before.reasons) == (decision.state, decision.reasons)
