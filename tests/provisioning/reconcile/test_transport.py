"""What an answer means for the breaker: at once, or once it was read (B6)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import suppress

import pytest
from django.conf import settings

from provisioning.choices import LIVE_OUTCOMES
from provisioning.drivers.errors import AuthFailed, Busy, DaemonDown, DriverError, RateLimited, Unknown
from provisioning.drivers.trouble import NotThere
from provisioning.exceptions import LeaseLost
from provisioning.lib import clock
from provisioning.models import Notification, Operation, PanelGate, Service
from provisioning.reconcile import transport
from provisioning.reconcile.gate import FAILURES_TO_OPEN, gate_failed, gate_of
from provisioning.reconcile.lease import lease_claim
from provisioning.reconcile.schedules import sweep_all
from provisioning.reconcile.transport import PanelTransport
from provisioning.sandbox.calagopus.server import CalagopusSandbox
from provisioning.sandbox.faults import Kind
from provisioning.sandbox.server import PanelSandbox
from tests.bridge import Bridge
from tests.conftest import Jobs
from tests.provisioning.reconcile.calagopus import CalagopusBridge
from tests.provisioning.reconcile.drifting import check
from tests.provisioning.reconcile.trouble import outlast, pass_time

USERS = "/api/application/users"


@pytest.fixture(params=["pterodactyl", "calagopus"])
def each_bridge(request: pytest.FixtureRequest, jobs: Jobs, db: None) -> Iterator[Bridge]:
    """The same cast on each kind of panel."""
    if request.param == "calagopus":
        with CalagopusSandbox() as other:
            yield CalagopusBridge(other, jobs)
        return
    with PanelSandbox() as panel:
        yield Bridge(panel, jobs)


def gate(bridge: Bridge) -> PanelGate:
    return gate_of(bridge.row)


def order(bridge: Bridge, number: int) -> None:
    bridge.say("subscription.created", subscription_id=f"s{number}", customer_email=f"c{number}@example.com")


def read(bridge: Bridge, raised: Exception | None) -> int:
    """One call in a job, and what its reader made of it. Returns the failures seen between the two."""
    transport, seen = PanelTransport(bridge.row), -1
    with suppress(type(raised) if raised else RuntimeError), transport.reading():
        transport.request("GET", USERS)
        seen = gate(bridge).failures
        if raised:
            raise raised
    return seen


@pytest.mark.slow
@pytest.mark.req("T83-40")
@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("redirect", "The panel redirects to"),
        ("error_in_ok", "The answer (200) is not one of the panel's"),
        ("wrong_types", ""),
    ],
)
def test_nonsense_opens_the_breaker_as_silence_does(each_bridge: Bridge, kind: Kind, words: str) -> None:
    bridge = each_bridge
    bridge.panel.faults.add(kind, count=None)
    for number in range(FAILURES_TO_OPEN + 1):
        order(bridge, number)
    assert len(bridge.panel.calls) == FAILURES_TO_OPEN
    assert words in gate(bridge).last_error
    assert Notification.objects.filter(template="panel_down").count() == 1
    began = clock.now()
    for _ in range(5):
        pass_time(bridge, settings.PROBE_SECONDS / 2)
    probes = len(bridge.panel.calls) - FAILURES_TO_OPEN
    assert 0 < probes <= (clock.now() - began).total_seconds() / settings.PROBE_SECONDS + 1
    assert Notification.objects.filter(template="panel_down").count() == 1, "a probe did not close it"
    bridge.panel.faults.clear()
    outlast(bridge)
    assert (gate(bridge).failures, gate(bridge).open_until, gate(bridge).last_error) == (0, None, "")
    assert not Operation.objects.filter(outcome__in=LIVE_OUTCOMES).exists()


@pytest.mark.parametrize(
    ("raised", "failures"),
    [
        (None, 0),
        (Unknown("The panel's user has no usable “id”."), 2),
        (NotThere("gone"), 0),
        (DaemonDown("node 1"), 0),
        (Busy("installing"), 0),
        (KeyError("ours"), 1),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_answer_counts_as_what_its_reader_made_of_it(
    bridge: Bridge, raised: Exception | None, failures: int
) -> None:
    """One failure came before; an error of ours says nothing of the panel."""
    gate_failed(panel=bridge.row, words="before")
    assert read(bridge, raised) == 1, "nobody has read it yet"
    assert gate(bridge).failures == failures
    if isinstance(raised, DriverError) and failures:
        assert gate(bridge).last_error == raised.detail


def test_the_next_call_says_that_the_one_before_was_understood(bridge: Bridge) -> None:
    gate_failed(panel=bridge.row, words="before")
    transport = PanelTransport(bridge.row)
    with transport.reading():
        transport.request("GET", USERS)
        assert gate(bridge).failures == 1
        transport.request("GET", USERS)
        assert gate(bridge).failures == 0


def test_an_answer_that_nobody_reads_as_a_job_counts_at_once(bridge: Bridge) -> None:
    gate_failed(panel=bridge.row, words="before")
    PanelTransport(bridge.row).request("GET", USERS)
    assert gate(bridge).failures == 0


@pytest.mark.parametrize(
    ("kind", "raised", "failures"),
    [
        ("redirect", Unknown("The panel redirects."), 1),
        ("rate_limited", RateLimited("Too many calls.", seconds=1), 0),
        ("unauthorized", AuthFailed("The panel refuses the key."), 0),
        # A firewall's page has the status of a refused key.
        ("forbidden", Unknown("The answer (403) is not one of the panel's: Blocked"), 1),
    ],
)
def test_one_answer_counts_once(bridge: Bridge, kind: Kind, raised: DriverError, failures: int) -> None:
    bridge.panel.faults.add(kind)
    read(bridge, raised)
    assert gate(bridge).failures == failures


def test_a_server_that_is_nonsense_by_itself_keeps_nobody_waiting_for_long(bridge: Bridge) -> None:
    """Its tries alone open the breaker of a quiet panel; the next order is the probe that closes it."""
    bridge.buy(subscription_id="odd")
    where = rf"/servers/{bridge.service('odd').server_id}$"
    bridge.panel.faults.add("wrong_types", path=where, count=None)
    bridge.say("subscription.updated", subscription_id="odd", product_id="frost-knight")
    for _ in range(FAILURES_TO_OPEN):
        pass_time(bridge, settings.BACKOFF_CAP)
    assert gate(bridge).open_until is not None
    bridge.say("subscription.created", subscription_id="well")
    # Its own next try is far off: only as the probe it can come in time.
    later = clock.now() + dt.timedelta(hours=1)
    Operation.objects.filter(service=bridge.service("well")).update(next_attempt_at=later)
    Service.objects.filter(billing_id="well").update(next_check_at=later)
    for _ in range(3):
        pass_time(bridge, settings.PROBE_SECONDS)
    assert gate(bridge).open_until is None
    assert len(bridge.servers()) == 2
    assert bridge.service("well").server_id


def test_a_list_of_nonsense_does_not_close_an_open_breaker(bridge: Bridge) -> None:
    for _ in range(FAILURES_TO_OPEN):
        gate_failed(panel=bridge.row, words="before")
    bridge.panel.faults.add("wrong_types", count=None)
    clock.shift(settings.PROBE_SECONDS + 1)
    check(bridge)
    assert len(bridge.panel.calls) == 1
    assert gate(bridge).open_until is not None
    bridge.panel.faults.clear()
    clock.shift(settings.PROBE_SECONDS + 1)
    check(bridge)
    sweep_all()
    assert gate(bridge).open_until is None


def test_nothing_is_changed_by_a_job_that_the_gate_kept_past_its_lease(
    bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = lease_claim(bridge.buy().pk)
    assert lease is not None
    work = PanelTransport(bridge.row, lease=lease)

    def slow_gate(**asked: object) -> None:
        clock.shift(settings.LEASE_SECONDS + 1)

    monkeypatch.setattr(transport, "gate_pass", slow_gate)
    before = len(bridge.panel.calls)
    with pytest.raises(LeaseLost):
        work.request("POST", "/api/application/users", json={})
    assert len(bridge.panel.calls) == before
