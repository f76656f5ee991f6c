"""What staff may do with a service. Each writer checks, changes and audits in one transaction (T83-43)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.db import transaction

from provisioning import audit
from provisioning.choices import STAFF_REASONS, DesiredState, Outcome, Resource, SuspendReason
from provisioning.drivers import registry
from provisioning.exceptions import TransitionError
from provisioning.lib import clock
from provisioning.lifecycle.refresh import moment, service_refresh
from provisioning.models import Operation, Pin, Service, Suspension

LARGEST_LIMIT = 2**31 - 1
"""What PostgreSQL's column takes, and more than any panel does."""


@contextmanager
def _locked(service: Service) -> Iterator[Service]:
    with transaction.atomic():
        rows = Service.objects.select_for_update(of=("self",)).select_related(
            "product", "product_version", "connection", "customer"
        )
        yield rows.get(pk=service.pk)


def _refuse_trial(service: Service) -> None:
    """A test server is made and deleted by its trial; nobody else's server may take its place."""
    if service.is_trial:
        raise TransitionError("This is a test service of “Try it”: it ends with its trial.")


def _tell(service: Service, action: str, message: str) -> None:
    audit.record(service=service, action=action, message=message)


def service_suspend(*, service: Service, reason: SuspendReason, note: str = "") -> None:
    """Suspends for a reason that only staff lift. Raises TransitionError for billing's own reasons."""
    if reason not in STAFF_REASONS:
        raise TransitionError(f"“{reason.label}” is decided by billing, not by staff.")
    with _locked(service) as row:
        made = Suspension.objects.get_or_create(
            service=row, reason=reason, lifted_at=None, defaults={"note": note, "since": clock.now()}
        )[1]
        if made:
            _tell(row, "staff.suspend", f"Suspended by staff ({reason.label}). {note}".strip())
        service_refresh(service=row)


def service_unsuspend(*, service: Service, reason: SuspendReason | None = None) -> None:
    """Lifts one of staff's reasons, or all of them. What billing demands stays."""
    with _locked(service) as row:
        rows = row.suspensions.filter(lifted_at=None)
        lifted = rows.filter(reason=reason) if reason else rows
        if not lifted.update(lifted_at=clock.now()):
            raise TransitionError("No suspension by staff is open. Billing's own reasons end with a payment.")
        _tell(row, "staff.unsuspend", "The suspension by staff was lifted.")
        service_refresh(service=row)


def service_terminate(*, service: Service) -> None:
    """Ends a service by staff's word: suspended now, deleted when the undo window is over."""
    with _locked(service) as row:
        if row.terminated_by_staff_at is None:
            row.terminated_by_staff_at = clock.now()
            row.save(update_fields=["terminated_by_staff_at"])
            _tell(row, "staff.terminate", "Ended by staff.")
        service_refresh(service=row)


def service_undo(*, service: Service) -> None:
    """Takes an end back inside the undo window (and later, as long as nothing was deleted)."""
    with _locked(service) as row:
        _refuse_trial(row)
        if row.terminated_at:
            raise TransitionError("The server has been deleted already; there is nothing left to undo.")
        if row.ended_at is None:
            raise TransitionError("This service has not ended.")
        row.undone_at, row.terminated_by_staff_at = clock.now(), None
        row.save(update_fields=["undone_at", "terminated_by_staff_at"])
        _tell(row, "staff.undo", "The end was undone by staff.")
        service_refresh(service=row)


def service_hold(*, service: Service, until: dt.datetime | None) -> None:
    """Keeps an overdue service running until a date; None takes the hold away."""
    with _locked(service) as row:
        row.hold_until = until
        row.save(update_fields=["hold_until"])
        _tell(
            row,
            "staff.hold",
            f"Not suspended as overdue before {moment(until)}." if until else "Hold removed.",
        )
        service_refresh(service=row)


def service_pin(*, service: Service, resource: Resource, value: int, note: str = "") -> None:
    """Fixes a limit by hand. Units as in `choices.Resource`; it wins over product and entitlements."""
    if not (-1 if resource is Resource.SWAP else 0) <= value <= LARGEST_LIMIT:
        raise TransitionError(f"{value} is no valid value for {resource.label}.")
    with _locked(service) as row:
        Pin.objects.update_or_create(service=row, resource=resource, defaults={"value": value, "note": note})
        _tell(row, "staff.pin", f"Pinned {resource.label} to {value}. {note}".strip())
        service_refresh(service=row, raise_generation=True)


