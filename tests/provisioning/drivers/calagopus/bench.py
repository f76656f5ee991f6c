"""A driver on a bench: the sandbox Calagopus, a bare transport, a memory. Each request fits the document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from provisioning.drivers.calagopus.driver import CalagopusDriver
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
from provisioning.sandbox.calagopus.rows import Egg, Node, Server, User
from provisioning.sandbox.calagopus.server import CalagopusSandbox
from tests.provisioning.drivers.pterodactyl.bench import Notes

LIMITS = {
    "memory": 1024,
    "memory_overhead": 0,
    "swap": 0,
    "disk": 5120,
    "cpu": 100,
    "io": 500,
    "databases": 1,
    "allocations": 2,
    "backups": 3,
    "schedules": 4,
}


class Wire:
    """The engine's way out without budget and breaker; `replace` spoils answers, `bodies` was sent."""

    def __init__(self, client: HttpClient) -> None:
        self.client = client
        self.replace = (b"", b"")
        self.asked: list[dict[str, str | int]] = []
        self.bodies: list[Any] = []

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
        assert read_timeout == (15 if method == "GET" else 35)
        self.asked.append(dict(params or {}))
        if method != "GET":
            self.bodies.append(json)
        answer = self.client.request(method, path, json=json, params=dict(params or {}), read_timeout=3)
        old, new = self.replace
        if not old:
            return answer
        assert old in answer.body
        return replace(answer, body=answer.body.replace(old, new))


@dataclass
class Bench:
    """Panel, memory and driver together."""

    panel: CalagopusSandbox
    notes: Notes
    wire: Wire
    driver: CalagopusDriver

    def calls(self) -> list[str]:
        """What was called since the last time: method and route."""
        found = [
            f"{call.method} {call.pattern.removeprefix('/api/')}" for call in list(self.panel.calls.entries)
        ]
        self.panel.calls.clear()
        return found

    def apply(self, kind: ChangeKind, desired: Desired, observed: Look) -> Observed | None:
        """One change."""
        return self.driver.apply(Change(kind, kind.value), desired, observed)

    def server(self) -> Server:
        """The one server as the panel stores it."""
        (found,) = self.panel.state.servers.values()
        return found

    def node(self, number: int = 0) -> Node:
        """A node of the panel."""
        return list(self.panel.state.nodes.values())[number]

    def again(self) -> None:
        """The next job: a driver of its own on the same memory."""
        self.driver = CalagopusDriver(self.driver.config, self.wire, self.notes)


def bench(panel: CalagopusSandbox, *, key: str = "", **config: str) -> Bench:
    """A driver with an empty memory."""
    notes = Notes()
    key = key or panel.application_key
    headers = CalagopusDriver.auth_headers(key)
    client = HttpClient(panel.url, headers=headers, allow_private=True, allow_plain_http=True)
    settings = {"key_name": CalagopusDriver.key_name(key), "key_problem": CalagopusDriver.key_problem(key)}
    wire = Wire(client)
    return Bench(
        panel, notes, wire, CalagopusDriver(PanelConfig(panel.url, **{**settings, **config}), wire, notes)
    )


def egg(panel: CalagopusSandbox, name: str = "Paper") -> Egg:
    """An egg of the panel by its name."""
    return next(row for row in panel.state.eggs.values() if row.name == name)


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
        "identity": "7",
    }
    return AccountWant(**{**ada, **fields})


def user(panel: CalagopusSandbox, **fields: Any) -> User:
    """A user who was on the panel before us."""
    grace: dict[str, Any] = {
        "username": "grace",
        "email": "grace@example.com",
        "name_first": "Grace",
        "name_last": "Hopper",
    }
    row = User(*panel.world.stamp(), **{**grace, **fields})
    panel.world.state.users[row.uuid] = row
    return row


def target(
    panel: CalagopusSandbox, *, auto: bool = False, name: str = "Paper", **fields: Any
) -> dict[str, Any]:
    """Where a product's servers go: the first node, or *Auto* in the one location."""
    chosen = egg(panel, name)
    place = next(iter(panel.state.locations)) if auto else ""
    node = "" if auto else next(iter(panel.state.nodes))
    found = {"nest": chosen.nest, "egg": chosen.uuid, "node": node, "locations": [place] if auto else []}
    return {**found, **fields}


def desired(work: Bench, **fields: Any) -> Desired:
    """Ada's server on the first node; her account must be there."""
    ada = next((row.uuid for row in work.panel.state.users.values() if row.external_id == "7"), "")
    plain: dict[str, Any] = {
        "state": Wanted.PRESENT,
        "mark": "test-shop-100",
        "name": "Server-100",
        "owner": ada,
        "target": target(work.panel),
        "limits": dict(LIMITS),
        "runtime": Runtime(),
    }
    return Desired(**{**plain, **fields})


def pinned(work: Bench, wish: Desired) -> Desired:
    """The same wish with its allocation chosen."""
    return replace(wish, pinned=work.driver.pin(wish))


def made(work: Bench, **fields: Any) -> Observed:
    """Ada and her server, both made through the driver; the install has run, and a while has passed."""
    if not any(row.external_id == "7" for row in work.panel.state.users.values()):
        work.driver.account_ensure(want())
    wish = desired(work, **fields)
    found = work.apply(ChangeKind.CREATE, pinned(work, wish), ABSENT)
    assert isinstance(found, Observed)
    look = work.driver.observe(ServerRef(found.mark, found.server_id))
    assert isinstance(look, Observed)
    work.calls()
    work.wire.bodies.clear()
    return look
