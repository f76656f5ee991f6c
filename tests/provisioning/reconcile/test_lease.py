"""The lease and its fence: one worker at a time, and nothing from one whose time has run out."""

from __future__ import annotations

import datetime as dt

import pytest
from django.conf import settings

from provisioning.choices import ObservedState, Outcome
from provisioning.exceptions import LeaseLost
from provisioning.lib import clock
from provisioning.models import Operation, Service
from provisioning.reconcile.engine import service_reconcile
from provisioning.reconcile.lease import Lease, lease_claim
from provisioning.reconcile.schedules import sweep_all
from provisioning.reconcile.transport import PanelTransport
from tests import factories
from tests.bridge import Bridge
from tests.provisioning.reconcile.trouble import freezing, outlast


@pytest.fixture
def service(db: None) -> Service:
    return factories.service()


def claimed(service: Service) -> Lease:
    lease = lease_claim(service.pk)
    assert lease is not None
    return lease


def test_only_one_worker_at_a_time(service: Service) -> None:
    lease = claimed(service)
    assert lease_claim(service.pk) is None
    clock.shift(settings.LEASE_SECONDS - 10)
    assert lease_claim(service.pk) is None
    lease.check()


def test_a_service_that_does_not_exist_cannot_be_claimed(db: None) -> None:
    assert lease_claim(404) is None


def test_a_lease_runs_out_and_the_next_token_is_higher(service: Service) -> None:
    first = claimed(service)
    clock.shift(settings.LEASE_SECONDS + 1)
    assert claimed(service).token == first.token + 1


def test_two_claims_that_read_the_same_token_make_one_lease(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    Service.objects.filter(pk=service.pk).update(lease_token=7)
    real = Service.objects.filter

    def overtaken(*args: object, **fields: object) -> object:
        if "lease_token" in fields:
            real(pk=service.pk).update(lease_token=8)
        return real(*args, **fields)

    monkeypatch.setattr(Service.objects, "filter", overtaken)
    assert lease_claim(service.pk) is None


@pytest.mark.parametrize("act", ["write", "check", "fence"])
@pytest.mark.parametrize("taken", [True, False], ids=["taken over", "run out"])
def test_a_frozen_worker_may_do_nothing(service: Service, act: str, taken: bool) -> None:
    lease = claimed(service)
    clock.shift(settings.LEASE_SECONDS + 1)
    if taken:
        claimed(service)
    with pytest.raises(LeaseLost):
        {"write": lambda: lease.write(server_id="9"), "check": lease.check, "fence": lease.fence}[act]()
    service.refresh_from_db()
    assert service.server_id == ""


def test_the_holder_may_write(service: Service) -> None:
    lease = claimed(service)
    lease.check()
    lease.fence()
    lease.write(server_id="9")
    service.refresh_from_db()
    assert (service.server_id, service.lease_token) == ("9", lease.token)


def test_release_sets_the_next_look(service: Service) -> None:
    lease, due = claimed(service), clock.now() + dt.timedelta(hours=1)
    assert lease.release(generation=service.generation, next_check_at=due)
    service.refresh_from_db()
    assert (service.lease_until, service.next_check_at) == (None, due)


def test_release_keeps_the_due_date_of_a_newer_change(service: Service) -> None:
    lease, due = claimed(service), clock.now()
    Service.objects.filter(pk=service.pk).update(generation=service.generation + 1, next_check_at=due)
    assert not lease.release(generation=service.generation, next_check_at=None)
    service.refresh_from_db()
    assert (service.lease_until, service.next_check_at) == (None, due)


def test_a_frozen_worker_does_not_release_the_next_ones_lease(service: Service) -> None:
    lease = claimed(service)
    clock.shift(settings.LEASE_SECONDS + 1)
    second = claimed(service)
    assert not lease.release(generation=service.generation, next_check_at=None)
    second.check()


# --- in the engine --------------------------------------------------------------------------------------


def next_worker(bridge: Bridge) -> None:
    service_reconcile(bridge.service().pk)


def test_a_worker_frozen_before_its_create_sends_nothing_after_another_took_over(bridge: Bridge) -> None:
    """It thaws after the look, when the next worker has made the server already."""
    with freezing("GET", lambda: next_worker(bridge), after=True):
        bridge.say("subscription.created")
    outlast(bridge)
    assert bridge.panel.calls.count("POST", r"/servers$") == 1
    assert bridge.service().converged


def test_a_worker_frozen_after_its_create_leaves_the_outcome_to_the_next_one(bridge: Bridge) -> None:
    with freezing("POST", lambda: next_worker(bridge), after=True):
        bridge.say("subscription.created")
    outlast(bridge)
    assert len(bridge.servers()) == 1
    assert Operation.objects.get().outcome == Outcome.SUCCEEDED


def test_a_worker_that_thaws_into_an_error_does_not_reopen_a_finished_operation(bridge: Bridge) -> None:
    bridge.buy()
    bridge.panel.faults.add("error", method="PATCH", count=1, skip=1)
    # The next worker's PATCH comes first and passes; the frozen one's comes second and fails.
    with freezing("PATCH", lambda: next_worker(bridge), after=False):
        bridge.say("subscription.updated", product_id="frost-knight")
    operation = bridge.operation()
    assert operation.outcome == Outcome.SUCCEEDED
    assert operation.finished_at is not None
    assert bridge.service().observed_state == ObservedState.ACTIVE


def test_a_change_that_comes_during_a_pass_is_worked_on_at_once(bridge: Bridge) -> None:
    """Its own job found the lease taken; the pass that held it wakes the next one."""
    bridge.buy()

    def meanwhile() -> None:
        bridge.store("subscription.updated", product_id="frost-knight", status="suspended")
        bridge.jobs.drain()

    with freezing("PATCH", meanwhile, after=True, seconds=1):
        bridge.say("subscription.updated", product_id="frost-knight")
    assert bridge.server().status == "suspended"
    assert bridge.service().converged


def test_a_call_that_changes_the_panel_is_not_sent_without_the_lease(bridge: Bridge) -> None:
    service = bridge.buy()
    transport = PanelTransport(bridge.row, lease=claimed(service))
    path = f"/api/application/servers/{service.server_id}"
    clock.shift(settings.LEASE_SECONDS + 1)
    bridge.panel.calls.clear()
    assert transport.request("GET", path).status == 200
    with pytest.raises(LeaseLost):
        transport.request("POST", f"{path}/suspend")
    assert bridge.panel.calls.count("POST") == 0


def test_the_sweep_leaves_a_leased_service_alone(bridge: Bridge) -> None:
    service = bridge.buy()
    lease = claimed(service)
    before = len(bridge.panel.calls)
    sweep_all()
    bridge.jobs.drain()
    assert len(bridge.panel.calls) == before
    lease.check()
