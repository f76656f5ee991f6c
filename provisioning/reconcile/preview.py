"""*Preview* and *Apply*: the plan that would be carried out now, and exactly that one (DESIGN section 5)."""

from __future__ import annotations

from dataclasses import dataclass, field

from provisioning import audit, desired
from provisioning.choices import DesiredState
from provisioning.drivers.base import PanelDriver
from provisioning.drivers.types import Absent, Look, Plan, ServerRef
from provisioning.exceptions import BillingBridgeError, TransitionError
from provisioning.lifecycle.staff import service_retry
from provisioning.models import PanelAccount, Service
from provisioning.reconcile.accounts import account_known
from provisioning.reconcile.transport import PanelTransport, driver_for

NOTHING = "none"
"""The checksum of *nothing to do*."""


@dataclass(frozen=True)
class Preview:
    """What would be done now: `+ - ~` lines, a checksum over all of it, and a problem in words if any."""

    lines: list[str] = field(default_factory=list)
    checksum: str = NOTHING
    notes: list[str] = field(default_factory=list)
    problem: str = ""


def preview(service: Service) -> Preview:
    """Reads the panel fresh and changes nothing. Trouble is told in `problem`, never raised."""
    try:
        plan = _plan(service)
    except BillingBridgeError as error:
        return Preview(problem=error.detail)
    if plan is None:
        return Preview(notes=["The panel shows all that we want: nothing is to be done."])
    return Preview(plan.lines(), plan.checksum, list(plan.notes))


def _plan(service: Service) -> Plan | None:
    panel = service.panel or (service.sold.panel if service.sold else None)
    wanted_now = service.desired_state != DesiredState.NONE
    if panel is None or not wanted_now:
        return None
    driver = driver_for(panel, PanelTransport(panel), service)
    look = driver.observe(ServerRef(service.external_id, service.server_id))
    return planned(service, driver, look, account_known(service, panel))


def planned(service: Service, driver: PanelDriver, look: Look, account: PanelAccount | None) -> Plan | None:
    """The plan that a look leads to; None where nothing is to do.

    Raises TransitionError for a server that is gone, and for one that is not linked yet.
    """
    if service.desired_state == DesiredState.NONE:
        return None
    wanted = desired.build(service, account)
    if isinstance(look, Absent) and service.server_id and service.desired_state != DesiredState.ABSENT:
        raise TransitionError(
            f"Server {service.server_id} is gone from panel “{service.panel}”; nothing would be done."
        )
    if not isinstance(look, Absent) and not service.server_id and service.create_sent_at is None:
        raise TransitionError(
            f"Server {look.server_id} on the panel carries the mark {look.mark} already; nothing would be "
            "done before the service is linked to it."
        )
    return driver.plan(wanted, look)


def apply_reviewed(service: Service, checksum: str) -> str:
    """Carries out what was reviewed, or says that the world has changed. Raises TransitionError."""
    now = preview(service)
    if now.problem:
        raise TransitionError(now.problem)
    if now.checksum != checksum:
        raise TransitionError("The plan has changed since you looked at it. Look again before you apply.")
    if now.checksum == NOTHING:
        return "Nothing was to be done."
    audit.record(
        service=service,
        action="staff.apply",
        message=f"Staff applied the reviewed plan {checksum}.",
        data={"lines": now.lines},
    )
    service_retry(service=service)
    return f"Plan {checksum} is being carried out; the timeline shows each step."
