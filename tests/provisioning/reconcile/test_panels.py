"""What staff ask of a panel, and the preview that becomes exactly what is applied."""

from __future__ import annotations

import datetime as dt
import uuid

import pytest

from provisioning.choices import AccountState, DesiredState, Outcome, Resource
from provisioning.exceptions import PanelWaiting, TransitionError
from provisioning.lib import clock
from provisioning.lifecycle.staff import service_pin, service_recreate
from provisioning.models import AuditEntry, Operation, PanelAccount, Service
from provisioning.reconcile.gate import gate_of, gate_park
from provisioning.reconcile.panels import (
    accounts_link,
    check_product,
    panel_unpark,
    preview_payload,
    propose_links,
)
from provisioning.reconcile.panels import (
    test_connection as connection_of,
)
from provisioning.reconcile.preview import NOTHING, apply_reviewed, preview
from provisioning.reconcile.transport import PanelTransport
from provisioning.sandbox.world import User, new_uuid
from tests import factories
from tests.bridge import Bridge, document
from tests.provisioning.reconcile.trouble import outlast

# --- test connection ------------------------------------------------------------------------------------


@pytest.mark.req("CAL-11")
def test_a_connection_that_works_ends_a_parking(bridge: Bridge) -> None:
    bridge.panel.faults.add("unauthorized")
    bridge.say("subscription.created")
    assert gate_of(bridge.row).parked_at is not None
    assert connection_of(bridge.row).ok
    assert gate_of(bridge.row).parked_at is None
    outlast(bridge)
    assert len(bridge.servers()) == 1


@pytest.mark.req("CAL-11", "T83-30")
@pytest.mark.parametrize("kind", ["unauthorized", "down", "bad_gateway"])
def test_a_connection_that_fails_says_so_and_stays_parked(bridge: Bridge, kind: str) -> None:
    bridge.panel.faults.add("unauthorized")
    bridge.say("subscription.created")
    bridge.panel.faults.add(kind, count=None)  # type: ignore[arg-type]
    report = connection_of(bridge.row)
    assert not report.ok
    assert report.findings[-1].advice
    assert gate_of(bridge.row).parked_at is not None


@pytest.mark.req("CAL-11")
def test_a_malformed_key_is_named(bridge: Bridge) -> None:
    bridge.row.api_key = "ptla_too_short"
    titles = [finding.title for finding in connection_of(bridge.row).findings if not finding.ok]
    assert titles[0] == "The key is malformed."


@pytest.mark.req("CAL-11", "CAL-41")
def test_a_provider_for_two_shops_is_a_finding_and_keeps_no_panel_parked(bridge: Bridge) -> None:
    bridge.panel.faults.add("unauthorized")
    bridge.say("subscription.created")
    factories.product(panel=bridge.row)
    assert connection_of(bridge.row).ok, "without a provider there is nothing to confuse"
    bridge.row.identity_provider = uuid.uuid4()
    clock.shift(60)
    gate_park(panel=bridge.row, words="No key.")
    (finding,) = [each for each in connection_of(bridge.row).findings if not each.ok]
    assert finding.title == "New accounts are not linked to the identity provider."
    assert "Several billing connections sell on this panel" in finding.advice
    assert gate_of(bridge.row).parked_at is None


def test_a_panel_that_is_only_observed_can_be_tested(bridge: Bridge) -> None:
    bridge.row.observe_only = True
    assert connection_of(bridge.row).ok
    assert len(bridge.panel.state.users) == 1
    assert bridge.servers() == []


def test_a_test_that_has_no_time_says_so(bridge: Bridge) -> None:
    bridge.row.rate_per_minute = 1
    for _ in range(3):
        report = connection_of(bridge.row)
    assert [finding.title for finding in report.findings] == ["The test has to wait."]


