"""The engine's frame: lease, refresh, operation, one pass of `Converge`, outcome, release.

Whatever a pass raises becomes an outcome here, by one closed table: waiting (nothing is wrong with the
work), retrying (ours to mend), needs staff (a person has to decide). Nothing is swallowed.
"""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict

import structlog
from django.conf import settings
from django.db import transaction

from provisioning import audit, queue
from provisioning.choices import ActorKind, DesiredState, ObservedState, OperationKind, Outcome
from provisioning.drivers.errors import (
    AuthFailed,
    Busy,
    DaemonDown,
    DriverError,
    NoCapacity,
    RateLimited,
    Unknown,
)
from provisioning.drivers.types import Absent, Account, Look, Observed, ServerState
from provisioning.exceptions import BillingBridgeError, LeaseLost, NeedsStaff, PanelWaiting
from provisioning.lib import clock
from provisioning.lifecycle.billing import service_link_product
from provisioning.lifecycle.policy import decide
from provisioning.lifecycle.refresh import facts_of, next_date, service_refresh
from provisioning.lifecycle.staff import server_forget
from provisioning.models import AllocationHold, Operation, Panel, Service
from provisioning.notifications import service_notify_due
from provisioning.reconcile.converge import Converge
from provisioning.reconcile.gate import PARKED_PROBES, gate_park
from provisioning.reconcile.lease import Lease, lease_claim
from provisioning.reconcile.operations import (
    operation_attempt,
    operation_close,
    operation_drop,
    operation_open,
    operation_park,
    operation_retry,
    operation_wait,
    undone_too_late,
    waits_since,
)

log = structlog.get_logger(__name__)


def service_reconcile(service_id: int) -> None:
    """One job: brings one service a step nearer to what it should be. Safe to run at any time, twice too."""
    lease = lease_claim(service_id)
    if lease is None:
        return
    since = clock.now()
    try:
        service = _refreshed(service_id)
        generation = service.generation
        due = _work(service, lease)
        released = _release(lease, generation=generation, due=due, since=since)
    except LeaseLost as lost:
        log.warning("lease_lost", service=service_id, detail=lost.detail)
        return
    except Exception:
        # Outside an operation nothing can be noted but the log; the sweep comes back, and needs the lease.
        lease.give_up()
        raise
    # Compared with the generation that was worked on: a change that came meanwhile found us here.
    if not released:
        queue.enqueue(queue.RECONCILE_SERVICE, service_id)


def _locked(service_id: int) -> Service:
    rows = Service.objects.select_for_update(of=("self",))
    joined = ("product__panel", "product__grace_policy", "product_version__panel", "customer", "connection")
    return rows.select_related(*joined).get(pk=service_id)


def _refreshed(service_id: int) -> Service:
    """The service with everything that time alone has changed (DESIGN rule 1)."""
    with transaction.atomic(), audit.acting_as(ActorKind.BRIDGE):
        service = _locked(service_id)
        service_link_product(service=service)
        service_refresh(service=service)
    return service


def _release(lease: Lease, *, generation: int, due: dt.datetime | None, since: dt.datetime) -> bool:
    """Mails what the service owes and gives it back with its due date; False if its generation was raised.

    Billing may have set a date while we worked (a failed payment raises no generation), so the date is
    computed from the row as it is now, and as of the job's beginning: what came due meanwhile is due.
    """
    with transaction.atomic():
        service = _locked(lease.service_id)
        service_notify_due(service=service)
        later = next_date(service, decide(facts_of(service), since))
        dates = [at for at in (due, later) if at]
        return lease.release(generation=generation, next_check_at=min(dates, default=None))


def _work(service: Service, lease: Lease) -> dt.datetime | None:
    """Works on the service if anything is to do. Returns when the operation goes on, if it does."""
    if service.desired_state == DesiredState.NONE:
        operation_drop(service=service)
        return None
    if _at_rest(service):
        return None
    operation = operation_open(service=service, panel=_panel(service))
    if operation is None:
        return None
    if operation.next_attempt_at and operation.next_attempt_at > clock.now():
        return operation.next_attempt_at
    with structlog.contextvars.bound_contextvars(
        request_id=operation.request_id, service=service.pk, operation=operation.pk
    ):
        _attempt(service, operation, lease)
    return operation.next_attempt_at


