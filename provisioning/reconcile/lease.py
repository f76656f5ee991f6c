"""A lease on a service: one worker at a time, and a fence against those whose time has run out.

Claimed by conditional UPDATE (the same on SQLite and PostgreSQL); no lock and no transaction is held while
a panel is called. The token grows with each claim, and each write of a job names it: a worker that was
frozen past its lease finds that its writes match no row.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db.models import Q

from provisioning.exceptions import LeaseLost
from provisioning.lib import clock
from provisioning.models import Service


@dataclass
class Lease:
    """Our claim on one service, valid until `until` on the database's clock."""

    service_id: int
    token: int
    until: dt.datetime

    def write(self, **columns: Any) -> None:
        """Writes columns of the service under the fence. Raises LeaseLost if the claim is no longer ours."""
        rows = Service.objects.filter(pk=self.service_id, lease_token=self.token, lease_until__gt=clock.now())
        if not rows.update(**columns):
            raise LeaseLost(f"The lease on service {self.service_id} ran out; another worker goes on.")

    def fence(self) -> None:
        """Takes the service's row for the rest of this transaction. Raises LeaseLost if it is no longer ours.

        For writes of other tables that only the holder of the claim may make.
        """
        self.write(lease_token=self.token)

    def check(self) -> None:
        """Raises LeaseLost unless the claim is still ours. Asked just before a call that changes a panel."""
        rows = Service.objects.filter(pk=self.service_id, lease_token=self.token, lease_until__gt=clock.now())
        if not rows.exists():
            raise LeaseLost(f"The lease on service {self.service_id} ran out; another worker goes on.")

    def give_up(self) -> None:
        """Gives the service back without a word on when to look again: its due date stays."""
        Service.objects.filter(pk=self.service_id, lease_token=self.token).update(lease_until=None)

    def release(self, *, generation: int, next_check_at: dt.datetime | None) -> bool:
        """Gives the service back and says when to look again.

        Returns False if somebody raised the generation meanwhile: that change has set its own due date,
        which must not be overwritten.
        """
        mine = Service.objects.filter(pk=self.service_id, lease_token=self.token)
        if mine.filter(generation=generation).update(lease_until=None, next_check_at=next_check_at):
            return True
        mine.update(lease_until=None)
        return False


def lease_claim(service_id: int) -> Lease | None:
    """Claims the service, or returns None while somebody else holds it."""
    now = clock.now()
    until = now + dt.timedelta(seconds=settings.LEASE_SECONDS)
    token = Service.objects.filter(pk=service_id).values_list("lease_token", flat=True).first()
    if token is None:
        return None
    # The token is part of the condition: whoever is frozen between the two statements claims nothing.
    free = Q(lease_until=None) | Q(lease_until__lte=now)
    rows = Service.objects.filter(free, pk=service_id, lease_token=token)
    return (
        Lease(service_id, token + 1, until) if rows.update(lease_token=token + 1, lease_until=until) else None
    )
