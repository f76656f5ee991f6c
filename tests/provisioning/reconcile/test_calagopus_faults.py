"""Every fault on every call of a whole life on Calagopus: it goes on by itself, and makes one server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from provisioning.choices import ObservedState, Outcome
from provisioning.models import LaterCheck, Operation
from provisioning.sandbox.calagopus.server import CalagopusSandbox
from provisioning.sandbox.faults import Kind
from tests.conftest import Jobs
from tests.provisioning.reconcile.calagopus import CalagopusBridge
from tests.provisioning.reconcile.test_faults import FAULTS
from tests.provisioning.reconcile.trouble import outlast, pass_time

CALLS = (
    ("POST", r"/users$"),
    ("GET", r"/servers/external/"),
    ("GET", r"/users/[^/]+/servers$"),
    ("GET", r"/eggs/[^/]+$"),
    ("GET", r"/variables$"),
    ("GET", r"/allocations/available$"),
    ("POST", r"/servers$"),
    ("POST", r"/servers/deploy$"),
    ("GET", r"/servers/[0-9a-f-]{36}$"),
    ("PATCH", r"/servers/[0-9a-f-]{36}$"),
    ("GET", r"/servers/resources$"),
    ("DELETE", r"/servers/[0-9a-f-]{36}$"),
)
"""Every call that a life makes."""


@pytest.fixture
def bridge(jobs: Jobs, db: None) -> Iterator[CalagopusBridge]:
    """Rows, queue and panel together."""
    with CalagopusSandbox() as panel:
        yield CalagopusBridge(panel, jobs)


def everything_fails_once(bridge: CalagopusBridge, kind: Kind, seconds: float) -> None:
    """Arms the fault on each call."""
    bridge.panel.faults.clear()
    for method, path in CALLS:
        bridge.panel.faults.add(kind, method=method, path=path, count=1, seconds=seconds)


def settled(bridge: CalagopusBridge, stage: str) -> None:
    """It came to its end by itself, with one server or none."""
    outlast(bridge, looks=80)
    service, last = bridge.service(), bridge.operation()
    words = f"{stage}: {last.outcome} {last.reason} {last.detail}"
    assert service.converged, words
    assert not Operation.objects.filter(outcome=Outcome.NEEDS_STAFF).exists(), words
    assert len(bridge.rows()) == (0 if stage == "terminate" else 1), words


@pytest.mark.slow
@pytest.mark.req("CAL-01", "CAL-02", "CAL-03")
@pytest.mark.parametrize("auto", [False, True], ids=["node", "auto"])
@pytest.mark.parametrize(("kind", "seconds"), FAULTS, ids=[f"{kind}-{seconds}" for kind, seconds in FAULTS])
def test_a_whole_life_in_which_every_call_fails_once(
    bridge: CalagopusBridge, kind: Kind, seconds: float, auto: bool
) -> None:
    for product in (bridge.product, bridge.bigger):
        limits = product.document["limits"]
        product.document = bridge.placed(auto=auto, memory=limits["memory"], cpu=limits["cpu"])
        product.save()
    everything_fails_once(bridge, kind, seconds)
    bridge.say("subscription.created")
    settled(bridge, "create")
    assert bridge.service().observed_state == ObservedState.ACTIVE
    first = bridge.row_of().uuid

    everything_fails_once(bridge, kind, seconds)
    bridge.say("subscription.updated", product_id="frost-knight")
    settled(bridge, "resize")
    assert bridge.row_of().limits["memory"] == 4096

    everything_fails_once(bridge, kind, seconds)
    bridge.say("subscription.updated", product_id="frost-knight", status="suspended")
    settled(bridge, "suspend")
    assert bridge.row_of().suspended
    for _ in range(4):
        pass_time(bridge, 1000)
    assert not LaterCheck.objects.exists(), "the look at the machine was made, late"

    everything_fails_once(bridge, kind, seconds)
    bridge.say("payment.succeeded", product_id="frost-knight")
    settled(bridge, "unsuspend")
    assert not bridge.row_of().suspended
    assert bridge.row_of().uuid == first

    bridge.panel.faults.clear()
    bridge.say("subscription.cancelled", product_id="frost-knight", status="cancelled")
    everything_fails_once(bridge, kind, seconds)
    pass_time(bridge, 7 * 86400 + 1)
    settled(bridge, "terminate")
