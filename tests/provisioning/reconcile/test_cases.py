"""Orders that cannot be carried out now: waited for or refused in words, and then gone on."""

from __future__ import annotations

from typing import Any

import pytest

from provisioning.choices import ObservedState, Outcome, SuspendReason
from provisioning.lifecycle.billing import services_link_product
from provisioning.lifecycle.product_versions import service_follow
from provisioning.lifecycle.staff import service_suspend
from provisioning.models import AllocationHold, Installation, Notification, Operation, Product
from tests import factories
from tests.bridge import Bridge, document
from tests.provisioning.reconcile.outcomes import ended, refused, waits
from tests.provisioning.reconcile.trouble import begin_a_day, outlast, pass_time


def test_an_unmapped_product_waits_and_goes_on_once_mapped(bridge: Bridge) -> None:
    bridge.say("subscription.created", product_id="storm-giant")
    waits(bridge, "product_unmapped", "storm-giant")
    product = factories.product(
        connection=bridge.endpoint.connection,
        panel=bridge.row,
        billing_product_id="storm-giant",
        document=document(memory=512),
    )
    services_link_product(product=product)
    outlast(bridge)
    assert bridge.server().memory == 512


@pytest.mark.req("CAL-02")
@pytest.mark.parametrize("product", ["storm-giant", "elsewhere"])
def test_an_unpaid_service_is_suspended_and_ended_whatever_its_product(bridge: Bridge, product: str) -> None:
    """Neither an unmapped product nor one of another panel keeps an unpaid server running."""
    bridge.buy()
    elsewhere(bridge)
    bridge.say("subscription.updated", product_id=product, status="suspended")
    outlast(bridge)
    assert bridge.server().status == "suspended", ended(bridge)
    assert bridge.server().memory == 1024
    bridge.say("subscription.cancelled", product_id=product, status="cancelled")
    bridge.wait(days=8)
    assert bridge.servers() == []


def elsewhere(bridge: Bridge) -> Product:
    row = factories.panel(url=bridge.panel.url, api_key=bridge.panel.application_key)
    return factories.product(
        connection=bridge.endpoint.connection,
        panel=row,
        billing_product_id="elsewhere",
        document=document(memory=2048),
    )


def test_a_product_on_another_panel_moves_nothing(bridge: Bridge) -> None:
    bridge.buy()
    elsewhere(bridge)
    bridge.say("subscription.updated", product_id="elsewhere")
    refused(bridge, "other_panel", "Nothing was moved")
    bridge.say("subscription.updated")
    outlast(bridge)
    assert bridge.service().converged


def test_a_product_changed_before_the_create_leaves_no_port_behind(bridge: Bridge) -> None:
    """The allocation pinned on node 1 is not used on node 2."""
    other = factories.product(
        connection=bridge.endpoint.connection,
        panel=bridge.row,
        billing_product_id="node-two",
        document=document(node=2),
    )
    bridge.panel.faults.add("error", method="POST", path=r"/servers$")
    bridge.say("subscription.created")
    assert bridge.service().pinned
    bridge.say("subscription.updated", product_id=other.billing_product_id)
    outlast(bridge)
    assert bridge.server().node_id == 2
    holds = AllocationHold.objects.values_list("allocation", flat=True)
    assert list(holds) == [str(bridge.server().allocation_id)]


def test_a_retired_panel_takes_no_new_server_but_keeps_the_old_ones(bridge: Bridge) -> None:
    bridge.buy()
    bridge.row.retired = True
    bridge.row.save()
    bridge.say("subscription.updated", product_id="frost-knight")
    assert bridge.server().memory == 4096
    bridge.say("subscription.created", subscription_id="2")
    refused(bridge, "panel_retired", "takes no new servers")


