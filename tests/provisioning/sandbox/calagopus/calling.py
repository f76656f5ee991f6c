"""Typed factories of request bodies, and what most tests ask of a sandbox Calagopus."""

import threading
import time
from typing import Any

import pytest
import requests

from provisioning.sandbox.calagopus.rows import DaemonServer, Server, User
from provisioning.sandbox.calagopus.server import CalagopusSandbox
from tests.provisioning.sandbox.client import Api

USERS, SERVERS = "/api/admin/users", "/api/admin/servers"
LIMITS: dict[str, int | None] = {
    "cpu": 100, "memory": 1024, "memory_overhead": 0, "swap": 0, "disk": 2048, "io_weight": None,
}  # fmt: skip
FEATURES = {"allocations": 1, "databases": 0, "backups": 2, "schedules": 0}
RULES = {"dedicated": False, "primary": {"start_port": 1, "end_port": 65535}, "additional": []}


def user_body(name: str = "ada", mark: str | None = "7") -> dict[str, Any]:
    """Ada, Grace or Linus of example.com."""
    names = {"name_first": name.title(), "name_last": "Example", "admin": False, "language": "en"}
    return {"external_id": mark, "username": name, "email": f"{name}@example.com", **names}


def make_user(api: Api, name: str = "ada", mark: str | None = "7") -> str:
    """A new user's uuid."""
    answer = api("POST", USERS, user_body(name, mark))
    assert answer.status_code == 200, answer.text
    return str(answer.json()["user"]["uuid"])


def owner_of(panel: CalagopusSandbox) -> User:
    """A customer, made without a call where there is none yet."""
    state = panel.state
    known = next((u for u in state.users.values() if not u.admin), None)
    row = known or User(*panel.world.stamp(), "ada", "ada@example.com", "Ada", "Example", "7")
    state.users[row.uuid] = row
    return row


def server_body(panel: CalagopusSandbox, **changes: object) -> dict[str, Any]:
    """A create on the first node with its first free port."""
    state = panel.state
    node = next(iter(state.nodes.values()))
    held = state.holders()
    port = next(a.uuid for a in state.node_allocations(node) if a.uuid not in held)
    egg = next(e for e in state.eggs.values() if e.name == "Vanilla Minecraft")
    body: dict[str, Any] = {
        "node_uuid": node.uuid,
        "owner_uuid": owner_of(panel).uuid,
        "egg_uuid": egg.uuid,
        "allocation_uuid": port,
        "allocation_uuids": [],
        "start_on_completion": True,
        "skip_installer": False,
        "external_id": "bb:1",
        "name": "Ada's server",
        "limits": LIMITS,
        "pinned_cpus": [],
        "startup": "java",
        "image": "games/java:21",
        "hugepages_passthrough_enabled": False,
        "kvm_passthrough_enabled": False,
        "feature_limits": FEATURES,
        "variables": [],
    }
    return {**body, **changes}


def deploy_body(
    panel: CalagopusSandbox, rules: dict[str, Any] | None = None, **changes: object
) -> dict[str, Any]:
    """A create somewhere in the first location."""
    body = server_body(panel, **changes)
    for name in ("node_uuid", "allocation_uuid", "allocation_uuids"):
        del body[name]
    places = [next(iter(panel.state.locations))]
    deployment = {"location_uuids": places, "allow_overallocation": False, "allocations": rules or RULES}
    return {**body, "deployment": deployment, **changes}


def make_server(panel: CalagopusSandbox, api: Api, **changes: object) -> Server:
    """A new server's row."""
    answer = api("POST", SERVERS, server_body(panel, **changes))
    assert answer.status_code == 200, answer.text
    return panel.state.servers[answer.json()["server"]["uuid"]]


def told(panel: CalagopusSandbox, server: Server) -> DaemonServer:
    """What the daemon knows about a server. Raises where it knows nothing."""
    known = panel.daemon_view(server.uuid)
    assert known is not None
    return known


def errors(answer: requests.Response) -> list[str]:
    """The texts of an error."""
    texts: list[str] = answer.json()["errors"]
    return texts


def hang_up(panel: CalagopusSandbox, api: Api, method: str, path: str, body: object) -> None:
    """Call, and hang up before the answer; returns when the panel has noticed."""
    with pytest.raises(requests.ReadTimeout):
        api.session.request(method, api.url + path, json=body, timeout=0.1)
    waiting(panel, 0)


def waiting(panel: CalagopusSandbox, count: int) -> None:
    """Until so many calls wait for a silent daemon."""
    end = time.monotonic() + 5
    while panel.panel.daemons.waiting != count:
        assert time.monotonic() < end, "nobody came, or nobody left"
        time.sleep(0.005)


class Background:
    """A call in another thread, for daemons that keep it waiting."""

    def __init__(self, api: Api, method: str, path: str, body: object = None) -> None:
        self._answer: requests.Response | None = None
        self._thread = threading.Thread(target=self._run, args=(api, method, path, body))
        self._thread.start()

    def _run(self, api: Api, method: str, path: str, body: object) -> None:
        headers = dict(api.session.headers)
        try:
            self._answer = requests.request(method, api.url + path, json=body, headers=headers, timeout=10)
        except requests.ConnectionError:  # the panel was stopped
            self._answer = None

    @property
    def waits(self) -> bool:
        """Whether there is no answer yet."""
        return self._thread.is_alive()

    def answer(self) -> requests.Response:
        """The answer, waited for."""
        self._thread.join(10)
        assert self._answer is not None
        return self._answer
