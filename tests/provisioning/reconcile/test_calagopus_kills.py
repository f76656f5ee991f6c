"""A worker killed before every step, on a panel without unique external ids: one server, nothing lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count

import pytest

from provisioning.choices import LIVE_OUTCOMES, DesiredState, Outcome
from provisioning.models import Operation
from provisioning.sandbox.calagopus.rows import Server
from provisioning.sandbox.calagopus.server import CalagopusSandbox
from tests.conftest import Jobs
from tests.provisioning.reconcile.calagopus import CalagopusBridge, more_ports
from tests.provisioning.reconcile.test_kills import FEWEST_STEPS, order, resize, suspend, terminate
from tests.provisioning.reconcile.trouble import new_worker, outlast, work_until_killed

Fits = Callable[[list[Server]], bool]
KINDS: dict[str, tuple[Callable[[CalagopusBridge, str], None], Fits]] = {
    "create": (order, lambda rows: [row.status for row in rows] == [None]),
    "suspend": (suspend, lambda rows: [row.suspended for row in rows] == [True]),
    "resize": (resize, lambda rows: [row.limits["memory"] for row in rows] == [4096]),
    "terminate": (terminate, lambda rows: rows == []),
}


@pytest.fixture
def bridge(jobs: Jobs, db: None) -> Iterator[CalagopusBridge]:
    """Rows, queue and panel together, with room for many orders."""
    with CalagopusSandbox() as panel:
        more_ports(panel, 100)
        yield CalagopusBridge(panel, jobs)


def check(bridge: CalagopusBridge, name: str, fits: Fits, step: int) -> None:
    """One server for the service, as wanted, with its proofs, and nothing left to do."""
    service, last = bridge.service(name), bridge.operation()
    assert service.converged, f"killed before step {step}: {last.outcome} {last.reason} {last.detail}"
    rows = [row for row in bridge.rows() if row.external_id == service.external_id]
    assert fits(rows), f"killed before step {step}: {rows}"
    assert not Operation.objects.filter(outcome__in=[*LIVE_OUTCOMES, Outcome.NEEDS_STAFF]).exists()
    if service.desired_state == DesiredState.PRESENT:
        assert service.created_confirmed_at
        assert service.ready_at


@pytest.mark.slow
@pytest.mark.req("CAL-01", "CAL-02", "CAL-04")
@pytest.mark.parametrize(
    ("kind", "auto"),
    [("create", False), ("create", True), ("suspend", False), ("resize", False), ("terminate", False)],
)
def test_a_worker_killed_anywhere_leaves_one_server_as_wanted(
    bridge: CalagopusBridge, kind: str, auto: bool
) -> None:
    bridge.row.deletes_hour_floor = bridge.row.deletes_day_floor = 1000
    bridge.row.save()
    if auto:
        bridge.product.document = bridge.placed(auto=True)
        bridge.product.save()
    begin, fits = KINDS[kind]
    for step in count(1):
        name = f"{kind}{step}"
        begin(bridge, name)
        killed = work_until_killed(bridge, before=step)
        new_worker(bridge)
        outlast(bridge)
        check(bridge, name, fits, step)
        if not killed:
            break
    assert step > FEWEST_STEPS
