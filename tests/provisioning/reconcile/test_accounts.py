"""Who gets which panel account, through the engine: nobody is linked to a stranger (DESIGN rule 6)."""

from __future__ import annotations

import uuid

import pytest

from provisioning.choices import AccountState, Outcome
from provisioning.lib import clock
from provisioning.lib.crypto import last_four
from provisioning.lifecycle.staff import service_retry
from provisioning.models import AuditEntry, Notification, PanelAccount, Service
from provisioning.reconcile.accounts import account_want
from provisioning.sandbox.world import User, new_uuid
from tests import factories
from tests.bridge import Bridge
from tests.provisioning.reconcile.trouble import outlast


def user(bridge: Bridge, email: str, **fields: object) -> User:
    """A user that somebody made on the panel by hand."""
    world = bridge.panel.world
    made = User(*world.stamp("users"), new_uuid(), email.partition("@")[0], email, "Ada", "L")
    for name, value in fields.items():
        setattr(made, name, value)
    world.state.users[made.id] = made
    return made


def held(bridge: Bridge, words: str) -> None:
    operation = bridge.operation()
    assert (operation.outcome, operation.reason) == (Outcome.NEEDS_STAFF, "account_held"), operation.detail
    assert words in operation.detail
    assert bridge.servers() == []
    row = PanelAccount.objects.get()
    assert (row.state, row.held_because) == (AccountState.HELD, operation.detail)


def owner(bridge: Bridge) -> User:
    return bridge.panel.state.users[bridge.server().owner_id]


@pytest.mark.req("CAL-06")
def test_a_partial_match_is_a_stranger(bridge: Bridge) -> None:
    stranger = user(bridge, "myada@example.com")
    bridge.buy(customer_id="7")
    assert owner(bridge).id != stranger.id
    assert (owner(bridge).email, owner(bridge).external_id) == ("ada@example.com", "7")


@pytest.mark.req("CAL-06")
def test_the_same_verified_address_in_another_case_is_linked(bridge: Bridge) -> None:
    known = user(bridge, "ADA@Example.com")
    bridge.buy(customer_id="7")
    assert owner(bridge).id == known.id
    assert known.external_id == "7"


@pytest.mark.req("CAL-06")
def test_an_unverified_address_is_held(bridge: Bridge) -> None:
    bridge.endpoint.verifies_email = False
    bridge.endpoint.save()
    user(bridge, "ada@example.com")
    bridge.say("subscription.created")
    held(bridge, "verified")


@pytest.mark.req("CAL-06")
def test_an_administrator_is_never_linked(bridge: Bridge) -> None:
    bridge.say("subscription.created", customer_email="admin@example.com")
    held(bridge, "administrator")
    assert bridge.panel.state.users[1].external_id is None


@pytest.mark.req("CAL-06")
def test_an_administrator_with_our_mark_is_never_linked(bridge: Bridge) -> None:
    user(bridge, "root@example.com", external_id="7", root_admin=True)
    bridge.say("subscription.created", customer_id="7")
    held(bridge, "administrator")


@pytest.mark.req("CAL-06")
def test_an_account_of_another_customer_is_held(bridge: Bridge) -> None:
    user(bridge, "ada@example.com", external_id="99")
    bridge.say("subscription.created", customer_id="7")
    held(bridge, "99")


@pytest.mark.req("CAL-05")
def test_an_account_known_by_its_mark_is_found_whatever_its_address(bridge: Bridge) -> None:
    known = user(bridge, "old@example.com", external_id="7")
    bridge.buy(customer_id="7")
    assert owner(bridge).id == known.id


def test_a_held_account_goes_on_once_staff_have_mended_it(bridge: Bridge) -> None:
    stranger = user(bridge, "ada@example.com", external_id="99")
    bridge.say("subscription.created", customer_id="7")
    held(bridge, "99")
    stranger.external_id = None
    bridge.say("subscription.updated", customer_id="7", product_id="frost-knight")
    outlast(bridge)
    assert owner(bridge).id == stranger.id
    assert PanelAccount.objects.get().held_because == ""


@pytest.mark.req("CAL-05")
def test_two_orders_of_one_new_customer_make_one_account(bridge: Bridge) -> None:
    bridge.store("subscription.created", subscription_id="1", customer_id="7")
    bridge.store("subscription.created", subscription_id="2", customer_id="7")
    outlast(bridge)
    assert {server.owner_id for server in bridge.servers()} == {2}
    assert len(bridge.panel.state.users) == 2


# --- following billing ----------------------------------------------------------------------------------


