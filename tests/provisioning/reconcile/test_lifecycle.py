"""The straight path of one subscription, from the paid order to the proven delete, call by call."""

from __future__ import annotations

import datetime as dt

import pytest

from provisioning.choices import BillingStatus, DesiredState, ObservedState, OperationKind, Outcome
from provisioning.lib import clock
from provisioning.models import Operation, PanelCall
from tests.bridge import Bridge


def calls_of(operation: Operation) -> list[str]:
    rows = PanelCall.objects.filter(operation=operation).order_by("id")
    return [f"{row.method} {row.path.split('?')[0]}" for row in rows]


@pytest.mark.req("CAL-01", "T83-01", "T83-11")
def test_a_paid_order_becomes_a_server(bridge: Bridge) -> None:
    service = bridge.buy()
    server = bridge.server()
    assert server.external_id == service.external_id == "test-shop-12345"
    assert service.observed_state == ObservedState.ACTIVE
    assert service.converged
    assert service.ready_at is not None
    assert Operation.objects.get().outcome == Outcome.SUCCEEDED


@pytest.mark.req("CAL-05")
def test_a_create_for_a_new_customer_takes_three_calls(bridge: Bridge) -> None:
    bridge.buy(customer_id="7")
    bridge.say(
        "subscription.created", subscription_id="12346", customer_id="8", customer_email="grace@example.com"
    )
    operation = bridge.operation()
    # The egg and the free allocations are remembered from the first order.
    assert calls_of(operation)[:3] == [
        "POST /api/application/users",
        "GET /api/application/servers/external/test-shop-12346",
        "POST /api/application/servers",
    ]
    assert operation.calls == 3
    assert bridge.panel.state.users[3].external_id == "8"


def test_a_create_for_a_known_customer_takes_two_calls(bridge: Bridge) -> None:
    bridge.buy(customer_id="7")
    bridge.say("subscription.created", subscription_id="12346", customer_id="7")
    assert bridge.operation().calls == 2
    assert len(bridge.servers()) == 2
    assert {server.owner_id for server in bridge.servers()} == {2}


@pytest.mark.req("T83-10")
def test_the_same_news_again_changes_nothing_and_calls_nobody(bridge: Bridge) -> None:
    service = bridge.buy()
    before = len(bridge.panel.calls)
    for _ in range(3):
        bridge.say("subscription.created")
    bridge.settle()
    assert len(bridge.panel.calls) == before
    assert bridge.service().generation == service.generation


@pytest.mark.req("T83-02", "CAL-02", "T83-03")
def test_an_unpaid_service_is_suspended_after_its_grace_and_runs_again_when_paid(bridge: Bridge) -> None:
    bridge.buy()
    bridge.say("payment.failed")
    service = bridge.service()
    assert service.desired_state == DesiredState.PRESENT
    assert service.overdue_since is not None
    assert service.suspend_at == service.overdue_since + dt.timedelta(days=7)
    bridge.wait(days=6)
    assert bridge.server().status is None
    bridge.wait(days=1)
    assert bridge.server().status == "suspended"
    operation = bridge.operation()
    assert (operation.kind, operation.outcome) == (OperationKind.SUSPEND, Outcome.SUCCEEDED)
    assert operation.calls == 2
    bridge.say("payment.succeeded")
    assert bridge.server().status is None
    operation = bridge.operation()
    assert (operation.kind, operation.calls) == (OperationKind.UNSUSPEND, 2)
    assert bridge.service().observed_state == ObservedState.ACTIVE


@pytest.mark.req("CAL-03", "T83-04")
def test_a_bigger_product_brings_its_limits_in_two_calls(bridge: Bridge) -> None:
    bridge.buy()
    bridge.say("subscription.updated", product_id="frost-knight")
    assert (bridge.server().memory, bridge.server().cpu) == (4096, 200)
    operation = bridge.operation()
    assert (operation.kind, operation.calls) == (OperationKind.CHANGE_PACKAGE, 2)


@pytest.mark.req("CAL-04", "T83-05")
def test_a_cancelled_service_is_suspended_then_deleted_with_four_proofs(bridge: Bridge) -> None:
    bridge.buy()
    bridge.say("subscription.cancelled", status="cancelled")
    assert bridge.server().status == "suspended"
    assert bridge.service().undo_until is not None
    bridge.wait(days=7)
    assert bridge.servers() == []
    operation = Operation.objects.get(kind=OperationKind.TERMINATE)
    assert [proof["ok"] for proof in operation.proofs] == [True] * 4
    assert operation.calls == 3
    service = bridge.service()
    assert (service.server_id, service.observed_state) == ("", ObservedState.ABSENT)
    assert service.terminated_at is not None


@pytest.mark.req("T83-05")
def test_a_service_that_billing_reactivates_gets_a_new_server(bridge: Bridge) -> None:
    bridge.buy()
    bridge.say("subscription.cancelled", status="cancelled")
    bridge.wait(days=8)
    assert bridge.servers() == []
    bridge.buy()
    assert bridge.service().billing_status == BillingStatus.ACTIVE
    assert bridge.server().external_id == "test-shop-12345"
    assert bridge.service().terminated_at is None


def test_a_service_active_again_inside_the_undo_window_keeps_its_server(bridge: Bridge) -> None:
    bridge.buy()
    before = bridge.server().id
    bridge.say("subscription.cancelled", status="cancelled")
    clock.shift(3600)
    bridge.say("subscription.updated")
    bridge.wait(days=8)
    assert bridge.server().id == before
    assert bridge.server().status is None
