"""The gate: breaker, parking, silence and budget of one panel, seen by counting what reaches the panel."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import suppress

import pytest
from django.conf import settings

from provisioning.choices import Outcome
from provisioning.exceptions import PanelWaiting
from provisioning.lib import clock
from provisioning.models import Notification, Operation, PanelGate, Product, Service
from provisioning.reconcile.gate import (
    EXPRESS_RESERVE,
    FAILURES_TO_OPEN,
    PARKED_PROBES,
    budget,
    gate_of,
    gate_pass,
    gate_unpark,
)
from provisioning.reconcile.transport import PanelTransport
from provisioning.sandbox.server import PanelSandbox
from tests import factories
from tests.bridge import Bridge, document
from tests.provisioning.reconcile.trouble import outlast, pass_time

ORDERS = 4


def order_many(bridge: Bridge) -> None:
    for number in range(ORDERS):
        bridge.say(
            "subscription.created", subscription_id=f"s{number}", customer_email=f"c{number}@example.com"
        )


def gate(bridge: Bridge) -> PanelGate:
    return gate_of(bridge.row)


def alerts(template: str) -> int:
    return Notification.objects.filter(template=template).count()


@pytest.mark.req("T83-40")
def test_three_failures_open_the_breaker_and_then_only_probes_pass(bridge: Bridge) -> None:
    bridge.panel.faults.add("down", count=None)
    order_many(bridge)
    assert len(bridge.panel.calls) == FAILURES_TO_OPEN
    assert alerts("panel_down") == 1
    waiting = Operation.objects.order_by("-id")[0]
    assert (waiting.outcome, waiting.reason) == (Outcome.WAITING, "panel_unreachable")
    assert f"Panel “{bridge.row}” does not answer since" in waiting.detail
    began = clock.now()
    for _ in range(12):
        pass_time(bridge, settings.PROBE_SECONDS / 3)
    probes = len(bridge.panel.calls) - FAILURES_TO_OPEN
    assert 0 < probes <= (clock.now() - began).total_seconds() / settings.PROBE_SECONDS + 1
    assert alerts("panel_down") == 1


def test_a_panel_that_is_back_gets_everything_that_waited(bridge: Bridge) -> None:
    bridge.panel.faults.add("down", count=None)
    order_many(bridge)
    pass_time(bridge, 3600)
    bridge.panel.faults.clear()
    outlast(bridge)
    assert len(bridge.servers()) == ORDERS
    assert (gate(bridge).failures, gate(bridge).open_until, gate(bridge).last_error) == (0, None, "")


def test_the_first_answer_wakes_all_that_waited(bridge: Bridge) -> None:
    bridge.panel.faults.add("down", count=None)
    order_many(bridge)
    Service.objects.update(next_check_at=clock.now() + dt.timedelta(hours=1))
    Operation.objects.update(next_attempt_at=clock.now() + dt.timedelta(hours=1))
    bridge.panel.faults.clear()
    # One of them is woken as the probe; what it finds wakes the others at once.
    pass_time(bridge, settings.PROBE_SECONDS)
    pass_time(bridge, 1)
    assert len(bridge.servers()) == ORDERS


def test_a_second_outage_is_told_again(bridge: Bridge) -> None:
    for outage in ("first", "second"):
        bridge.panel.faults.add("down", count=None)
        bridge.say("subscription.created", subscription_id=outage)
        pass_time(bridge, settings.PROBE_SECONDS)
        pass_time(bridge, settings.PROBE_SECONDS * 2)
        bridge.panel.faults.clear()
        outlast(bridge)
    assert alerts("panel_down") == 2


@pytest.fixture
def other() -> Iterator[PanelSandbox]:
    with PanelSandbox() as panel:
        yield panel


def other_product(bridge: Bridge, other: PanelSandbox) -> Product:
    row = factories.panel(url=other.url, api_key=other.application_key)
    return factories.product(
        connection=bridge.endpoint.connection,
        panel=row,
        billing_product_id="elsewhere",
        document=document(),
    )


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["down", "unauthorized", "rate_limited"])
def test_another_panel_is_not_affected(bridge: Bridge, other: PanelSandbox, kind: str) -> None:
    other_product(bridge, other)
    bridge.panel.faults.add(kind, count=None)  # type: ignore[arg-type]
    order_many(bridge)
    bridge.buy(subscription_id="other", product_id="elsewhere")
    assert len(other.state.servers) == 1
    assert bridge.service("other").converged


@pytest.mark.slow
@pytest.mark.req("T83-30")
@pytest.mark.parametrize("kind", ["unauthorized", "forbidden"])
def test_a_refused_key_parks_the_panel_without_a_storm(bridge: Bridge, kind: str) -> None:
    bridge.panel.faults.add(kind, count=None)  # type: ignore[arg-type]
    order_many(bridge)
    assert len(bridge.panel.calls) == 1
    assert alerts("panel_parked") == 1
    operation = bridge.operation()
    assert (operation.outcome, operation.reason) == (Outcome.WAITING, "panel_key")
    assert "refuses our key" in operation.detail
    hour = 3600
    for _ in range(12):
        pass_time(bridge, hour / 12)
    assert len(bridge.panel.calls) - 1 <= hour / (settings.PROBE_SECONDS * PARKED_PROBES) + 1
    assert alerts("panel_parked") == 1
    assert not Operation.objects.filter(outcome=Outcome.NEEDS_STAFF).exists()


def test_a_parked_panel_goes_on_by_itself_or_when_staff_say_so(bridge: Bridge) -> None:
    bridge.panel.faults.add("unauthorized", count=None)
    order_many(bridge)
    bridge.panel.faults.clear()
    gate_unpark(panel=bridge.row)
    pass_time(bridge, 1)
    assert len(bridge.servers()) == ORDERS, "at once, not at the next try of each"


def test_silence_is_kept_as_long_as_the_panel_asked(bridge: Bridge) -> None:
    bridge.panel.faults.add("rate_limited", seconds=120, count=1)
    bridge.say("subscription.created")
    assert len(bridge.panel.calls) == 1
    pass_time(bridge, 110)
    assert len(bridge.panel.calls) == 1
    assert bridge.operation().reason == "rate_limited"
    pass_time(bridge, 15)
    assert len(bridge.servers()) == 1


@pytest.mark.parametrize(("allowed", "own"), [(240, None), (60, None), (240, 100)])
def test_no_minute_sees_more_than_the_panel_allows(bridge: Bridge, allowed: int, own: int | None) -> None:
    bridge.row.rate_per_minute = own
    rate, burst = budget(bridge.row, PanelGate(panel=bridge.row, limit_seen=allowed), 240)
    assert rate >= 1
    assert rate + burst <= (own or allowed)


def test_the_panels_own_limit_is_believed(bridge: Bridge) -> None:
    bridge.panel.world.settings.application_limit = 60
    bridge.buy()
    assert gate(bridge).limit_seen == 60


def use_up(bridge: Bridge) -> None:
    for _ in range(12):
        gate_pass(panel=bridge.row, default_rate=240, urgent=False)


def test_sweeps_leave_room_for_orders(bridge: Bridge) -> None:
    bridge.row.rate_per_minute = 60
    for _ in range(4):
        gate_pass(panel=bridge.row, default_rate=240, urgent=False)
    with pytest.raises(PanelWaiting, match="calls a minute") as refused:
        use_up(bridge)
    assert refused.value.reason == "rate_budget"
    assert refused.value.seconds > 0
    gate_pass(panel=bridge.row, default_rate=240, urgent=True)


def test_orders_leave_room_for_work_on_servers_that_are_there(bridge: Bridge) -> None:
    """A thousand orders wait and have booked their moments: a suspension passes all of them."""
    bridge.row.rate_per_minute = 240
    for _ in range(40):
        with suppress(PanelWaiting):
            gate_pass(panel=bridge.row, default_rate=240)
    with pytest.raises(PanelWaiting):
        gate_pass(panel=bridge.row, default_rate=240)
    for _ in range(EXPRESS_RESERVE):
        gate_pass(panel=bridge.row, default_rate=240, express=True)
    with pytest.raises(PanelWaiting) as refused:
        gate_pass(panel=bridge.row, default_rate=240, express=True)
    assert refused.value.seconds < 1


def test_a_job_starts_no_call_that_does_not_fit_into_its_time(bridge: Bridge) -> None:
    transport = PanelTransport(bridge.row, seconds=10)
    with pytest.raises(PanelWaiting) as refused:
        transport.request("GET", "/api/application/servers")
    assert refused.value.reason == "deadline"
    assert len(bridge.panel.calls) == 0
