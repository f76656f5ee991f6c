"""The queue is disposable: whatever is lost of it, the sweep finds the row that is due."""

from __future__ import annotations

import datetime as dt

import pytest
from django.conf import settings
from django_q.models import Failure, Schedule, Success

from provisioning import queue
from provisioning.choices import DesiredState, Outcome
from provisioning.lib import clock
from provisioning.models import Heartbeat, Notification, Operation, PanelCall, Service
from provisioning.reconcile.converge import Converge
from provisioning.reconcile.heartbeats import leadership_claim, leadership_resign
from provisioning.reconcile.lease import lease_claim
from provisioning.reconcile.schedules import SCHEDULES, prune_old, schedules_sync, sweep_all, sweep_due
from provisioning.reconcile.tasks import prune, sweep
from tests import factories
from tests.bridge import Bridge
from tests.conftest import Jobs
from tests.provisioning.reconcile.trouble import Killed, new_worker, pass_time

JOBS_OF_A_LIFE = 9


@pytest.mark.parametrize("lost", range(1, JOBS_OF_A_LIFE))
def test_any_job_may_be_lost(bridge: Bridge, monkeypatch: pytest.MonkeyPatch, lost: int) -> None:
    sent: list[str] = []

    def send(path: str, ident: int) -> None:
        sent.append(path)
        if len(sent) != lost:
            bridge.jobs.send(path, ident)

    monkeypatch.setattr(queue, "_send", send)
    bridge.store("subscription.created")
    bridge.settle()
    bridge.store("subscription.updated", product_id="frost-knight", status="suspended")
    bridge.settle()
    assert len(sent) >= lost
    assert (bridge.server().status, bridge.server().memory) == ("suspended", 4096)
    assert bridge.service().converged


def test_a_queue_that_loses_everything_costs_a_delay_and_nothing_else(bridge: Bridge) -> None:
    bridge.store("subscription.created")
    for _ in range(6):
        bridge.jobs.clear()
        pass_time(bridge, settings.SWEEP_SECONDS + 1)
    assert bridge.service().converged
    assert not Notification.objects.filter(sent_at=None).exists()


def test_each_row_is_woken_once_a_sweep(bridge: Bridge) -> None:
    bridge.store("subscription.created")
    bridge.jobs.clear()
    assert sweep_due() == 1
    assert sweep_due() == 0
    assert [path for path, _ in bridge.jobs.sent] == [queue.PROCESS_EVENT]
    clock.shift(settings.SWEEP_SECONDS + 1)
    assert sweep_due() == 1


