"""*Try it*: a test server is made, changed and deleted by the engine itself; when that may begin."""

from __future__ import annotations

from typing import Any

import pytest

from provisioning import desired
from provisioning.choices import DesiredState, Outcome, SuspendReason, TrialOutcome, TrialStep
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
from provisioning.lifecycle.trials import TRIALS_AN_HOUR, product_trial_stop
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
    Service,
)
from provisioning.reconcile.brake import brake_status
from provisioning.reconcile.trials import CALLS, trial_work
from tests.bridge import Bridge
from tests.provisioning.reconcile.drifting import check, standing
from tests.provisioning.reconcile.trying import gone, rows, start, steps, tried, until

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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_test_server_that_comes_back_later_is_a_difference(bridge: Bridge) -> None:
    trial = until(bridge, start(bridge), TrialStep.SUSPEND)
    (server,) = bridge.servers()
    gone(bridge, until(bridge, trial, None))
    bridge.panel.state.servers[server.id] = server
    clock.shift(60)
    check(bridge)
    assert standing() == [("orphan", str(server.id))]


@pytest.mark.slow
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


@pytest.mark.slow
def test_an_address_without_a_host_is_one_that_nobody_can_have(bridge: Bridge, settings: Any) -> None:
    settings.PUBLIC_URL = "http://127.0.0.1:8000"
    assert start(bridge).service.customer.email == "try-test-shop@billingbridge.invalid"


# --- who else touches it ----------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("writer", [service_undo, service_recreate])
def test_a_test_server_is_not_brought_back_or_swapped(bridge: Bridge, writer: Any) -> None:
    trial = until(bridge, start(bridge), TrialStep.SUSPEND)
    with pytest.raises(TransitionError, match="ends with its trial"):
        writer(service=trial.service)
    with pytest.raises(TransitionError, match="ends with its trial"):
        service_relink(service=trial.service, server_id="1")


@pytest.mark.slow
def test_a_service_that_staff_end_is_cleaned_up_at_once(bridge: Bridge) -> None:
    trial = until(bridge, start(bridge), TrialStep.SUSPEND)
    service_terminate(service=trial.service)
    trial = until(bridge, trial, None)
    gone(bridge, trial)
    assert trial.reason == "trial_stopped"


@pytest.mark.slow
def test_a_suspension_that_staff_lift_ends_the_trial_as_failed(bridge: Bridge) -> None:
    trial = until(bridge, start(bridge), TrialStep.SUSPEND)
    bridge.jobs.drain()
    service_unsuspend(service=trial.service, reason=SuspendReason.MANUAL)
    gone(bridge, until(bridge, trial, None, seconds=20))
    trial.refresh_from_db()
    assert trial.outcome == TrialOutcome.FAILED


@pytest.mark.slow
def test_a_skipped_step_proves_nothing(bridge: Bridge) -> None:
    trial = start(bridge)
    bridge.jobs.drain()
    operation_skip(operation=bridge.operation(), note="By hand.")
    trial = until(bridge, trial, None)
    gone(bridge, trial)
    assert trial.reason == "trial_skipped"


@pytest.mark.slow
def test_a_job_too_many_changes_nothing(bridge: Bridge) -> None:
    trial = tried(bridge)
    before = Operation.objects.count(), trial.finished_at
    trial_work(trial.pk)
    assert not product_trial_stop(trial=trial)
    bridge.settle()
    trial.refresh_from_db()
    assert (Operation.objects.count(), trial.finished_at) == before


# --- when it may begin ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_two_at_once_on_a_panel_are_refused(bridge: Bridge) -> None:
    start(bridge)
    with pytest.raises(TransitionError, match="A trial of “fire-elemental” is under way"):
        start(bridge, bridge.bigger)
    assert ProductTrial.objects.count() == Service.objects.count() == 1


@pytest.mark.slow
def test_an_hour_has_room_for_five(bridge: Bridge) -> None:
    for number in range(TRIALS_AN_HOUR):
        trial = start(bridge)
        ProductTrial.objects.filter(pk=trial.pk).update(finished_at=clock.now(), next_check_at=None)
        clock.shift(60 * number)
    with pytest.raises(TransitionError, match="has had 5 trials within the hour"):
        start(bridge)
    clock.shift(3600)
    assert start(bridge)


@pytest.mark.slow
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


@pytest.mark.slow
def test_frozen_deletes_allow_no_trial(bridge: Bridge) -> None:
    DriftPass.objects.create(panel=bridge.row, frozen_at=clock.now(), missing=9)
    with pytest.raises(TransitionError, match="frozen"):
        start(bridge)


@pytest.mark.slow
@pytest.mark.parametrize(("memory", "wanted"), [(1024, 896), (4, 5), (0, 1024)])
def test_the_resize_takes_an_eighth_off(bridge: Bridge, memory: int, wanted: int) -> None:
    Product.objects.filter(pk=bridge.product.pk).update(document=bridge.document(memory=memory))
    service = start(bridge).service
    writers._resize(service)
    service.refresh_from_db()
    assert service.sold
    assert desired.service_limits(service, service.sold)["memory"] == wanted
    assert service.desired_state == DesiredState.PRESENT