@pytest.mark.req("CAL-11")
def test_staff_keep_the_silence_that_a_panel_asked_for(bridge: Bridge) -> None:
    bridge.panel.faults.add("rate_limited", seconds=120, count=1)
    bridge.say("subscription.created")
    until = gate_of(bridge.row).silent_until
    assert until is not None
    before = len(bridge.panel.calls)
    (finding,) = connection_of(bridge.row).findings
    assert (finding.ok, finding.title) == (False, "The test has to wait.")
    assert f"silence until {until:%H:%M:%S} UTC" in finding.advice
    with pytest.raises(PanelWaiting) as caught:
        PanelTransport(bridge.row, trial=True).request("GET", "/api/languages")
    assert caught.value.reason == "rate_limited"
    assert len(bridge.panel.calls) == before, "a call in the silence may lengthen it"
    clock.shift(130)
    assert connection_of(bridge.row).ok


def test_staff_unpark_a_panel_by_hand(bridge: Bridge) -> None:
    bridge.panel.faults.add("unauthorized")
    bridge.say("subscription.created")
    panel_unpark(bridge.row)
    assert gate_of(bridge.row).parked_at is None
    assert AuditEntry.objects.filter(action="panel.unpark").count() == 1


# --- products -------------------------------------------------------------------------------------------


@pytest.mark.req("CAL-21")
def test_a_product_is_checked_against_the_panel(bridge: Bridge) -> None:
    assert check_product(bridge.product) == {}
    bridge.product.document["target"] = {"nest": 1, "egg": 99, "node": 77}
    assert set(check_product(bridge.product)) == {"target.egg", "target.node"}


def test_the_payload_for_an_example_customer_changes_nothing(bridge: Bridge) -> None:
    before = (Service.objects.count(), len(bridge.servers()))
    payload = preview_payload(bridge.product)
    assert payload["external_id"] == "test-shop-12345"
    assert payload["name"] == "Server-12345"
    assert payload["limits"]["memory"] == 1024
    assert payload["allocation"]["default"] == "the first free allocation of node 1"
    assert bridge.panel.calls.count("POST") == 0
    assert (Service.objects.count(), len(bridge.servers())) == before


# --- bulk links -----------------------------------------------------------------------------------------


def user(bridge: Bridge, email: str, mark: str | None = None, *, admin: bool = False) -> User:
    world = bridge.panel.world
    made = User(*world.stamp("users"), new_uuid(), email[:20], email, "A", "B", external_id=mark)
    made.root_admin = admin
    world.state.users[made.id] = made
    return made


@pytest.mark.req("CAL-06")
@pytest.mark.parametrize(
    ("email", "mark", "verified", "ok", "words"),
    [
        ("Ada@Example.com", None, True, True, "verified by billing"),
        ("ada@example.com", None, False, False, "has not verified"),
        ("other@example.com", "7", False, True, "Same external id (7)"),
        ("ada@example.com", "99", True, False, "another external id (99)"),
    ],
)
def test_proposals_follow_the_safe_rules(
    bridge: Bridge, email: str, mark: str | None, verified: bool, ok: bool, words: str
) -> None:
    ada = factories.customer(
        connection=bridge.endpoint.connection, billing_user_id="7", mark="7", email_verified=verified
    )
    account = user(bridge, email, mark)
    (proposal,) = propose_links(bridge.row)
    assert (proposal.customer, proposal.account_id, proposal.email) == (ada, str(account.id), email)
    assert (proposal.ok, words in proposal.words) == (ok, True)
    assert not PanelAccount.objects.exists(), "a dry run"
    assert accounts_link([proposal], panel=bridge.row) == int(ok)
    assert PanelAccount.objects.filter(state=AccountState.LINKED).count() == int(ok)


@pytest.mark.req("CAL-06")
def test_administrators_and_taken_accounts_are_never_proposed_as_fit(bridge: Bridge) -> None:
    shop = bridge.endpoint.connection
    factories.customer(connection=shop, email="admin@example.com", email_verified=True)
    (proposal,) = propose_links(bridge.row)
    assert (proposal.ok, proposal.words) == (False, "An administrator of the panel is never linked.")
    bridge.buy(customer_id="7", customer_email="grace@example.com")
    other = factories.connection(key="other")
    factories.customer(connection=other, email="grace@example.com", email_verified=True)
    words = {proposal.email: proposal.words for proposal in propose_links(bridge.row)}
    assert words["grace@example.com"] == "Linked to another customer already."


