"""One campaign: starts the product, lets services live and kills processes meanwhile, then has it checked."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import requests

from tests.flows.stack import ROOT, Ground, Part, Stack, base_environment
from tools.chaos import checker, lives, victims

SCALE = 10.0
LEASE_SECONDS = 60
"""The lease passes in 6 seconds of the wall. A job's deadline does not shrink with it, and a create needs 40
seconds of room: whoever was slower than the lease still has them, so that only the fence can hold it back."""
UNKNOWN_WAIT = 5
"""Seconds of the wall; longer than the panel takes for a create, as in real use."""
SWEEP_SECONDS = "20"
"""What is due is woken again each 2 seconds of the wall: oftener would only fill the queue with copies."""
SIDE_BY_SIDE = 16
WORKERS = "3"
GAP = (0.1, 1.2)
"""Seconds between two kills, where enough lives have begun."""
PATIENCE = 90.0
"""Seconds in which everything has to come to rest after the last event."""
MEMORY = {lives.SMALL: 64, lives.BIG: 128}
SMALLER_ROWS = """
import json, sys, django
django.setup()
from provisioning.models import Panel, Product
for name, memory in json.loads(sys.argv[1]).items():
    row = Product.objects.get(billing_product_id=name)
    row.document["target"] = {"nest": 1, "egg": 5, "locations": [1]}
    row.document["limits"] |= {"memory": memory, "disk": 64, "cpu": 10}
    row.save()
Panel.objects.update(deletes_hour_floor=30000, deletes_day_floor=30000)
Panel.objects.update(creates_hour_floor=30000, creates_day_floor=30000)
"""
"""Small servers on *Auto*: no allocation is pinned, so that the panel is no wall against a second create. The
mass brakes have tests of their own; here they would only end the work."""
TROUBLE: tuple[dict[str, Any], ...] = (
    {"kind": "lost", "method": "POST", "path": "^/api/application/servers$"},
    {"kind": "slow", "method": "POST", "path": "^/api/application/servers$", "seconds": 2.0},
    # Longer than the lease: another worker takes over while the first still reads "no such server".
    {"kind": "drip", "method": "GET", "path": "^/api/application/servers/external/", "seconds": 0.05},
)
HEALED = ("workers_start_anew", "workers_hang")
"""Words of the workers' log: the product itself mended its workers."""


@dataclass(frozen=True)
class Campaign:
    """What is asked for. `seconds` bounds the time in which lives begin and processes are killed.

    `troubled` is the share of lives in which the panel misbehaves.
    """

    kills: int
    lifecycles: int
    seed: int
    stack: str
    seconds: float
    troubled: float = 0.25


@dataclass(frozen=True)
class Result:
    """The JSON line. `refused_deletes` are operations that the guard refused or parked."""

    kills: int
    lifecycles: int
    lost: int
    duplicates: int
    orphans: int
    refused_deletes: int
    seconds: int
    seed: int
    stack: str

    @property
    def good(self) -> bool:
        """Whether nothing was lost, doubled or left behind."""
        return not (self.lost or self.duplicates or self.orphans)

    def line(self) -> dict[str, int | str]:
        """As it is printed."""
        return asdict(self)


@dataclass
class Progress:
    """How far the campaign is; shared by its threads."""

    begun: list[str] = field(default_factory=list)
    killed: Counter[str] = field(default_factory=Counter)
    stop: threading.Event = field(default_factory=threading.Event)
    shown: list[checker.Row] = field(default_factory=list)
    kept: list[checker.Row] = field(default_factory=list)


@contextmanager
def product(folder: Path) -> Iterator[Stack]:
    """The running product on a fresh database, with a panel that refuses no second server of one mark."""
    (folder / "ground").mkdir()
    (folder / "stack").mkdir()
    ground = Ground.make(folder / "ground")
    try:
        smaller_rows(ground, folder / "ground")
        with Stack(
            ground,
            folder / "stack",
            scale=SCALE,
            UNKNOWN_WAIT_SECONDS=str(UNKNOWN_WAIT * SCALE),
            SWEEP_SECONDS=SWEEP_SECONDS,
            WORKERS=WORKERS,
            JOB_DEADLINE_SECONDS=str(LEASE_SECONDS - 2),
            JOB_TIMEOUT_SECONDS=str(LEASE_SECONDS - 1),
            LEASE_SECONDS=str(LEASE_SECONDS),
        ) as stack:
            switches = {"unique_external_ids": False, "application_limit": None}
            stack.read.panel_control("POST", "settings", switches)
            more_ports(stack)
            yield stack
            _end(stack.clusters[0])
    finally:
        ground.store.drop()


