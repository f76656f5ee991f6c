"""One drift pass a panel at a time: a lease by conditional UPDATE, each write fenced (see lease.py)."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db.models import Q

from provisioning.exceptions import LeaseLost
from provisioning.lib import clock
from provisioning.models import DriftPass


@dataclass
class DriftLease:
    """Our claim on one panel's pass. `row` is our copy, kept in step with what is written."""

    row: DriftPass
    token: int

    def write(self, **columns: Any) -> None:
        """Writes columns of the pass. Raises LeaseLost if the claim is no longer ours."""
        rows = DriftPass.objects.filter(pk=self.row.pk, lease_token=self.token, lease_until__gt=clock.now())
        if not rows.update(**columns):
            raise LeaseLost(f"The lease on the {self.row} ran out; another worker goes on.")
        for name, value in columns.items():
            setattr(self.row, name, value)

    def pause(self, *, seconds: float) -> None:
        """Gives the pass back: the next job goes on where this one was, after so many seconds."""
        mine = DriftPass.objects.filter(pk=self.row.pk, lease_token=self.token)
        mine.update(lease_until=None, next_check_at=clock.now() + dt.timedelta(seconds=seconds))


def drift_claim(pass_id: int) -> DriftLease | None:
    """Claims the pass, or returns None while somebody else holds it."""
    now = clock.now()
    row = DriftPass.objects.filter(pk=pass_id).select_related("panel").first()
    if row is None:
        return None
    free = Q(lease_until=None) | Q(lease_until__lte=now)
    rows = DriftPass.objects.filter(free, pk=pass_id, lease_token=row.lease_token)
    token, until = row.lease_token + 1, now + dt.timedelta(seconds=settings.LEASE_SECONDS)
    return DriftLease(row, token) if rows.update(lease_token=token, lease_until=until) else None


def due_after(now: dt.datetime) -> dt.datetime | None:
    """When the next pass is due; None where none is scheduled (DRIFT_SECONDS is 0)."""
    return now + dt.timedelta(seconds=settings.DRIFT_SECONDS) if settings.DRIFT_SECONDS else None