def test_a_changed_address_follows(bridge: Bridge) -> None:
    bridge.buy(customer_id="7")
    bridge.say("subscription.updated", customer_id="7", customer_email="countess@example.com")
    outlast(bridge)
    assert owner(bridge).email == "countess@example.com"
    assert PanelAccount.objects.get().email == "countess@example.com"
    assert AuditEntry.objects.filter(action="account.updated").count() == 1


@pytest.mark.parametrize("trouble", ["taken", "admin"])
def test_an_address_that_cannot_follow_stops_no_limits(bridge: Bridge, trouble: str) -> None:
    bridge.buy(customer_id="7")
    if trouble == "taken":
        user(bridge, "countess@example.com")
    else:
        owner(bridge).root_admin = True
    changed = {"customer_id": "7", "customer_email": "countess@example.com"}
    bridge.say("subscription.updated", product_id="frost-knight", **changed)
    outlast(bridge)
    assert bridge.server().memory == 4096
    assert owner(bridge).email == "ada@example.com"
    assert Notification.objects.filter(key__startswith="account:").count() == 1
    assert PanelAccount.objects.get().held_because
    bridge.say("subscription.updated", product_id="fire-elemental", **changed)
    outlast(bridge)
    assert bridge.server().memory == 1024
    assert Notification.objects.filter(key__startswith="account:").count() == 1


def test_an_address_follows_once_staff_have_made_room_for_it(bridge: Bridge) -> None:
    bridge.buy(customer_id="7")
    other = user(bridge, "countess@example.com")
    bridge.say("subscription.updated", customer_id="7", customer_email="countess@example.com")
    outlast(bridge)
    other.email = "linus@example.com"
    clock.shift(3601)
    service_retry(service=bridge.service())
    outlast(bridge)
    assert owner(bridge).email == "countess@example.com"
    assert PanelAccount.objects.get().held_because == ""
    assert Notification.objects.filter(key__startswith="account:").count() == 1


def test_a_mark_of_ours_gives_way_to_billings_user_id(bridge: Bridge) -> None:
    bridge.buy()
    assert str(owner(bridge).external_id).startswith("test-shop-c-")
    bridge.say("subscription.updated", customer_id="7")
    outlast(bridge)
    assert owner(bridge).external_id == "7"
    assert PanelAccount.objects.get().mark == "7"
    assert bridge.service().converged
    assert not Notification.objects.filter(key__startswith="account:").exists()


def test_an_account_whose_answer_was_lost_is_found_after_its_mark_has_changed(bridge: Bridge) -> None:
    bridge.panel.faults.add("lost", method="POST", path=r"/users$")
    bridge.say("subscription.created")
    assert PanelAccount.objects.get().state == AccountState.WANTED
    bridge.say("subscription.updated", customer_id="7")
    outlast(bridge)
    assert len(bridge.panel.state.users) == 2
    assert owner(bridge).external_id == "7"


def test_marks_carry_the_connections_key_where_two_shops_share_a_panel(bridge: Bridge) -> None:
    bridge.row.prefix_user_marks = True
    bridge.row.save()
    bridge.buy(customer_id="7")
    assert owner(bridge).external_id == "shop-7"


def test_the_panels_key_stands_in_no_record(bridge: Bridge) -> None:
    bridge.panel.faults.add("error", count=2)
    bridge.buy()
    key = bridge.panel.application_key
    told = [entry.message for entry in AuditEntry.objects.all()]
    told += [f"{call.path} {call.words} {call.error}" for call in bridge.row.calls.all()]
    assert not [text for text in told if key in text or key[5:25] in text]
    assert bridge.row.key_hint == last_four(key)
    assert Service.objects.get().converged


# --- signing in with billing ----------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.req("CAL-05", "CAL-41")
@pytest.mark.parametrize(
    ("other", "sent"),
    [
        ("nothing", "7"),
        ("a product", ""),
        ("a server", ""),
        ("a service without a server", "7"),
        ("a product elsewhere", "7"),
    ],
)
def test_an_identity_is_sent_only_where_one_shop_is_on_the_panel(other: str, sent: str) -> None:
    panel = factories.panel(identity_provider=uuid.uuid4())
    customer = factories.customer(connection=factories.product(panel=panel).connection, billing_user_id="7")
    if other == "a product":
        factories.product(panel=panel)
    if other.endswith("server"):
        factories.service(panel=panel, server_id="4" if other == "a server" else "")
    if other.endswith("elsewhere"):
        factories.product()
    assert account_want(customer, panel).identity == sent