def _at_rest(service: Service) -> bool:
    return service.converged and not service.operations.filter(finished_at=None).exists()


def _panel(service: Service) -> Panel | None:
    """The panel that the service's server is on, or is to be made on."""
    if service.server_id or service.create_sent_at:
        return service.panel
    return service.sold.panel if service.sold else service.panel


def _attempt(service: Service, operation: Operation, lease: Lease) -> None:
    if operation.attempts >= settings.MAX_ATTEMPTS:
        # Each ended attempt has counted itself down or parked: these never came to their end (B13).
        words = (
            f"After {operation.attempts} attempts the worker still dies at this operation. "
            "Look at the workers' log, then retry."
        )
        operation_park(operation=operation, reason="crashed", words=words, public=BillingBridgeError.public)
        return
    operation_attempt(operation=operation)
    try:
        look, panel = _pass(service, operation, lease)
        _finish(service, operation, lease, look, panel)
    except LeaseLost:
        raise
    except BillingBridgeError as error:
        with _fenced(lease):
            if _still_open(operation):
                _settle(operation, error)
    except Exception as error:
        log.exception("reconcile_crashed")
        words = (
            f"An error of ours ({type(error).__name__}); the log has it under this operation's request id."
        )
        with _fenced(lease):
            if _still_open(operation):
                operation_retry(
                    operation=operation, reason="internal", words=words, public=BillingBridgeError.public
                )


def _still_open(operation: Operation) -> bool:
    """False if staff skipped it while its call was under way: their word stands."""
    operation.refresh_from_db(fields=["calls", "polls", "outcome", "finished_at", "next_attempt_at"])
    return operation.finished_at is None


@contextmanager
def _fenced(lease: Lease) -> Iterator[None]:
    """The outcome is written under the fence too: who was frozen past its lease judges nothing any more."""
    with transaction.atomic():
        lease.fence()
        yield


def _pass(service: Service, operation: Operation, lease: Lease) -> tuple[Look, Panel | None]:
    panel = _panel(service)
    if panel is None:
        if service.desired_state != DesiredState.PRESENT:
            # Ended or suspended before anything was made: there is nothing to do anywhere.
            return Absent.ABSENT, None
        raise PanelWaiting(
            f"No product is mapped to billing's “{service.billing_product_id}”. Add it under Products: "
            "this order then goes on by itself.",
            reason="product_unmapped",
            seconds=settings.BACKOFF_CAP,
        )
    if service.sold and service.sold.panel_id != panel.pk and service.desired_state == DesiredState.PRESENT:
        raise NeedsStaff(
            f"The new product is on panel “{service.sold.panel}”, but the server is on “{panel}”. "
            "Nothing was moved: move the server by hand and relink it, or change the product back "
            "in billing.",
            reason="other_panel",
        )
    if service.panel_id != panel.pk:
        lease.write(panel=panel)
        service.panel = panel
    if operation.panel_id != panel.pk:
        operation.panel = panel
        operation.save(update_fields=["panel"])
    job = Converge(service, panel, operation, lease)
    with job.transport.reading():
        look = job.run()
        if isinstance(look, Observed):
            _note_ready(job, look)
    return look, panel


# --- success -------------------------------------------------------------------------------------------


def _note_ready(job: Converge, look: Observed) -> None:
    """The first time that the panel shows a server running: what the ready mail says is fetched and kept."""
    service = job.service
    if service.ready_at or look.state is not ServerState.ACTIVE or job.account is None:
        return
    row = job.account
    account = Account(row.panel_user_id, row.uuid, row.mark, row.email, row.username, is_admin=False)
    sign_in = job.driver.sign_in_help(look, account)
    job.remember_columns(observed=service.observed | {"sign_in": asdict(sign_in)}, ready_at=clock.now())
    job.tell("server.ready", "The server is ready.")


