"""Doubled, late and shuffled messages end in the same place: the rule of docs/events.md, proven by chance.

A Hypothesis machine sends random messages, again and in any order, lets time pass and lets staff act. After
each step the service must equal a model that knows only the *set* of messages (model.py).
"""

from __future__ import annotations

import datetime as dt
import hashlib
import itertools
import json
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from provisioning.billing.events import read_event
from provisioning.choices import SuspendReason
from provisioning.lib import clock
from provisioning.lifecycle.billing import service_apply_event
from provisioning.lifecycle.customers import EventHeld
from provisioning.lifecycle.refresh import service_refresh
from provisioning.lifecycle.staff import service_suspend, service_unsuspend
from provisioning.models import Event, Service
from provisioning.models.clock import configure_clock
from tests import factories
from tests.provisioning.lifecycle.model import DAY, GRACE, Expected, Message, expected

KINDS = (
    "subscription.created",
    "subscription.updated",
    "subscription.cancelled",
    "payment.failed",
    "payment.succeeded",
)
STATUSES = ("pending", "active", "suspended", "cancelled")
HALF_DAYS = st.integers(0, 12)
"""Few moments, so that ties are common."""


@st.composite
def bodies(draw: st.DrawFn) -> dict[str, Any]:
    """A payload; its times are half days, made into moments when it is sent."""
    kind = draw(st.sampled_from(KINDS))
    said = st.sampled_from(STATUSES)
    fields = {
        "event": kind,
        "status": draw(said if kind == "subscription.created" else st.none() | said),
        "product_id": draw(st.none() | st.sampled_from(sorted(GRACE))),
        "tier": draw(st.none() | st.sampled_from(["elemental", "knight"])),
        "occurred_at": draw(st.none() | HALF_DAYS | HALF_DAYS | HALF_DAYS),
        "sequence": draw(st.none() | st.integers(0, 2)),
        "paid_until": draw(st.none() | st.integers(0, 60)),
        "customer_email": draw(st.sampled_from(["ada@example.com", "ada@example.com", None])),
    }
    return {name: value for name, value in fields.items() if value is not None}


