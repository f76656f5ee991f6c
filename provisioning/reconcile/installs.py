"""Installs: followed to their end, tried once more by themselves, and never hidden by a suspension."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from django.conf import settings

from provisioning.choices import ObservedState, SuspendReason
from provisioning.drivers.types import (
    Absent,
    Change,
    ChangeKind,
    Desired,
    Look,
    Observed,
    Plan,
    ServerState,
    Wanted,
)
from provisioning.exceptions import NeedsStaff, PanelWaiting
from provisioning.lib import clock

if TYPE_CHECKING:
    from provisioning.reconcile.converge import Converge

PATIENT = frozenset({SuspendReason.OVERDUE.value, SuspendReason.CANCELLED.value})
"""Who is suspended for nothing worse than these can wait for the end of an install."""


def install_mend(job: Converge, wanted: Desired, look: Look) -> None:
    """Tries a failed install once more: nothing of the customer's is on it yet. Raises PanelWaiting.

    A server that ran before was reinstalled by its owner: that failure is theirs to see on the panel.
    """
    if isinstance(look, Absent) or look.state is not ServerState.INSTALL_FAILED:
        return
    if wanted.state is not Wanted.PRESENT or job.service.ready_at:
        return
    if job.operation.plan.get("reinstalled"):
        raise NeedsStaff(
            "The panel reports that the install failed, twice. Look at the install log on the panel, "
            "mend the egg or its variables, reinstall there, then retry.",
            reason="install_failed",
        )
    job.driver.apply(Change(ChangeKind.REINSTALL, "install once more"), wanted, look)
    # Noted once the panel has taken it: a try that never reached the panel was none.
    job.operation.plan["reinstalled"] = True
    job.operation.save(update_fields=["plan"])
    job.remember_columns(observed_state=ObservedState.INSTALLING)
    raise PanelWaiting(
        "The first install failed; the panel installs once more.",
        reason="installing",
        seconds=settings.INSTALL_POLL_SECONDS,
    )


def install_wait(job: Converge, look: Look, plan: Plan) -> None:
    """Lets an install end before a suspension, which would hide whether it did (contract trap 11).

    Who does not pay can wait that long; abuse cannot. Raises PanelWaiting.
    """
    patient = PATIENT.issuperset(job.service.suspend_reasons)
    if ChangeKind.SUSPEND in plan.kinds() and patient and not isinstance(look, Absent):
        _wait_while_busy(job, look)


def install_check(job: Converge, wanted: Desired, look: Look) -> None:
    """A server that should run counts only once its install has ended. Raises PanelWaiting, NeedsStaff."""
    if isinstance(look, Absent) or wanted.state is not Wanted.PRESENT:
        return
    _wait_while_busy(job, look)
    if look.state is ServerState.INSTALLING:
        raise NeedsStaff(
            "The install has not ended for a long time. The node may have failed to fetch its image; "
            "look at the panel, reinstall there, then retry.",
            reason="install_stuck",
        )


def _wait_while_busy(job: Converge, look: Observed) -> None:
    seconds = settings.INSTALL_POLL_SECONDS
    if look.state is ServerState.INSTALLING and not _overdue(job):
        raise PanelWaiting("The panel installs the server.", reason="installing", seconds=seconds)
    if look.state is ServerState.BUSY:
        raise PanelWaiting("The panel is busy with the server.", reason="server_busy", seconds=seconds)


def _overdue(job: Converge) -> bool:
    """Counted from this operation's first look at the install, on the project's clock."""
    limit = dt.timedelta(seconds=settings.INSTALL_TIMEOUT_SECONDS)
    since = job.operation.plan.get("installing_since")
    if since is None:
        job.operation.plan["installing_since"] = clock.now().isoformat()
        job.operation.save(update_fields=["plan"])
        return False
    return clock.now() - dt.datetime.fromisoformat(since) > limit
