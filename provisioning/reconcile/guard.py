"""The delete guard: four proofs, or nothing is destroyed (DESIGN rule 4).

1. a confirmed create by us, or an adoption confirmed by staff; 2. a fresh read in which panel id, external
id and owner all match; 3. the end of the undo window (and still nobody wants the service); 4. room under
the mass brake. Anything off: refuse, tell staff, keep the data.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from provisioning.choices import DesiredState
from provisioning.drivers.types import Observed
from provisioning.exceptions import NeedsStaff, PanelWaiting
from provisioning.lib import clock
from provisioning.models import DriftPass, Operation, Panel, PanelAccount, ProductTrial, Service
from provisioning.reconcile.brake import (
    BRAKE_WAIT,
    DELETES,
    brake_park,
    brake_status,
    brake_words,
    room_known,
    room_take,
)


@dataclass(frozen=True)
class Proof:
    """One proof, with what it was judged by."""

    name: str
    ok: bool
    words: str


def proofs_of(service: Service, seen: Observed, account: PanelAccount | None) -> list[Proof]:
    """The first three proofs, judged on a fresh look."""
    return [_origin(service), _identity(service, seen, account), _window(service)]


def _origin(service: Service) -> Proof:
    if service.is_trial and not _made_by_trial(service):
        return Proof("origin", False, "Its trial did not make this server: a trial deletes its own alone.")
    if service.created_confirmed_at:
        return Proof(
            "origin", True, f"We made it; confirmed on {service.created_confirmed_at:%d %b %Y %H:%M} UTC."
        )
    if service.adopted_at:
        return Proof("origin", True, f"Adopted by staff on {service.adopted_at:%d %b %Y %H:%M} UTC.")
    return Proof("origin", False, "No create of ours was ever confirmed and staff did not adopt it.")


def _made_by_trial(service: Service) -> bool:
    trial, made = ProductTrial.objects.filter(service=service).first(), service.created_confirmed_at
    return bool(trial and made and made >= trial.started_at and service.adopted_at is None)


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


def _take_room(service: Service, panel: Panel) -> Proof:
    """The fourth proof. A trial took its room when it began, and has one server to delete."""
    if service.is_trial:
        return Proof("mass brake", True, "A trial's own server: the hour's allowance of trials covers it.")
    room, status = room_take(service, panel, DELETES)
    if not room:
        return Proof("mass brake", False, brake_words(panel, status, DELETES))
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
    if operation.reason != DELETES.reason or room_known(service, panel, DELETES):
        return
    status = brake_status(panel)
    if not status.room:
        raise brake_park(panel, status, DELETES)


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
        raise PanelWaiting(failed[0].words, reason=DELETES.reason, seconds=BRAKE_WAIT)
    raise NeedsStaff(f"Delete refused ({failed[0].name}): {failed[0].words}", reason="delete_refused")
