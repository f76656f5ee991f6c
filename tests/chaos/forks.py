"""Forked children that die at a failpoint, on a database file and a sandbox panel that outlive them.

Nothing here knows a panel's kind: what is done is said by billing events, and what came of it by the bridge.
"""

from __future__ import annotations

import os
import sqlite3
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections

from provisioning.lib import clock, failpoints
from provisioning.reconcile import heartbeats, transport
from provisioning.reconcile.restored import mark_file
from provisioning.reconcile.schedules import sweep_all, sweep_due
from provisioning.sandbox.world import State
from tests.bridge import Bridge

TICKS, TICK = 6, 10.0
"""Between two sweeps a minute passes, in which the ticker looks at what is due every 10 seconds."""
Work = Callable[[], object]


@contextmanager
def database_file(path: Path) -> Iterator[None]:
    """Puts a file in the place of the tests' database in memory, which no other process could share."""
    memory = connections[DEFAULT_DB_ALIAS]
    memory.ensure_connection()
    file = memory.copy()
    file.settings_dict["NAME"] = str(path)
    # A killed process loses nothing that it has written: only a power cut would, and none happens here.
    file.settings_dict["OPTIONS"]["init_command"] = "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;"
    file.ensure_connection()
    memory.connection.backup(file.connection)
    connections[DEFAULT_DB_ALIAS] = file
    try:
        yield
    finally:
        connections[DEFAULT_DB_ALIAS] = memory
        file.close()


def in_child(work: Work, listener: failpoints.Listener) -> int:
    """Does the work in a forked child with that listener on all failpoints; returns its exit code."""
    connections[DEFAULT_DB_ALIAS].close()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the sandbox's threads are idle meanwhile
        pid = os.fork()
    if pid == 0:
        code = 1
        try:
            # What the parent's memory holds is not a new worker's: its connections, its last sign of life.
            transport._client.cache_clear()
            heartbeats._last.clear()
            failpoints.watch(connections[DEFAULT_DB_ALIAS])
            failpoints.listen(listener)
            work()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def hits_of(work: Work, log: Path) -> list[str]:
    """All failpoints that the work hits, in order, each as `name:nth`."""
    code = in_child(work, lambda name: _append(log, name))
    assert code == 0, "the work fails even when nobody kills it"
    seen: dict[str, int] = {}
    found = []
    for name in log.read_text().splitlines():
        seen[name] = seen.get(name, 0) + 1
        found.append(f"{name}:{seen[name]}")
    return found


def _append(log: Path, name: str) -> None:
    with log.open("a") as file:
        file.write(f"{name}\n")


def distinct(hits: list[str]) -> list[str]:
    """One of each pair that nobody could tell apart: after one thing is before the next."""
    return [hit for hit in hits if ".before:" in hit] + hits[-1:]


@dataclass
class Moment:
    """A database and a panel as they are now, to be gone back to."""

    bridge: Bridge
    rows: sqlite3.Connection = field(init=False)
    state: State = field(init=False)

    def __post_init__(self) -> None:
        """Copies both."""
        self.rows = sqlite3.connect(":memory:")
        connection = connections[DEFAULT_DB_ALIAS]
        connection.ensure_connection()
        connection.connection.backup(self.rows)
        self.state = self.bridge.panel.world.snapshot()

    def back(self) -> None:
        """Everything is as it was; only the clocks go on."""
        connection = connections[DEFAULT_DB_ALIAS]
        connection.ensure_connection()
        self.rows.backup(connection.connection)
        # Going back is this test's own doing: the product would take it for a restored backup, and stop.
        mark_file().unlink(missing_ok=True)
        world = self.bridge.panel.world
        with world.lock:
            # A copy again: what happens from here on must not change what is kept.
            world.state = self.state
            self.state = world.snapshot()


def sweeps_needed(bridge: Bridge, done: Callable[[], bool], *, most: int = 5) -> int:
    """The queue died with the worker and its lease runs out; returns after how many sweeps all is done."""
    bridge.jobs.clear()
    _pass_time(bridge, settings.LEASE_SECONDS + 1)
    for sweep in range(1, most + 1):
        sweep_all()
        bridge.jobs.drain()
        for _ in range(TICKS):
            if done():
                return sweep
            _pass_time(bridge, TICK)
            sweep_due()
            bridge.jobs.drain()
    return most + 1


def _pass_time(bridge: Bridge, seconds: float) -> None:
    clock.shift(seconds)
    bridge.panel.advance(seconds)
