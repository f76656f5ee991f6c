"""Every fault on every call of a whole life: it waits visibly, goes on by itself, and makes one server."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import settings

from provisioning.choices import LIVE_OUTCOMES, ObservedState, Outcome
from provisioning.drivers.pterodactyl import client
from provisioning.lib.http import Answer, HttpClient
from provisioning.models import AuditEntry, Operation
from provisioning.reconcile import transport
from provisioning.sandbox.faults import Kind
from tests.bridge import Bridge, document
from tests.provisioning.reconcile.trouble import outlast, pass_time

CALLS = (
    ("POST", r"/users$"),
    ("GET", r"/servers/external/"),
    ("GET", r"/nests/"),
    ("GET", r"/nodes/\d+/allocations"),
    ("POST", r"/servers$"),
    ("GET", r"/nodes/\d+$"),
    ("GET", r"/servers/\d+$"),
    ("PATCH", r"/build$"),
    ("POST", r"/suspend$"),
    ("POST", r"/unsuspend$"),
    ("DELETE", r"/servers/\d+$"),
)
"""Every call that a life makes."""

FAULTS: tuple[tuple[Kind, float], ...] = (
    ("down", 0),
    ("rate_limited", 30),
    ("error", 0),
    ("bad_gateway", 0),
    ("cut", 0),
    ("lost", 0),
    ("ghost", 10),
    ("ghost", 400),
    ("stale", 3600),
    ("redirect", 0),
    ("unauthorized", 0),
    ("forbidden", 0),
    ("error_in_ok", 0),
    ("wrong_types", 0),
    ("huge", 0),
)
"""Kind and seconds; a ghost takes effect before or after our own wait for unknown creates."""

QUICK = ("down", "lost", "rate_limited", "forbidden")
"""One of each sort: not sent, done without an answer, come again later, stopped. CI tries the others."""


def everything_fails_once(bridge: Bridge, kind: Kind, seconds: float) -> None:
    bridge.panel.faults.clear()
    for method, path in CALLS:
        bridge.panel.faults.add(kind, method=method, path=path, count=1, seconds=seconds)


def settled(bridge: Bridge, stage: str) -> None:
    outlast(bridge)
    service, last = bridge.service(), bridge.operation()
    words = f"{stage}: {last.outcome} {last.reason} {last.detail}"
    assert service.converged, words
    assert not Operation.objects.filter(outcome=Outcome.NEEDS_STAFF).exists(), words
    assert len(bridge.servers()) == (0 if stage == "terminate" else 1), words


@pytest.mark.slow
@pytest.mark.req("T83-40", "CAL-01")
@pytest.mark.parametrize(
    ("kind", "seconds"),
    [
        pytest.param(
            *fault, id="-".join(map(str, fault)), marks=() if fault[0] in QUICK else pytest.mark.slow
        )
        for fault in FAULTS
    ],
)
def test_a_whole_life_in_which_every_call_fails_once(bridge: Bridge, kind: Kind, seconds: float) -> None:
    everything_fails_once(bridge, kind, seconds)
    bridge.say("subscription.created")
    settled(bridge, "create")
    assert bridge.service().observed_state == ObservedState.ACTIVE
    first = bridge.server().id

    everything_fails_once(bridge, kind, seconds)
    bridge.say("subscription.updated", product_id="frost-knight")
    settled(bridge, "resize")
    assert bridge.server().memory == 4096

    everything_fails_once(bridge, kind, seconds)
    bridge.say("subscription.updated", product_id="frost-knight", status="suspended")
    settled(bridge, "suspend")
    assert bridge.server().status == "suspended"

    everything_fails_once(bridge, kind, seconds)
    bridge.say("payment.succeeded", product_id="frost-knight")
    settled(bridge, "unsuspend")
    assert bridge.server().status is None
    assert bridge.server().id == first

    bridge.panel.faults.clear()
    bridge.say("subscription.cancelled", product_id="frost-knight", status="cancelled")
    everything_fails_once(bridge, kind, seconds)
    pass_time(bridge, 7 * 86400 + 1)
    settled(bridge, "terminate")


@pytest.mark.slow
@pytest.mark.req("T83-40")
@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("down", "panel_unknown"),
        ("error", "panel_unknown"),
        ("rate_limited", "rate_limited"),
        ("unauthorized", "panel_key"),
        ("redirect", "panel_unknown"),
        ("wrong_types", "panel_unknown"),
    ],
)
def test_waiting_is_visible_and_uses_no_attempt_up(bridge: Bridge, kind: Kind, reason: str) -> None:
    bridge.panel.faults.add(kind, count=None)
    bridge.say("subscription.created")
    operation = bridge.operation()
    assert (operation.outcome, operation.reason) == (Outcome.WAITING, reason)
    assert operation.detail
    assert operation.waiting_since is not None
    for _ in range(4):
        pass_time(bridge, 901)
    operation.refresh_from_db()
    assert operation.outcome in LIVE_OUTCOMES
    assert operation.attempts == 0
    assert bridge.servers() == []
    bridge.panel.faults.clear()
    outlast(bridge)
    assert len(bridge.servers()) == 1
    assert bridge.service().converged
    told = AuditEntry.objects.filter(operation=operation, action=f"waiting.{reason}")
    assert [entry.message.split(":")[0] for entry in told] == [f"Waiting for panel “{operation.panel}”"]


@pytest.mark.slow
@pytest.mark.req("T83-01")
def test_a_slow_panel_still_gets_its_server(bridge: Bridge, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look takes nearly as long as it may: the create after it has to fit into the same job."""
    real = transport.PanelTransport._call

    def slow(self: transport.PanelTransport, verb: str, *args: Any) -> Answer:
        if verb == "GET":
            self.ends -= client.LONGEST_READ + 4
        return real(self, verb, *args)

    monkeypatch.setattr(transport.PanelTransport, "_call", slow)
    bridge.say("subscription.created")
    outlast(bridge)
    assert len(bridge.servers()) == 1
    bridge.say("subscription.updated", product_id="frost-knight")
    outlast(bridge)
    assert bridge.server().memory == 4096


