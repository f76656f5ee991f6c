"""Order without order: last-writer-wins registers, so that late, doubled and shuffled events end alike.

Each aspect of a service (status, product, customer …) remembers the stamp of its last writer. A stamp is
(occurred_at, sequence, mildness, digest), compared in that order; an event without `occurred_at` takes its
time of arrival. On a tie of time and sequence the milder step wins: the one that destroys less
(docs/events.md).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MILDNESS = {"cancelled": 0, "ending": 1, "pending": 2, "suspended": 3, "active": 4}
"""How little a status destroys; *ending* is a cancellation at the end of the paid time."""


@dataclass(frozen=True, order=True)
class Stamp:
    """When an event happened, in the one total order of all events of a service."""

    occurred_at: dt.datetime
    sequence: int = 0
    mildness: int = 0
    digest: str = ""

    def as_json(self) -> list[Any]:
        """The form in which a register keeps it."""
        return [self.occurred_at.isoformat(), self.sequence, self.mildness, self.digest]

    @classmethod
    def from_json(cls, data: list[Any]) -> Stamp:
        """The kept form back as a stamp."""
        return cls(dt.datetime.fromisoformat(data[0]), *data[1:])


def is_newer(registers: Mapping[str, Any], aspect: str, stamp: Stamp) -> bool:
    """Whether an event of this stamp may write that aspect."""
    kept = registers.get(aspect)
    return kept is None or Stamp.from_json(kept) < stamp


def written(registers: Mapping[str, Any], aspect: str, stamp: Stamp) -> dict[str, Any]:
    """The registers after that write."""
    return {**registers, aspect: stamp.as_json()}


def failures_after(
    failures: list[str], *, paid_at: dt.datetime | None, failed_at: dt.datetime | None, keep: int = 200
) -> list[str]:
    """The failed payments that no later payment made good, oldest first: the same in any order of arrival."""
    moments = {dt.datetime.fromisoformat(text) for text in failures}
    if failed_at:
        moments.add(failed_at)
    open_ones = sorted(at for at in moments if paid_at is None or at > paid_at)
    # Only the first one counts for the dates; the others matter if a payment between them comes late.
    return [at.isoformat() for at in open_ones[:keep]]
