"""*Try it*: a test server is made, changed and deleted by the engine itself, and is gone in any case."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from django.conf import settings

from provisioning import audit, desired
from provisioning.choices import ActorKind, DesiredState, Outcome, SuspendReason, TrialOutcome, TrialStep
from provisioning.exceptions import TransitionError
from provisioning.lib import clock
from provisioning.lifecycle import trials as writers
from provisioning.lifecycle.product_versions import services_sold
from provisioning.lifecycle.staff import (
    operation_skip,
    service_recreate,
    service_relink,
    service_terminate,
    service_undo,
    service_unsuspend,
)
from provisioning.lifecycle.trials import TRIALS_AN_HOUR, product_trial_start, product_trial_stop
from provisioning.models import (
    AuditEntry,
    CreateGrant,
    Customer,
    DeleteGrant,
    Drift,
    DriftPass,
    Notification,
    Operation,
    PanelCall,
    Product,
    ProductTrial,
    ProductTrialStep,
    Service,
)
from provisioning.reconcile import guard
from provisioning.reconcile.brake import brake_status
from provisioning.reconcile.trials import CALLS, LONG, trial_work
from provisioning.sandbox.calagopus.server import CalagopusSandbox
from provisioning.sandbox.server import PanelSandbox
from tests.bridge import Bridge
from tests.conftest import Jobs
from tests.provisioning.reconcile import calagopus, trouble
from tests.provisioning.reconcile.drifting import check, standing


@pytest.fixture(params=["pterodactyl", "calagopus"])
def both(request: pytest.FixtureRequest, jobs: Jobs, db: None) -> Iterator[Bridge]:
    """A bridge with either panel behind it."""
    if request.param == "pterodactyl":
        with PanelSandbox() as panel:
            yield Bridge(panel, jobs)
    else:
        with CalagopusSandbox() as other:
            yield calagopus.CalagopusBridge(other, jobs)


def start(bridge: Bridge, product: Product | None = None) -> ProductTrial:
    """Ada presses the button; nothing of it has run yet."""
    with audit.acting_as(ActorKind.STAFF, "ada"):
        return product_trial_start(product=Product.objects.get(pk=(product or bridge.product).pk))


def until(bridge: Bridge, trial: ProductTrial, step: TrialStep | None, *, seconds: float = 2) -> ProductTrial:
    """Lets time pass in small pieces until the trial is at that step, or over."""
    for _ in range(400):
        bridge.jobs.drain()
        trial.refresh_from_db()
        if trial.finished_at or trial.step == step:
            return trial
        trouble.pass_time(bridge, seconds)
    raise AssertionError(f"never: {trial.step} {bridge.operation().outcome} {bridge.operation().detail}")


def tried(bridge: Bridge, product: Product | None = None) -> ProductTrial:
    """A trial from its beginning to its end."""
    return until(bridge, start(bridge, product), None)


def steps(trial: ProductTrial) -> dict[str, ProductTrialStep]:
    return {row.step: row for row in trial.steps.order_by("pk")}


def rows(bridge: Bridge) -> list[Any]:
    """All servers of the panel."""
    return list(bridge.panel.state.servers.values())


# --- from create to delete --------------------------------------------------------------------------------


@pytest.mark.req("CAL-01", "CAL-04")
def test_a_trial_makes_changes_and_deletes_a_server_of_its_own(both: Bridge) -> None:
    paid = both.buy()
    trial = tried(both)
    assert (trial.outcome, trial.reason, trial.step) == (TrialOutcome.PASSED, "", TrialStep.DELETE)
    assert list(steps(trial)) == [step.value for step in TrialStep]
    assert all(row.ended_at and not row.problem for row in steps(trial).values())
    kinds = Operation.objects.filter(service=trial.service, outcome=Outcome.SUCCEEDED).order_by("pk")
    done = ["create", "suspend", "unsuspend", "change_package", "terminate"]
    assert [operation.kind for operation in kinds] == done
    assert {operation.actor for operation in kinds} == {"ada"}
    assert [row.external_id for row in rows(both)] == [paid.external_id]
    made = AuditEntry.objects.filter(service=trial.service, action="operation.change_package").get()
    assert "memory 1024 → 896" in made.message


def test_each_step_keeps_to_its_calls(both: Bridge) -> None:
    tried(both)
    both.wait(days=1)
    trial = tried(both)
    spent = {
        step: sum(
            PanelCall.objects.filter(operation=operation).count() - operation.polls
            for operation in Operation.objects.filter(service=trial.service, generation=row.generation)
        )
        for step, row in steps(trial).items()
        if step != TrialStep.INSTALL
    }
    exact = {"pterodactyl": [2, 2, 2, 2, 3], "calagopus": [2, 2, 3, 3, 3]}
    assert list(spent.values()) == exact[both.driver], spent
    assert all(spent[step] <= CALLS[step] for step in CALLS)


def test_no_mail_no_difference_no_room_of_the_brakes(both: Bridge) -> None:
    both.buy()
    Notification.objects.all().delete()
    used = brake_status(both.row), CreateGrant.objects.count(), DeleteGrant.objects.count()
    for step in (TrialStep.UNSUSPEND, None):
        trial = until(both, ProductTrial.objects.first() or start(both), step)
        # By hand: the hourly pass must not find a server that nobody sells.
        check(both)
        assert standing() == []
    assert trial.outcome == TrialOutcome.PASSED
    (daily,) = Notification.objects.all()
    assert daily.context["words"] == "1 services checked, 0 differ, 0 unknown"
    assert (brake_status(both.row), CreateGrant.objects.count(), DeleteGrant.objects.count()) == used
    assert not Drift.objects.exists()
    assert [row.is_trial for row in services_sold(both.product)] == [False]


def test_a_brake_that_is_full_stops_no_trial(bridge: Bridge) -> None:
    none = {
        f"{noun}_{span}_{kind}": 0
        for noun in ("creates", "deletes")
        for span in ("hour", "day")
        for kind in ("floor", "percent")
    }
    type(bridge.row).objects.filter(pk=bridge.row.pk).update(**none)
    trial = tried(bridge)
    gone(bridge, trial)
    assert trial.outcome == TrialOutcome.PASSED
    proofs = Operation.objects.get(service=trial.service, kind="terminate").proofs
    assert [proof["name"] for proof in proofs] == ["origin", "identity", "undo window", "mass brake"]
    assert all(proof["ok"] for proof in proofs)


def test_a_test_server_that_comes_back_later_is_a_difference(bridge: Bridge) -> None:
    trial = until(bridge, start(bridge), TrialStep.SUSPEND)
    (server,) = bridge.servers()
    gone(bridge, until(bridge, trial, None))
    bridge.panel.state.servers[server.id] = server
    clock.shift(60)
    check(bridge)
    assert standing() == [("orphan", str(server.id))]


def test_the_test_server_and_its_account_say_what_they_are(bridge: Bridge, settings: Any) -> None:
    settings.PUBLIC_URL = "https://bridge.example.com"
    trial = until(bridge, start(bridge), TrialStep.SUSPEND)
    (server,) = bridge.servers()
    assert server.name == f"TEST {trial.service.billing_id}"
    assert server.external_id == f"test-shop-{trial.service.billing_id}"
    users = {user.email: user.external_id for user in bridge.panel.state.users.values()}
    assert users["try-test-shop@bridge.example.com"] == "test-shop-trial"
    until(bridge, trial, None)
    known = len(bridge.panel.state.users)
    tried(bridge, bridge.bigger)
    assert (len(bridge.panel.state.users), Customer.objects.count()) == (known, 1)


def test_an_address_without_a_host_is_one_that_nobody_can_have(bridge: Bridge, settings: Any) -> None:
    settings.PUBLIC_URL = "http://127.0.0.1:8000"
    assert start(bridge).service.customer.email == "try-test-shop@billingbridge.invalid"


# --- what stops it, and what it stops at ------------------------------------------------------------------


def gone(bridge: Bridge, trial: ProductTrial) -> None:
    """The trial is over, and the panel has nothing of it."""
    assert trial.finished_at
    assert trial.step == TrialStep.DELETE
    assert [row for row in rows(bridge) if row.external_id == trial.service.external_id] == []
    last = Operation.objects.filter(service=trial.service).latest("pk")
    assert last.outcome in (Outcome.SUCCEEDED, Outcome.UNCHANGED)


class MortalWorkers(trouble.Steps):
    """Workers of a trial: one of them dies before the chosen step of each generation."""

    def __init__(self, fatal: int) -> None:
        super().__init__(fatal)
        self.counts: dict[int, int] = {}

    def wrap(self, name: str, real: Any) -> Any:
        def mortal(*args: Any, **kwargs: Any) -> Any:
            generation = Service.objects.values_list("generation", flat=True).get(is_trial=True)
            self.counts[generation] = self.counts.get(generation, 0) + 1
            if self.counts[generation] == self.fatal:
                raise trouble.Killed(name)
            return real(*args, **kwargs)

        return mortal


def outlive(bridge: Bridge, trial: ProductTrial) -> int:
    """Has the trial go on, whoever dies. Returns how many did."""
    for deaths in count():
        try:
            until(bridge, trial, None)
            return deaths
        except trouble.Killed:
            # The queue dies as well; only the sweep knows what there is to do.
            bridge.jobs.clear()
            trouble.pass_time(bridge, 0)
            clock.shift(settings.LEASE_SECONDS + 1)
            bridge.panel.advance(settings.LEASE_SECONDS + 1)
    raise AssertionError("unreachable")


QUICK_DEATHS = (3, 6)


@pytest.mark.req("CAL-04")
@pytest.mark.parametrize(
    "fatal", [pytest.param(n, marks=() if n in QUICK_DEATHS else pytest.mark.slow) for n in range(1, 13)]
)
def test_a_worker_that_dies_in_each_step_leaves_no_server(both: Bridge, fatal: int) -> None:
    trial = start(both)
    workers = MortalWorkers(fatal)
    with pytest.MonkeyPatch.context() as patch:
        for owner, name in trouble.STEPS:
            patch.setattr(owner, name, workers.wrap(name, getattr(owner, name)))
        deaths = outlive(both, trial)
    trial.refresh_from_db()
    assert deaths >= (5 if fatal < 7 else 1)
    gone(both, trial)
    assert trial.outcome == TrialOutcome.PASSED, (trial.reason, trial.detail)


@pytest.mark.parametrize("step", list(TrialStep)[1:])
def test_a_job_that_dies_between_two_steps_begins_the_next_one_once(
    bridge: Bridge, step: TrialStep, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, deaths = writers._note_step, list[str]()

    def dies(trial: ProductTrial, service: Service, wanted: TrialStep) -> None:
        if wanted == step and not deaths:
            deaths.append(wanted)
            raise trouble.Killed(wanted)
        real(trial, service, wanted)

    monkeypatch.setattr(writers, "_note_step", dies)
    trial = start(bridge)
    assert outlive(bridge, trial) == 1
    trial.refresh_from_db()
    gone(bridge, trial)
    assert trial.outcome == TrialOutcome.PASSED
    assert len(steps(trial)) == len(TrialStep)


def test_a_lost_queue_is_found_by_the_sweep(bridge: Bridge) -> None:
    trial = start(bridge)
    bridge.jobs.clear()
    assert until(bridge, trial, None).outcome == TrialOutcome.PASSED


# --- what fails -------------------------------------------------------------------------------------------


def test_a_failed_install_ends_in_the_clean_up_with_its_reason(both: Bridge) -> None:
    both.panel.world.settings.installs.outcome = "fail"
    trial = tried(both)
    gone(both, trial)
    assert (trial.outcome, trial.reason) == (TrialOutcome.FAILED, "install_failed")
    assert "the install failed, twice" in steps(trial)["install"].problem
    assert list(steps(trial)) == ["create", "install", "delete"]
    assert not Notification.objects.exists()


def test_an_install_that_never_ends_is_given_its_own_time(bridge: Bridge) -> None:
    bridge.panel.world.settings.installs.outcome = "never"
    trial = until(bridge, start(bridge), None, seconds=60)
    gone(bridge, trial)
    assert trial.reason == "install_stuck"
    row = steps(trial)["install"]
    assert row.ended_at
    assert row.ended_at - row.began_at > dt.timedelta(seconds=settings.INSTALL_TIMEOUT_SECONDS)


def test_an_order_that_would_wait_for_ever_is_given_up_in_minutes(bridge: Bridge) -> None:
    bridge.panel.state.allocations.clear()
    trial = until(bridge, start(bridge), None, seconds=20)
    assert (trial.outcome, trial.reason) == (TrialOutcome.FAILED, "trial_timeout")
    assert "Not done within 5 minutes." in trial.detail
    assert "no free allocation" in trial.detail
    assert bridge.servers() == []


@pytest.mark.parametrize("path", [r"/suspend$", r"/unsuspend$", r"/build$"])
def test_whichever_change_the_panel_refuses_the_server_goes(bridge: Bridge, path: str) -> None:
    bridge.panel.faults.add("forbidden", path=path, count=1)
    trial = start(bridge)
    for _ in range(200):
        until(bridge, trial, TrialStep.DELETE)
        if trial.finished_at:
            break
        # The key is refused: staff put it right, which is what the clean-up waits for too.
        bridge.panel.faults.clear()
        trouble.pass_time(bridge, 60)
    gone(bridge, trial)
    assert (trial.outcome, trial.reason) == (TrialOutcome.FAILED, "panel_key")


def test_a_lost_create_is_looked_for_before_the_trial_is_over(bridge: Bridge) -> None:
    """The answer is lost, and the server comes true later: the clean-up must not miss it."""
    bridge.panel.faults.add("ghost", method="POST", path=r"/servers$", count=1, seconds=60)
    trial = start(bridge)
    bridge.jobs.drain()
    product_trial_stop(trial=trial)
    until(bridge, trial, None, seconds=5)
    gone(bridge, trial)
    assert trial.reason == "trial_stopped"


# --- the clean-up -----------------------------------------------------------------------------------------


def cleaning_while_down(bridge: Bridge) -> ProductTrial:
    """A trial whose panel goes down just before the delete."""
    trial = until(bridge, start(bridge), TrialStep.RESIZE)
    bridge.panel.faults.add("down", count=None)
    return until(bridge, trial, TrialStep.DELETE, seconds=20)


def test_a_panel_that_is_down_keeps_the_trial_open_and_staff_hear_of_it_once(bridge: Bridge) -> None:
    trial = cleaning_while_down(bridge)
    trouble.pass_time(bridge, 60)
    mails = Notification.objects.filter(template="trial_cleanup")
    trial.refresh_from_db()
    assert (trial.cleaning, mails.count()) == (True, 0)
    for _ in range(8):
        trouble.pass_time(bridge, LONG.total_seconds() / 4)
    assert mails.count() == 1
    with pytest.raises(TransitionError, match="one at a time"):
        start(bridge)
    bridge.panel.faults.clear()
    until(bridge, trial, None, seconds=60)
    gone(bridge, trial)
    assert mails.count() == 1


def parked(bridge: Bridge) -> ProductTrial:
    """A trial whose delete was refused: its server has another mark now."""
    trial = until(bridge, start(bridge), TrialStep.RESIZE)
    bridge.server().external_id = "somebody-elses"
    trial = until(bridge, trial, TrialStep.DELETE)
    bridge.jobs.drain()
    trouble.pass_time(bridge, 5)
    return trial


def test_what_is_not_proven_to_be_its_own_is_never_deleted_but_looked_at_each_hour(bridge: Bridge) -> None:
    trial = parked(bridge)
    assert bridge.operation().outcome == Outcome.NEEDS_STAFF
    server = bridge.server()
    for _ in range(3):
        trouble.pass_time(bridge, LONG.total_seconds() + 5)
    trial.refresh_from_db()
    assert trial.cleaning
    assert bridge.servers() == [server]
    server.external_id = trial.service.external_id
    gone(bridge, until(bridge, trial, None, seconds=300))


def test_a_clean_up_that_staff_skip_ends_as_not_cleaned_up(bridge: Bridge) -> None:
    trial = parked(bridge)
    operation_skip(operation=bridge.operation(), note="Deleted by hand.")
    trial = until(bridge, trial, None)
    assert trial.outcome == TrialOutcome.LEFT


@pytest.mark.parametrize("change", ["not made", "made before", "adopted", "no trial"])
def test_the_guard_lets_a_trial_delete_nothing_but_what_it_made(bridge: Bridge, change: str) -> None:
    trial = until(bridge, start(bridge), TrialStep.SUSPEND)
    service = trial.service
    service.refresh_from_db()
    assert guard._origin(service).ok
    if change == "not made":
        service.created_confirmed_at = None
    elif change == "made before":
        service.created_confirmed_at = trial.started_at - dt.timedelta(seconds=1)
    elif change == "adopted":
        service.adopted_at = clock.now()
    else:
        trial.delete()
    assert not guard._origin(service).ok


# --- who else touches it ----------------------------------------------------------------------------------


@pytest.mark.parametrize("writer", [service_undo, service_recreate])
def test_a_test_server_is_not_brought_back_or_swapped(bridge: Bridge, writer: Any) -> None:
    trial = until(bridge, start(bridge), TrialStep.SUSPEND)
    with pytest.raises(TransitionError, match="ends with its trial"):
        writer(service=trial.service)
    with pytest.raises(TransitionError, match="ends with its trial"):
        service_relink(service=trial.service, server_id="1")


def test_a_service_that_staff_end_is_cleaned_up_at_once(bridge: Bridge) -> None:
    trial = until(bridge, start(bridge), TrialStep.SUSPEND)
    service_terminate(service=trial.service)
    trial = until(bridge, trial, None)
    gone(bridge, trial)
    assert trial.reason == "trial_stopped"


def test_a_suspension_that_staff_lift_ends_the_trial_as_failed(bridge: Bridge) -> None:
    trial = until(bridge, start(bridge), TrialStep.SUSPEND)
    bridge.jobs.drain()
    service_unsuspend(service=trial.service, reason=SuspendReason.MANUAL)
    gone(bridge, until(bridge, trial, None, seconds=20))
    trial.refresh_from_db()
    assert trial.outcome == TrialOutcome.FAILED


def test_a_skipped_step_proves_nothing(bridge: Bridge) -> None:
    trial = start(bridge)
    bridge.jobs.drain()
    operation_skip(operation=bridge.operation(), note="By hand.")
    trial = until(bridge, trial, None)
    gone(bridge, trial)
    assert trial.reason == "trial_skipped"


def test_a_job_too_many_changes_nothing(bridge: Bridge) -> None:
    trial = tried(bridge)
    before = Operation.objects.count(), trial.finished_at
    trial_work(trial.pk)
    assert not product_trial_stop(trial=trial)
    bridge.settle()
    trial.refresh_from_db()
    assert (Operation.objects.count(), trial.finished_at) == before


# --- when it may begin ------------------------------------------------------------------------------------


def test_two_at_once_on_a_panel_are_refused(bridge: Bridge) -> None:
    start(bridge)
    with pytest.raises(TransitionError, match="A trial of “fire-elemental” is under way"):
        start(bridge, bridge.bigger)
    assert ProductTrial.objects.count() == Service.objects.count() == 1


def test_an_hour_has_room_for_five(bridge: Bridge) -> None:
    for number in range(TRIALS_AN_HOUR):
        trial = start(bridge)
        ProductTrial.objects.filter(pk=trial.pk).update(finished_at=clock.now(), next_check_at=None)
        clock.shift(60 * number)
    with pytest.raises(TransitionError, match="has had 5 trials within the hour"):
        start(bridge)
    clock.shift(3600)
    assert start(bridge)


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [("observe_only", True, "observe only"), ("retired", True, "retired"), ("flags", ["Gone."], "Gone.")],
)
def test_what_could_not_be_made_is_not_begun(bridge: Bridge, column: str, value: Any, words: str) -> None:
    row = bridge.product if column == "flags" else bridge.row
    type(row).objects.filter(pk=row.pk).update(**{column: value})
    with pytest.raises(TransitionError, match=words):
        start(bridge)
    assert not Service.objects.exists()


def test_frozen_deletes_allow_no_trial(bridge: Bridge) -> None:
    DriftPass.objects.create(panel=bridge.row, frozen_at=clock.now(), missing=9)
    with pytest.raises(TransitionError, match="frozen"):
        start(bridge)


@pytest.mark.parametrize(("memory", "wanted"), [(1024, 896), (4, 5), (0, 1024)])
def test_the_resize_takes_an_eighth_off(bridge: Bridge, memory: int, wanted: int) -> None:
    Product.objects.filter(pk=bridge.product.pk).update(document=bridge.document(memory=memory))
    service = start(bridge).service
    writers._resize(service)
    service.refresh_from_db()
    assert service.sold
    assert desired.service_limits(service, service.sold)["memory"] == wanted
    assert service.desired_state == DesiredState.PRESENT