def smaller_rows(ground: Ground, folder: Path) -> None:
    """Makes the products of the ground small, and takes the mass brake off its panel."""
    env = {**os.environ, **base_environment(folder, ground.ports), **ground.keys, **ground.store.variables}
    argv = [sys.executable, "-c", SMALLER_ROWS, json.dumps(MEMORY)]
    subprocess.run(argv, env=env, cwd=ROOT, check=True)  # noqa: S603 - our own script


def more_ports(stack: Stack) -> None:
    """Room for six thousand servers, made through the panel's own API."""
    for node in (1, 2):
        url = f"{stack.ground.cast.panel_url}/api/application/nodes/{node}/allocations"
        for first in (40_000, 41_000, 42_000):
            body = {"ip": "192.0.2.9", "ports": [f"{first}-{first + 999}"]}
            stack.read.panel_session.post(url, json=body, timeout=20).raise_for_status()


class Run:
    """A campaign on a running product."""

    def __init__(self, campaign: Campaign, stack: Stack) -> None:
        self.campaign, self.stack = campaign, stack
        self.cast = stack.ground.cast
        self.progress = Progress()
        self.ends = time.monotonic() + campaign.seconds

    def play(self) -> checker.Findings:
        """Lives and kills side by side, then rest, then the comparison."""
        stories = lives.draw(self.campaign.seed, self.campaign.lifecycles)
        watch = threading.Thread(target=self._watch, daemon=True)
        watch.start()
        with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
            playing = [pool.submit(self._live, key, steps) for key, steps in stories.items()]
            self._kill_all()
            while not all(life.done() for life in playing):
                self._mend()
                time.sleep(0.5)
            for life in playing:
                life.result()
        findings = self._rest()
        self.progress.stop.set()
        watch.join()
        return findings

    # --- lives -------------------------------------------------------------------------------------

    def _live(self, key: str, steps: list[lives.Step]) -> None:
        if self._over():
            return
        self.progress.begun.append(key)
        chooser = random.Random(f"{self.campaign.seed}:{key}")  # noqa: S311 - repeatable on purpose
        if chooser.random() < self.campaign.troubled:
            self.stack.read.control(self.cast.panel_url, "POST", "faults", dict(chooser.choice(TROUBLE)))
        lives.live(key, steps, self._send, self._made, self.progress.stop)
        self._await(key)

    def _made(self, key: str) -> bool:
        """Whether the subscription's server stood on the panel at the last look."""
        return any(row["external_id"] == self._prefix + key for row in self.progress.shown)

    def _over(self) -> bool:
        return self.progress.stop.is_set() or time.monotonic() > self.ends

    def _send(self, event: dict[str, str], webhook_id: str) -> bool:
        body = {"url": self.cast.webhook_url, "secret": self.cast.secret, "event": event, "id": webhook_id}
        answer = requests.post(f"{self.cast.billing_url}/_sandbox/send", json=body, timeout=60)
        return bool(answer.json()["status"] == 202)

    def _await(self, key: str) -> None:
        """The next life begins when this one is as it was sold, or has kept others waiting long enough."""
        patience = time.monotonic() + 8
        while time.monotonic() < patience and not self._over():
            mine = [row for row in self.progress.kept if row["subscription_id"] == key]
            servers = [row for row in self.progress.shown if row["external_id"] == self._prefix + key]
            if mine and not checker.compare(checker.sold(mine, MEMORY), servers, prefix=self._prefix):
                return
            time.sleep(0.5)

    @property
    def _prefix(self) -> str:
        return f"{self.stack.env['INSTALLATION_ID']}-shop-"

    def _watch(self) -> None:
        """One reader for all lives; a duplicate never goes away, so that it ends the campaign at once."""
        while not self.progress.stop.wait(1):
            if self._look().duplicates:
                self.progress.stop.set()

    def _look(self) -> checker.Findings:
        self.progress.kept = checker.ledger(self.cast.billing_url)
        self.progress.shown = checker.servers(self.cast.panel_url, self.cast.panel_key)
        wanted = checker.sold(self.progress.kept, MEMORY)
        return checker.compare(wanted, self.progress.shown, prefix=self._prefix)

    # --- kills -------------------------------------------------------------------------------------

    def _kill_all(self) -> None:
        """As many kills as asked for, spread over the lives."""
        chooser = random.Random(self.campaign.seed)  # noqa: S311 - repeatable on purpose
        wanted, lifecycles = self.campaign.kills, self.campaign.lifecycles
        while self.progress.killed.total() < wanted and not self._over():
            self._mend()
            due = len(self.progress.begun) * wanted >= (self.progress.killed.total() + 1) * lifecycles
            time.sleep(chooser.uniform(*GAP) if due else 0.1)
            if due:
                self._kill_one(chooser)

    def _kill_one(self, chooser: random.Random) -> None:
        cluster = self.stack.clusters[0]
        role, pids = victims.choose(chooser, victims.members(cluster.pid), cluster.pid)
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if pids:
            self.progress.killed[role] += 1
        if pids and role == "group":
            _start_again(cluster)

    def _mend(self) -> None:
        """What a process manager does: starts again what has ended. What hangs is the product's own task."""
        cluster = self.stack.clusters[0]
        if cluster.ended:
            _start_again(cluster)

    # --- the end -----------------------------------------------------------------------------------

    def _rest(self) -> checker.Findings:
        """Waits until nothing differs and nobody works, or patience is at its end; returns the last look."""
        patience = time.monotonic() + PATIENCE
        while time.monotonic() < patience:
            self._mend()
            findings = self._look()
            if findings.duplicates or (not findings and not self._busy()):
                break
            time.sleep(1)
        return self._look()

    def _busy(self) -> bool:
        """Whether the bridge itself says that something is left to do: a server could still come of it."""
        live = ("open", "waiting", "retrying")
        rows = [self._count("operations/", outcome=outcome) for outcome in live]
        return any((*rows, self._count("events/", status="received")))

    def _count(self, path: str, **params: str) -> int:
        return len(self.stack.read.get(path, **params)["results"])

    def words(self, findings: checker.Findings) -> list[str]:
        """What the bridge itself says of each subscription that was found."""
        found = {*findings.lost, *findings.duplicates, *findings.orphans}
        keys = sorted(mark.removeprefix(self._prefix) for mark in found)
        return [f"{key}: {self._says(key)}" for key in keys]

    def _says(self, key: str) -> str:
        service = self.stack.read.service(key)
        events = [(row["type"], row["status"]) for row in self.stack.events(subject=key)]
        names = ("billing_status", "desired_state", "observed_state", "converged", "waiting")
        return json.dumps({name: service.get(name) for name in names} | {"events": events}, default=str)

    def healed(self) -> dict[str, int]:
        """How often the product itself started its workers anew, by the words of their log."""
        lines = self.stack.clusters[0].log.read_text(errors="replace").splitlines()
        return {word: sum(word in line for line in lines) for word in HEALED}

    def fallen(self) -> list[str]:
        """Who has ended though nobody killed it, with the end of its log: it should have lived on."""
        parts = [part for part in self.stack.parts if part is not self.stack.clusters[0] and part.ended]
        return [
            f"{part.ended} {' / '.join(part.log.read_text(errors='replace').splitlines()[-8:])}"
            for part in parts
        ]

    def refused(self) -> int:
        """Deletes that the guard refused, or that the brake holds."""
        refused = self._count("operations/", outcome="needs_staff", reason="delete_refused", page_size="200")
        return refused + self._count("operations/", outcome="waiting", reason="brake", page_size="200")


