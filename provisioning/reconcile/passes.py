"""What each reading of a panel's lists shares: one worker at a time, fenced writes, pages that add up."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.conf import settings
from django.db.models import Q, QuerySet

from provisioning.drivers.errors import Unknown
from provisioning.drivers.types import ListPage
from provisioning.exceptions import LeaseLost
from provisioning.lib import clock
from provisioning.models import DriftPass, PanelSnapshot

Row = TypeVar("Row", DriftPass, PanelSnapshot)

LONGEST_PASS = dt.timedelta(hours=1)
"""A list that is read for longer than this shows no moment any more: the pass begins anew."""
MOST_PAGES = 2_000
GO_ON = ("deadline", "rate_budget", "rate_limited")
"""Waits that a pass outlasts. For a panel that is down nobody waits: its pass ends without a result."""


@dataclass
class PassLease(Generic[Row]):
    """Our claim on one panel's pass. `row` is our copy, kept in step with what is written."""

    row: Row
    token: int

    def _mine(self) -> QuerySet[Any]:
        return type(self.row)._default_manager.filter(pk=self.row.pk, lease_token=self.token)

    def write(self, **columns: Any) -> None:
        """Writes columns of the pass. Raises LeaseLost if the claim is no longer ours."""
        if not self._mine().filter(lease_until__gt=clock.now()).update(**columns):
            raise LeaseLost(f"The lease on the {self.row} ran out; another worker goes on.")
        for name, value in columns.items():
            setattr(self.row, name, value)

    def pause(self, *, seconds: float, **columns: Any) -> None:
        """Gives the pass back: the next job goes on where this one was, after so many seconds."""
        due = clock.now() + dt.timedelta(seconds=seconds)
        self._mine().update(lease_until=None, next_check_at=due, **columns)


def pass_claim(rows: QuerySet[Row], pass_id: int) -> tuple[Row, int] | None:
    """Claims the pass and returns it with our token; None while somebody else holds it."""
    now = clock.now()
    row = rows.filter(pk=pass_id).select_related("panel").first()
    if row is None:
        return None
    free = Q(lease_until=None) | Q(lease_until__lte=now)
    token, until = row.lease_token + 1, now + dt.timedelta(seconds=settings.LEASE_SECONDS)
    claimed = rows.filter(free, pk=pass_id, lease_token=row.lease_token)
    return (row, token) if claimed.update(lease_token=token, lease_until=until) else None


def page_judge(page: ListPage[Any], *, number: int, total: int) -> None:
    """Refuses a page that cannot be one of the list whose last page counted `total`. Raises Unknown."""
    if page.total < total:
        # What moved up by one place would be on no page that we read.
        raise Unknown("A list of the panel became shorter while it was read.", maybe_done=False)
    if page.last > MOST_PAGES:
        raise Unknown(f"The panel's list has {page.last} pages: too many to be read.", maybe_done=False)
    if not page.items and number < page.last:
        raise Unknown(f"Page {number} of the panel's list is empty.", maybe_done=False)
