"""The mass brakes: what one panel may lose, and what it may get, in an hour and in a day (B14).

A broken or hostile sender ends a thousand services, or orders a thousand servers, as politely as any other.
The allowance is data on the panel's row: a number, or a percentage of its servers, whichever is more. What
goes beyond it is parked, costs no call, and goes on when there is room again or when staff release it.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from django.db import transaction
from django.db.models import QuerySet, Sum

from provisioning import audit
from provisioning.choices import Outcome
from provisioning.exceptions import PanelWaiting, TransitionError
from provisioning.lib import clock
from provisioning.models import BrakeGrant, CreateGrant, DeleteGrant, Operation, Panel, PanelGate, Service

HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)
BRAKE_WAIT = 300.0
"""Seconds between two looks of parked work at the allowance."""


@dataclass(frozen=True)
class Brake:
    """One kind of work under a brake. `noun` names it, and the panel's columns begin with it."""

    noun: str
    done: str
    reason: str
    grants: type[BrakeGrant]

    def limits(self, panel: Panel, servers: int) -> tuple[int, int]:
        """How many an hour and how many a day, on a panel with so many servers of ours."""
        hour, day = (
            max(
                getattr(panel, f"{self.noun}_{span}_floor"),
                servers * getattr(panel, f"{self.noun}_{span}_percent") // 100,
            )
            for span in ("hour", "day")
        )
        return hour, day


DELETES = Brake("deletes", done="deleted", reason="brake", grants=DeleteGrant)
CREATES = Brake("creates", done="made", reason="create_brake", grants=CreateGrant)


@dataclass(frozen=True)
class BrakeStatus:
    """How much of an allowance of a panel is used, and how many operations are parked."""

    hour_used: int
    hour_limit: int
    day_used: int
    day_limit: int
    parked: int

    @property
    def room(self) -> bool:
        """Whether one more is allowed."""
        return self.hour_used < self.hour_limit and self.day_used < self.day_limit


def brake_status(panel: Panel, brake: Brake = DELETES) -> BrakeStatus:
    """The allowance: max(floor, percent of the servers) an hour and a day, data per panel."""
    now = clock.now()
    servers = Service.objects.filter(panel=panel, is_trial=False).exclude(server_id="").count()
    hour_limit, day_limit = brake.limits(panel, servers)
    return BrakeStatus(
        hour_used=_used(panel, brake, now - HOUR),
        hour_limit=hour_limit,
        day_used=_used(panel, brake, now - DAY),
        day_limit=day_limit,
        parked=parked(panel, brake).count(),
    )


def _used(panel: Panel, brake: Brake, since: dt.datetime) -> int:
    """Taken since then, less what staff have released room for."""
    rows = brake.grants._default_manager.filter(panel=panel, at__gt=since)
    released = rows.filter(service=None).aggregate(total=Sum("count"))["total"] or 0
    return max(0, rows.exclude(service=None).count() - int(released))


def parked(panel: Panel, brake: Brake = DELETES) -> QuerySet[Operation]:
    """The operations that wait under the brake."""
    return Operation.objects.filter(panel=panel, outcome=Outcome.WAITING, reason=brake.reason)


def room_known(service: Service, panel: Panel, brake: Brake) -> bool:
    """Whether room was taken today for work that did not come through: it is used again."""
    rows = brake.grants._default_manager.filter(panel=panel, service=service, at__gt=clock.now() - DAY)
    return rows.exists()


def room_take(service: Service, panel: Panel, brake: Brake) -> tuple[bool, BrakeStatus]:
    """Takes room, if there is any, in one transaction: two workers cannot share one place."""
    with transaction.atomic():
        PanelGate.objects.select_for_update().get_or_create(panel=panel)
        known = room_known(service, panel, brake)
        status = brake_status(panel, brake)
        if not known and status.room:
            brake.grants._default_manager.create(panel=panel, service=service, at=clock.now())
    return known or status.room, status


def brake_words(panel: Panel, status: BrakeStatus, brake: Brake) -> str:
    """Why work is parked, and what staff can do."""
    return (
        f"Panel “{panel}” has {brake.done} {status.hour_used} of {status.hour_limit} servers allowed in an "
        f"hour and {status.day_used} of {status.day_limit} in a day. "
        f"Release the parked {brake.noun} on the panel's page."
    )


def brake_park(panel: Panel, status: BrakeStatus, brake: Brake) -> PanelWaiting:
    """What parks an operation, to be raised."""
    return PanelWaiting(brake_words(panel, status, brake), reason=brake.reason, seconds=BRAKE_WAIT)


def create_wait(service: Service, panel: Panel) -> None:
    """Lets a create pass, or parks it by PanelWaiting. Asked before anything is made, the user included.

    A trial has taken its room at its start, under an allowance of its own.
    """
    if service.is_trial or room_known(service, panel, CREATES):
        return
    room, status = room_take(service, panel, CREATES)
    if not room:
        raise brake_park(panel, status, CREATES)


def brake_release(*, panel: Panel, count: int, user: object, brake: Brake = DELETES) -> None:
    """Staff release exactly as many parked operations as they typed (B14). Raises TransitionError.

    The caller has made sure of a fresh second factor.
    """
    now = clock.now()
    with transaction.atomic():
        PanelGate.objects.select_for_update().get_or_create(panel=panel)
        _check_release(panel, count, user, brake)
        brake.grants._default_manager.create(panel=panel, released_by=user, count=count, at=now)  # type: ignore[misc]
        audit.record(
            service=None,
            action=f"{brake.reason}.release",
            message=f"{count} parked {brake.noun} released on “{panel}”.",
        )
        waiting = parked(panel, brake)
        Service.objects.filter(pk__in=waiting.values("service")).update(next_check_at=now)
        # No longer parked: a second press of the same button finds nothing to release.
        waiting.update(
            next_attempt_at=now, reason="brake_released" if brake is DELETES else "create_brake_released"
        )


def last_release(panel: Panel, brake: Brake = DELETES) -> BrakeGrant | None:
    """The last time that staff released parked work of that kind."""
    rows = brake.grants._default_manager.filter(panel=panel, service=None)
    return rows.select_related("released_by").order_by("-id").first()


def _check_release(panel: Panel, count: int, user: object, brake: Brake) -> None:
    waiting = parked(panel, brake).count()
    if count != waiting or waiting == 0:
        raise TransitionError(
            f"{waiting} {brake.noun} are parked now, not {count}. Look again, then type that number."
        )
    last = last_release(panel, brake)
    if panel.second_person and last and last.released_by == user:
        raise TransitionError("This panel wants a second person: you released it last time.")
