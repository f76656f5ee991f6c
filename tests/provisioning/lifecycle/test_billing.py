"""What each event of billing does to a service, one aspect at a time."""

from __future__ import annotations

import datetime as dt
import json
from types import ModuleType
from typing import Any

import pytest

from provisioning.billing.events import read_event
from provisioning.lib import clock as project_clock
from provisioning.lifecycle.billing import service_apply_event, services_link_product
from provisioning.lifecycle.customers import EventHeld
from provisioning.lifecycle.refresh import service_refresh
from provisioning.models import AuditEntry, Customer, Service
from tests import factories
from tests.provisioning.lifecycle.cast import DAY, Shop, ago

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop() -> Shop:
    """A shop that has sold nothing yet."""
    return Shop()


@pytest.mark.req("T83-01", "T83-10", "T83-11")
def test_the_documented_payload_makes_a_service(shop: Shop, jobs: Any) -> None:
    text = (
        '{"event":"subscription.created","subscription_id":"12345","customer_email":"user@example.com",'
        '"product_id":"fire-elemental","tier":"elemental","status":"active"}'
    )
    event = factories.event(endpoint=shop.endpoint, body=text.encode())
    jobs.clear()
    applied = service_apply_event(event=event, fact=read_event(json.loads(text)))
    service = shop.service()
    assert (applied.created, applied.newer) == (True, True)
    assert (service.desired_state, service.generation) == ("present", 1)
    assert (service.product, service.tier) == (shop.small, "elemental")
    assert service.external_id == f"test-{shop.small.connection.key}-12345"
    customer = service.customer
    assert (customer.email, customer.billing_user_id, customer.email_verified) == (
        "user@example.com",
        "",
        False,
    )
    assert customer.mark.startswith(f"test-{shop.small.connection.key}-c-")
    assert jobs.sent == [("provisioning.reconcile.tasks.reconcile_service", service.pk)]
    assert service.next_check_at is not None


def test_the_same_event_again_changes_nothing(shop: Shop, jobs: Any) -> None:
    shop.orders()
    before = Service.objects.values().get()
    entries = AuditEntry.objects.count()
    jobs.clear()
    for _ in range(3):
        sent: dict[str, Any] = {
            "customer_email": "ada@example.com",
            "product_id": "fire-elemental",
            "status": "active",
        }
        applied = shop.says("subscription.created", occurred_at=before["registers"]["status"][0], **sent)
        assert (applied.created, applied.newer) == (False, False)
    assert Service.objects.values().get() == before
    assert (AuditEntry.objects.count(), [job for job in jobs.sent if "reconcile" in job[0]]) == (entries, [])


def test_pending_makes_nothing_until_it_is_paid(shop: Shop) -> None:
    service = shop.orders(status="pending")
    assert (service.desired_state, service.generation) == ("none", 0)
    shop.says("payment.succeeded", status="active", occurred_at=ago(1))
    assert (shop.service().desired_state, shop.service().generation) == ("present", 1)


def test_a_payment_alone_does_not_start_a_pending_order(shop: Shop) -> None:
    shop.orders(status="pending")
    shop.says("payment.succeeded", occurred_at=ago(1))
    assert shop.service().desired_state == "none"


@pytest.mark.parametrize("status", ["cancelled", "suspended", "pending"])
def test_a_payment_ends_nothing(shop: Shop, status: str) -> None:
    shop.orders()
    shop.says("payment.succeeded", status=status, occurred_at=ago(1))
    shop.says("payment.failed", status=status, occurred_at=ago(0.5))
    service = shop.service()
    assert (service.billing_status, service.desired_state) == ("active", "present")


@pytest.mark.req("T83-02", "T83-03")
def test_unpaid_then_suspended_then_paid(shop: Shop, clock: ModuleType) -> None:
    shop.orders()
    shop.says("payment.failed", occurred_at=ago(0))
    service = shop.service()
    assert service.desired_state == "present"
    assert service.overdue_since is not None
    assert service.suspend_at == service.overdue_since + 7 * DAY
    clock.shift(7 * 86_400 + 1)
    assert service_refresh(service=service)
    assert (service.desired_state, service.suspend_reasons, service.generation) == (
        "suspended",
        ["overdue"],
        2,
    )
    shop.says("payment.succeeded", occurred_at=ago(0))
    service = shop.service()
    assert (service.desired_state, service.suspend_reasons, service.overdue_since) == ("present", [], None)
    assert service.generation == 3


