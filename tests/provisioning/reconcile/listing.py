"""What tests of lists share: both panels' bridges, and a reading over as many jobs as it takes."""

from __future__ import annotations

from collections.abc import Callable

from provisioning import lists
from provisioning.lib import clock
from provisioning.lists import SnapshotProgress
from provisioning.models import Panel, PanelSnapshot
from provisioning.reconcile.lists import lists_read, snapshot_start
from tests.bridge import Bridge

TICK = 1.0
"""Seconds between the jobs of a reading: the ticker's."""


def progress(panel: Panel) -> SnapshotProgress:
    """How the reading stands; there has to be one."""
    found = lists.snapshot_progress(panel)
    assert found is not None
    return found


def go_on(bridge: Bridge, *, jobs: int = 2000, each: Callable[[SnapshotProgress], None] | None = None) -> int:
    """Runs a reading's jobs as they fall due. Returns how many seconds it took."""
    seconds = 0.0
    row = PanelSnapshot.objects.get(panel=bridge.row)
    for _ in range(jobs):
        row.refresh_from_db()
        if not row.under_way:
            break
        wait = (row.next_check_at - clock.now()).total_seconds() if row.next_check_at else 0
        step = max(TICK, wait)
        clock.shift(step)
        bridge.panel.advance(step)
        seconds += step
        lists_read(row.pk)
        if each:
            each(progress(bridge.row))
    return round(seconds)


def read(bridge: Bridge) -> SnapshotProgress:
    """A whole reading, however it ends."""
    snapshot_start(bridge.row)
    bridge.jobs.drain()
    go_on(bridge)
    return progress(bridge.row)
