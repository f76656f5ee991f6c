"""The delete guard: four proofs, or nothing is destroyed (DESIGN rule 4).

1. a confirmed create by us, or an adoption confirmed by staff; 2. a fresh read in which panel id, external
id and owner all match; 3. the end of the undo window (and still nobody wants the service); 4. room under
the mass brake. Anything off: refuse, tell staff, keep the data.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict, dataclass

from django.db import transaction
from django.db.models import Sum

from provisioning import audit
from provisioning.choices import DesiredState
from provisioning.drivers.types import Observed
from provisioning.exceptions import NeedsStaff, PanelWaiting, TransitionError
from provisioning.lib import clock
from provisioning.models import DeleteGrant, DriftPass, Operation, Panel, PanelAccount, PanelGate, Service

HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)
BRAKE_WAIT = 300.0


@dataclass(frozen=True)
class Proof:
    """One proof, with what it was judged by."""

    name: str
    ok: bool
    words: str


@dataclass(frozen=True)
class BrakeStatus:
    """How much of the delete allowance of a panel is used, and how many deletes are parked."""

    hour_used: int
    hour_limit: int
    day_used: int
    day_limit: int
    parked: int

    @property
    def room(self) -> bool:
        """Whether one more delete is allowed."""
        return self.hour_used < self.hour_limit and self.day_used < self.day_limit


def proofs_of(service: Service, seen: Observed, account: PanelAccount | None) -> list[Proof]:
    """The first three proofs, judged on a fresh look."""
    return [_origin(service), _identity(service, seen, account), _window(service)]


def _origin(service: Service) -> Proof:
    if service.created_confirmed_at:
        return Proof(
            "origin", True, f"We made it; confirmed on {service.created_confirmed_at:%d %b %Y %H:%M} UTC."
        )
    if service.adopted_at:
        return Proof("origin", True, f"Adopted by staff on {service.adopted_at:%d %b %Y %H:%M} UTC.")
    return Proof("origin", False, "No create of ours was ever confirmed and staff did not adopt it.")


def _identity(service: Service, seen: Observed, account: PanelAccount | None) -> Proof:
    owner = account.panel_user_id if account else ""
    pairs = (
        ("panel id", service.server_id, seen.server_id),
        ("uuid", service.server_uuid, seen.uuid),
        ("external id", service.external_id, seen.mark),
        ("owner", owner, seen.owner),
    )
    wrong = [
        f"{name} is {shown or 'empty'}, expected {ours or 'unknown'}"
        for name, ours, shown in pairs
        if not ours or ours != shown
    ]
    if wrong:
        return Proof("identity", False, "; ".join(wrong) + ".")
    return Proof(
        "identity",
        True,
        f"Read just now: panel id {seen.server_id}, external id {seen.mark}, owner {seen.owner}.",
    )


def _window(service: Service) -> Proof:
    now = clock.now()
    if service.desired_state != DesiredState.ABSENT or service.undo_until is None:
        return Proof("undo window", False, "Nobody said that this service has ended.")
    if service.undo_until > now:
        return Proof("undo window", False, f"Can be undone until {service.undo_until:%d %b %Y %H:%M} UTC.")
    return Proof(
        "undo window", True, f"Ended; the undo window closed on {service.undo_until:%d %b %Y %H:%M:%S} UTC."
    )


def brake_status(panel: Panel) -> BrakeStatus:
    """The delete allowance: max(floor, percent of the servers) an hour and a day, data per panel."""
    now = clock.now()
    servers = Service.objects.filter(panel=panel).exclude(server_id="").count()
    return BrakeStatus(
        hour_used=_used(panel, now - HOUR),
        hour_limit=max(panel.deletes_hour_floor, servers * panel.deletes_hour_percent // 100),
        day_used=_used(panel, now - DAY),
        day_limit=max(panel.deletes_day_floor, servers * panel.deletes_day_percent // 100),
        parked=parked_deletes(panel),
    )


def _used(panel: Panel, since: dt.datetime) -> int:
    """Deletes since then, less those that staff have released room for."""
    rows = DeleteGrant.objects.filter(panel=panel, at__gt=since)
    released = rows.filter(service=None).aggregate(total=Sum("count"))["total"] or 0
    return max(0, rows.exclude(service=None).count() - int(released))


def parked_deletes(panel: Panel) -> int:
    """How many deletes wait under the brake."""
    return Operation.objects.filter(panel=panel, outcome="waiting", reason="brake").count()


def _take_room(service: Service, panel: Panel) -> Proof:
    """The fourth proof, taken in one transaction, so that two workers cannot share one place."""
    with transaction.atomic():
        PanelGate.objects.select_for_update().get_or_create(panel=panel)
        known = _grant_of(service, panel)
        status = brake_status(panel)
        if not known and not status.room:
            return Proof("mass brake", False, _brake_words(panel, status))
        if not known:
            DeleteGrant.objects.create(panel=panel, service=service, at=clock.now())
    return Proof(
        "mass brake",
        True,
        f"{status.hour_used} of {status.hour_limit} in the hour and {status.day_used} of {status.day_limit} "
        "in the day were used.",
    )


def brake_wait(*, service: Service, operation: Operation, panel: Panel) -> None:
    """Keeps a parked delete parked without asking the panel. Raises PanelWaiting while there is no room.

    Nothing is allowed here: `delete_allow` judges all proofs afresh.
    """
    freeze_wait(service, panel)
    if operation.reason != "brake" or _grant_of(service, panel):
        return
    status = brake_status(panel)
    if not status.room:
        raise PanelWaiting(_brake_words(panel, status), reason="brake", seconds=BRAKE_WAIT)


def freeze_wait(service: Service, panel: Panel) -> None:
    """Keeps deletes waiting while too many servers of the panel are missing (B14). Raises PanelWaiting."""
    frozen = (
        DriftPass.objects.filter(panel=panel, frozen_at__isnull=False).first() if service.server_id else None
    )
    if frozen:
        raise PanelWaiting(
            f"{frozen.missing} servers are missing on panel “{panel}” at once, so nothing is deleted there. "
            "Find out why, then unfreeze deletes on the panel's page.",
            reason="panel_frozen",
            seconds=BRAKE_WAIT,
        )


def _grant_of(service: Service, panel: Panel) -> bool:
    """Whether room was taken today for a delete that did not come through: it is used again."""
    rows = DeleteGrant.objects.filter(panel=panel, service=service, at__gt=clock.now() - DAY)
    return rows.exists()


def _brake_words(panel: Panel, status: BrakeStatus) -> str:
    return (
        f"Panel “{panel}” has deleted {status.hour_used} of {status.hour_limit} servers allowed in an hour "
        f"and {status.day_used} of {status.day_limit} in a day. "
        "Release the parked deletes on the panel's page."
    )


def delete_allow(
    *, service: Service, operation: Operation, panel: Panel, seen: Observed, account: PanelAccount | None
) -> None:
    """Lets a delete pass, or raises NeedsStaff (a proof fails) or PanelWaiting (parked under the brake).

    The proofs stand on the operation in either case.
    """
    freeze_wait(service, panel)
    proofs = proofs_of(service, seen, account)
    if all(proof.ok for proof in proofs):
        proofs.append(_take_room(service, panel))
    operation.proofs = [asdict(proof) for proof in proofs]
    operation.save(update_fields=["proofs"])
    failed = [proof for proof in proofs if not proof.ok]
    if not failed:
        return
    if failed[0].name == "mass brake":
        raise PanelWaiting(failed[0].words, reason="brake", seconds=BRAKE_WAIT)
    raise NeedsStaff(f"Delete refused ({failed[0].name}): {failed[0].words}", reason="delete_refused")


def brake_release(*, panel: Panel, count: int, user: object) -> None:
    """Staff release exactly as many parked deletes as they typed (B14). Raises TransitionError.

    The caller has made sure of a fresh second factor.
    """
    now = clock.now()
    with transaction.atomic():
        PanelGate.objects.select_for_update().get_or_create(panel=panel)
        _check_release(panel, count, user)
        DeleteGrant.objects.create(panel=panel, released_by=user, count=count, at=now)  # type: ignore[misc]
        audit.record(
            service=None, action="brake.release", message=f"{count} parked deletes released on “{panel}”."
        )
        waiting = Operation.objects.filter(panel=panel, outcome="waiting", reason="brake")
        Service.objects.filter(pk__in=waiting.values("service")).update(next_check_at=now)
        # No longer parked: a second press of the same button finds nothing to release.
        waiting.update(next_attempt_at=now, reason="brake_released")


def _check_release(panel: Panel, count: int, user: object) -> None:
    parked = parked_deletes(panel)
    if count != parked or parked == 0:
        raise TransitionError(
            f"{parked} deletes are parked now, not {count}. Look again, then type that number."
        )
    last = DeleteGrant.objects.filter(panel=panel, service=None).order_by("-id").first()
    if panel.second_person and last and last.released_by == user:
        raise TransitionError("This panel wants a second person: you released it last time.")
