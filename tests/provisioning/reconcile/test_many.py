"""The whole way of many orders, and what the first mail to a customer says."""

from __future__ import annotations

from itertools import pairwise

import pytest
from django.core import mail

from provisioning.models import Operation, Service
from tests.bridge import Bridge, document
from tests.provisioning.reconcile.trouble import more_ports, outlast

ORDERS = 100


@pytest.mark.req("CAL-40", "T83-07")
def test_the_ready_mail_leads_to_the_server(bridge: Bridge) -> None:
    service = bridge.buy()
    ready = next(message for message in mail.outbox if "is ready" in message.subject)
    body = str(ready.body)
    assert f"{bridge.panel.url}/server/{service.server_identifier}" in body
    assert f"{bridge.panel.url}/auth/password" in body
    assert f".{service.server_identifier}" in body, "the SFTP user"
    assert ready.to == ["ada@example.com"]


@pytest.mark.slow
@pytest.mark.req("T83-06")
def test_many_subscribers_need_no_hand(bridge: Bridge) -> None:
    more_ports(bridge.panel, ORDERS)
    bridge.row.rate_per_minute = 100_000
    bridge.row.save(update_fields=["rate_per_minute"])
    bridge.product.document = document(memory=64, disk=64)
    bridge.product.save(update_fields=["document"])
    for number in range(ORDERS):
        bridge.store(
            "subscription.created",
            subscription_id=str(number),
            customer_id=str(number // 2 + 10),
            customer_email=f"player{number // 2}@example.com",
        )
    outlast(bridge)
    assert sorted(server.external_id or "" for server in bridge.servers()) == sorted(
        f"test-shop-{number}" for number in range(ORDERS)
    )
    assert len(bridge.panel.state.users) == ORDERS // 2 + 1, "one account for both services of a customer"
    assert Service.objects.exclude(observed_state="active").count() == 0
    assert Operation.objects.exclude(outcome="succeeded").count() == 0


@pytest.mark.slow
@pytest.mark.req("T83-40")
def test_a_crowd_that_waits_for_the_budget_comes_back_one_by_one(bridge: Bridge) -> None:
    bridge.row.rate_per_minute = 20
    bridge.row.save(update_fields=["rate_per_minute"])
    for number in range(12):
        bridge.store("subscription.created", subscription_id=str(number), customer_id="7")
    bridge.jobs.drain()
    waiting = Operation.objects.filter(reason="rate_budget")
    assert waiting.count() >= 8
    moments = sorted(at for at in waiting.values_list("next_attempt_at", flat=True) if at)
    gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(moments)]
    assert min(gaps) >= 2 * 60 / 20 - 0.5, "each has a moment of its own"
    outlast(bridge, looks=120)
    assert len(bridge.servers()) == 12
    assert Operation.objects.exclude(outcome="succeeded").count() == 0
