"""Who a service belongs to: nobody is linked to a stranger (DESIGN rule 6)."""

from __future__ import annotations

from typing import Any

import pytest

from provisioning.billing.events import read_event
from provisioning.lifecycle.customers import EventHeld, customer_update
from provisioning.models import Customer, PanelAccount, Service
from tests import factories
from tests.provisioning.lifecycle.cast import Shop, ago

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop() -> Shop:
    """A shop that has sold nothing yet."""
    return Shop()


def second_order(shop: Shop, **payload: Any) -> Service:
    """Another subscription, of whoever the payload names."""
    sent = {"subscription_id": "777", "product_id": "fire-elemental", "status": "active", **payload}
    return shop.says("subscription.created", **sent).service


@pytest.mark.req("CAL-05")
@pytest.mark.parametrize("ident", ["", "41"])
def test_one_customer_for_all_of_their_services(shop: Shop, ident: str) -> None:
    first = shop.orders(customer_id=ident)
    second = second_order(shop, customer_id=ident, customer_email="ADA@example.com")
    assert first.customer == second.customer
    assert not ident or first.customer.mark == ident


def test_a_known_address_under_another_id_is_another_customer(shop: Shop) -> None:
    first = shop.orders(customer_id="41")
    assert second_order(shop, customer_id="42", customer_email="ada@example.com").customer != first.customer


@pytest.mark.req("CAL-06")
@pytest.mark.parametrize(
    ("known", "said", "reason"),
    [
        ({}, {"customer_email": "eve@example.com"}, "other_email"),
        ({}, {"customer_email": "eve@example.com", "customer_id": "9"}, "other_email"),
        ({"customer_id": "41"}, {"customer_email": "eve@example.com"}, "other_email"),
        ({"customer_id": "41"}, {"customer_email": "ada@example.com", "customer_id": "9"}, "other_customer"),
        ({"customer_id": "41"}, {"customer_id": "9"}, "other_customer"),
    ],
)
def test_a_service_does_not_change_hands_by_itself(
    shop: Shop, known: dict[str, Any], said: dict[str, Any], reason: str
) -> None:
    shop.orders(**known)
    before = Service.objects.values().get(), Customer.objects.values().get()
    with pytest.raises(EventHeld) as held:
        shop.says("subscription.cancelled", **said)
    assert held.value.reason == reason
    assert (Service.objects.values().get(), Customer.objects.values().get()) == before


def test_a_customer_with_an_id_may_change_their_address(shop: Shop) -> None:
    before = shop.orders(customer_id="41")
    shop.says(
        "subscription.updated", customer_id="41", customer_email="lovelace@example.com", first_name="Ada"
    )
    customer = shop.service().customer
    assert (customer.email, customer.email_folded) == ("lovelace@example.com", "lovelace@example.com")
    assert (customer.first_name, customer.mark) == ("Ada", "41")
    assert shop.service().generation == before.generation + 1, "the owner's panel account follows"


def test_old_news_of_one_service_does_not_undo_what_another_said(shop: Shop) -> None:
    shop.orders(customer_id="41", customer_email="new@example.com", occurred_at=ago(1))
    second_order(shop, customer_id="41", customer_email="old@example.com", occurred_at=ago(2))
    assert Customer.objects.get().email == "new@example.com"


def test_a_changed_address_reaches_the_other_panels(shop: Shop) -> None:
    elsewhere = shop.product("elsewhere", panel=factories.panel())
    first = shop.orders(customer_id="41")
    Service.objects.update(panel=shop.small.panel)
    second = second_order(shop, customer_id="41", customer_email="ada@example.com", product_id="elsewhere")
    Service.objects.filter(pk=second.pk).update(panel=elsewhere.panel, next_check_at=None)
    shop.says("subscription.updated", customer_id="41", customer_email="lovelace@example.com")
    after = Service.objects.get(pk=second.pk)
    assert after.generation == second.generation + 1
    assert after.next_check_at is not None
    assert shop.service().generation == first.generation + 1


