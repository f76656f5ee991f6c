"""Starts what is measured: the chaos harness's product, on stores that wait for the disk."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.flows.stack import ROOT, Ground, Part, Stack, base_environment, engine_environment
from tools import services
from tools.chaos.run import more_ports, smaller_rows

STACKS = ("sqlite", "postgres")
NO_LIMIT = 600_000
"""Calls a minute: more than any run makes."""
DEFAULTS = {
    "TICK_SECONDS": "1",
    "SWEEP_SECONDS": "60",
    "PROBE_SECONDS": "30",
    "BACKOFF_BASE": "5",
    "BACKOFF_CAP": "900",
    "UNKNOWN_WAIT_SECONDS": "75",
    "INSTALL_POLL_SECONDS": "5",
    "JOB_DEADLINE_SECONDS": "45",
    "JOB_TIMEOUT_SECONDS": "60",
    "LEASE_SECONDS": "90",
    "WORKERS": "4",
    # An hourly pass would add its calls to what is counted.
    "DRIFT_SECONDS": "0",
    "LISTS_SECONDS": "0",
}
"""What the product does when nobody sets anything."""


@contextlib.contextmanager
def stores(stack: str) -> Iterator[None]:
    """Names the databases of the stack in the environment; PostgreSQL and Redis are started for the block."""
    if stack == "sqlite":
        with _named("", ""):
            yield
        return
    with services.private(durable=True) as (database_url, redis_url), _named(database_url, redis_url):
        yield


@contextlib.contextmanager
def _named(database_url: str, redis_url: str) -> Iterator[None]:
    names = {"TEST_DATABASE_URL": database_url, "TEST_REDIS_URL": redis_url}
    before = {name: os.environ.get(name, "") for name in names}
    os.environ.update(names)
    try:
        yield
    finally:
        os.environ.update(before)


@contextlib.contextmanager
def ground(stack: str) -> Iterator[tuple[Ground, Path]]:
    """An empty database with the small products in it, and a folder of its own."""
    with stores(stack), tempfile.TemporaryDirectory(prefix="billingbridge-bench-") as name:
        folder = Path(name)
        (folder / "ground").mkdir()
        made = Ground.make(folder / "ground")
        try:
            smaller_rows(made, folder / "ground")
            yield made, folder
        finally:
            made.store.drop()


@contextlib.contextmanager
def product(stack: str, *, scale: float = 1, clusters: int = 1, **env: str) -> Iterator[Stack]:
    """The whole running product with its own defaults, and a panel with room and without a rate limit."""
    with ground(stack) as (made, folder):
        (folder / "stack").mkdir()
        options: dict[str, Any] = {**DEFAULTS, **env}
        with Stack(made, folder / "stack", scale=scale, clusters=clusters, **options) as running:
            settings = {"application_limit": NO_LIMIT}
            running.read.panel_control("POST", "settings", settings)
            more_ports(running)
            running.read.panel_control("DELETE", "calls")
            yield running


def environment(made: Ground, folder: Path) -> dict[str, str]:
    """What a process of the product needs to work on this ground's own store."""
    own = {**base_environment(folder, made.ports), **engine_environment(1), **DEFAULTS}
    return {**own, **made.keys, **made.store.variables}


@contextlib.contextmanager
def part(name: str, argv: list[str], env: dict[str, str], folder: Path) -> Iterator[Part]:
    """One process of the product with what it starts; it ends with the block."""
    running = Part(name, argv, env, folder / f"{name}.log")
    try:
        yield running
    finally:
        running.end()
        running.stop()


def ask(action: str, env: dict[str, str], **words: object) -> dict[str, Any]:
    """Has a process of the product do something inside, and returns what it tells. Raises RuntimeError."""
    argv = [sys.executable, "-m", "tools.bench.inside", action, json.dumps(words)]
    done = subprocess.run(  # noqa: S603 - our own script
        argv, env={**os.environ, **env}, cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{action} failed:\n{done.stderr[-2000:]}")
    return dict(json.loads(done.stdout.splitlines()[-1]))