@pytest.mark.slow
def test_a_panel_that_answers_too_late_has_still_made_one_server(
    bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient = HttpClient(
        bridge.panel.url,
        headers={"Authorization": f"Bearer {bridge.panel.application_key}"},
        allow_private=True,
        allow_plain_http=True,
        connect_timeout=0.2,
    )
    monkeypatch.setattr(transport, "_client", lambda *_: impatient)
    monkeypatch.setattr(client, "LONGEST_CALL", 0.3)
    bridge.panel.faults.add("slow", method="POST", path=r"/servers$", seconds=0.8)
    bridge.say("subscription.created")
    assert bridge.operation().reason == "panel_unknown"
    assert bridge.service().create_sent_at is not None
    outlast(bridge)
    assert len(bridge.servers()) == 1
    assert bridge.service().created_confirmed_at is not None


@pytest.mark.slow
@pytest.mark.req("CAL-01")
@pytest.mark.parametrize("seconds", [1, 30, 70])
def test_a_create_that_comes_true_late_where_nothing_of_the_panel_stops_a_second_one(
    bridge: Bridge, seconds: float
) -> None:
    """No unique external ids and no chosen allocation: our own patience is the only wall."""
    bridge.panel.world.settings.unique_external_ids = False
    bridge.product.document = document(node=None)
    bridge.product.save()
    bridge.panel.faults.add("ghost", method="POST", path=r"/servers$", seconds=seconds)
    bridge.say("subscription.created")
    outlast(bridge)
    pass_time(bridge, 600)
    assert len(bridge.servers()) == 1
    assert bridge.service().created_confirmed_at is not None


@pytest.mark.slow
def test_a_create_that_never_came_true_is_tried_again_after_two_looks(bridge: Bridge) -> None:
    bridge.panel.faults.add("down", method="POST", path=r"/servers$")
    bridge.say("subscription.created")
    assert bridge.operation().reason == "panel_unknown"
    pass_time(bridge, settings.UNKNOWN_WAIT_SECONDS / 2)
    assert bridge.operation().reason == "create_unknown"
    assert "answer to our create was lost" in bridge.operation().detail
    assert bridge.panel.calls.count("POST", r"/servers$") == 1
    outlast(bridge)
    assert bridge.panel.calls.count("POST", r"/servers$") == 2
    assert len(bridge.servers()) == 1


@pytest.mark.slow
def test_a_create_in_doubt_is_settled_before_a_cancelled_service_ends(bridge: Bridge) -> None:
    bridge.panel.faults.add("ghost", method="POST", path=r"/servers$", seconds=40)
    bridge.say("subscription.created")
    bridge.say("subscription.cancelled", status="cancelled")
    outlast(bridge)
    assert bridge.server().status == "suspended"
    bridge.wait(days=8)
    assert bridge.servers() == []
    assert bridge.service().terminated_at is not None
