"""Events once to three times, in any order, some lost and sent again later: through inbox and engine (B4).

What test_convergence proves of the pure decision, shown on a panel: the server ends as the *set* of messages
says (model.py), and copies cost no panel call. The long form:
`REPLAY_EXAMPLES=200`, or 2000 with `REPLAY_EVENTS=200`.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import itertools
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from provisioning.choices import DesiredState, EventStatus, ObservedState, Outcome
from provisioning.inbox.store import Origin, StoreOutcome, event_store
from provisioning.lib import clock
from provisioning.models import Event, Operation, Panel, Service, WebhookEndpoint
from provisioning.reconcile.schedules import sweep_all
from provisioning.sandbox.server import PanelSandbox
from provisioning.sandbox.world import Server
from tests import factories
from tests.bridge import Bridge, document
from tests.conftest import Jobs
from tests.provisioning.lifecycle.model import DAY, GRACE, Expected, Message, expected
from tests.provisioning.lifecycle.test_convergence import KINDS, STATUSES
from tests.provisioning.reconcile.trouble import more_ports, outlast, pass_time

MEMORY = {"fire-elemental": 1024, "water-elemental": 2048}
numbers = itertools.count(1)


@dataclass
class Sender:
    """A subscription's messages: what billing sent, and what has arrived of it."""

    bridge: Bridge
    bodies: list[dict[str, Any]]
    ident: str = field(default_factory=lambda: str(next(numbers)))
    arrived: dict[int, Message] = field(default_factory=dict)
    learned: dict[tuple[Any, ...], dt.datetime] = field(default_factory=dict)

    def __post_init__(self) -> None:
        begin = clock.now() - 10 * DAY - DAY / 24
        for body in self.bodies:
            for name in ("occurred_at", "paid_until"):
                if name in body:
                    body[name] = (begin + body[name] * DAY / 2).isoformat()
            body |= {"subscription_id": self.ident, "customer_email": f"buyer{self.ident}@example.com"}

    def send(self, number: int, endpoint: WebhookEndpoint, *, copy: bool = False) -> None:
        """One of the messages arrives, and all jobs that follow run."""
        body = self.bodies[number]
        raw = json.dumps(body, sort_keys=True).encode()
        stored = event_store(
            endpoint=endpoint, sender_id=f"{self.ident}-{number}", body=raw, origin=Origin("test")
        )
        assert stored.outcome == StoreOutcome.DUPLICATE or not copy
        self.bridge.jobs.drain()
        if number not in self.arrived:
            at = dt.datetime.fromisoformat(body["occurred_at"])
            message = Message(at, hashlib.sha256(raw).hexdigest()[:12], True, body)
            self.arrived[number] = message
            self.learned.setdefault(message.place, clock.now())

    def model(self) -> Expected:
        """What the set of messages says."""
        messages = list(self.arrived.values())
        return expected(messages, staff=(), now=clock.now(), learned=self.learned)

    def servers(self) -> list[Server]:
        """What the panel shows of this subscription."""
        mark = f"test-shop-{self.ident}"
        return [server for server in self.bridge.servers() if server.external_id == mark]


@st.composite
def stories(draw: st.DrawFn, longest: int) -> list[dict[str, Any]]:
    """A subscription's messages, each with its own time: the first makes it known."""
    first = {
        "event": "subscription.created",
        "status": "active",
        "product_id": "fire-elemental",
        "occurred_at": 0,
    }
    rest = draw(st.lists(messages(), min_size=min(longest, 20) - 1, max_size=longest - 1))
    return [first, *rest]


@st.composite
def messages(draw: st.DrawFn) -> dict[str, Any]:
    """One message; few moments, so that ties are common."""
    fields = {
        "event": draw(st.sampled_from(KINDS)),
        "status": draw(st.none() | st.sampled_from(STATUSES)),
        "product_id": draw(st.none() | st.sampled_from(sorted(GRACE))),
        "occurred_at": draw(st.integers(0, 19)),
        "sequence": draw(st.none() | st.integers(0, 2)),
        "paid_until": draw(st.none() | st.integers(0, 60)),
    }
    fields["status"] = fields["status"] or ("active" if fields["event"] == "subscription.created" else None)
    return {name: value for name, value in fields.items() if value is not None}


