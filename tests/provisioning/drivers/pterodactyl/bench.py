"""A driver on a bench: the sandbox panel, a bare transport, a memory. Plain factories for the cast."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from provisioning.drivers.pterodactyl.driver import PterodactylDriver
from provisioning.drivers.types import (
    ABSENT,
    AccountWant,
    Change,
    ChangeKind,
    Desired,
    Look,
    Observed,
    PanelConfig,
    Runtime,
    ServerRef,
    Wanted,
)
from provisioning.lib.http import Answer, HttpClient
from provisioning.sandbox.server import PanelSandbox
from provisioning.sandbox.world import Server, User, new_uuid

LIMITS = {
    "memory": 1024,
    "swap": 0,
    "disk": 5120,
    "io": 500,
    "cpu": 100,
    "databases": 1,
    "allocations": 2,
    "backups": 3,
}
PAPER = 5


class Wire:
    """The engine's way out without budget and breaker; `replace` spoils answers, `asked` keeps queries."""

    def __init__(self, client: HttpClient) -> None:
        self.client = client
        self.replace = (b"", b"")
        self.asked: list[dict[str, str | int]] = []

    def request(
        self,
        method: str,
        path: str,
        *,
        json: object | None = None,
        params: Mapping[str, str | int] | Sequence[tuple[str, str | int]] | None = None,
        read_timeout: float | None = None,
    ) -> Answer:
        """One call; tests wait at most three seconds."""
        # What may wait for a daemon gets its time (trap 10).
        assert read_timeout == (15 if method == "GET" else 35)
        self.asked.append(dict(params or {}))
        answer = self.client.request(method, path, json=json, params=dict(params or {}), read_timeout=3)
        old, new = self.replace
        if not old:
            return answer
        assert old in answer.body
        return replace(answer, body=answer.body.replace(old, new))


@dataclass
class Notes:
    """A memory that forgets at the end of the test; `taken` are reservations of other services."""

    values: dict[tuple[str, str], Any] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)
    released: list[str] = field(default_factory=list)

    def recall(self, kind: str, key: str) -> Any | None:
        """What was stored."""
        return self.values.get((kind, key))

    def store(self, kind: str, key: str, value: Any) -> None:
        """Keeps a value."""
        self.values[kind, key] = value

    def forget(self, kind: str, key: str) -> None:
        """Drops a value."""
        self.values.pop((kind, key), None)

    def hold(self, candidates: Sequence[str]) -> str | None:
        """The first candidate that nobody holds."""
        free = next((candidate for candidate in candidates if candidate not in self.taken), None)
        self.taken |= {free} if free else set()
        return free

    def release(self, held: str) -> None:
        """Gives a reservation back."""
        self.taken.discard(held)
        self.released.append(held)


@dataclass
class Bench:
    """Panel, memory and driver together."""

    panel: PanelSandbox
    notes: Notes
    wire: Wire
    driver: PterodactylDriver

    def calls(self) -> int:
        """How many calls there were since the last time."""
        count = len(self.panel.calls)
        self.panel.calls.clear()
        return count

    def apply(self, kind: ChangeKind, desired: Desired, observed: Look) -> Observed | None:
        """One change."""
        return self.driver.apply(Change(kind, kind.value), desired, observed)

    def server(self, number: int = 1) -> Server:
        """A server as the panel stores it."""
        return self.panel.world.state.servers[number]


def bench(panel: PanelSandbox, *, key: str = "", **config: str) -> Bench:
    """A driver with an empty memory."""
    notes = Notes()
    headers = PterodactylDriver.auth_headers(key or panel.application_key)
    client = HttpClient(panel.url, headers=headers, allow_private=True, allow_plain_http=True)
    settings = PanelConfig(panel.url, **config)
    wire = Wire(client)
    return Bench(panel, notes, wire, PterodactylDriver(settings, wire, notes))


def want(**fields: Any) -> AccountWant:
    """Ada, as billing knows her."""
    ada: dict[str, Any] = {
        "mark": "7",
        "email": "ada@example.com",
        "email_verified": True,
        "first_name": "Ada",
        "last_name": "Lovelace",
        "language": "en",
        "username": "ada_7",
    }
    return AccountWant(**{**ada, **fields})


def user(panel: PanelSandbox, **fields: Any) -> User:
    """A user who was on the panel before us."""
    world = panel.world
    grace: dict[str, Any] = {
        "username": "grace",
        "email": "grace@example.com",
        "first_name": "Grace",
        "last_name": "Hopper",
    }
    row = User(*world.stamp("users"), uuid=new_uuid(), **{**grace, **fields})
    world.state.users[row.id] = row
    return row


def desired(**fields: Any) -> Desired:
    """Ada's server on node 1; her account is user 2, port 1 is hers."""
    plain: dict[str, Any] = {
        "state": Wanted.PRESENT,
        "mark": "test-shop-100",
        "name": "Server-100",
        "owner": "2",
        "target": {"nest": 1, "egg": PAPER, "node": 1, "locations": []},
        "limits": dict(LIMITS),
        "runtime": Runtime(),
        "pinned": {"allocation": 1},
    }
    return Desired(**{**plain, **fields})


AUTO = {"nest": 1, "egg": PAPER, "node": None, "locations": [1], "dedicated_ip": False, "port_range": []}


def made(work: Bench, **fields: Any) -> Observed:
    """Ada and her server, both made through the driver; the install has run."""
    if 2 not in work.panel.world.state.users:
        work.driver.account_ensure(want())
    found = work.apply(ChangeKind.CREATE, desired(**fields), ABSENT)
    assert isinstance(found, Observed)
    look = work.driver.observe(ServerRef(found.mark, found.server_id))
    assert isinstance(look, Observed)
    work.calls()
    return look
