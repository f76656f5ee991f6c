"""The sweep: finds every row that is due and wakes a worker for it. Losing the whole queue costs one sweep.

The ticker calls `sweep_due` each second and `sweep_all` each SWEEP_SECONDS; django-q2's own schedule rows
call `sweep_all` once a minute in case no ticker runs. A row that was woken is pushed ahead by one sweep, so
that it is not woken again each second, and is found again if its job was lost.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.conf import settings
from django.db.models import F, QuerySet
from django_q.models import Failure, Schedule, Success

from provisioning import queue
from provisioning.choices import LIVE_OUTCOMES, DesiredState, EventStatus, Outcome
from provisioning.lib import clock
from provisioning.models import (
    Drift,
    DriftPass,
    Event,
    LaterCheck,
    Operation,
    PanelCall,
    ProductFollow,
    ProductTrial,
    Service,
)
from provisioning.notifications.tasks import notification_sweep
from provisioning.reconcile.drift_staff import drift_mail, drift_pass_ensure
from provisioning.reconcile.gate import probes_due
from provisioning.reconcile.heartbeats import beat
from provisioning.reconcile.lists import snapshots_due, snapshots_running
from provisioning.reconcile.restored import marks_keep

KEEP_CALLS = dt.timedelta(days=90)
KEEP_DRIFT = dt.timedelta(days=90)
KEEP_RESULTS = dt.timedelta(days=2)
SCHEDULES = (
    ("sweep", "provisioning.reconcile.tasks.sweep", 1),
    ("prune", "provisioning.reconcile.tasks.prune", 60),
)


def sweep_due() -> int:
    """Wakes a worker for every event, service, drift pass and reading that is due. Returns how many.

    What the queue has no room for stays due; the longest due goes first. Events come before services: what
    they say decides what there is to do.
    """
    events = Event.objects.filter(status=EventStatus.RECEIVED)
    Service.objects.filter(pk__in=probes_due()).update(next_check_at=clock.now())
    room = queue.room()
    woken = _wake(events, "next_attempt_at", queue.PROCESS_EVENT, room)
    woken += _wake(Service.objects.all(), "next_check_at", queue.RECONCILE_SERVICE, room - woken)
    woken += _wake(LaterCheck.objects.all(), "due_at", queue.CHECK_LATER, room - woken)
    woken += _wake(ProductFollow.objects.all(), "next_check_at", queue.FOLLOW_PRODUCT, room - woken)
    woken += _wake(ProductTrial.objects.all(), "next_check_at", queue.TRY_PRODUCT, room - woken)
    woken += _wake(DriftPass.objects.all(), "next_check_at", queue.CHECK_DRIFT, room - woken)
    return woken + _wake(snapshots_running(), "next_check_at", queue.READ_LISTS, room - woken)


def _wake(rows: QuerySet[Any], column: str, job: str, room: int) -> int:
    now = clock.now()
    later = now + dt.timedelta(seconds=settings.SWEEP_SECONDS)
    due = rows.filter(**{f"{column}__lte": now}).order_by(column).values_list("pk", column)[:room]
    woken = 0
    for pk, at in list(due):
        # Two sweeps at once: the one whose UPDATE finds the old date wakes the worker.
        if rows.filter(pk=pk, **{column: at}).update(**{column: later}):
            queue.enqueue(job, pk)
            woken += 1
    return woken


def sweep_all() -> int:
    """The full pass: also finds work that lost its due date in a crash. Returns how many were woken."""
    marks_keep()
    _restore_due_dates()
    drift_pass_ensure()
    snapshots_due()
    woken = sweep_due()
    drift_mail()
    notification_sweep()
    beat("sweep", note=f"{woken} woken")
    return woken


def _restore_due_dates() -> None:
    """A worker that died between its last write and the release leaves a service without a date."""
    now = clock.now()
    idle = Service.objects.filter(next_check_at=None, lease_until=None)
    behind = idle.exclude(generation=F("observed_generation")).exclude(desired_state=DesiredState.NONE)
    parked = Operation.objects.filter(outcome=Outcome.NEEDS_STAFF, generation=F("service__generation"))
    behind.exclude(pk__in=parked.values("service")).update(next_check_at=now)
    live = Operation.objects.filter(outcome__in=LIVE_OUTCOMES)
    idle.filter(pk__in=live.values("service")).update(next_check_at=now)
    Service.objects.filter(next_check_at=None, lease_until__lt=now).update(
        next_check_at=now, lease_until=None
    )


def schedules_sync() -> None:
    """Makes django-q2's schedule table equal to ours: no other row may call a function of its choice."""
    names = [name for name, _, _ in SCHEDULES]
    Schedule.objects.exclude(name__in=names).delete()
    for name, func, minutes in SCHEDULES:
        Schedule.objects.update_or_create(
            name=name,
            defaults={"func": func, "schedule_type": Schedule.MINUTES, "minutes": minutes, "repeats": -1},
        )


def prune_old() -> None:
    """Removes old calls and differences and the queue's own results; events, operations and audit stay."""
    now = clock.now()
    PanelCall.objects.filter(at__lt=now - KEEP_CALLS).delete()
    Drift.objects.filter(resolved_at__lt=now - KEEP_DRIFT).delete()
    for results in (Success, Failure):
        results.objects.filter(stopped__lt=now - KEEP_RESULTS).delete()
