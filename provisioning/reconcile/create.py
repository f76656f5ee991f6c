"""The create: looked up before it is tried, its choices pinned, its sending noted before it is sent.

Unknown is not absent (DESIGN rule 2): after an answer that was lost, only two looks after the panel's own
limit allow a second try; where the panel refuses a second server of the same mark, that is one more wall.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import transaction

from provisioning.drivers.errors import Conflict, DriverError, Unknown, WrongServer
from provisioning.drivers.types import (
    Absent,
    Change,
    ChangeKind,
    Desired,
    Look,
    LostLooks,
    Observed,
    ServerRef,
)
from provisioning.exceptions import NeedsStaff, PanelWaiting, SpecProblem
from provisioning.lib import clock

if TYPE_CHECKING:
    from provisioning.reconcile.converge import Converge

RETRIED = "retried"
"""Under this name the pinned choice counts creates that were sent again after complete looks."""
NOT_TOUCHED = "Nothing was touched."


def first_look(job: Converge) -> Look:
    """The fresh look that is never left out before a create."""
    look = _look(job)
    if isinstance(look, Absent):
        _check_unknown_create(job)
        return look
    if job.service.create_sent_at is None:
        raise NeedsStaff(
            f"Server {look.server_id} on panel “{job.panel}” carries the mark {look.mark} already, and no "
            "create of ours is known. Nothing was made: relink the service to it, or free the mark "
            "on the panel.",
            reason="server_exists",
        )
    _take(job, look, "The server was there: its answer had been lost.")
    return look


def _look(job: Converge) -> Look:
    """By the mark; for a create without an answer in the way that is sure on this panel."""
    service = job.service
    if service.create_sent_at is None:
        return job.driver.observe(ServerRef(service.external_id))
    owner = job.account.panel_user_id if job.account else ""
    return job.driver.observe_lost(service.external_id, owner, service.pinned)


def _check_unknown_create(job: Converge) -> None:
    """Absent so far; but a create that was sent may still come true on the panel."""
    sent = job.service.create_sent_at
    if sent is None:
        return
    plan = job.driver.lost_looks(job.service.pinned)
    dates = [sent + dt.timedelta(seconds=settings.UNKNOWN_WAIT_SECONDS * wait) for wait in plan.waits]
    looks, now = job.service.create_looks, clock.now()
    if looks < len(dates) and now >= dates[looks]:
        looks += 1
        job.remember_columns(create_looks=looks)
    if looks < len(dates):
        raise PanelWaiting(
            "The answer to our create was lost. We look again before anything else is tried.",
            reason="create_unknown",
            seconds=max((dates[looks] - now).total_seconds(), settings.INSTALL_POLL_SECONDS),
        )
    _allow_retry(job, plan)


def _allow_retry(job: Converge, plan: LostLooks) -> None:
    """Lets a create that nobody ever saw be sent again, as often as the panel makes that safe."""
    pinned = dict(job.service.pinned)
    retried = int(pinned.get(RETRIED, 0))
    job.remember_columns(create_sent_at=None, create_looks=0, pinned=pinned | {RETRIED: retried + 1})
    if plan.retries is not None and retried >= plan.retries:
        raise NeedsStaff(
            "A create got no answer once more, and the panel's complete lists show no server of it. Another "
            "one could make a second server: look on the panel and on its nodes, then retry.",
            reason="create_lost",
        )


def make(job: Converge) -> Look:
    """Sends the create once and stores what it proved. Raises what it cannot settle."""
    if job.panel.retired:
        words = f"Panel “{job.panel}” is retired: it takes no new servers."
        raise NeedsStaff(words, reason="panel_retired")
    wanted = _pinned(job, job.desired())
    plan = job.driver.plan(wanted, Absent.ABSENT)
    if plan is None:
        raise NeedsStaff("The driver plans no create for a server that is missing.", reason="internal")
    job.note_plan(plan)
    # With what it runs: if its answer is lost and the product changes meanwhile, the difference is known.
    job.remember_columns(create_sent_at=clock.now(), create_looks=0, runtime_applied=wanted.runtime.as_json())
    seen = _send(job, plan.changes[0], wanted)
    job.tell_remarks()
    _take(job, seen, f"Server {seen.identifier} was made on panel “{job.panel}”.")
    return seen


def _send(job: Converge, change: Change, wanted: Desired) -> Observed:
    assert change.kind is ChangeKind.CREATE  # noqa: S101 - a plan for ABSENT holds nothing else
    try:
        seen = job.driver.apply(change, wanted, Absent.ABSENT)
    except Unknown as error:
        if not error.maybe_done:
            job.remember_columns(create_sent_at=None)
        raise
    except PanelWaiting:
        # It did not even leave: no leave from the gate.
        job.remember_columns(create_sent_at=None)
        raise
    except Conflict as error:
        _conflict(job, error, wanted)
        raise
    except (DriverError, SpecProblem):
        # The panel said no, and it is known to keep nothing of a create that it refused; or nothing was sent.
        job.remember_columns(create_sent_at=None)
        raise
    if seen is None:
        raise Unknown("The panel accepted the create without showing the server.")
    return seen


def _conflict(job: Converge, error: Conflict, wanted: Desired) -> None:
    """Sorts out what collides: our own allocation choice, or our mark."""
    if "allocation" in error.fields:
        # Taken by whom? An earlier create of ours may have come true late, on the very allocation.
        if isinstance(job.driver.observe(ServerRef(job.service.external_id)), Observed):
            raise PanelWaiting(
                "The panel has a server of this mark already; we look at it.", reason="create_unknown"
            ) from error
        if not job.driver.pin_taken(wanted):
            raise PanelWaiting(
                "The chosen allocation is not free, and nobody else's: an earlier create of ours may have "
                "come true. We look again.",
                reason="create_unknown",
            ) from error
        job.driver.memory.release(str(wanted.pinned.get("allocation", "")))
        job.remember_columns(create_sent_at=None, pinned=_retried(wanted.pinned))
        raise PanelWaiting(
            "The chosen allocation was taken meanwhile; the next free one is chosen.",
            reason="allocation_taken",
        ) from error
    if "external_id" in error.fields:
        # Our own earlier create came true after all: the next look finds it.
        raise PanelWaiting(
            "The panel has a server of this mark already; we look at it.", reason="create_unknown"
        ) from error
    job.remember_columns(create_sent_at=None)


def _pinned(job: Converge, wanted: Desired) -> Desired:
    pinned: dict[str, Any] = dict(job.service.pinned)
    place = {"panel": job.panel.pk, **wanted.target}
    if pinned and (pinned.get("place") != place or _pin_gone(job, wanted)):
        # Billing changed the product before anything was made: the old node's allocation is not ours to use.
        # Or it was deleted on the panel, and no create can come true on it, neither now nor late.
        job.driver.memory.release(str(pinned.get("allocation", "")))
        pinned = _retried(pinned)
    if "place" not in pinned:
        pinned |= job.driver.pin(wanted) | {"place": place}
        job.remember_columns(pinned=pinned)
    return job.with_pin(wanted, pinned)


def _pin_gone(job: Converge, wanted: Desired) -> bool:
    """Asked only where a create was sent on this choice and never seen: the same one might fail for ever."""
    return RETRIED in wanted.pinned and job.driver.pin_gone(wanted)


def _retried(pinned: Mapping[str, Any]) -> dict[str, Any]:
    """What stays of a choice that is given up: how often its create was sent again."""
    return {name: value for name, value in pinned.items() if name == RETRIED}


def _take(job: Converge, seen: Observed, message: str) -> None:
    """Proof 1 of the guard: we made it, and the panel showed it with our mark and its owner.

    In one step with what was seen: a worker that dies between the two would leave a server that nothing
    proves to be ours.
    """
    with transaction.atomic():
        job.recognise(seen)
        job.remember_columns(
            panel=job.panel,
            created_confirmed_at=clock.now(),
            terminated_at=None,
            create_sent_at=None,
            create_looks=0,
            runtime_applied=job.service.runtime_applied or job.desired().runtime.as_json(),
        )
        job.tell("server.created", message)


def adopt_mark(job: Converge, seen: Observed) -> None:
    """A server that staff linked keeps the bare mark of billing's own extension, or gets ours if it has none.

    Any other mark belongs to somebody else. Raises WrongServer.
    """
    service = job.service
    if service.adopted_at and service.created_confirmed_at is None:
        if seen.mark == service.billing_id:
            job.remember_columns(external_id=seen.mark)
            return
        if seen.mark == "":
            return
    raise WrongServer(
        f"Server {seen.server_id} carries the mark {seen.mark or '(none)'}, not {service.external_id}. "
        f"{NOT_TOUCHED}",
        reason="wrong_mark",
    )
