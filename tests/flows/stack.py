"""Starts the real product: web server, queue workers, tickers and the sandbox, on ports of their own.

Rows are set up once by the demo's own set-up; from then on everything goes in by webhook and is read over
HTTP from the sandbox panel and from our API. The engine's clock may run faster than the wall's
(`CLOCK_SCALE`), so that a lease of 45 seconds passes in a few while HTTP timeouts stay what they are.
"""

from __future__ import annotations

import json
import os
import random
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import requests

from provisioning.management.demo.reading import Reader
from provisioning.management.demo.rows import Cast
from provisioning.management.supervisor import Supervisor, port_free, web_argv
from tests.flows.stores import Store, store_make

ROOT = Path(__file__).resolve().parents[2]
MANAGE = str(ROOT / "manage.py")
GRACE = 25.0
"""Seconds that a stop may take before the rest is killed."""
ADA = {
    "subscription_id": "12345",
    "customer_email": "ada@example.com",
    "product_id": "fire-elemental",
    "tier": "elemental",
    "status": "active",
}
SET_UP = """
import dataclasses, json, sys, django
django.setup()
from django.core.management import call_command
from provisioning.management.demo.rows import cast_make
call_command("migrate", verbosity=0)
cast = cast_make(panel_port=int(sys.argv[1]), billing_port=int(sys.argv[2]))
print(json.dumps(dataclasses.asdict(cast)))
"""
REAL_SECONDS = {
    "PROBE_SECONDS": 0.5,
    "BACKOFF_BASE": 0.2,
    "BACKOFF_CAP": 2,
    "UNKNOWN_WAIT_SECONDS": 2,
    "INSTALL_POLL_SECONDS": 0.4,
}
"""What the engine measures on its own clock, in seconds of the wall."""


def free_port() -> int:
    """A free port below those that the system gives to outgoing connections, so that none takes it away."""
    numbers = random.SystemRandom().sample(range(20_000, 32_000), 100)
    return next(number for number in numbers if port_free(number))


