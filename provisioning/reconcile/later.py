"""Checks that an applied change still owes: whether the machine does what the panel shows.

They are operations of their own and delay nothing: the change counts as applied once the panel shows it. Each
is due at a date of its row, found by the sweep, and dropped as soon as a newer change takes its place.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from django.db import transaction

from provisioning import audit
from provisioning.choices import DesiredState, OperationKind, Outcome
from provisioning.drivers.errors import DriverError
from provisioning.drivers.types import Desired, LaterCheck, Look, Observed, Plan
from provisioning.exceptions import BillingBridgeError, LeaseLost
from provisioning.lib import clock
from provisioning.models import LaterCheck as LaterRow
from provisioning.models import Operation, Service
from provisioning.reconcile.lease import Lease, lease_claim
from provisioning.reconcile.operations import operation_close, operation_park
from provisioning.reconcile.transport import PanelTransport, driver_for

if TYPE_CHECKING:
    from provisioning.reconcile.converge import Converge

TOLD_AT_MOST = 3
"""So often a machine is told again; after that staff have to look (issue 5)."""
AGAIN = dt.timedelta(seconds=50)
"""Until the next look at a machine that was told again, or whose change is not applied yet."""
WAITS_AT_MOST = 8
"""So often a machine that cannot be looked at is tried again, from a minute up to a quarter of an hour."""
LONGEST_WAIT = 900.0


def checks_note(job: Converge, plan: Plan, wanted: Desired, look: Look) -> None:
    """Notes before the change what it will owe: a worker that is killed after it must not lose that."""
    if not isinstance(look, Observed):
        return
    for check in job.driver.later_checks(frozenset(plan.kinds()), wanted, look):
        job.lease.check()
        LaterRow.objects.update_or_create(
            service=job.service,
            kind=check.kind,
            defaults={
                "data": dict(check.data),
                "generation": job.operation.generation,
                "due_at": clock.now() + dt.timedelta(seconds=check.seconds),
                "told": 0,
                "waits": 0,
            },
        )


def later_check(check_id: int) -> None:
    """Makes one check that is due. Safe to run at any time, twice too."""
    row = LaterRow.objects.filter(pk=check_id).first()
    lease = lease_claim(row.service_id) if row else None
    if row is None or lease is None:
        return
    try:
        _make(row, lease)
    except LeaseLost:
        # Whoever has the service now works on it; the row is still due.
        return
    finally:
        lease.give_up()


def _make(row: LaterRow, lease: Lease) -> None:
    service = Service.objects.select_related("panel").get(pk=row.service_id)
    wanted = service.desired_state in (DesiredState.PRESENT, DesiredState.SUSPENDED)
    if service.generation != row.generation or not wanted or not service.server_id:
        row.delete()
    elif not service.converged or service.operations.filter(finished_at=None).exists():
        _postpone(row, AGAIN)
    else:
        _look(row, service, lease)


def _postpone(row: LaterRow, wait: dt.timedelta) -> None:
    row.due_at = clock.now() + wait
    row.save(update_fields=["due_at", "told", "waits"])


def _look(row: LaterRow, service: Service, lease: Lease) -> None:
    if service.panel is None or service.observed.get("panel_url") != service.panel.url:
        # Another address may be another panel, on which that number is somebody else's server (B14).
        row.delete()
        return
    operation = _opened(row, service)
    hurry = not service.follows
    transport = PanelTransport(service.panel, operation=operation, lease=lease, urgent=hurry)
    driver = driver_for(service.panel, transport, service)
    tell = row.told < TOLD_AT_MOST
    check, look = LaterCheck(row.kind, 0, row.data), Observed.from_json(service.observed)
    try:
        with transport.reading():
            well = driver.check_later(check, look, tell=tell)
    except LeaseLost:
        operation.delete()
        raise
    except BillingBridgeError as error:
        _wait(row, operation, error)
        return
    operation.refresh_from_db(fields=["calls"])
    if well:
        operation_close(operation=operation, outcome=Outcome.UNCHANGED)
        row.delete()
    elif tell:
        _told(row, operation)
    else:
        _park(row, operation)


def _opened(row: LaterRow, service: Service) -> Operation:
    number = service.operations.count()
    return Operation.objects.create(
        key=f"{service.pk}:{service.generation}:{row.kind}:{number}",
        service=service,
        panel=service.panel,
        kind=OperationKind.CHECK,
        generation=service.generation,
        attempts=1,
        request_id=audit.request_id(),
    )


@transaction.atomic
def _told(row: LaterRow, operation: Operation) -> None:
    words = "The machine had not taken the change: it was told again."
    operation.plan = {"lines": [f"~ {words}"]}
    operation_close(operation=operation, outcome=Outcome.SUCCEEDED)
    audit.record(service=operation.service, operation=operation, action="operation.told_again", message=words)
    row.told += 1
    _postpone(row, AGAIN)


@transaction.atomic
def _park(row: LaterRow, operation: Operation) -> None:
    row.delete()
    words = (
        f"The panel shows the change ({row.kind}), but the machine does not do it, though it was told "
        f"{TOLD_AT_MOST} more times. Look at the node's daemon."
    )
    operation_park(operation=operation, reason="still_running", words=words)


def _wait(row: LaterRow, operation: Operation, error: BillingBridgeError) -> None:
    """The machine could not be looked at: later again, and after many times not any more."""
    public = error.public if isinstance(error, DriverError) else ""
    operation.refresh_from_db(fields=["calls"])
    operation_close(
        operation=operation, outcome=Outcome.FAILED, reason=error.reason, detail=error.detail, public=public
    )
    row.waits += 1
    if row.waits >= WAITS_AT_MOST:
        row.delete()
        return
    seconds = max(float(getattr(error, "seconds", 0)), min(LONGEST_WAIT, 30.0 * 2**row.waits))
    _postpone(row, dt.timedelta(seconds=seconds))