def test_a_late_failure_before_the_last_payment_is_old_news(shop: Shop) -> None:
    shop.orders()
    shop.says("payment.succeeded", occurred_at=ago(2))
    applied = shop.says("payment.failed", occurred_at=ago(9))
    assert (applied.newer, shop.service().overdue_since) == (False, None)


def test_a_one_time_purchase_is_never_overdue(shop: Shop) -> None:
    shop.product("founder", kind="one_time")
    shop.orders(product_id="founder")
    shop.says("payment.failed", occurred_at=ago(30))
    assert (shop.service().desired_state, shop.service().overdue_since) == ("present", None)


@pytest.mark.req("T83-05")
def test_cancelled_at_once_and_brought_back(shop: Shop) -> None:
    shop.orders()
    shop.says("subscription.cancelled", occurred_at=ago(1))
    service = shop.service()
    assert (service.billing_status, service.desired_state) == ("cancelled", "suspended")
    assert service.ended_at is not None
    assert service.undo_until is not None
    assert project_clock.now() - service.ended_at >= DAY
    left = service.undo_until - project_clock.now()
    assert abs(left - 7 * DAY) < DAY / 24, "old news gets the whole window"
    shop.says("subscription.updated", status="active", occurred_at=ago(0.5))
    service = shop.service()
    assert (service.desired_state, service.ended_at, service.cancel_at) == ("present", None, None)


@pytest.mark.parametrize(
    ("payload", "state"),
    [
        ({"status": "active", "paid_until": -3}, "present"),
        ({"status": "active", "paid_until": 3}, "suspended"),
        ({"status": "active"}, "suspended"),
        ({"status": "cancelled", "paid_until": -3}, "suspended"),
        ({"paid_until": -3}, "suspended"),
    ],
)
def test_the_period_end_counts_only_while_billing_calls_it_active(
    shop: Shop, payload: dict[str, Any], state: str
) -> None:
    shop.orders()
    if "paid_until" in payload:
        payload = {**payload, "paid_until": ago(payload["paid_until"])}
    shop.says("subscription.cancelled", occurred_at=ago(1), **payload)
    service = shop.service()
    assert service.desired_state == state
    assert service.ended_at is not None
    assert (service.ended_at > project_clock.now()) is (state == "present")


def test_a_cancellation_that_proves_no_time_never_deletes(shop: Shop, clock: ModuleType) -> None:
    shop.orders()
    shop.says("subscription.cancelled", fresh=False)
    clock.shift(99 * 86_400)
    service = shop.service()
    service_refresh(service=service)
    assert (service.desired_state, service.undo_until) == ("suspended", None)


@pytest.mark.parametrize("order", [(True, False), (False, True)])
def test_the_same_cancellation_by_two_ways_is_proven_by_one(shop: Shop, order: tuple[bool, bool]) -> None:
    shop.orders()
    at = ago(1)
    for fresh in order:
        shop.says("subscription.cancelled", fresh=fresh, occurred_at=at)
    assert (shop.service().unproven_cancel, shop.service().undo_until is not None) == (False, True)


@pytest.mark.req("T83-04", "CAL-03")
def test_a_bigger_product_raises_the_generation(shop: Shop) -> None:
    before = shop.orders(tier="elemental")
    shop.says("subscription.updated", product_id="water-elemental", tier="knight", occurred_at=ago(1))
    service = shop.service()
    assert (service.product, service.tier) == (shop.big, "knight")
    assert (service.desired_state, service.generation) == ("present", before.generation + 1)


def test_a_change_while_pending_raises_nothing(shop: Shop) -> None:
    shop.orders(status="pending")
    shop.says("subscription.updated", product_id="water-elemental", occurred_at=ago(1))
    assert (shop.service().product, shop.service().generation) == (shop.big, 0)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_tier_and_product_have_registers_of_their_own(shop: Shop, order: tuple[int, int]) -> None:
    shop.orders()
    news: list[dict[str, Any]] = [
        {"product_id": "fire-elemental", "tier": "elemental", "occurred_at": ago(3)},
        {"product_id": "water-elemental", "occurred_at": ago(2)},
    ]
    for index in order:
        shop.says("subscription.updated", **news[index])
    assert (shop.service().product, shop.service().tier) == (shop.big, "elemental")


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_new_product_brings_its_own_grace(shop: Shop, order: tuple[int, int]) -> None:
    shop.product("quick", policy=factories.policy(suspend_after=3 * DAY))
    shop.orders()
    news: list[tuple[str, dict[str, Any]]] = [
        ("payment.failed", {"occurred_at": ago(4)}),
        ("subscription.updated", {"product_id": "quick", "occurred_at": ago(3)}),
    ]
    for index in order:
        shop.says(news[index][0], **news[index][1])
    assert shop.service().desired_state == "suspended"


