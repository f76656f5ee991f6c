"""One drift pass a panel at a time (see passes.py), and when the next one is due."""

from __future__ import annotations

import datetime as dt

from django.conf import settings

from provisioning.models import DriftPass
from provisioning.reconcile.passes import PassLease, pass_claim


class DriftLease(PassLease[DriftPass]):
    """Our claim on one panel's drift pass."""


def drift_claim(pass_id: int) -> DriftLease | None:
    """Claims the pass, or returns None while somebody else holds it."""
    claimed = pass_claim(DriftPass.objects.all(), pass_id)
    return DriftLease(*claimed) if claimed else None


def due_after(now: dt.datetime) -> dt.datetime | None:
    """When the next pass is due; None where none is scheduled (DRIFT_SECONDS is 0)."""
    return now + dt.timedelta(seconds=settings.DRIFT_SECONDS) if settings.DRIFT_SECONDS else None
