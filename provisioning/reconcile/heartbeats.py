"""Signs of life in the database: what /readyz and the dashboard read, and the ticker's leadership."""

from __future__ import annotations

import datetime as dt
import time

from django.db import IntegrityError, transaction
from django.db.models import Q

from provisioning.lib import clock
from provisioning.models import Heartbeat

_last: dict[str, float] = {}


def beat(name: str, *, note: str = "", at_most_every: float = 0) -> None:
    """Says that this part lives. `at_most_every` (seconds) saves writes of busy workers."""
    if time.monotonic() - _last.get(name, float("-inf")) < at_most_every:
        return
    _last[name] = time.monotonic()
    Heartbeat.objects.update_or_create(name=name, defaults={"beat_at": clock.now(), "note": note})


def leadership_claim(*, name: str, holder: str, seconds: float) -> bool:
    """One leader by lease: True for whoever holds or has just taken it, on the database's clock."""
    now = clock.now()
    try:
        with transaction.atomic():
            Heartbeat.objects.get_or_create(name=name, defaults={"beat_at": now, "holder": holder})
    except IntegrityError:
        return False
    free = Q(holder=holder) | Q(holder="") | Q(beat_at__lt=now - dt.timedelta(seconds=seconds))
    return bool(Heartbeat.objects.filter(free, name=name).update(beat_at=now, holder=holder))


def leadership_resign(*, name: str, holder: str) -> None:
    """Gives leadership back at a clean stop, so that the next one need not wait for the lease."""
    Heartbeat.objects.filter(name=name, holder=holder).update(holder="")