def test_a_full_node_waits_and_goes_on_when_room_comes(bridge: Bridge) -> None:
    begin_a_day(bridge)
    for allocation in bridge.panel.state.allocations.values():
        allocation.server_id = allocation.server_id or 999
    bridge.say("subscription.created")
    waits(bridge, "no_capacity", "no free allocation")
    assert Notification.objects.filter(template="waiting").count() == 1
    pass_time(bridge, 3600)
    pass_time(bridge, 3600)
    bridge.panel.state.allocations[7].server_id = None
    outlast(bridge)
    assert bridge.server().allocation_id == 7
    assert Notification.objects.filter(template="waiting").count() == 1


def test_an_allocation_taken_meanwhile_gives_way_to_the_next(bridge: Bridge) -> None:
    bridge.buy()
    free = [row for row in bridge.panel.state.allocations.values() if row.server_id is None]
    free[0].server_id = 999
    bridge.say("subscription.created", subscription_id="2")
    outlast(bridge)
    assert bridge.panel.state.servers[2].allocation_id == free[1].id
    assert bridge.service("2").converged


@pytest.mark.req("CAL-21", "CAL-42")
def test_an_allocation_deleted_after_it_was_chosen_gives_way_to_the_next(both: Bridge) -> None:
    """Calagopus answers it with 500, like any trouble of its own; Pterodactyl with a refusal."""
    both.panel.faults.add("error", method="POST", path=r"/servers$")
    both.say("subscription.created")
    chosen = both.service().pinned["allocation"]
    rows: dict[Any, Any] = both.panel.state.allocations
    del rows[chosen]
    outlast(both)
    service = both.service()
    assert service.converged
    assert len(both.servers()) == 1
    assert service.pinned["allocation"] not in ("", chosen)
    holds = AllocationHold.objects.values_list("allocation", flat=True)
    assert list(holds) == [str(service.pinned["allocation"])]


def test_a_choice_that_is_still_there_is_sent_again(both: Bridge) -> None:
    """A create that got no answer may still come true on it: nothing else is chosen."""
    both.buy(subscription_id="1")
    both.panel.faults.add("error", method="POST", path=r"/servers$")
    both.say("subscription.created")
    chosen = both.service().pinned["allocation"]
    # An earlier one in the list is ours to choose again.
    AllocationHold.objects.exclude(allocation=str(chosen)).delete()
    both.panel.calls.clear()
    outlast(both)
    assert both.service().pinned["allocation"] == chosen
    assert both.panel.calls.count("POST", r"/servers$") == 1


def test_our_own_late_create_on_a_panel_without_unique_marks_is_recognised(bridge: Bridge) -> None:
    """The panel makes the server long after its answer was lost: the pinned allocation is the wall."""
    bridge.panel.world.settings.unique_external_ids = False
    bridge.panel.faults.add("ghost", method="POST", path=r"/servers$", seconds=100)
    bridge.panel.faults.add("stale", method="GET", path=r"/servers/external/", count=4, seconds=3600)
    bridge.say("subscription.created")
    outlast(bridge)
    assert len(bridge.servers()) == 1
    assert bridge.service().created_confirmed_at is not None


@pytest.mark.req("CAL-30")
def test_a_variable_that_breaks_its_rule_is_told_in_the_panels_own_words(bridge: Bridge) -> None:
    bridge.product.document["runtime"] = {"variables": {"SERVER_JARFILE": "not a jar!"}}
    bridge.product.save()
    bridge.say("subscription.created")
    refused(bridge, "panel_rejected", "Server Jar File variable")
    bridge.product.document["runtime"] = {}
    bridge.product.save()
    service_follow(service=bridge.service())
    outlast(bridge)
    assert bridge.service().converged


# --- installs -------------------------------------------------------------------------------------------


@pytest.fixture
def no_install_ends(bridge: Bridge) -> None:
    bridge.panel.world.settings.installs.outcome = "never"