def processes_in(folder: Path) -> list[int]:
    """Everybody who holds a file of that folder open: each process of a stack writes its log there."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and _holds(process / "fd", str(folder)):
            found.append(int(process.name))
    return [pid for pid in found if pid != os.getpid()]


def _holds(descriptors: Path, folder: str) -> bool:
    try:
        return any(os.readlink(entry).startswith(folder) for entry in descriptors.iterdir())
    except OSError:  # it ended while we looked, or is somebody else's
        return False


@dataclass(frozen=True)
class Ground:
    """What the stacks of one test process share: ports, keys, and a database with the cast in it."""

    ports: dict[str, int]
    keys: dict[str, str] = field(repr=False)
    store: Store
    cast: Cast

    @classmethod
    def make(cls, folder: Path) -> Ground:
        """Migrates an empty database and writes the demo's rows into it."""
        ports = {name: free_port() for name in ("web", "panel", "billing")}
        keys = {
            "SECRET_KEY": secrets.token_urlsafe(48),
            "SANDBOX_APPLICATION_KEY": "ptla_" + secrets.token_hex(22)[:43],
            "SANDBOX_CLIENT_KEY": "ptlc_" + secrets.token_hex(22)[:43],
        }
        store = store_make(folder)
        env = {**os.environ, **base_environment(folder, ports), **keys, **store.variables}
        argv = [sys.executable, "-c", SET_UP, str(ports["panel"]), str(ports["billing"])]
        done = subprocess.run(argv, env=env, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        row = json.loads(done.stdout.splitlines()[-1])
        return cls(ports, keys, store, Cast(**{**row, "admin_codes": tuple(row["admin_codes"])}))


def base_environment(folder: Path, ports: dict[str, int]) -> dict[str, str]:
    """The settings of every process; nothing of the test suite's own environment shines through."""
    return {
        "DJANGO_SETTINGS_MODULE": "billingbridge.settings",
        "PYTHONPATH": str(ROOT),
        "ENV_FILE": "",
        "DEMO": "true",
        "VAR_DIR": str(folder),
        "INSTALLATION_ID": "flow",
        "ALLOWED_HOSTS": "127.0.0.1",
        "PUBLIC_URL": f"http://127.0.0.1:{ports['web']}",
        "BIND": f"127.0.0.1:{ports['web']}",
        "ALLOW_PLAIN_HTTP": "true",
    }


def engine_environment(scale: float) -> dict[str, str]:
    """Short intervals, and about the shortest lease in which a job still has room for its longest call."""
    scaled = {name: str(seconds * scale) for name, seconds in REAL_SECONDS.items()}
    return scaled | {
        "TICK_SECONDS": "0.2",
        "SWEEP_SECONDS": "2" if scale == 1 else "4",
        "JOB_DEADLINE_SECONDS": "43",
        "JOB_TIMEOUT_SECONDS": "44",
        "LEASE_SECONDS": "45",
        "WORKERS": "2",
        "CLOCK_SCALE": str(scale),
        "CLOCK_EPOCH": str(int(time.time())),
        # The sender signs with the wall's clock.
        "WEBHOOK_TOLERANCE_SECONDS": "100000",
        "HEALTH_MAX_LAG_SECONDS": "100000",
    }


class Part:
    """One program of the stack, with everything that it starts."""

    def __init__(self, name: str, argv: Sequence[str], env: dict[str, str], log: Path) -> None:
        self.name, self.argv, self.env, self.log = name, argv, env, log
        self.start()

    def start(self) -> None:
        """Start it, or start it again."""
        self.children = Supervisor(grace=GRACE)
        self.pid = self.children.start(self.name, self.argv, env=self.env, log=self.log)
        self.running = True

    def end(self) -> None:
        """Tell its main process to end; `ended` says when and how it did."""
        if self.running and not self.ended:
            os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL to everything of it at once, as when its machine loses power."""
        os.killpg(self.pid, signal.SIGKILL)
        self.stop()

    def stop(self) -> bool:
        """End it; what is left after the grace is killed. Whether that was needed."""
        self.running = False
        return bool(self.children.stop())

    @property
    def ended(self) -> str:
        """How it ended, in words; empty while it runs."""
        return self.children.dead()

    def workers(self, doing: str) -> list[int]:
        """The queue workers of this cluster that are `idle` or `processing` a job, as their titles say."""
        return [pid for pid in self._members() if f" {doing}".encode() in _title(pid)]

    def _members(self) -> list[int]:
        pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
        return [pid for pid in pids if _group(pid) == self.pid]


def _group(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return 0


def _title(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


class Stack:
    """A context manager: the product runs inside the block, and nothing of it afterwards."""

    def __init__(
        self,
        ground: Ground,
        folder: Path,
        *,
        scale: float = 1,
        clusters: int = 1,
        tickers: int = 1,
        **env: str,
    ) -> None:
        self.ground, self.folder = ground, folder
        self.store = ground.store.copy(folder)
        self.env = {
            **base_environment(folder, ground.ports),
            **engine_environment(scale),
            **ground.keys,
            **self.store.variables,
            **env,
        }
        self.clusters_wanted, self.tickers_wanted = clusters, tickers
        self.parts: list[Part] = []
        self.read = Reader(ground.cast, self.env["PUBLIC_URL"])

    def __enter__(self) -> Stack:
        """Start everything and wait until it answers."""
        try:
            self._start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End everything, and see that nothing is left."""
        for part in self.parts:
            part.end()
        late = [part.name for part in self.parts if part.stop()]
        self.store.drop()
        left = processes_in(self.folder)
        assert not left, f"Processes {left} outlived their stack."
        assert not late, f"{late} had to be killed: they did not end within {GRACE:.0f} s."

    # --- processes ---------------------------------------------------------------------------------

    def _start(self) -> None:
        ports = [f"--{name}-port={self.ground.ports[name]}" for name in ("panel", "billing")]
        sandbox = [sys.executable, "-m", "provisioning.sandbox", *ports]
        self.sandbox = self._part("sandbox", [*sandbox, "--install-seconds=0.3", "--rate-limit=6000"])
        self.web = self._part("web", web_argv(self.env["BIND"], workers=1))
        self.clusters = [self._manage("work", number) for number in range(self.clusters_wanted)]
        self.tickers = [self._manage("tick", number) for number in range(self.tickers_wanted)]
        self.wait_for_web()
        self.read.until("the sandbox", lambda: _answers(f"{self.ground.cast.billing_url}/_sandbox/ledger"))
        self._more_ports()

    def _manage(self, command: str, number: int) -> Part:
        return self._part(f"{command}{number}", [sys.executable, MANAGE, command])

    def _part(self, name: str, argv: Sequence[str]) -> Part:
        part = Part(name, argv, self.env, self.folder / f"{name}.log")
        self.parts.append(part)
        return part

    def wait_for_web(self) -> None:
        """Wait until the web server answers."""
        self.read.until("the web server", lambda: _answers(f"{self.env['PUBLIC_URL']}/livez"))

    def _more_ports(self) -> None:
        """Room for many servers on the node, made through the panel's own API."""
        url = f"{self.ground.cast.panel_url}/api/application/nodes/1/allocations"
        body = {"ip": "192.0.2.1", "ports": ["26000-26099"]}
        self.read.panel_session.post(url, json=body, timeout=10).raise_for_status()

    # --- billing -----------------------------------------------------------------------------------

    def say(self, event: str, billing_id: str = "12345", **fields: Any) -> None:
        """Billing sends one signed event; the bridge has to keep it."""
        mail = f"buyer{billing_id}@example.com"
        self.read.send(
            {"event": event, **ADA, "subscription_id": billing_id, "customer_email": mail, **fields}
        )

    def order(self, billing_ids: Iterable[str]) -> None:
        """So many paid orders, four at a time."""
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda billing_id: self.say("subscription.created", billing_id), billing_ids))

    # --- looking -----------------------------------------------------------------------------------

    def arm(self, kind: str, *, seconds: float = 1.0, **fields: Any) -> None:
        """Have the panel spoil the next create in this way."""
        fault = {"kind": kind, "method": "POST", "path": "^/api/application/servers$", "seconds": seconds}
        self.read.panel_control("POST", "faults", {**fault, **fields})

    def create_under_way(self) -> bool:
        """Whether the armed fault has met its request: the create is being answered at this moment."""
        return not self.read.panel_control("GET", "faults")["faults"]

    def asked(self) -> list[int]:
        """The panel's answer to every create of a server that it was asked for, by status."""
        calls = self.read.panel_control("GET", "calls")["calls"]
        rows = [call for call in calls if call["method"] == "POST" and call["pattern"].endswith("/servers")]
        return [row["status"] for row in rows]

    def creates(self) -> int:
        """How many servers the panel has made, deleted ones too."""
        return self.asked().count(201)

    def servers(self, billing_id: str) -> list[dict[str, Any]]:
        """The servers of that mark on the panel."""
        mark = f"flow-shop-{billing_id}"
        return [server for server in self.read.servers() if server["external_id"] == mark]

    def status(self, billing_id: str = "12345") -> str | None:
        """What the panel says of the one server: None while it runs."""
        (server,) = self.servers(billing_id)
        return server["status"] and str(server["status"])

    def settled(self, billing_id: str) -> bool:
        """Whether our API says that the panel showed everything that is wanted."""
        return bool(self.read.service(billing_id).get("converged"))

    def until(self, what: str, look: Callable[[], object], *, patience: float = 40) -> None:
        """Look again and again. Fails with the words and the logs' folder."""
        self.read.until(f"{what} (logs: {self.folder})", look, patience=patience)

    def until_served(self, billing_ids: Sequence[str], *, patience: float = 60) -> None:
        """Every order has exactly one server, which runs, and our own view agrees."""

        def all_run() -> bool:
            marks = [row["external_id"] for row in self.read.servers() if row["status"] is None]
            return {f"flow-shop-{billing_id}" for billing_id in billing_ids} <= set(marks)

        self.until(f"{len(billing_ids)} servers running", all_run, patience=patience)
        self.until("all of them settled in our API", lambda: all(map(self.settled, billing_ids)))
        for billing_id in billing_ids:
            assert len(self.servers(billing_id)) == 1, f"more than one server for order {billing_id}"

    def events(self, **params: str) -> Iterator[dict[str, Any]]:
        """Every event of our inbox, page after page."""
        page = self.read.get("events/", **params)
        while True:
            yield from page["results"]
            if not page["next"]:
                return
            page = self.read.api_session.get(page["next"], timeout=10).json()


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=2).status_code == 200
    except requests.RequestException:
        return False
