"""A panel restored from an older backup: our numbers are gone, or other customers' by now (B14)."""

from __future__ import annotations

import datetime as dt

import pytest

from provisioning.choices import Outcome
from provisioning.lib import clock
from provisioning.models import Notification, Operation, Service
from provisioning.reconcile.brake import brake_status
from provisioning.sandbox.seed import seed_servers
from provisioning.sandbox.world import Server
from tests.bridge import Bridge
from tests.provisioning.reconcile.drifting import check, fleet, standing
from tests.provisioning.reconcile.trouble import outlast, pass_time

WEEK = 7 * 86400.0


def stranger_under_our_number(bridge: Bridge) -> Server:
    """The panel forgot Ada's server and gave its number to the next customer's."""
    number = bridge.server().id
    del bridge.panel.state.servers[number]
    seed_servers(bridge.panel.world, 1, owner_id=1, mark="theirs-{}")
    server = bridge.server()
    bridge.panel.state.servers[number] = bridge.panel.state.servers.pop(server.id)
    server.id = number
    return server


@pytest.mark.req("CAL-04")
def test_a_number_that_was_given_away_is_never_deleted(bridge: Bridge) -> None:
    bridge.buy()
    bridge.say("subscription.cancelled", status="cancelled")
    stranger = stranger_under_our_number(bridge)
    bridge.wait(days=8)
    outlast(bridge)
    assert bridge.panel.calls.count("DELETE") == 0
    assert (bridge.server(), stranger.status) == (stranger, None)
    assert bridge.operation().outcome == Outcome.NEEDS_STAFF
    assert bridge.service().terminated_at is None


@pytest.mark.parametrize("change", [{"status": "suspended"}, {"product_id": "frost-knight"}])
def test_after_a_comparison_nothing_rests_on_an_older_look(bridge: Bridge, change: dict[str, str]) -> None:
    bridge.buy()
    stranger = stranger_under_our_number(bridge)
    memory = stranger.memory
    check(bridge)
    assert standing()
    bridge.panel.calls.clear()
    bridge.say("subscription.updated", **change)
    outlast(bridge)
    assert bridge.panel.calls.count("POST|PATCH") == 0
    assert (stranger.status, stranger.memory) == (None, memory)
    assert bridge.operation().outcome == Outcome.NEEDS_STAFF


def test_a_change_that_met_a_stranger_before_any_comparison_is_owned_up_to(bridge: Bridge) -> None:
    """A suspension rests on the last look, to cost two calls: the look after it shows the mistake."""
    bridge.buy()
    stranger = stranger_under_our_number(bridge)
    bridge.say("subscription.updated", status="suspended")
    outlast(bridge)
    operation = bridge.operation()
    assert operation.outcome == Outcome.NEEDS_STAFF
    assert stranger.status == "suspended"
    assert "Nothing was touched" not in operation.detail
    assert f" had been sent to server {stranger.id}" in operation.detail


def test_a_number_that_is_gone_is_missed_and_not_replaced(bridge: Bridge) -> None:
    bridge.buy()
    bridge.panel.state.servers.clear()
    bridge.say("subscription.updated", product_id="frost-knight")
    outlast(bridge)
    assert (bridge.operation().reason, bridge.servers()) == ("server_missing", [])


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.req("CAL-04")
def test_five_hundred_terminations_in_a_minute(bridge: Bridge) -> None:
    bridge.row.rate_per_minute = 100_000
    bridge.row.save(update_fields=["rate_per_minute"])
    fleet(bridge, 499)
    now = clock.now()
    Service.objects.update(
        billing_status="cancelled",
        cancel_at=now - dt.timedelta(seconds=WEEK),
        cancel_known_at=now - dt.timedelta(seconds=WEEK - 60),
        next_check_at=now + dt.timedelta(seconds=60),
    )
    for _ in range(3):
        pass_time(bridge, 61)
    assert Operation.objects.filter(outcome=Outcome.NEEDS_STAFF).count() == 0
    # The allowance is a share of the servers that are left, so that it shrinks a little on the way.
    assert 20 < 500 - len(bridge.servers()) <= 25, "five in a hundred in the hour"
    for _ in range(4):
        pass_time(bridge, 3601)
    assert 40 < 500 - len(bridge.servers()) <= 50, "ten in a hundred in the day"
    assert brake_status(bridge.row).parked == len(bridge.servers())
    assert Notification.objects.filter(template="brake").count() <= 2, "one mail a day, not five hundred"
