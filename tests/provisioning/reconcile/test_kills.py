"""A worker killed before every step of every kind of operation: one server, converged, nothing lost."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import pytest

from provisioning.choices import LIVE_OUTCOMES, DesiredState, Outcome
from provisioning.lib import clock
from provisioning.models import Operation, Service
from provisioning.reconcile.schedules import sweep_all
from provisioning.sandbox.world import Server
from tests.bridge import Bridge
from tests.provisioning.reconcile.trouble import more_ports, new_worker, work_until_killed

pytestmark = pytest.mark.slow

FEWEST_STEPS = 8
"""A run with fewer steps than this was not the operation that the test means."""


def order(bridge: Bridge, name: str) -> None:
    bridge.store("subscription.created", subscription_id=name, customer_email=f"{name}@example.com")


def suspend(bridge: Bridge, name: str) -> None:
    bridge.buy(subscription_id=name, customer_email=f"{name}@example.com")
    bridge.store("subscription.updated", subscription_id=name, status="suspended", customer_email=None)


def resize(bridge: Bridge, name: str) -> None:
    bridge.buy(subscription_id=name, customer_email=f"{name}@example.com")
    bridge.store("subscription.updated", subscription_id=name, product_id="frost-knight", customer_email=None)


def terminate(bridge: Bridge, name: str) -> None:
    bridge.buy(subscription_id=name, customer_email=f"{name}@example.com")
    bridge.say("subscription.cancelled", subscription_id=name, status="cancelled", customer_email=None)
    clock.shift(7 * 86400)
    bridge.panel.advance(7 * 86400)
    sweep_all()


def running(servers: list[Server]) -> bool:
    return [server.status for server in servers] == [None]


KINDS: dict[str, tuple[Callable[[Bridge, str], None], Callable[[list[Server]], bool]]] = {
    "create": (order, running),
    "suspend": (suspend, lambda servers: [server.status for server in servers] == ["suspended"]),
    "resize": (resize, lambda servers: [server.memory for server in servers] == [4096]),
    "terminate": (terminate, lambda servers: servers == []),
}


def servers_of(bridge: Bridge, service: Service) -> list[Server]:
    return [server for server in bridge.servers() if server.external_id == service.external_id]


def check(bridge: Bridge, name: str, fits: Callable[[list[Server]], bool], step: int) -> None:
    service = bridge.service(name)
    last = bridge.operation()
    assert service.converged, f"killed before step {step}: {last.outcome} {last.reason} {last.detail}"
    assert fits(servers_of(bridge, service)), f"killed before step {step}: {servers_of(bridge, service)}"
    assert not Operation.objects.filter(outcome__in=LIVE_OUTCOMES).exists()
    assert not Operation.objects.filter(outcome=Outcome.NEEDS_STAFF).exists()
    if service.desired_state == DesiredState.PRESENT:
        # What the guard will ask one day: a killed create has to leave its proof as well.
        assert service.created_confirmed_at
        assert service.ready_at


def kill_everywhere(bridge: Bridge, kind: str) -> int:
    """Kills one fresh service's operation before each of its steps in turn; returns how many there were."""
    begin, fits = KINDS[kind]
    more_ports(bridge.panel, 100)
    for step in count(1):
        name = f"{kind}{step}"
        begin(bridge, name)
        killed = work_until_killed(bridge, before=step)
        new_worker(bridge)
        check(bridge, name, fits, step)
        if not killed:
            return step - 1
    raise AssertionError("unreachable")


@pytest.mark.req("T83-10", "CAL-01")
@pytest.mark.parametrize("unique", [True, False], ids=["unique", "not_unique"])
def test_a_create_that_is_killed_anywhere_makes_one_server(bridge: Bridge, unique: bool) -> None:
    bridge.panel.world.settings.unique_external_ids = unique
    assert kill_everywhere(bridge, "create") >= FEWEST_STEPS


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["suspend", "resize"])
def test_a_change_that_is_killed_anywhere_ends_as_wanted(bridge: Bridge, kind: str) -> None:
    assert kill_everywhere(bridge, kind) >= FEWEST_STEPS


@pytest.mark.slow
@pytest.mark.req("CAL-04")
def test_a_delete_that_is_killed_anywhere_is_finished_with_all_its_proofs(bridge: Bridge) -> None:
    bridge.row.deletes_hour_floor = bridge.row.deletes_day_floor = 1000
    bridge.row.save()
    assert kill_everywhere(bridge, "terminate") >= FEWEST_STEPS
