"""The engine on a panel whose external ids are not unique, and which answers before its machines know."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.conf import settings

from provisioning.choices import DesiredState, DriftKind, ObservedState, OperationKind, Outcome
from provisioning.desired import server_name
from provisioning.drivers.calagopus.client import LONGEST_CALL
from provisioning.drivers.types import Observed
from provisioning.lib import clock
from provisioning.models import Drift, LaterCheck, Notification, Operation, PanelAccount
from provisioning.sandbox.calagopus.rows import Backup
from provisioning.sandbox.calagopus.server import CalagopusSandbox
from tests import factories
from tests.conftest import Jobs
from tests.contract.openapi import watch
from tests.provisioning.reconcile.calagopus import CalagopusBridge
from tests.provisioning.reconcile.drifting import check, standing
from tests.provisioning.reconcile.trouble import outlast, pass_time

pytestmark = pytest.mark.slow

USER, BY_MARK, MADE = "POST users", "GET servers/external/{mark}", "POST servers"
PATCH, LOOK, DELETE = "PATCH servers/{server}", "GET servers/{server}", "DELETE servers/{server}"
USAGE = "GET nodes/{node}/servers/resources"


@pytest.fixture
def bridge(jobs: Jobs, db: None) -> Iterator[CalagopusBridge]:
    """Rows, queue and panel together; each request fits the panel's own document."""
    with CalagopusSandbox() as panel:
        problems = watch(panel)
        yield CalagopusBridge(panel, jobs)
        assert problems == []


def warm(bridge: CalagopusBridge) -> None:
    """Egg and free allocations are known, from an order of Grace's."""
    bridge.buy(subscription_id="1", customer_email="grace@example.com")
    bridge.calls()


def calls_of(bridge: CalagopusBridge) -> int:
    """The calls of the newest operation."""
    return bridge.operation().calls


# --- the straight path (panel calls of issue 5 A) --------------------------------------------------------


@pytest.mark.req("CAL-01", "CAL-05")
def test_a_create_is_three_calls_and_two_for_a_known_customer(bridge: CalagopusBridge) -> None:
    warm(bridge)
    bridge.say("subscription.created")
    assert bridge.calls() == [USER, BY_MARK, MADE]
    bridge.settle()
    bridge.calls()
    bridge.say("subscription.created", subscription_id="3")
    assert bridge.calls() == [BY_MARK, MADE]
    bridge.settle()
    service = bridge.service()
    assert (service.converged, service.observed_state) == (True, ObservedState.ACTIVE)
    assert service.ready_at
    sign_in = service.observed["sign_in"]
    assert sign_in["forgot_url"].endswith("/auth/forgot-password")
    assert PanelAccount.objects.count() == 2


@pytest.mark.req("CAL-41")
def test_the_link_to_the_billing_identity_is_one_call_more(bridge: CalagopusBridge) -> None:
    warm(bridge)
    bridge.row.identity_provider = next(iter(bridge.panel.state.oauth_providers))
    bridge.row.save()
    bridge.say("subscription.created", customer_id="7")
    assert bridge.calls() == [USER, "POST users/{user}/oauth-links", BY_MARK, MADE]
    (link,) = bridge.panel.state.oauth_links.values()
    assert link.identifier == "7"


@pytest.mark.req("CAL-05", "CAL-41")
def test_a_customer_of_two_shops_panel_is_given_nobodys_identity(bridge: CalagopusBridge) -> None:
    warm(bridge)
    bridge.row.identity_provider = next(iter(bridge.panel.state.oauth_providers))
    bridge.row.save()
    factories.product(panel=bridge.row)
    bridge.say("subscription.created", customer_id="7")
    assert bridge.calls() == [USER, BY_MARK, MADE]
    assert not bridge.panel.state.oauth_links


@pytest.mark.req("CAL-02", "CAL-03", "CAL-04")
def test_changes_are_two_calls_and_a_delete_is_three(bridge: CalagopusBridge) -> None:
    bridge.buy()
    bridge.wait(days=1)
    bridge.calls()
    bridge.say("subscription.updated", status="suspended")
    assert bridge.calls() == [PATCH, LOOK]
    assert bridge.service().observed_state == ObservedState.SUSPENDED
    bridge.wait(days=1)
    bridge.calls()
    bridge.say("subscription.updated", status="active")
    assert bridge.calls() == [PATCH, LOOK]
    bridge.wait(days=1)
    bridge.calls()
    bridge.say("subscription.updated", product_id="frost-knight")
    assert bridge.calls() == [PATCH, LOOK]
    assert bridge.row_of().limits["memory"] == 4096
    bridge.say("subscription.cancelled", status="cancelled")
    bridge.wait(days=7.5)
    delete = Operation.objects.filter(kind=OperationKind.TERMINATE).latest("pk")
    assert (delete.outcome, delete.calls) == (Outcome.SUCCEEDED, 3)
    assert bridge.rows() == []


