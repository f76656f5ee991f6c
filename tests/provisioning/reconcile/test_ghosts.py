"""A create whose answer was lost comes true 0, 1, 3 or 10 time-outs later (B5).

On a panel that refuses a second server of one mark and on one that does not, with a fixed node (our own
choice of the allocation is a wall) and without, and behind a copy of the database that is five seconds old.
"""

from __future__ import annotations

from itertools import product

import pytest
from django.conf import settings

from provisioning.choices import DriftKind
from provisioning.drivers.pterodactyl.client import LONGEST_CALL
from provisioning.models import Drift, Notification, Operation
from provisioning.reconcile.drift_staff import drift_mail
from tests.bridge import Bridge, document
from tests.provisioning.reconcile.drifting import check, standing
from tests.provisioning.reconcile.trouble import outlast, pass_time

pytestmark = pytest.mark.slow

STEP = 4
"""Seconds between two sweeps."""
LATE = [0, 1, 3, 10]
WALLS = [
    pytest.param(*wall, id="-".join(map(str, wall)), marks=[pytest.mark.slow] if wall[0] or wall[2] else [])
    for wall in product([True, False], [1, None], [False, True])
]


def prepare(bridge: Bridge, *, late: int, unique: bool, node: int | None, stale: bool) -> None:
    bridge.panel.world.settings.unique_external_ids = unique
    bridge.product.document = document(node=node)
    bridge.product.save()
    if stale:
        bridge.panel.faults.add("stale", method="GET", path=r"/servers", count=None, seconds=5)
    bridge.panel.faults.add("ghost", method="POST", path=r"/servers$", seconds=late * LONGEST_CALL)


def live_on(bridge: Bridge, *, stale: bool = False) -> None:
    """Everything settles, and the ghost's time comes."""
    bridge.say("subscription.created")
    for _ in range(int(11 * LONGEST_CALL) // STEP if stale else 0):
        pass_time(bridge, STEP)
        # Whoever else uses the panel: what has come true is in the copy a few seconds later.
        bridge.panel.settle()
        bridge.panel.faults.remember()
    outlast(bridge)
    pass_time(bridge, 11 * LONGEST_CALL)
    outlast(bridge)
    bridge.panel.faults.clear()


@pytest.mark.req("CAL-01")
@pytest.mark.parametrize("late", LATE)
@pytest.mark.parametrize(("unique", "node", "stale"), WALLS)
def test_a_ghost_makes_one_server_or_is_shown_with_both_ids(
    bridge: Bridge, late: int, unique: bool, node: int | None, stale: bool
) -> None:
    prepare(bridge, late=late, unique=unique, node=node, stale=stale)
    live_on(bridge, stale=stale)
    service, servers = bridge.service(), bridge.servers()
    assert service.converged
    assert service.created_confirmed_at is not None
    assert service.server_id in {str(server.id) for server in servers}
    assert bridge.panel.calls.count("DELETE") == 0, "nothing is deleted by itself"
    patient = late * LONGEST_CALL <= settings.UNKNOWN_WAIT_SECONDS
    if unique or node or patient:
        assert len(servers) == 1
        return
    # No wall of the panel's, and it took longer than our patience: shown, with both ids, and left alone.
    (other,) = [str(server.id) for server in servers if str(server.id) != service.server_id]
    check(bridge)
    assert standing() == [(DriftKind.DOUBLE, other)]
    assert service.server_id in Drift.objects.get().words
    drift_mail()
    assert Notification.objects.filter(template="drift").count() == 1


def test_with_a_second_server_the_end_deletes_one_and_asks_about_the_other(bridge: Bridge) -> None:
    prepare(bridge, late=10, unique=False, node=None, stale=False)
    live_on(bridge)
    ours = bridge.service().server_id
    (other,) = [str(server.id) for server in bridge.servers() if str(server.id) != ours]
    bridge.say("subscription.cancelled", status="cancelled")
    bridge.wait(days=8)
    outlast(bridge)
    operation = Operation.objects.latest("pk")
    assert [str(server.id) for server in bridge.servers()] == [other], "the ghost is never deleted by itself"
    assert operation.outcome == "needs_staff"
    assert other in operation.detail
