"""One pass over one service: look, plan, gate, apply, look again. Raises what it cannot settle.

The caller holds the lease and turns what is raised into the operation's outcome (engine.py).
"""

from __future__ import annotations

import dataclasses
import datetime as dt

from django.conf import settings

from provisioning import audit, desired
from provisioning.choices import DesiredState, ObservedState, OperationKind
from provisioning.drivers.base import PanelDriver
from provisioning.drivers.errors import Conflict, Rejected, Unknown, WrongServer
from provisioning.drivers.types import (
    Absent,
    Change,
    ChangeKind,
    Desired,
    Look,
    Observed,
    Plan,
    ServerRef,
)
from provisioning.exceptions import BillingBridgeError, NeedsStaff, PanelWaiting
from provisioning.lib import clock
from provisioning.models import Drift, Operation, Panel, PanelAccount, Service
from provisioning.reconcile import brake, create, flags, guard, installs, later
from provisioning.reconcile.accounts import account_ensure, account_follow, account_known
from provisioning.reconcile.lease import Lease
from provisioning.reconcile.operations import operation_remark
from provisioning.reconcile.transport import PanelTransport, driver_for

KINDS = (
    (ChangeKind.CREATE, OperationKind.CREATE),
    (ChangeKind.DELETE, OperationKind.TERMINATE),
    (ChangeKind.SUSPEND, OperationKind.SUSPEND),
    (ChangeKind.UNSUSPEND, OperationKind.UNSUSPEND),
    (ChangeKind.RESIZE, OperationKind.CHANGE_PACKAGE),
    (ChangeKind.STARTUP, OperationKind.CHANGE_PACKAGE),
    (ChangeKind.REINSTALL, OperationKind.UPDATE),
    (ChangeKind.MARK, OperationKind.UPDATE),
)
"""An operation is named after the first of these that its plan holds."""


class NotTaken(BillingBridgeError):
    """The panel said yes, and a second look shows that it did not do it."""

    reason = "not_taken"
    retryable = True