@pytest.mark.req("CAL-02")
def test_a_suspension_after_an_upgrade_waits_a_second_and_ends_the_series(
    bridge: CalagopusBridge,
) -> None:
    bridge.panel.settings.sync_delay = 0.4
    bridge.panel.settings.sync_order = "reversed"
    bridge.buy()
    bridge.wait(days=1)
    server = bridge.row_of()
    bridge.say("subscription.updated", product_id="frost-knight")
    bridge.say("subscription.updated", product_id="frost-knight", status="suspended")
    waiting = bridge.operation()
    assert (waiting.outcome, waiting.reason, waiting.attempts) == (Outcome.WAITING, "change_pace", 0)
    assert not server.suspended
    pass_time(bridge, 1.1)
    assert bridge.service().observed_state == ObservedState.SUSPENDED
    assert bridge.service().converged, "the later checks delay nothing"
    live = LaterCheck.objects.filter(generation=bridge.service().generation)
    assert set(live.values_list("kind", flat=True)) == {"series", "suspend"}
    pass_time(bridge, 2.5)
    bridge.panel.advance(1)
    bridge.panel.settle()
    view = bridge.panel.daemon_view(server.uuid)
    assert view
    assert view.suspended
    assert view.build["memory_limit"] == 4096


# --- a create whose answer was lost ----------------------------------------------------------------------


@pytest.mark.req("CAL-01", "CAL-07")
@pytest.mark.parametrize("late", [0, 1, 3, 10])
@pytest.mark.parametrize("stale", [0, 300], ids=["fresh", "stale"])
def test_with_a_pinned_allocation_there_is_never_a_second_server(
    bridge: CalagopusBridge, late: int, stale: int
) -> None:
    warm(bridge)
    if stale:
        bridge.panel.faults.add(
            "stale", method="GET", path=r"/servers|/allocations", count=None, seconds=stale
        )
    bridge.panel.faults.add("ghost", method="POST", path=r"/servers$", seconds=late * LONGEST_CALL)
    bridge.say("subscription.created")
    for _ in range(12):
        pass_time(bridge, 60)
        bridge.panel.settle()
        bridge.panel.faults.remember()
    outlast(bridge)
    service = bridge.service()
    ours = [row.uuid for row in bridge.rows() if row.external_id == service.external_id]
    assert ours == [service.server_id]
    assert service.created_confirmed_at


def auto(bridge: CalagopusBridge) -> None:
    """From now on the panel chooses the place."""
    warm(bridge)
    bridge.product.document = bridge.placed(auto=True)
    bridge.product.save()


@pytest.mark.req("CAL-21")
def test_a_deploy_that_came_true_is_found_in_the_customers_whole_list(bridge: CalagopusBridge) -> None:
    auto(bridge)
    bridge.panel.faults.add("lost", method="POST", path="/deploy$")
    bridge.say("subscription.created")
    outlast(bridge)
    assert bridge.panel.calls.count("POST", "/deploy$") == 1
    assert bridge.panel.calls.count("GET", r"/users/[^/]+/servers$") == 1
    assert len(bridge.rows()) == 2
    assert bridge.service().converged


def test_a_deploy_is_sent_again_once_after_three_complete_lists_and_then_staff_decide(
    bridge: CalagopusBridge,
) -> None:
    auto(bridge)
    since = clock.now()
    bridge.panel.faults.add("ghost", method="POST", path="/deploy$", count=2, seconds=10**7)
    bridge.say("subscription.created")
    looks = []
    for _ in range(200):
        if bridge.panel.calls.count("POST", "/deploy$") > 1:
            break
        before = bridge.panel.calls.count("GET", r"/users/[^/]+/servers$")
        pass_time(bridge, 10)
        if bridge.panel.calls.count("GET", r"/users/[^/]+/servers$") > before:
            looks.append((clock.now() - since).total_seconds())
    assert len(looks) == 3, looks
    assert looks[0] < settings.UNKNOWN_WAIT_SECONDS
    assert looks[1] >= 2 * LONGEST_CALL
    assert looks[2] >= max(600, 12 * LONGEST_CALL)
    outlast(bridge, looks=200)
    assert bridge.panel.calls.count("POST", "/deploy$") == 2
    last = bridge.operation()
    assert (last.outcome, last.reason) == (Outcome.NEEDS_STAFF, "create_lost")


def test_a_late_ghost_of_a_deploy_is_named_and_not_touched(bridge: CalagopusBridge) -> None:
    auto(bridge)
    bridge.panel.faults.add("ghost", method="POST", path="/deploy$", seconds=10_000)
    bridge.say("subscription.created")
    outlast(bridge, looks=200)
    ours = bridge.service()
    assert ours.converged
    pass_time(bridge, 10_000)
    bridge.panel.settle()
    check(bridge)
    other = next(
        row.uuid
        for row in bridge.rows()
        if row.external_id == ours.external_id and row.uuid != ours.server_id
    )
    assert standing() == [(DriftKind.DOUBLE, other)]
    assert ours.server_id in Drift.objects.get().words
    assert bridge.panel.calls.count("DELETE") == 0


# --- what the machine made of it -------------------------------------------------------------------------


