"""docs/events.md once more, as one function of the *set* of messages: it cannot depend on their order.

Written without a look at the code that it judges, and with none of it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

DAY = dt.timedelta(days=1)
GRACE = {"fire-elemental": (7 * DAY, 7 * DAY), "water-elemental": (3 * DAY, 2 * DAY)}
"""Each product's grace period and undo window."""

LEAST_MILD_FIRST = ("cancelled", "ending", "pending", "suspended", "active")


@dataclass(frozen=True)
class Message:
    """One message that arrived: `at` is its own time, or that of its arrival."""

    at: dt.datetime
    digest: str
    fresh: bool
    body: dict[str, Any] = field(hash=False)

    @property
    def kind(self) -> str:
        """Its type."""
        return str(self.body["event"])

    @property
    def status(self) -> str | None:
        """What it says of the subscription's status."""
        said = self.body.get("status")
        if self.kind == "subscription.cancelled":
            return "cancelled"
        if self.kind == "payment.failed" or (self.kind == "payment.succeeded" and said != "active"):
            return None
        return said

    @property
    def ends(self) -> dt.datetime:
        """When a cancellation takes effect."""
        until = self.body.get("paid_until")
        later = self.kind == "subscription.cancelled" and self.body.get("status") == "active" and until
        return max(self.at, dt.datetime.fromisoformat(until)) if later and until else self.at

    @property
    def place(self) -> tuple[Any, ...]:
        """Its place in the one order."""
        word = "ending" if self.status == "cancelled" and self.ends > self.at else self.status
        mildness = LEAST_MILD_FIRST.index(word) if word else 0
        return (self.at, self.body.get("sequence") or 0, mildness, self.digest)


@dataclass(frozen=True)
class Expected:
    """What people should see."""

    state: str
    reasons: tuple[str, ...]
    product: str
    tier: str = ""
    overdue_since: dt.datetime | None = None
    suspend_at: dt.datetime | None = None
    ended_at: dt.datetime | None = None
    undo_until: dt.datetime | None = None


Learned = Mapping[tuple[Any, ...], dt.datetime]
"""When a message of that place first came in a way that proves its time."""


def expected(
    messages: list[Message], *, staff: tuple[str, ...], now: dt.datetime, learned: Learned
) -> Expected:
    """What the service should be at `now`, after all of these messages."""
    product = _last(messages, "product_id") or ""
    tier = _last(messages, "tier") or ""
    said = max(
        (message for message in messages if message.status), key=lambda message: message.place, default=None
    )
    status = said.status if said else "pending"
    if said and status == "cancelled" and said.ends <= now:
        return _ended(said.ends, learned.get(said.place), product, tier, staff, now)
    if status == "pending":
        return Expected("none", (), product, tier)
    ahead = said.ends if said and status == "cancelled" else None
    suspended_at = said.at if said and status == "suspended" else None
    return _running(messages, suspended_at, product, tier, staff, now, ahead)


def _last(messages: list[Message], name: str) -> str | None:
    carriers = [message for message in messages if message.body.get(name)]
    return max(carriers, key=lambda message: message.place).body[name] if carriers else None


def _ended(
    at: dt.datetime,
    learned: dt.datetime | None,
    product: str,
    tier: str,
    staff: tuple[str, ...],
    now: dt.datetime,
) -> Expected:
    until = max(at, learned) + GRACE[product][1] if learned else None
    state = "absent" if until and until <= now else "suspended"
    return Expected(state, (*staff, "cancelled"), product, tier, ended_at=at, undo_until=until)


def _running(
    messages: list[Message],
    suspended_at: dt.datetime | None,
    product: str,
    tier: str,
    staff: tuple[str, ...],
    now: dt.datetime,
    ahead: dt.datetime | None,
) -> Expected:
    paid = max((m.at for m in messages if m.kind == "payment.succeeded"), default=None)
    if paid and suspended_at and suspended_at <= paid:
        suspended_at = None
    unpaid = [m.at for m in messages if m.kind == "payment.failed" and (paid is None or m.at > paid)]
    since = min([*unpaid, *filter(None, [suspended_at])], default=None)
    stops = min(filter(None, [suspended_at, since + GRACE[product][0]])) if since else None
    reasons = (*staff, "overdue") if stops and stops <= now else staff
    return Expected("suspended" if reasons else "present", reasons, product, tier, since, stops, ahead)