def _finish(service: Service, operation: Operation, lease: Lease, look: Look, panel: Panel | None) -> None:
    """Closes the operation with what the last look proved, all in one fenced transaction."""
    operation.refresh_from_db(fields=["calls", "polls"])
    changed = bool(operation.plan.get("lines"))
    with transaction.atomic():
        lease.write(observed_generation=operation.generation, observed_at=clock.now())
        if isinstance(look, Absent):
            _note_absent(service, operation, lease)
        operation_close(operation=operation, outcome=Outcome.SUCCEEDED if changed else Outcome.UNCHANGED)
        if changed:
            audit.record(
                service=service,
                operation=operation,
                action=f"operation.{operation.kind}",
                message=_done_words(service, operation, look),
                public=True,
            )


def _note_absent(service: Service, operation: Operation, lease: Lease) -> None:
    """The panel's own 404: nothing of this service is there (any more)."""
    lease.check()
    ended = service.desired_state == DesiredState.ABSENT
    if ended:
        had_server = bool(service.server_id)
        AllocationHold.objects.filter(service=service).delete()
        server_forget(service)
        if had_server or service.terminated_at is None:
            lease.write(terminated_at=clock.now())
        if had_server:
            _note_late_undo(service, operation)
    lease.write(observed_state=ObservedState.ABSENT if ended else ObservedState.NEVER)


def _note_late_undo(service: Service, operation: Operation) -> None:
    """No undo can catch a delete that is on its way to the panel: whoever asked for it has to read so."""
    wanted = Service.objects.filter(pk=service.pk).exclude(desired_state=DesiredState.ABSENT)
    if wanted.exists():
        undone_too_late(operation=operation)


def _done_words(service: Service, operation: Operation, look: Look) -> str:
    if operation.kind == OperationKind.TERMINATE:
        return "Deleted: the panel no longer knows the server."
    if operation.kind == OperationKind.SUSPEND:
        return "Suspended; the panel shows it."
    if operation.kind == OperationKind.UNSUSPEND:
        return "Running again; the panel shows it."
    if operation.kind == OperationKind.CREATE:
        return "The server runs; the panel shows it."
    # Each line begins with the sign that a preview shows it by.
    return f"Changed: {'; '.join(line[2:] for line in operation.plan.get('lines', []))}."


# --- the closed table of what can be raised ------------------------------------------------------------


def _settle(operation: Operation, error: BillingBridgeError) -> None:
    """Turns what a pass raised into the operation's outcome."""
    if isinstance(error, AuthFailed) and operation.panel:
        gate_park(panel=operation.panel, words=error.detail)
    seconds = _seconds_to_wait(operation, error)
    if seconds is not None:
        public = error.public if isinstance(error, DriverError) else ""
        operation_wait(
            operation=operation, reason=error.reason, words=error.detail, seconds=seconds, public=public
        )
    elif error.retryable:
        operation_retry(operation=operation, reason=error.reason, words=error.detail, public=error.public)
    else:
        operation_park(operation=operation, reason=error.reason, words=error.detail, public=error.public)


def _seconds_to_wait(operation: Operation, error: BillingBridgeError) -> float | None:
    """How long to wait for what is not ours to mend; None if the error counts as an attempt or ends it."""
    if isinstance(error, PanelWaiting):
        return error.seconds or _patience(operation, error, settings.INSTALL_POLL_SECONDS)
    if isinstance(error, RateLimited):
        return error.seconds
    if isinstance(error, AuthFailed):
        return settings.PROBE_SECONDS * PARKED_PROBES
    if isinstance(error, DaemonDown | Busy | NoCapacity):
        return _patience(operation, error, settings.PROBE_SECONDS)
    if isinstance(error, Unknown):
        return _patience(operation, error, settings.BACKOFF_BASE)
    return None


def _patience(operation: Operation, error: BillingBridgeError, least: float) -> float:
    """Waits longer the longer it has waited for the same, with jitter, so that no crowd meets a panel."""
    since = waits_since(operation, error.reason)
    waited = (clock.now() - since).total_seconds() if since else 0
    ceiling = min(settings.BACKOFF_CAP, max(least, waited / 2))
    return ceiling * random.SystemRandom().uniform(0.5, 1)