class Shuffle(RuleBasedStateMachine):
    """Billing's messages on their way to one service, and the model beside it."""

    def __init__(self) -> None:
        """Everything of one run happens in a transaction that is rolled back."""
        super().__init__()
        self.atomic = transaction.atomic()
        self.atomic.__enter__()
        clock.reset()
        stopped = clock.timestamp()
        # Time passes only when the machine says so: the model needs the very moment at which news came.
        clock.configure(source=lambda: stopped)
        self.begin = clock.now() - 10 * DAY
        self.waiting: list[tuple[dict[str, Any], bool]] = []
        self.held: list[tuple[Event, Message]] = []
        self.arrived: list[Message] = []
        self.learned: dict[tuple[Any, ...], dt.datetime] = {}
        self.staff: tuple[str, ...] = ()
        self.known = False

    def teardown(self) -> None:
        """Rolls the run back."""
        transaction.set_rollback(True)
        self.atomic.__exit__(None, None, None)
        clock.reset()
        configure_clock()

    @initialize()
    def open_the_shop(self) -> None:
        """Two products with grace policies of their own."""
        self.connection = factories.connection()
        panel = factories.panel()
        for ident, (grace, undo) in GRACE.items():
            policy = factories.policy(suspend_after=grace, undo_window=undo)
            factories.product(
                connection=self.connection, panel=panel, policy=policy, billing_product_id=ident
            )

    @rule(news=st.lists(st.tuples(bodies(), st.booleans()), min_size=1, max_size=4))
    def happens(self, news: list[tuple[dict[str, Any], bool]]) -> None:
        """Things happen in billing; their messages are under way."""
        self.waiting += news

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def arrives(self, data: st.DataObject) -> None:
        """Any of the messages under way arrives."""
        body, fresh = self.waiting.pop(data.draw(st.integers(0, len(self.waiting) - 1)))
        clock.shift(1)
        self.send(self.dated(body), fresh)

    @precondition(lambda self: any("occurred_at" in message.body for message in self.arrived))
    @rule(data=st.data(), fresh=st.booleans())
    def arrives_again(self, data: st.DataObject, fresh: bool) -> None:
        """A message that carries its time comes once more, maybe by another endpoint."""
        dated = [message for message in self.arrived if "occurred_at" in message.body]
        again = data.draw(st.sampled_from(dated))
        before = self.refreshed()
        self.send(again.body, fresh)
        after = self.refreshed()
        if before and after and fresh == again.fresh:
            assert after.generation == before.generation, "a pure copy raised the generation"

    @rule(hours=st.sampled_from([1, 20, 60]))
    def time_passes(self, hours: int) -> None:
        """Grace periods and undo windows run."""
        clock.shift(hours * 3600)

    @precondition(lambda self: self.known)
    @rule()
    def staff_act(self) -> None:
        """Staff suspend the service for abuse, or lift that."""
        service = Service.objects.get()
        if self.staff:
            service_unsuspend(service=service, reason=SuspendReason.ABUSE)
        else:
            service_suspend(service=service, reason=SuspendReason.ABUSE)
        self.staff = () if self.staff else ("abuse",)

    @invariant()
    def equals_the_model(self) -> None:
        """The service is what the set of its messages says."""
        service = self.refreshed()
        if service is None:
            assert not any(m.body.get("product_id") and m.body.get("customer_email") for m in self.arrived)
            return
        now = clock.now()
        wanted = expected(self.arrived, staff=self.staff, now=now, learned=self.learned)
        assert shown(service) == wanted

    def dated(self, body: dict[str, Any]) -> dict[str, Any]:
        """The payload with its half days made into moments."""
        times = {name: body[name] for name in ("occurred_at", "paid_until") if name in body}
        return body | {name: (self.begin + count * DAY / 2).isoformat() for name, count in times.items()}

    def send(self, body: dict[str, Any], fresh: bool) -> None:
        """One message arrives; an early one is tried again once the subscription is known."""
        raw = json.dumps({"subscription_id": "12345", **body}, sort_keys=True).encode()
        digest, now = hashlib.sha256(raw).hexdigest(), clock.now()
        event = Event(connection=self.connection, body=raw, body_sha256=digest, received_at=now, fresh=fresh)
        at = dt.datetime.fromisoformat(body["occurred_at"]) if "occurred_at" in body else now
        message = Message(at, digest[:12], fresh, body)
        self.arrived.append(message)
        self.held.append((event, message))
        self.work()

    def work(self) -> None:
        """Applies what can be applied."""
        waiting, self.held = self.held, []
        for event, message in waiting:
            try:
                applied = service_apply_event(event=event, fact=read_event(json.loads(bytes(event.body))))
            except EventHeld:
                self.held.append((event, message))
            else:
                self.known = True
                if message.fresh:
                    self.learned.setdefault(message.place, clock.now())
                if applied.created and self.held:
                    self.work()

    def refreshed(self) -> Service | None:
        """The service after the sweep has looked at it."""
        service = Service.objects.select_related("product").first() if self.known else None
        if service:
            service_refresh(service=service)
        return service


def shown(service: Service) -> Expected:
    """What people see of it."""
    return Expected(
        service.desired_state,
        tuple(service.suspend_reasons),
        service.product.billing_product_id if service.product else "",
        service.tier,
        service.overdue_since,
        service.suspend_at,
        service.ended_at,
        service.undo_until,
    )


@pytest.mark.slow
@pytest.mark.django_db
@pytest.mark.req("T83-03", "T83-05", "T83-10")
def test_any_order_of_arrival_ends_in_the_same_place() -> None:
    bounds = settings(
        max_examples=40,
        stateful_step_count=25,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Shuffle, settings=bounds)


STORY: list[dict[str, Any]] = [
    {"event": "subscription.created", "status": "active", "product_id": "fire-elemental", "occurred_at": 0},
    {"event": "payment.failed", "occurred_at": 4},
    {"event": "subscription.updated", "product_id": "water-elemental", "tier": "knight", "occurred_at": 6},
    {"event": "subscription.cancelled", "occurred_at": 8},
    {"event": "subscription.updated", "status": "active", "occurred_at": 8},
]


@pytest.mark.django_db
def test_a_story_told_in_many_orders() -> None:
    """Every fifth permutation of one story, spelt out: unpaid since day 2, and the tie goes to *active*."""
    ends = set()
    for order in list(itertools.permutations(STORY))[::5]:
        machine = Shuffle()
        machine.open_the_shop()
        for body in order:
            machine.send(machine.dated({**body, "customer_email": "ada@example.com"}), True)
        service = machine.refreshed()
        assert service is not None
        assert service.overdue_since == machine.begin + 2 * DAY
        assert service.suspend_at == machine.begin + 5 * DAY
        ends.add((service.desired_state, *service.suspend_reasons, service.tier, service.ended_at))
        machine.teardown()
    assert ends == {("suspended", "overdue", "knight", None)}