def service_unpin(*, service: Service, resource: Resource) -> None:
    """Removes a pin: product and entitlements decide again."""
    with _locked(service) as row:
        if Pin.objects.filter(service=row, resource=resource).delete()[0]:
            _tell(row, "staff.unpin", f"The pin on {resource.label} was removed.")
            service_refresh(service=row, raise_generation=True)


RELINKED = [
    "panel",
    "server_id",
    "server_uuid",
    "adopted_at",
    "create_sent_at",
    "created_confirmed_at",
    "observed",
    "terminated_at",
]


def service_relink(*, service: Service, server_id: str) -> None:
    """Staff say which server on the panel is this service's (CAL-07, adoption).

    The engine reads that server fresh before anything else, and refuses if its mark or owner is another's.
    Raises TransitionError for what can't be a server's id on its panel: it would be asked for without an end.
    """
    with _locked(service) as row:
        _refuse_trial(row)
        if row.sold is None:
            raise TransitionError("Map the product first: it says on which panel the server is.")
        problem = registry.get(row.sold.panel.driver).server_id_problem(server_id)
        if problem:
            raise TransitionError(problem)
        row.panel, row.server_id, row.adopted_at = row.sold.panel, server_id, clock.now()
        # What was known of another server proves nothing of this one.
        row.create_sent_at, row.observed, row.terminated_at = None, {}, None
        row.created_confirmed_at, row.server_uuid = None, ""
        row.save(update_fields=RELINKED)
        _tell(row, "staff.relink", f"Linked by staff to server {server_id} of panel {row.panel}.")
        service_refresh(service=row, raise_generation=True)


def service_recreate(*, service: Service) -> None:
    """Staff say that the server is gone for good: the next reconcile makes a new one."""
    with _locked(service) as row:
        _refuse_trial(row)
        if row.desired_state != DesiredState.PRESENT:
            raise TransitionError("Only a service that should be running can get a new server.")
        server_forget(row)
        _tell(row, "staff.recreate", "Staff said that the server is gone for good: a new one is to be made.")
        service_refresh(service=row, raise_generation=True)


FORGOTTEN: dict[str, Callable[[], object]] = {
    "server_id": str,
    "server_uuid": str,
    "server_identifier": str,
    "observed": dict,
    "runtime_applied": lambda: None,
    "pinned": dict,
    "create_sent_at": lambda: None,
    "create_looks": int,
    "created_confirmed_at": lambda: None,
    "adopted_at": lambda: None,
    "ready_at": lambda: None,
}
"""The columns that tell of one server on a panel, and what each is without one."""


def server_forget(service: Service) -> None:
    """Takes the facts of a server that is proven gone off the row, so that nothing can act on them again."""
    for name, empty in FORGOTTEN.items():
        setattr(service, name, empty())
    service.save(update_fields=list(FORGOTTEN))


def service_retry(*, service: Service) -> None:
    """Tries again now: a waiting operation at once, an ended one in a new round."""
    with _locked(service) as row:
        now = clock.now()
        live = Operation.objects.filter(
            service=row, outcome__in=[Outcome.OPEN, Outcome.WAITING, Outcome.RETRYING]
        )
        woken = live.update(next_attempt_at=now, attempts=0)
        _tell(row, "staff.retry", "Staff asked to try again.")
        service_refresh(service=row, raise_generation=not woken)
        Service.objects.filter(pk=row.pk).update(next_check_at=now)


def operation_skip(*, operation: Operation, note: str) -> None:
    """Staff did it by hand, or it need not be done: closes the operation without touching the panel."""
    with _locked(operation.service) as row:
        closed = Operation.objects.filter(pk=operation.pk, finished_at=None).update(
            outcome=Outcome.SKIPPED, detail=note, finished_at=clock.now(), next_attempt_at=None
        ) or Operation.objects.filter(pk=operation.pk, outcome=Outcome.NEEDS_STAFF).update(
            outcome=Outcome.SKIPPED
        )
        if not closed:
            raise TransitionError("This operation has ended already.")
        Service.objects.filter(pk=row.pk, generation=operation.generation).update(
            observed_generation=operation.generation
        )
        audit.record(
            service=row, action="staff.skip", operation=operation, message=f"Skipped by staff: {note}"
        )