@pytest.fixture
def bridge(jobs: Jobs, db: None) -> Iterator[Bridge]:
    """A panel with room, and a second product with another grace policy."""
    with PanelSandbox() as panel:
        made = Bridge(panel, jobs)
        Panel.objects.update(
            rate_per_minute=1_000_000,
            creates_hour_floor=30_000,
            creates_day_floor=30_000,
            deletes_hour_floor=30_000,
            deletes_day_floor=30_000,
        )
        grace, undo = GRACE["water-elemental"]
        factories.product(
            connection=made.endpoint.connection,
            panel=made.row,
            policy=factories.policy(suspend_after=grace, undo_window=undo),
            billing_product_id="water-elemental",
            document=document(memory=MEMORY["water-elemental"]),
        )
        yield made


def catch_up(bridge: Bridge) -> None:
    """A sweep, and whatever follows from it until nothing waits any more."""
    pass_time(bridge, 3)
    outlast(bridge)


def shuffled_life(bridge: Bridge, story: list[dict[str, Any]], data: st.DataObject) -> Sender:
    """Each message comes once to three times; one of twenty is lost, and sent again at the end."""
    sender = Sender(bridge, story)
    copies = data.draw(st.lists(st.integers(1, 3), min_size=len(story), max_size=len(story)))
    lost = {n for n in range(1, len(story)) if data.draw(st.integers(1, 20)) == 1}
    under_way = [n for n in range(len(story)) if n not in lost for _ in range(copies[n])]
    for number in data.draw(st.permutations(under_way)):
        sender.send(number, bridge.endpoint)
    catch_up(bridge)
    for number in sorted(lost):
        sender.send(number, bridge.endpoint)
    catch_up(bridge)
    return sender


def shows_the_model(sender: Sender) -> None:
    """Service and panel are what the set of messages says."""
    service, wanted, servers = service_of(sender), sender.model(), sender.servers()
    reached = (service.desired_state, tuple(service.suspend_reasons), service.billing_product_id)
    assert reached == (wanted.state, wanted.reasons, wanted.product)
    assert not service.operations.filter(outcome=Outcome.NEEDS_STAFF).exists()
    assert service.converged or wanted.state == DesiredState.NONE
    assert len(servers) <= 1
    if wanted.state == DesiredState.PRESENT:
        assert (servers[0].status, servers[0].memory) == (None, MEMORY[wanted.product])
    elif wanted.state == DesiredState.SUSPENDED:
        assert [server.status for server in servers] == ["suspended"] * len(servers)
    elif wanted.state == DesiredState.ABSENT:
        assert servers == []
        assert service.observed_state in (ObservedState.ABSENT, ObservedState.NEVER)


def service_of(sender: Sender) -> Service:
    return Service.objects.get(billing_id=sender.ident)


def copies_cost_nothing(bridge: Bridge, sender: Sender, second: WebhookEndpoint) -> None:
    """Every message once more by the same way, and by another endpoint: no call, no new generation."""
    calls, generation = len(bridge.panel.calls), service_of(sender).generation
    operations = Operation.objects.count()
    for number in range(len(sender.bodies)):
        sender.send(number, bridge.endpoint, copy=True)
        sender.send(number, second)
    sweep_all()
    bridge.jobs.drain()
    assert len(bridge.panel.calls) == calls
    assert (service_of(sender).generation, Operation.objects.count()) == (generation, operations)


def run(bridge: Bridge, *, examples: int, events: int) -> None:
    second = factories.endpoint(connection=bridge.endpoint.connection, verifies_email=True)
    more_ports(bridge.panel, min(30_000, examples * 2))

    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(data=st.data())
    def lives(data: st.DataObject) -> None:
        sender = shuffled_life(bridge, data.draw(stories(events)), data)
        shows_the_model(sender)
        copies_cost_nothing(bridge, sender, second)
        clock.shift(data.draw(st.sampled_from([0, 4, 9])) * 86400)
        catch_up(bridge)
        shows_the_model(sender)

    lives()
    assert not Event.objects.filter(status=EventStatus.RECEIVED).exists()


@pytest.mark.req("T83-03", "T83-10", "T83-12")
def test_doubled_shuffled_and_lost_events_end_as_their_set_says(bridge: Bridge) -> None:
    run(bridge, examples=3, events=8)


@pytest.mark.slow
@pytest.mark.timeout(20_000)
@pytest.mark.req("T83-03", "T83-10", "T83-12")
def test_the_same_with_many_stories(bridge: Bridge) -> None:
    run(
        bridge,
        examples=int(os.environ.get("REPLAY_EXAMPLES", "12")),
        events=int(os.environ.get("REPLAY_EVENTS", "50")),
    )