def suspended(bridge: CalagopusBridge) -> str:
    """A suspension that the panel shows and the machine never heard of; the server's id."""
    bridge.buy()
    bridge.wait(days=1)
    bridge.panel.daemon_set("5xx")
    bridge.say("subscription.updated", status="suspended")
    assert bridge.service().converged
    server = bridge.row_of().uuid
    bridge.panel.power_set(server, "running")
    bridge.calls()
    return server


@pytest.mark.req("CAL-02")
def test_a_suspension_that_never_arrived_is_told_again_after_a_while(bridge: CalagopusBridge) -> None:
    server = suspended(bridge)
    bridge.panel.daemon_set("ok")
    pass_time(bridge, 40)
    assert bridge.calls() == []
    pass_time(bridge, 15)
    assert bridge.calls() == [USAGE, PATCH]
    told = bridge.operation()
    assert (told.kind, told.outcome, told.calls) == (OperationKind.CHECK, Outcome.SUCCEEDED, 2)
    view = bridge.panel.daemon_view(server)
    assert view
    assert (view.suspended, view.power) == (True, "offline")
    pass_time(bridge, 55)
    assert bridge.calls() == [USAGE]
    assert bridge.operation().outcome == Outcome.UNCHANGED
    pass_time(bridge, 600)
    assert bridge.calls() == []
    assert not LaterCheck.objects.exists()


def test_a_machine_that_never_obeys_is_told_three_times_and_then_staff_are(bridge: CalagopusBridge) -> None:
    server = suspended(bridge)
    for _ in range(8):
        # It answers looks, and loses what it is told.
        bridge.panel.daemon_set("ok")
        pass_time(bridge, 55)
        bridge.panel.power_set(server, "running")
    assert bridge.calls().count(PATCH) == 3
    last = bridge.operation()
    assert (last.outcome, last.reason) == (Outcome.NEEDS_STAFF, "still_running")
    assert Notification.objects.filter(template="needs_staff").count() == 1
    assert not LaterCheck.objects.exists()
    assert bridge.service().observed_state == ObservedState.SUSPENDED


def test_a_machine_that_cannot_be_looked_at_is_tried_later_and_not_for_ever(bridge: CalagopusBridge) -> None:
    suspended(bridge)
    for _ in range(20):
        pass_time(bridge, 1000)
    looks = Operation.objects.filter(kind=OperationKind.CHECK, outcome=Outcome.FAILED)
    assert 3 <= looks.count() <= 8
    assert not LaterCheck.objects.exists()
    assert not Operation.objects.filter(outcome=Outcome.NEEDS_STAFF).exists()


def test_a_newer_change_makes_a_check_needless(bridge: CalagopusBridge) -> None:
    suspended(bridge)
    bridge.panel.daemon_set("ok")
    bridge.say("subscription.updated", status="active")
    bridge.settle()
    bridge.calls()
    pass_time(bridge, 120)
    assert USAGE not in bridge.calls()
    assert not LaterCheck.objects.exists()
    assert bridge.service().desired_state == DesiredState.PRESENT


# --- what staff should know ------------------------------------------------------------------------------


@pytest.mark.req("CAL-04")
def test_backups_that_could_not_be_deleted_are_told_to_staff(bridge: CalagopusBridge) -> None:
    bridge.buy()
    row = bridge.row_of()
    backup = Backup(*bridge.panel.world.stamp(), row.uuid, row.node, "daily", [], {})
    bridge.panel.world.state.backups[backup.uuid] = backup
    bridge.panel.settings.backups_fail = True
    bridge.say("subscription.cancelled", status="cancelled")
    bridge.wait(days=8)
    assert bridge.rows() == []
    assert bridge.service().observed_state == ObservedState.ABSENT
    mail = Notification.objects.get(template="remark")
    assert "not all of its backups" in mail.context["words"]


@pytest.mark.req("CAL-24")
def test_a_dropped_custom_limit_is_told_once(bridge: CalagopusBridge) -> None:
    document = bridge.document()
    document["options"]["feature_limits"] = "plugins:5"
    bridge.product.document = document
    bridge.product.save()
    service = bridge.buy()
    assert service.converged
    mail = Notification.objects.get(template="remark")
    assert "“plugins”" in mail.context["words"]


@pytest.mark.req("CAL-30")
@pytest.mark.parametrize(("own", "name"), [("ab", "Server-12345"), ("Ada's", "Ada's")])
def test_a_customers_name_that_is_too_short_for_the_panel_is_not_used(
    bridge: CalagopusBridge, own: str, name: str
) -> None:
    service = bridge.buy()
    service.properties = {"server_name": own}
    assert server_name(service) == name


@pytest.mark.req("CAL-12")
def test_no_key_and_no_secret_stands_in_our_tables(bridge: CalagopusBridge) -> None:
    bridge.buy()
    seen = Observed.from_json(bridge.service().observed)
    assert bridge.panel.application_key not in str(seen.as_json())
    words = " ".join(f"{call.path} {call.words} {call.error}" for call in bridge.row.calls.all())
    assert bridge.panel.application_key not in words