def _end(cluster: Part) -> None:
    """A clean stop has tests of its own; after a kill the system needs a moment to bury its dead."""
    if cluster.ended:
        cluster.stop()
    else:
        cluster.kill()
    patience = time.monotonic() + 5
    while victims.members(cluster.pid) and time.monotonic() < patience:
        time.sleep(0.05)


def _start_again(cluster: Part) -> None:
    """As a process manager does: whatever the dead left behind is killed, then all of it starts anew."""
    _end(cluster)
    cluster.start()


def run(campaign: Campaign, folder: Path) -> tuple[Result, list[str], list[str]]:
    """Plays a campaign in an empty folder: the result, words on what was found, and who fell unkilled."""
    began = time.monotonic()
    with product(folder) as stack:
        played = Run(campaign, stack)
        findings = played.play()
        refused = played.refused()
        killed, healed = dict(played.progress.killed), played.healed()
        words = [f"Killed: {killed}; mended by the product itself: {healed}.", *played.words(findings)]
        fallen = played.fallen()
    result = Result(
        kills=played.progress.killed.total(),
        lifecycles=len(played.progress.begun),
        lost=len(findings.lost),
        duplicates=len(findings.duplicates),
        orphans=len(findings.orphans),
        refused_deletes=refused,
        seconds=round(time.monotonic() - began),
        seed=campaign.seed,
        stack=campaign.stack,
    )
    return result, words, fallen