def test_the_billing_id_becomes_known(shop: Shop) -> None:
    before = shop.orders()
    assert before.customer.mark.startswith("test-")
    shop.says("subscription.updated", customer_id="41", customer_email="ada@example.com")
    customer = Customer.objects.get()
    assert (customer.pk, customer.billing_user_id, customer.mark) == (before.customer.pk, "41", "41")
    assert shop.service().generation == before.generation + 1


def test_details_from_a_stale_copy_leave_the_id_alone(shop: Shop) -> None:
    """Two events of one customer at once: one names the id while the other still holds the row without it."""
    stale = shop.orders().customer
    shop.says("subscription.updated", customer_id="41", customer_email="ada@example.com")
    said = {"event": "subscription.updated", "subscription_id": "12345", "first_name": "Augusta"}
    assert customer_update(customer=stale, fact=read_event(said))
    customer = Customer.objects.get()
    assert (customer.first_name, customer.billing_user_id, customer.mark) == ("Augusta", "41", "41")


def test_an_old_event_that_names_the_id_is_no_old_news(shop: Shop) -> None:
    before = shop.orders(occurred_at=ago(1))
    old = shop.says(
        "subscription.updated", customer_id="41", customer_email="ada@example.com", occurred_at=ago(2)
    )
    assert (old.newer, shop.service().generation) == (True, before.generation + 1)


def test_two_rows_of_one_person_become_one(shop: Shop) -> None:
    shop.orders()
    panel = shop.small.panel
    account = PanelAccount.objects.create(panel=panel, customer=Customer.objects.get(), mark="m")
    known = second_order(shop, customer_id="41", customer_email="ada@example.com").customer
    shop.says("subscription.updated", customer_id="41", customer_email="ada@example.com")
    assert Customer.objects.get() == known == shop.service().customer
    account.refresh_from_db()
    assert account.customer == known


@pytest.mark.parametrize("ids", [("", "41"), ("41", "")])
def test_one_address_in_one_shop_is_one_customer(shop: Shop, ids: tuple[str, str]) -> None:
    first = shop.orders(customer_id=ids[0])
    second = second_order(shop, customer_id=ids[1], customer_email="ADA@example.com")
    assert first.customer_id == second.customer_id
    customer = Customer.objects.get()
    assert (customer.billing_user_id, customer.mark) == ("41", "41")


def test_an_address_that_two_known_clients_share_names_neither(shop: Shop) -> None:
    shop.orders(customer_id="41")
    second_order(shop, customer_id="42", customer_email="ada@example.com")
    third = second_order(shop, subscription_id="99", customer_email="ada@example.com")
    assert third.customer.billing_user_id == ""
    assert Customer.objects.count() == 3


def test_two_accounts_on_one_panel_are_for_staff(shop: Shop) -> None:
    shop.orders()
    known = second_order(shop, customer_id="41", customer_email="grace@example.com").customer
    for number, customer in enumerate(Customer.objects.all()):
        PanelAccount.objects.create(panel=shop.small.panel, customer=customer, mark=str(number))
    with pytest.raises(EventHeld) as held:
        shop.says("subscription.updated", customer_id="41", customer_email="")
    assert held.value.reason == "two_accounts"
    assert Customer.objects.exclude(pk=known.pk).count() == 1


@pytest.mark.parametrize(
    ("first", "then", "address", "verified"),
    [
        (True, None, "ada@example.com", True),
        (None, True, "ada@example.com", True),
        (True, False, "ada@example.com", False),
        (True, None, "new@example.com", False),
        (False, True, "new@example.com", True),
        (False, True, "", False),
    ],
)
def test_a_verification_belongs_to_one_address(
    shop: Shop, first: bool | None, then: bool | None, address: str, verified: bool
) -> None:
    shop.orders(customer_id="41", email_verified=first)
    shop.says("subscription.updated", customer_id="41", customer_email=address, email_verified=then)
    assert Customer.objects.get().email_verified is verified
