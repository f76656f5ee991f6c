"""What others write while a job works on a service: no date, no word of staff and no order gets lost."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from provisioning.choices import DesiredState, ObservedState, Outcome
from provisioning.inbox.tasks import process_event
from provisioning.lib import clock
from provisioning.lifecycle.staff import operation_skip
from provisioning.models import AuditEntry, Notification, Operation, Product
from provisioning.reconcile.operations import waits_since
from tests import factories
from tests.bridge import Bridge
from tests.provisioning.reconcile.trouble import freezing, outlast, pass_time

DAY = dt.timedelta(days=1)

DATES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("payment.failed", {"status": None}),
    ("subscription.cancelled", {"status": "active"}),
)
"""Events that set a date and raise no generation."""


@pytest.mark.req("T83-02", "T83-05")
@pytest.mark.parametrize(("kind", "fields"), DATES, ids=[kind for kind, _ in DATES])
def test_a_date_that_billing_sets_during_a_call_is_kept(
    bridge: Bridge, kind: str, fields: dict[str, Any]
) -> None:
    bridge.buy()
    ends = (clock.now() + 6 * DAY).isoformat()

    def meanwhile() -> None:
        event = bridge.store(kind, product_id="frost-knight", paid_until=ends, **fields)
        process_event(event.pk)

    bridge.store("subscription.updated", product_id="frost-knight")
    with freezing("PATCH", meanwhile, after=True, seconds=1):
        bridge.jobs.drain()
    service = bridge.service()
    assert (service.desired_state, service.converged) == (DesiredState.PRESENT, True)
    bridge.wait(days=8)
    assert bridge.service().observed_state == ObservedState.SUSPENDED


def test_a_date_that_passes_during_a_call_is_kept(bridge: Bridge) -> None:
    bridge.buy()
    bridge.say("payment.failed", status=None)
    left = (bridge.service().suspend_at or clock.now()) - clock.now()
    clock.shift(left.total_seconds() - 5)
    bridge.store("subscription.updated", product_id="frost-knight")
    # The new product has the same policy: the date stays, and comes while the panel resizes.
    with freezing("PATCH", lambda: None, after=True, seconds=10):
        bridge.jobs.drain()
    outlast(bridge)
    pass_time(bridge, 1)
    outlast(bridge)
    assert bridge.service().observed_state == ObservedState.SUSPENDED


@pytest.mark.req("T83-43")
def test_a_skip_during_a_call_stands(bridge: Bridge) -> None:
    bridge.buy()
    bridge.panel.faults.add("error", method="PATCH", path=r"/build$")
    bridge.store("subscription.updated", product_id="frost-knight")
    with freezing(
        "PATCH",
        lambda: operation_skip(operation=bridge.operation(), note="done by hand"),
        after=True,
        seconds=1,
    ):
        bridge.jobs.drain()
    for _ in range(3):
        pass_time(bridge, 901)
    operation = bridge.operation()
    assert (operation.outcome, operation.finished_at is not None) == (Outcome.SKIPPED, True)
    assert bridge.server().memory == 1024


def test_billing_that_calls_an_order_pending_again_ends_its_operation(bridge: Bridge) -> None:
    bridge.panel.faults.add("down", count=None)
    bridge.say("subscription.created")
    assert bridge.operation().outcome == Outcome.WAITING
    bridge.say("subscription.updated", status="pending")
    assert bridge.operation().outcome == Outcome.SUPERSEDED
    bridge.panel.faults.clear()
    bridge.say("subscription.updated", status="active")
    outlast(bridge)
    assert len(bridge.servers()) == 1


@pytest.mark.req("T83-40")
def test_a_create_that_fails_by_turns_is_not_kept_silent(bridge: Bridge) -> None:
    """The panel answers every look and fails every create: two reasons take turns, and it is one wait."""
    bridge.panel.faults.add("error", method="POST", path=r"/servers$", count=None)
    bridge.say("subscription.created")
    first = bridge.operation().waiting_since
    for _ in range(20):
        pass_time(bridge, 121)
    operation = bridge.operation()
    assert operation.waiting_since == first
    alerts = Notification.objects.filter(template="waiting")
    assert {note.key.split(":")[2] for note in alerts} <= {"panel_unknown", "create_unknown"}
    assert alerts.exists()
    assert bridge.panel.calls.count("POST") < 15, "and the tries grow rarer"
    bridge.panel.faults.clear()
    outlast(bridge)
    assert len(bridge.servers()) == 1


def test_another_kind_of_wait_begins_anew(bridge: Bridge) -> None:
    operation = factories.operation(reason="installing", waiting_since=clock.now() - DAY)
    assert waits_since(operation, "panel_unknown") is None
    assert waits_since(operation, "installing") == operation.waiting_since
    operation.reason = "create_unknown"
    assert waits_since(operation, "panel_unreachable") == operation.waiting_since


@pytest.mark.req("T83-01")
def test_an_order_that_the_mapping_missed_finds_its_product_by_itself(bridge: Bridge) -> None:
    bridge.say("subscription.created", product_id="late-elemental")
    assert bridge.operation().reason == "product_unmapped"
    known = bridge.product
    Product.objects.create(
        connection=known.connection,
        panel=known.panel,
        grace_policy=known.grace_policy,
        billing_product_id="late-elemental",
        name="Late Elemental",
        document=known.document,
    )
    bridge.settle(rounds=4, seconds=900)
    assert len(bridge.servers()) == 1
    assert AuditEntry.objects.filter(action="product.mapped").count() == 1
    assert not Operation.objects.filter(outcome=Outcome.NEEDS_STAFF).exists()
