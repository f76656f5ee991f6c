"""A server that is there already, gone, or somebody else's: refused in words, and nothing is touched."""

from __future__ import annotations

import pytest

from provisioning.choices import ObservedState, SuspendReason
from provisioning.lifecycle.staff import (
    service_recreate,
    service_relink,
    service_suspend,
    service_unsuspend,
)
from provisioning.models import Service
from tests.bridge import Bridge
from tests.provisioning.reconcile.outcomes import ended, refused
from tests.provisioning.reconcile.trouble import outlast, pass_time


def another_customers_server(bridge: Bridge, mark: str | None) -> int:
    """A server that somebody made by hand for Grace."""
    bridge.buy(subscription_id="grace", customer_email="grace@example.com")
    server = bridge.server()
    server.external_id = mark
    Service.objects.filter(billing_id="grace").delete()
    return server.id


def forget_server(bridge: Bridge) -> Service:
    """Our database lost what it knew of the server, as after a restore."""
    Service.objects.all().delete()
    bridge.say("subscription.created")
    return bridge.service()


@pytest.mark.req("CAL-07")
def test_a_server_that_is_there_already_is_relinked_by_staff(bridge: Bridge) -> None:
    bridge.buy()
    server = bridge.server()
    service = forget_server(bridge)
    refused(bridge, "server_exists", f"Server {server.id} on panel")
    service_relink(service=service, server_id=str(server.id))
    outlast(bridge)
    assert bridge.service().converged
    assert bridge.service().server_id == str(server.id) == str(bridge.server().id)
    assert bridge.panel.calls.count("POST", r"/servers$") == 1


@pytest.mark.req("CAL-07", "CAL-04")
def test_an_adopted_server_can_be_deleted_when_its_service_ends(bridge: Bridge) -> None:
    test_a_server_that_is_there_already_is_relinked_by_staff(bridge)
    bridge.say("subscription.cancelled", status="cancelled")
    bridge.wait(days=8)
    assert bridge.servers() == []
    assert "Adopted by staff" in bridge.operation().proofs[0]["words"]


@pytest.mark.req("CAL-07")
@pytest.mark.parametrize("mark", ["12345", None], ids=["bare mark of billing's extension", "no mark"])
def test_staff_adopt_a_server_of_the_same_customer(bridge: Bridge, mark: str | None) -> None:
    bridge.buy()
    bridge.server().external_id = mark
    service = forget_server(bridge)
    service_relink(service=service, server_id=str(bridge.server().id))
    outlast(bridge)
    service = bridge.service()
    assert service.converged, ended(bridge)
    kept = mark or "test-shop-12345"
    assert (service.external_id, bridge.server().external_id) == (kept, kept)


@pytest.mark.parametrize("state", ["present", "suspended"])
@pytest.mark.parametrize("mark", ["12345", None])
def test_a_strangers_server_is_never_adopted(bridge: Bridge, mark: str | None, state: str) -> None:
    number = another_customers_server(bridge, mark)
    bridge.say("subscription.created", status="pending")
    service = bridge.service()
    if state == "suspended":
        service_suspend(service=service, reason=SuspendReason.ABUSE)
    service_relink(service=service, server_id=str(number))
    bridge.say("subscription.updated")
    refused(bridge, "wrong_owner", "Nothing was touched")
    assert bridge.service().external_id == "test-shop-12345"
    assert bridge.server().external_id == mark
    assert bridge.server().status is None


def test_a_server_with_another_mark_is_never_adopted(bridge: Bridge) -> None:
    bridge.buy()
    bridge.server().external_id = "other-shop-9"
    service = forget_server(bridge)
    service_relink(service=service, server_id=str(bridge.server().id))
    refused(bridge, "wrong_mark", "other-shop-9")
    assert bridge.server().external_id == "other-shop-9"


def test_a_server_that_lost_its_mark_is_not_touched(bridge: Bridge) -> None:
    bridge.buy()
    bridge.server().external_id = "other-shop-9"
    bridge.say("subscription.updated", product_id="frost-knight", status="suspended")
    refused(bridge, "wrong_mark", "Nothing was touched")
    assert (bridge.server().memory, bridge.server().status) == (1024, None)


def test_a_server_that_was_given_to_somebody_else_is_not_touched(bridge: Bridge) -> None:
    bridge.buy()
    bridge.server().owner_id = 1
    Service.objects.update(observed={})
    bridge.say("subscription.updated", product_id="frost-knight")
    refused(bridge, "wrong_owner", "belongs to panel user 1, not to 2")
    assert bridge.server().memory == 1024


def test_our_mark_on_a_second_server_stops_everything(bridge: Bridge) -> None:
    service = bridge.buy()
    server = bridge.panel.state.servers.pop(int(service.server_id))
    server.id = 77
    bridge.panel.state.servers[77] = server
    bridge.say("subscription.updated", product_id="frost-knight")
    refused(bridge, "two_servers", "Nothing was touched")


@pytest.mark.parametrize("change", ["frost-knight", "suspend"])
def test_a_server_that_is_gone_is_not_replaced_until_staff_say_so(bridge: Bridge, change: str) -> None:
    service = bridge.buy()
    pass_time(bridge, 600)
    bridge.panel.state.servers.clear()
    if change == "suspend":
        service_suspend(service=service, reason=SuspendReason.ABUSE)
    else:
        bridge.say("subscription.updated", product_id=change)
    refused(bridge, "server_missing", "is gone from panel")
    assert bridge.servers() == []
    if change == "suspend":
        service_unsuspend(service=bridge.service())
    service_recreate(service=bridge.service())
    outlast(bridge)
    assert bridge.server().external_id == service.external_id
    assert bridge.service().converged


def test_a_server_that_vanishes_between_a_change_and_its_proof_is_missed(bridge: Bridge) -> None:
    service = bridge.buy()
    pass_time(bridge, 600)
    real = bridge.panel.panel.handle

    def vanish(request: object, state: object = None) -> object:
        answer = real(request, state)  # type: ignore[arg-type]
        if str(getattr(request, "path", "")).endswith("/suspend"):
            bridge.panel.world.state.servers.clear()
        return answer

    bridge.panel.panel.handle = vanish  # type: ignore[assignment,method-assign]
    service_suspend(service=service, reason=SuspendReason.ABUSE)
    refused(bridge, "server_missing", "is gone from panel")


def test_deleted_by_hand_counts_as_deleted(bridge: Bridge) -> None:
    bridge.buy()
    bridge.say("subscription.cancelled", status="cancelled")
    bridge.panel.state.servers.clear()
    bridge.wait(days=8)
    assert bridge.service().observed_state == ObservedState.ABSENT
    assert bridge.service().terminated_at is not None
    assert bridge.panel.calls.count("DELETE") == 0
