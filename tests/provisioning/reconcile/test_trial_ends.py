"""However a trial ends, its test server is gone: workers that die, steps that fail, panels that are down."""

from __future__ import annotations

import datetime as dt
from itertools import count
from typing import Any

import pytest
from django.conf import settings

from provisioning.choices import Outcome, TrialOutcome, TrialStep
from provisioning.exceptions import TransitionError
from provisioning.lib import clock
from provisioning.lifecycle import trials as writers
from provisioning.lifecycle.staff import (
    operation_skip,
)
from provisioning.lifecycle.trials import product_trial_stop
from provisioning.models import (
    Notification,
    ProductTrial,
    Service,
)
from provisioning.reconcile import guard
from provisioning.reconcile.trials import LONG
from tests.bridge import Bridge
from tests.provisioning.reconcile import trouble
from tests.provisioning.reconcile.trying import gone, start, steps, tried, until

pytestmark = pytest.mark.slow


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


@pytest.mark.slow
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


@pytest.mark.slow
def test_an_install_that_never_ends_is_given_its_own_time(bridge: Bridge) -> None:
    bridge.panel.world.settings.installs.outcome = "never"
    trial = until(bridge, start(bridge), None, seconds=60)
    gone(bridge, trial)
    assert trial.reason == "install_stuck"
    row = steps(trial)["install"]
    assert row.ended_at
    assert row.ended_at - row.began_at > dt.timedelta(seconds=settings.INSTALL_TIMEOUT_SECONDS)


@pytest.mark.slow
def test_an_order_that_would_wait_for_ever_is_given_up_in_minutes(bridge: Bridge) -> None:
    bridge.panel.state.allocations.clear()
    trial = until(bridge, start(bridge), None, seconds=20)
    assert (trial.outcome, trial.reason) == (TrialOutcome.FAILED, "trial_timeout")
    assert "Not done within 5 minutes." in trial.detail
    assert "no free allocation" in trial.detail
    assert bridge.servers() == []


@pytest.mark.slow
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
