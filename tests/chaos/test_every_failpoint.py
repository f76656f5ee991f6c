"""Each kind of operation, killed by os._exit at each failpoint: nothing lost, doubled or left behind (B1)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from provisioning.choices import LIVE_OUTCOMES, EventStatus, Outcome
from provisioning.lib import clock, failpoints
from provisioning.models import Event, Operation
from provisioning.reconcile.schedules import sweep_all
from provisioning.sandbox.server import PanelSandbox
from provisioning.sandbox.world import Server
from tests.bridge import Bridge
from tests.chaos.forks import Moment, database_file, distinct, hits_of, in_child, sweeps_needed
from tests.conftest import Jobs

ON_WISH = pytest.mark.skipif("CHAOS_ALL" not in os.environ, reason="each single point: set CHAOS_ALL=1")
pytestmark = pytest.mark.skipif(
    bool(os.environ.get("TEST_DATABASE_URL")), reason="on SQLite only; `make chaos` kills on both stacks"
)
SWEEPS = 2


@dataclass(frozen=True)
class Kind:
    """An operation as billing asks for it, and what the panel has to show in the end."""

    before: Callable[[Bridge], Any]
    event: str
    fields: dict[str, Any]
    shown: Callable[[list[Server]], bool]
    fewest: int = 20
    """A run with fewer failpoints than this was not the operation that the test means."""


def nothing(bridge: Bridge) -> None:
    """Ada has not ordered yet."""


def bought(bridge: Bridge) -> None:
    """Ada's server runs."""
    bridge.buy()


def unpaid(bridge: Bridge) -> None:
    """Ada's server is suspended."""
    bridge.buy()
    bridge.say("subscription.updated", status="suspended")


def ended(bridge: Bridge) -> None:
    """Ada's server is suspended, and its undo window has passed; the sweep has found that."""
    bridge.buy()
    bridge.say("subscription.cancelled", status="cancelled")
    clock.shift(7 * 86400)
    bridge.panel.advance(7 * 86400)
    sweep_all()


def runs(servers: list[Server]) -> bool:
    return [server.status for server in servers] == [None]


KINDS = {
    "create": Kind(nothing, "subscription.created", {}, runs),
    "suspend": Kind(
        bought,
        "subscription.updated",
        {"status": "suspended"},
        lambda servers: [server.status for server in servers] == ["suspended"],
    ),
    "unsuspend": Kind(unpaid, "subscription.updated", {"status": "active"}, runs),
    "change": Kind(
        bought,
        "subscription.updated",
        {"product_id": "frost-knight"},
        lambda servers: [server.memory for server in servers] == [4096],
    ),
    "terminate": Kind(ended, "", {}, lambda servers: servers == []),
}


@pytest.fixture
def on_file(tmp_path: Path, transactional_db: None, jobs: Jobs) -> Iterator[Bridge]:
    """A bridge whose database a forked child can share."""
    with database_file(tmp_path / "rows.sqlite3"), PanelSandbox() as panel:
        yield Bridge(panel, jobs)


def begin(bridge: Bridge, kind: Kind) -> Moment:
    """Everything up to the moment in which the worker takes the first job."""
    kind.before(bridge)
    if kind.event:
        bridge.store(kind.event, **kind.fields)
    return Moment(bridge)


def settled(bridge: Bridge, kind: Kind) -> bool:
    """Whether the panel shows what billing asked for, and nobody has anything left to do."""
    if Event.objects.filter(status=EventStatus.RECEIVED).exists():
        return False
    if Operation.objects.filter(outcome__in=LIVE_OUTCOMES).exists():
        return False
    return bridge.service().converged and kind.shown(bridge.servers())


def check(bridge: Bridge, kind: Kind, hit: str) -> None:
    needed = sweeps_needed(bridge, lambda: settled(bridge, kind))
    last = bridge.operation()
    assert needed <= SWEEPS, f"killed at {hit}: {needed} sweeps, {last.outcome} {last.reason} {last.detail}"
    assert not Operation.objects.filter(outcome=Outcome.NEEDS_STAFF).exists(), f"killed at {hit}"
    assert kind.shown(bridge.servers()), f"killed at {hit}"


def kill_at_each(bridge: Bridge, folder: Path, kind: Kind, chosen: Callable[[list[str]], list[str]]) -> int:
    """Lets a forked worker die at each chosen failpoint of the operation; returns how many there were."""
    bridge.panel.world.settings.unique_external_ids = False
    start = begin(bridge, kind)
    hits = hits_of(bridge.jobs.drain, folder / "hits")
    assert len(hits) >= kind.fewest
    deaths = chosen(hits)
    for hit in deaths:
        start.back()
        work = list(bridge.jobs.sent)
        assert in_child(bridge.jobs.drain, failpoints.Death(hit)) == failpoints.KILLED, hit
        check(bridge, kind, hit)
        bridge.jobs.clear()
        for job in work:
            bridge.jobs.send(*job)
    return len(deaths)


def after_calls(hits: list[str]) -> list[str]:
    """The panel has done it, and nothing of it is written down."""
    return [hit for hit in hits if hit.startswith("commit.panelcall.before")]


@pytest.mark.req("T83-10", "CAL-01")
@pytest.mark.parametrize(
    ("name", "calls"),
    [
        # Two of them follow the install.
        ("create", 5),
        ("suspend", 2),
        ("unsuspend", 2),
        ("change", 2),
        ("terminate", 3),
    ],
)
def test_a_worker_that_dies_with_the_answer(on_file: Bridge, tmp_path: Path, name: str, calls: int) -> None:
    assert kill_at_each(on_file, tmp_path, KINDS[name], after_calls) == calls


@pytest.mark.slow
@pytest.mark.req("T83-10", "CAL-01")
@pytest.mark.parametrize(
    "chosen",
    [
        pytest.param(distinct, id="distinct"),
        pytest.param(list, id="all", marks=ON_WISH),
    ],
)
@pytest.mark.parametrize("name", KINDS)
def test_a_worker_that_dies_anywhere(
    on_file: Bridge, tmp_path: Path, name: str, chosen: Callable[[list[str]], list[str]]
) -> None:
    assert kill_at_each(on_file, tmp_path, KINDS[name], chosen) >= 15