def test_an_install_that_fails_once_is_tried_once_more(bridge: Bridge) -> None:
    bridge.panel.world.settings.installs.outcome = "fail"
    bridge.say("subscription.created")
    bridge.panel.settle()
    bridge.panel.world.settings.installs.outcome = "success"
    outlast(bridge)
    assert bridge.panel.calls.count("POST", "reinstall") == 1
    assert bridge.service().observed_state == ObservedState.ACTIVE
    assert bridge.service().ready_at is not None


def test_an_install_that_fails_twice_needs_staff(bridge: Bridge) -> None:
    bridge.panel.world.settings.installs.outcome = "fail"
    bridge.say("subscription.created")
    refused(bridge, "install_failed", "install failed, twice")
    assert bridge.panel.calls.count("POST", "reinstall") == 1
    assert bridge.service().ready_at is None


@pytest.mark.parametrize("kind", ["error", "down", "rate_limited"])
def test_a_second_install_that_did_not_reach_the_panel_is_none(bridge: Bridge, kind: str) -> None:
    bridge.panel.world.settings.installs.outcome = "fail"
    bridge.panel.faults.add(kind, method="POST", path="reinstall", seconds=5)  # type: ignore[arg-type]
    bridge.say("subscription.created")
    bridge.panel.settle()
    bridge.panel.world.settings.installs.outcome = "success"
    outlast(bridge)
    assert bridge.service().observed_state == ObservedState.ACTIVE


def test_an_install_that_never_ends_is_told(bridge: Bridge, no_install_ends: None) -> None:
    bridge.say("subscription.created")
    waits(bridge, "installing", "installs the server")
    for _ in range(29):
        pass_time(bridge, 60)
    waits(bridge, "installing", "installs the server")
    pass_time(bridge, 120)
    refused(bridge, "install_stuck", "has not ended for a long time")


def test_the_install_timeout_runs_on_the_projects_clock(bridge: Bridge, no_install_ends: None) -> None:
    pass_time(bridge, 86400)
    bridge.say("subscription.created")
    pass_time(bridge, 60)
    waits(bridge, "installing", "installs the server")


def test_who_does_not_pay_waits_for_the_install_and_abuse_does_not(
    bridge: Bridge, no_install_ends: None
) -> None:
    bridge.say("subscription.created")
    bridge.say("subscription.updated", status="suspended")
    waits(bridge, "installing", "installs the server")
    assert bridge.server().status == "installing"
    service_suspend(service=bridge.service(), reason=SuspendReason.ABUSE)
    outlast(bridge)
    assert bridge.server().status == "suspended"


# --- looking only ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("why", ["setting", "panel", "installation", "copy", "none"])
def test_observe_only_looks_and_writes_nothing(bridge: Bridge, why: str, settings: Any) -> None:
    words = {
        "setting": "OBSERVE_ONLY",
        "panel": "observe only",
        "installation": "observe only",
        "copy": "another installation",
        "none": "another installation",
    }[why]
    bridge.buy()
    bridge.panel.calls.clear()
    rows = Installation.objects.all()
    if why == "setting":
        settings.OBSERVE_ONLY = True
    elif why == "panel":
        bridge.row.observe_only = True
        bridge.row.save()
    elif why == "installation":
        rows.update(observe_only=True)
    elif why == "copy":
        settings.INSTALLATION_ID = "copy"
    else:
        rows.delete()
    bridge.say("subscription.updated", product_id="frost-knight", status="suspended")
    bridge.say("subscription.created", subscription_id="2")
    waits(bridge, "observe_only", words)
    assert bridge.panel.calls.count("POST|PATCH|DELETE|PUT") == 0
    assert bridge.server().status is None


def test_after_observe_only_everything_goes_on(bridge: Bridge) -> None:
    bridge.row.observe_only = True
    bridge.row.save()
    bridge.say("subscription.created")
    assert bridge.panel.calls.count("POST") == 0
    bridge.row.observe_only = False
    bridge.row.save()
    outlast(bridge)
    assert len(bridge.servers()) == 1
    assert Operation.objects.get().outcome == Outcome.SUCCEEDED