def test_a_running_grace_period_keeps_its_policy(shop: Shop) -> None:
    shop.orders()
    shop.says("payment.failed", occurred_at=ago(1))
    policy = shop.small.grace_policy
    policy.versions.create(number=2, suspend_after=dt.timedelta(hours=1))
    service = shop.service()
    service_refresh(service=service)
    assert service.desired_state == "present"
    shop.says("payment.succeeded", occurred_at=ago(0.5))
    shop.says("payment.failed", occurred_at=ago(0.4))
    assert shop.service().desired_state == "suspended", "the next one takes the new version"


def test_properties_are_kept_and_raise_the_generation_once(shop: Shop) -> None:
    before = shop.orders(properties={"server_name": "Ada's"})
    for _ in range(2):
        shop.says("subscription.updated", properties={"server_name": "Moon"}, occurred_at=ago(1))
    shop.says("subscription.updated", properties={"server_name": "Old"}, occurred_at=ago(2))
    assert shop.service().properties == {"server_name": "Moon"}
    assert shop.service().generation == before.generation + 1


@pytest.mark.req("CAL-21")
def test_an_unknown_product_waits_and_goes_on_once_mapped(shop: Shop, jobs: Any) -> None:
    service = shop.orders(product_id="earth-elemental")
    assert (service.product, service.desired_state) == (None, "present")
    jobs.clear()
    product = shop.product("earth-elemental")
    assert [services_link_product(product=product) for _ in range(2)] == [1, 0]
    linked = shop.service()
    assert (linked.product, linked.generation) == (product, service.generation + 1)
    assert jobs.sent == [("provisioning.reconcile.tasks.reconcile_service", service.pk)]


def test_another_shops_product_is_not_taken(shop: Shop) -> None:
    factories.product(billing_product_id="earth-elemental")
    service = shop.orders(product_id="earth-elemental")
    assert service.product is None
    assert services_link_product(product=factories.product(billing_product_id="earth-elemental")) == 0


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ({"customer_email": "ada@example.com"}, "unknown_subscription"),
        ({"product_id": "fire-elemental"}, "no_customer"),
        ({"product_id": "fire-elemental", "customer_id": "7"}, "no_customer"),
    ],
)
def test_what_cannot_be_told_is_held(shop: Shop, payload: dict[str, Any], reason: str) -> None:
    with pytest.raises(EventHeld) as held:
        shop.says("subscription.updated", status="active", **payload)
    assert held.value.reason == reason
    assert not Service.objects.exists()
    assert not Customer.objects.exists()


def test_two_endpoints_feed_one_service(shop: Shop) -> None:
    shop.orders()
    other = factories.endpoint(connection=shop.small.connection)
    shop.says("subscription.updated", endpoint=other, product_id="water-elemental", occurred_at=ago(1))
    assert Service.objects.count() == 1
    stranger = factories.endpoint()
    sent: dict[str, Any] = {"product_id": "x", "status": "active", "customer_email": "ada@example.com"}
    shop.says("subscription.created", endpoint=stranger, **sent)
    assert Service.objects.count() == 2, "the same number in another shop is another subscription"
    assert Customer.objects.count() == 2


def test_the_timeline_reads_like_a_story(shop: Shop) -> None:
    shop.orders()
    shop.says("subscription.cancelled", occurred_at=ago(0))
    shop.says("subscription.updated", status="active", occurred_at=ago(-0.001))
    told = list(AuditEntry.objects.filter(public=True).order_by("pk").values_list("message", flat=True))
    assert told[0] == "Paid: the server is to be made."
    assert told[1].startswith("Cancelled: suspended, can be undone until ")
    assert told[2] == "To be running."


@pytest.mark.req("T83-02")
@pytest.mark.parametrize(("warn_after", "wakes"), [(dt.timedelta(0), True), (DAY, False)])
def test_a_warning_that_is_due_at_once_wakes_a_worker(
    shop: Shop, warn_after: dt.timedelta, wakes: bool
) -> None:
    policy = factories.policy(warn_after=warn_after)
    shop.product("warned", policy=policy)
    shop.orders(product_id="warned")
    Service.objects.update(next_check_at=None)
    shop.says("payment.failed")
    due = shop.service().next_check_at
    assert due is not None
    assert (due <= project_clock.now()) is wakes
    Service.objects.update(next_check_at=None)
    service = shop.service()
    service_refresh(service=service)
    assert service.next_check_at is not None
    assert service.next_check_at > project_clock.now(), "the same warning wakes once"