def test_two_customers_of_one_address_get_one_link(bridge: Bridge) -> None:
    user(bridge, "grace@example.com")
    for key in ("one", "two"):
        factories.customer(
            connection=factories.connection(key=key), email="grace@example.com", email_verified=True
        )
    proposals = propose_links(bridge.row)
    assert [proposal.ok for proposal in proposals] == [True, True]
    assert accounts_link(proposals, panel=bridge.row) == 1
    assert accounts_link(proposals, panel=bridge.row) == 0


def test_two_accounts_of_one_address_are_left_to_staff(bridge: Bridge) -> None:
    factories.customer(connection=bridge.endpoint.connection, email_verified=True)
    user(bridge, "ada@example.com")
    user(bridge, "ADA@example.com")
    assert [(proposal.ok, "Several" in proposal.words) for proposal in propose_links(bridge.row)] == [
        (False, True)
    ]


# --- preview and apply ----------------------------------------------------------------------------------


def test_a_preview_changes_nothing_and_its_plan_is_what_is_applied(bridge: Bridge) -> None:
    service = bridge.buy()
    bridge.row.observe_only = True
    bridge.row.save()
    service_pin(service=service, resource=Resource.MEMORY, value=2048)
    shown = preview(bridge.service())
    assert shown.lines == ["~ memory 1024 → 2048 MiB"]
    assert bridge.server().memory == 1024
    bridge.row.observe_only = False
    bridge.row.save()
    assert shown.checksum in apply_reviewed(bridge.service(), shown.checksum)
    outlast(bridge)
    assert bridge.server().memory == 2048
    assert Operation.objects.order_by("-id")[0].plan["checksum"] == shown.checksum
    assert AuditEntry.objects.get(action="staff.apply").data == {"lines": shown.lines}


def test_another_plan_than_the_reviewed_one_is_not_applied(bridge: Bridge) -> None:
    service = bridge.buy()
    service_pin(service=service, resource=Resource.MEMORY, value=2048)
    shown = preview(bridge.service())
    service_pin(service=service, resource=Resource.MEMORY, value=4096)
    with pytest.raises(TransitionError, match="has changed since you looked"):
        apply_reviewed(bridge.service(), shown.checksum)
    assert not AuditEntry.objects.filter(action="staff.apply").exists()


def test_nothing_to_do_is_said(bridge: Bridge) -> None:
    service = bridge.buy()
    shown = preview(service)
    assert (shown.lines, shown.checksum) == ([], NOTHING)
    assert shown.notes
    assert apply_reviewed(service, NOTHING) == "Nothing was to be done."


def test_a_preview_of_a_create_shows_it(bridge: Bridge) -> None:
    bridge.row.observe_only = True
    bridge.row.save()
    bridge.say("subscription.created")
    assert preview(bridge.service()).lines == ["+ create server Server-12345"]


def test_a_preview_of_a_delete_shows_it(bridge: Bridge) -> None:
    service = bridge.buy()
    service.desired_state = DesiredState.ABSENT
    service.undo_until = service.created_at - dt.timedelta(days=1)
    assert preview(service).lines[0].startswith("- delete server Server-12345")
    assert len(bridge.servers()) == 1


def test_trouble_is_told_in_words(bridge: Bridge) -> None:
    service = bridge.buy()
    bridge.panel.faults.add("error")
    assert preview(service).problem
    bridge.panel.faults.add("error")
    with pytest.raises(TransitionError):
        apply_reviewed(service, NOTHING)
    bridge.panel.state.servers.clear()
    assert "is gone from panel" in preview(service).problem


def test_a_server_that_is_not_ours_yet_is_told_before_anything_is_applied(bridge: Bridge) -> None:
    service = bridge.buy()
    service_recreate(service=service)
    bridge.jobs.clear()
    assert "carries the mark test-shop-12345 already" in preview(bridge.service()).problem
    outlast(bridge)
    bridge.settle()
    assert bridge.operation().outcome == Outcome.NEEDS_STAFF


def test_nothing_is_planned_for_what_was_not_paid(bridge: Bridge) -> None:
    bridge.say("subscription.created", status="pending")
    before = len(bridge.panel.calls)
    assert preview(bridge.service()).checksum == NOTHING
    assert len(bridge.panel.calls) == before
    assert document()["target"]["node"] == 1