def test_a_queue_that_has_fallen_behind_gets_no_copies(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    moment = clock.now()
    due = [factories.service(next_check_at=moment - dt.timedelta(seconds=age)) for age in (1, 3, 2)]
    rooms = iter([2, 0, 100])
    monkeypatch.setattr(queue, "room", lambda: next(rooms))
    woken: list[int] = []
    monkeypatch.setattr(queue, "enqueue", lambda _, ident: woken.append(ident))
    assert [sweep_due(), sweep_due(), sweep_due()] == [2, 0, 1]
    assert woken == [due[1].pk, due[2].pk, due[0].pk]


def test_events_are_woken_before_services(bridge: Bridge, monkeypatch: pytest.MonkeyPatch) -> None:
    factories.service(next_check_at=clock.now())
    bridge.store("subscription.created")
    bridge.jobs.clear()
    monkeypatch.setattr(queue, "room", lambda: 1)
    assert sweep_due() == 1
    assert [path for path, _ in bridge.jobs.sent] == [queue.PROCESS_EVENT]


def test_two_sweeps_at_once_wake_a_row_once(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second sweep comes while the first one is on its way through the rows that it has read."""
    due = {factories.service(next_check_at=clock.now()).pk for _ in range(3)}
    woken: list[int] = []

    def enqueue(_: str, ident: int) -> None:
        woken.append(ident)
        if len(woken) == 1:
            sweep_due()

    monkeypatch.setattr(queue, "enqueue", enqueue)
    sweep_due()
    assert sorted(woken) == sorted(due)


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"generation": 2, "observed_generation": 1, "desired_state": DesiredState.PRESENT}, True),
        ({"generation": 2, "observed_generation": 2, "desired_state": DesiredState.PRESENT}, False),
        ({"generation": 2, "observed_generation": 1, "desired_state": DesiredState.NONE}, False),
    ],
    ids=["behind", "at rest", "nothing wanted"],
)
def test_a_row_that_lost_its_due_date_is_found(
    db: None, jobs: Jobs, fields: dict[str, object], found: bool
) -> None:
    service = factories.service()
    Service.objects.filter(pk=service.pk).update(next_check_at=None, lease_until=None, **fields)
    jobs.clear()
    sweep_all()
    assert jobs.sent.count((queue.RECONCILE_SERVICE, service.pk)) == int(found)


@pytest.mark.parametrize(
    ("outcome", "found"), [(Outcome.WAITING, True), (Outcome.NEEDS_STAFF, False), (Outcome.SUCCEEDED, False)]
)
def test_a_live_operation_without_a_date_is_found(db: None, jobs: Jobs, outcome: str, found: bool) -> None:
    service = factories.service()
    behind = 0 if outcome != Outcome.NEEDS_STAFF else 1
    Service.objects.filter(pk=service.pk).update(
        next_check_at=None, generation=1 + behind, observed_generation=1, desired_state=DesiredState.PRESENT
    )
    factories.operation(service=service, generation=1 + behind, outcome=outcome)
    jobs.clear()
    sweep_all()
    assert jobs.sent.count((queue.RECONCILE_SERVICE, service.pk)) == int(found)


def test_a_lease_that_ran_out_without_a_date_is_found(db: None, jobs: Jobs) -> None:
    service = factories.service()
    assert lease_claim(service.pk)
    Service.objects.filter(pk=service.pk).update(next_check_at=None)
    jobs.clear()
    sweep_all()
    assert jobs.sent == []
    clock.shift(settings.LEASE_SECONDS + 1)
    sweep_all()
    assert jobs.sent == [(queue.RECONCILE_SERVICE, service.pk)]


# --- poison ---------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("error", "reason"), [(Killed("gone"), "crashed"), (RuntimeError("secret words"), "internal")]
)
def test_a_service_that_kills_its_workers_is_parked_and_others_go_on(
    bridge: Bridge, monkeypatch: pytest.MonkeyPatch, error: BaseException, reason: str
) -> None:
    real = Converge.run

    def poisoned(self: Converge) -> object:
        if self.service.billing_id == "poison":
            raise error
        return real(self)

    monkeypatch.setattr(Converge, "run", poisoned)
    bridge.store("subscription.created", subscription_id="poison")
    for number in range(settings.MAX_ATTEMPTS + 2):
        bridge.store("subscription.created", subscription_id=f"good{number}")
        for _ in range(3):
            try:
                new_worker(bridge)
            except Killed:
                continue
    poison = Operation.objects.get(service__billing_id="poison")
    assert (poison.outcome, poison.reason) == (Outcome.NEEDS_STAFF, reason)
    assert poison.attempts == settings.MAX_ATTEMPTS
    assert "secret words" not in poison.detail
    assert Notification.objects.filter(key=f"needs_staff:{poison.pk}").count() == 1
    assert len(bridge.servers()) == settings.MAX_ATTEMPTS + 2
    assert not Operation.objects.exclude(pk=poison.pk).exclude(outcome=Outcome.SUCCEEDED).exists()


# --- housekeeping ---------------------------------------------------------------------------------------


def test_the_queues_schedules_are_ours_alone(db: None) -> None:
    Schedule.objects.create(name="foreign", func="os.system", schedule_type=Schedule.MINUTES)
    schedules_sync()
    schedules_sync()
    assert list(Schedule.objects.order_by("id").values_list("name", "func", "minutes")) == list(SCHEDULES)


def test_the_queues_own_jobs_call_the_same_sweep(bridge: Bridge) -> None:
    bridge.store("subscription.created")
    bridge.jobs.clear()
    sweep()
    assert bridge.jobs.sent
    assert Heartbeat.objects.filter(name="sweep").exists()


def test_old_records_of_calls_and_jobs_are_removed(bridge: Bridge) -> None:
    bridge.buy()
    for model, ident in ((Success, "a"), (Failure, "b")):
        model.objects.create(
            id=ident, name=ident, func="x", started=clock.now(), stopped=clock.now(), success=ident == "a"
        )
    prune_old()
    assert PanelCall.objects.count() > 0
    assert (Success.objects.count(), Failure.objects.count()) == (1, 1)
    clock.shift(3 * 86400)
    prune()
    assert PanelCall.objects.count() > 0
    assert (Success.objects.count(), Failure.objects.count()) == (0, 0)
    clock.shift(90 * 86400)
    prune()
    assert PanelCall.objects.count() == 0
    assert Operation.objects.count() == 1


def test_one_ticker_leads_until_its_lease_runs_out_or_it_resigns(db: None) -> None:
    def claim(holder: str) -> bool:
        return leadership_claim(name="tick", holder=holder, seconds=10)

    assert claim("first")
    assert claim("first")
    assert not claim("second")
    clock.shift(9)
    assert not claim("second")
    clock.shift(2)
    assert claim("second")
    assert not claim("first")
    leadership_resign(name="tick", holder="first")
    assert not claim("first")
    leadership_resign(name="tick", holder="second")
    assert claim("first")


@pytest.mark.django_db
def test_workers_are_seen_to_live_when_there_is_nothing_to_do(jobs: Jobs) -> None:
    sweep()
    assert Heartbeat.objects.filter(name="worker").exists()