class Converge:
    """One service, one panel, one job. Every write of the service goes through the lease's fence."""

    def __init__(self, service: Service, panel: Panel, operation: Operation, lease: Lease) -> None:
        """Binds driver and transport to this job."""
        self.service = service
        self.panel = panel
        self.operation = operation
        self.lease = lease
        # A look at a running install is not in a hurry: it leaves its turn to orders.
        there = bool(service.server_id) and service.observed_state != ObservedState.INSTALLING
        # What only follows a changed product is in no hurry at all: orders pass it.
        hurry = not service.follows
        self.transport = PanelTransport(
            panel, operation=operation, lease=lease, urgent=hurry, express=there and hurry
        )
        self.driver: PanelDriver = driver_for(panel, self.transport, service)
        self.account: PanelAccount | None = account_known(service, panel)

    def run(self) -> Look:
        """Makes the panel show what we want, and returns the look that proves it."""
        if self.service.desired_state == DesiredState.ABSENT:
            return self._run_absent()
        if self.service.desired_state == DesiredState.PRESENT:
            account_follow(service=self.service, panel=self.panel, driver=self.driver)
        if not self.service.server_id:
            return self._run_new()
        return self._run_known()

    # --- a service whose server we know ------------------------------------------------------------

    def _run_known(self) -> Look:
        if self.account is None:
            # An adopted server: before anything is done, its owner is proven against the customer's account.
            self.account = account_ensure(service=self.service, panel=self.panel, driver=self.driver)
        wanted = self.desired()
        stored = self._stored_look()
        plan = self.driver.plan(wanted, stored) if stored else None
        if stored and plan and self.driver.blind(stored).issuperset(plan.kinds()):
            try:
                return self.carry_out(wanted, stored)
            except (Rejected, Conflict):
                # The stored look may be old news: the refusal counts only against a fresh one.
                self.forget_look()
            except Unknown:
                # Look again (DESIGN rule 2): a server that is gone would be asked for by its old id for ever.
                self.forget_look()
                raise
            except WrongServer as error:
                raise self._owned_up(stored, plan, error) from error
        look = self.fresh_look()
        # Computed after the look, which may have taken an adopted server's own mark over.
        return self.carry_out(self.desired(), look)

    def _stored_look(self) -> Observed | None:
        """The last look, where a change may rest on it: settled, recognised, and safe to repeat."""
        settled = (ObservedState.ACTIVE, ObservedState.SUSPENDED)
        if "server_id" not in self.service.observed or self.service.observed_state not in settled:
            return None
        if self.service.observed.get("panel_url") != self.panel.url:
            # Another address may be another panel, on which that number is somebody else's server (B14).
            return None
        if Drift.objects.filter(service=self.service, resolved_at=None).exists():
            # A comparison has seen something else than that look, as after a restore of the panel.
            return None
        return Observed.from_json(self.service.observed)

    def _owned_up(self, stored: Observed, plan: Plan, error: WrongServer) -> WrongServer:
        """A change that rested on the last look met a stranger: staff have to know what was done to whom."""
        sent = "; ".join(line[2:] for line in plan.lines())
        return WrongServer(
            f"{error.detail.removesuffix(create.NOT_TOUCHED)}Before that was seen, “{sent}” had been sent to "
            f"server {stored.server_id}: look at it on the panel, and take that back there.",
            reason=error.reason,
        )

    def fresh_look(self) -> Look:
        """Reads the server now; a look at a running install is counted as polling."""
        ref = ServerRef(self.service.external_id, self.service.server_id)
        if self.service.observed_state == ObservedState.INSTALLING:
            with self.transport.counting_polls():
                look = self.driver.observe(ref)
        else:
            look = self.driver.observe(ref)
        return look if isinstance(look, Absent) else self.recognise(look)

    def recognise(self, seen: Observed) -> Observed:
        """Refuses a server that is not this service's: other id, other mark, other owner."""
        if self.service.server_id and seen.server_id != self.service.server_id:
            raise WrongServer(
                f"Server {seen.server_id} carries our mark {seen.mark}, but this service's server is "
                f"{self.service.server_id}. {create.NOT_TOUCHED}",
                reason="two_servers",
            )
        owner = self.account.panel_user_id if self.account else ""
        if owner and seen.owner != owner:
            raise WrongServer(
                f"Server {seen.server_id} belongs to panel user {seen.owner}, not to {owner}. "
                f"{create.NOT_TOUCHED}",
                reason="wrong_owner",
            )
        if seen.mark != self.service.external_id:
            # Only after the owner check: a bare mark alone links nothing (DESIGN section 4).
            create.adopt_mark(self, seen)
        self.observed(seen)
        return seen

    def desired(self) -> Desired:
        """What the server should be now."""
        return desired.build(self.service, self.account)

    # --- carrying out a plan -----------------------------------------------------------------------

    def carry_out(self, wanted: Desired, look: Look) -> Look:
        """Applies the plan that leads from the look to what is wanted, and proves it by a second look."""
        self._refuse_missing(wanted, look)
        installs.install_mend(self, wanted, look)
        plan = self.driver.plan(wanted, look)
        if plan:
            self.note_plan(plan)
            installs.install_wait(self, look, plan)
            look = self._apply_all(plan, wanted, look)
        installs.install_check(self, wanted, look)
        return look

    def _apply_all(self, plan: Plan, wanted: Desired, look: Look) -> Look:
        proof: Look | None = look
        later.checks_note(self, plan, wanted, look)
        for change in plan.changes:
            proof = self.apply(change, wanted, look)
            look = proof or look
        look = proof if proof is not None else self.fresh_look()
        self._refuse_missing(wanted, look)
        wanted = self.desired()
        left = self.driver.plan(wanted, look)
        if left:
            raise NotTaken(f"The panel accepted the change, but still differs: {'; '.join(left.lines())}.")
        return look

    def apply(self, change: Change, wanted: Desired, look: Look) -> Observed | None:
        """One change; what its answer proves is stored at once."""
        seen = self.driver.apply(change, wanted, look)
        self.tell_remarks()
        if change.kind is ChangeKind.STARTUP:
            self.remember_columns(runtime_applied=wanted.runtime.as_json())
        if seen is not None:
            self.recognise(seen)
        return seen

    def note_plan(self, plan: Plan) -> None:
        """Puts the plan on the operation before its first change."""
        kinds = plan.kinds()
        self.lease.check()
        self.operation.kind = next(kind for change, kind in KINDS if change in kinds)
        self.operation.plan |= {"lines": plan.lines(), "notes": list(plan.notes), "checksum": plan.checksum}
        self.operation.save(update_fields=["kind", "plan"])

    def _refuse_missing(self, wanted: Desired, look: Look) -> None:
        if not isinstance(look, Absent) or not self.service.server_id:
            return
        made = self.service.created_confirmed_at
        if made and clock.now() - made < dt.timedelta(seconds=settings.UNKNOWN_WAIT_SECONDS):
            # A panel that reads from a copy of its database may not show yet what it has just made.
            raise PanelWaiting(
                "The panel does not show the new server yet. We look again.",
                reason="create_unknown",
                seconds=settings.INSTALL_POLL_SECONDS,
            )
        raise NeedsStaff(
            f"Server {self.service.server_id} is gone from panel “{self.panel}”, and nobody asked "
            "for that. Nothing was made in its place: restore it and retry, relink it, or have a new "
            "one made.",
            reason="server_missing",
        )

    # --- a service without a server yet, and one that has ended ------------------------------------

    def _run_new(self) -> Look:
        if self.service.desired_state != DesiredState.PRESENT and self.service.create_sent_at is None:
            # Suspended before anything was made: nothing to suspend, nothing to look for.
            return Absent.ABSENT
        if self.service.create_sent_at is None:
            flags.flag_wait(self.service)
            brake.create_wait(self.service, self.panel)
        self.account = account_ensure(service=self.service, panel=self.panel, driver=self.driver)
        look = create.first_look(self)
        if isinstance(look, Absent):
            if self.service.desired_state != DesiredState.PRESENT:
                return look
            look = create.make(self)
        return self.carry_out(self.desired(), look)

    def _run_absent(self) -> Look:
        guard.brake_wait(service=self.service, operation=self.operation, panel=self.panel)
        if not self.service.server_id:
            if self.service.create_sent_at is None:
                return Absent.ABSENT
            if isinstance(create.first_look(self), Absent):
                return Absent.ABSENT
        look = self.driver.observe(ServerRef(self.service.external_id, self.service.server_id))
        if isinstance(look, Absent):
            return look
        return self._delete(look)

    def _delete(self, seen: Observed) -> Look:
        wanted = self.desired()
        plan = self.driver.plan(wanted, seen)
        if plan is None:
            raise NeedsStaff("The driver plans no delete for a server that should go.", reason="internal")
        self.note_plan(plan)
        self._still_wanted()
        guard.delete_allow(
            service=self.service, operation=self.operation, panel=self.panel, seen=seen, account=self.account
        )
        self.driver.apply(plan.changes[0], wanted, seen)
        self.tell_remarks()
        # Asked by the mark alone: its 404 is the proof, and one call.
        look = self.driver.observe(ServerRef(self.service.external_id))
        if not isinstance(look, Absent):
            raise NotTaken("The panel accepted the delete, but still shows the server.")
        return look

    def _still_wanted(self) -> None:
        """The word of this very moment: an undo that came while we looked must win."""
        self.lease.check()
        self.service.refresh_from_db(fields=["desired_state", "undo_until", "generation"])
        if self.service.generation != self.operation.generation:
            raise PanelWaiting("The service was changed meanwhile.", reason="deadline")

    # --- writing what was seen, always under the fence ---------------------------------------------

    def observed(self, seen: Observed) -> None:
        """Stores a full look: what the panel shows, and when."""
        data = seen.as_json() | {"panel_url": self.panel.url}
        if "sign_in" in self.service.observed:
            data["sign_in"] = self.service.observed["sign_in"]
        self.remember_columns(
            observed=data,
            observed_state=ObservedState(seen.state.value),
            observed_at=clock.now(),
            server_id=seen.server_id,
            server_uuid=seen.uuid,
            server_identifier=seen.identifier,
        )

    def forget_look(self) -> None:
        """Drops the stored look: the next step rests on a fresh one. What the ready mail said stays."""
        kept = {name: value for name, value in self.service.observed.items() if name == "sign_in"}
        self.remember_columns(observed=kept)

    def remember_columns(self, **columns: object) -> None:
        """Writes columns of the service, in the database and on our copy."""
        self.lease.write(**columns)
        for name, value in columns.items():
            setattr(self.service, name, value)

    def tell(self, action: str, message: str, *, public: bool = True) -> None:
        """A line on the timeline that names this operation."""
        audit.record(
            service=self.service, operation=self.operation, action=action, message=message, public=public
        )

    def tell_remarks(self) -> None:
        """Tells staff what the driver noted of work that was done all the same."""
        while self.driver.remarks:
            operation_remark(operation=self.operation, words=self.driver.remarks.pop(0))

    def with_pin(self, wanted: Desired, pinned: dict[str, object]) -> Desired:
        """The same wish with its pinned choice."""
        return dataclasses.replace(wanted, pinned=pinned)
