"""Replays recorded exchanges against a sandbox, with ids mapped and controls used in between."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from provisioning.sandbox.server import PanelSandbox

RECORDING = Path(__file__).with_name("pterodactyl.jsonl")
RATES = ("x-ratelimit-limit", "x-ratelimit-remaining")
VOLATILE = {
    "uuid", "identifier", "created_at", "updated_at", "completed_at", "resource", "previous", "next",
    "P_SERVER_UUID", "done", "stop", "install", "entry", "container",
}  # fmt: skip
VOLATILE_IN = {
    "allocation": {"id", "port"},
    "egg": {"description", "startup"},
    "egg_variable": {"id", "description"},
    "nest": {"description"},
    "server": {"allocation"},
    "server_subuser": {"username"},
    "server_variable": {"id", "description"},
    "system_permissions": {"description"},
}
FREE_FORM = {"files", "docker_images"}


@dataclass(frozen=True)
class Exchange:
    """One recorded line."""

    name: str
    method: str
    path: str
    body: Any
    authorised: bool
    status: int
    headers: dict[str, str]
    answer: Any

    @property
    def api(self) -> str:
        """Which of the panel's APIs it is about."""
        return "client" if self.path.startswith("/api/client") else "application"


@dataclass
class Answer:
    """What the sandbox said to one exchange."""

    status: int
    headers: dict[str, str]
    body: Any


def recorded() -> list[Exchange]:
    """All lines of the recording, in order."""
    return [_exchange(json.loads(line)) for line in RECORDING.read_text().splitlines()]


def _exchange(line: Mapping[str, Any]) -> Exchange:
    request, response = line["request"], line["response"]
    return Exchange(
        name=line["name"],
        method=request["method"],
        path=request["path"],
        body=request["json"],
        authorised=request["auth"] is not None,
        status=response["status"],
        headers=response["headers"],
        answer=response["json"],
    )


@dataclass
class Replay:
    """A run over one sandbox, started without a fleet: the recording makes its own location and node."""

    panel: PanelSandbox
    allocations: dict[int, int] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    session: requests.Session = field(default_factory=requests.Session)

    def control(self, path: str, body: Mapping[str, object]) -> None:
        """Use the control API, as anybody outside the process would."""
        self.session.post(f"{self.panel.url}/_sandbox{path}", json=body, timeout=10).raise_for_status()

    def play(self, exchange: Exchange) -> Answer:
        """One exchange with its ids and short ids mapped to the live ones."""
        answer = self.session.request(
            exchange.method,
            self.panel.url + self._text(exchange.path),
            json=self._mapped(exchange.body),
            headers=self._headers(exchange),
            timeout=10,
            allow_redirects=False,
        )
        is_json = "json" in answer.headers.get("content-type", "")
        body = answer.json() if is_json and answer.content else None
        self._learn(exchange, body)
        return Answer(answer.status_code, {k.lower(): v for k, v in answer.headers.items()}, body)

    def _headers(self, exchange: Exchange) -> dict[str, str]:
        accept = "text/html" if exchange.name == "auth.accept_html" else "application/json"
        if not exchange.authorised:
            return {"Accept": accept}
        client = exchange.api == "client" or exchange.name == "auth.client_key_on_application_api"
        key = self.panel.client_key if client else self.panel.application_key
        swapped = {
            "auth.bad_token": "ptla_wrong",
            "auth.application_key_on_client_api": self.panel.application_key,
        }
        return {"Accept": accept, "Authorization": f"Bearer {swapped.get(exchange.name, key)}"}

    def _text(self, text: str) -> str:
        for old, new in self.texts.items():
            text = text.replace(old, new)
        return text

    def _mapped(self, body: Any) -> Any:
        """The recorded body with the allocations that the live panel chose."""
        if not isinstance(body, dict):
            return body
        mapped = dict(body)
        for name in ("add_allocations", "remove_allocations"):
            if name in body:
                mapped[name] = [self._allocation(i) for i in body[name]]
        chosen = body.get("allocation")
        if isinstance(chosen, int):
            mapped["allocation"] = self._allocation(chosen)
        elif isinstance(chosen, dict):
            extra = [self._allocation(i) for i in chosen.get("additional", [])]
            mapped["allocation"] = {"default": self._allocation(chosen["default"]), "additional": extra}
        return mapped

    def _allocation(self, recorded_id: int) -> int:
        return self.allocations.get(recorded_id, recorded_id)

    def _learn(self, exchange: Exchange, live: Any) -> None:
        """Remember short ids, uuids and the randomly chosen allocation of what was made."""
        if not isinstance(live, dict) or exchange.method != "POST" or "attributes" not in live:
            return
        old, new = exchange.answer["attributes"], live["attributes"]
        for name in ("uuid", "identifier"):
            if name in old:
                self.texts[old[name]] = new[name]
        if exchange.name == "server.create.deploy":
            chosen, wanted = new["allocation"], old["allocation"]
            self.allocations |= {wanted: chosen, chosen: wanted}


def play_all(panel: PanelSandbox) -> list[tuple[Exchange, Answer]]:
    """Replay the whole recording, with what happened to the real panel in between."""
    replay = Replay(panel)
    replay.control("/installs", {"outcome": "never"})
    with replay.session:
        return [(exchange, _play_in_context(replay, exchange)) for exchange in recorded()]


def _play_in_context(replay: Replay, exchange: Exchange) -> Answer:
    """Send what is not recorded but happened before this line, then the line."""
    for path, body in BEFORE.get(exchange.name, ()):
        replay.control(path, body)
    return replay.play(exchange)


BEFORE: dict[str, tuple[tuple[str, dict[str, object]], ...]] = {
    "server.get.install_failed": (("/servers/2/install", {"successful": False}),),
    "server.get.ready": (("/servers/1/install", {"successful": True}),),
    "client.list.admin": (
        ("/servers/1/install", {"successful": True, "reinstall": True}),
        ("/servers/1/power", {"power": "running"}),
    ),
    "daemon_down.server.create": (("/daemon", {"mode": "5xx"}),),
    "server.delete": (("/daemon", {"mode": "ok"}),),
    "rate_limited": (("/throttle", {"exhausted": True}),),
}


def differences(expected: Any, actual: Any, where: str = "$", kind: str = "") -> list[str]:
    """Where keys, types or values differ; chance values (ids, times, eggs' texts) aside."""
    if type(expected) is not type(actual):
        return [f"{where}: {type(expected).__name__} recorded, {type(actual).__name__} now"]
    if isinstance(expected, dict):
        return _in_dict(expected, actual, where, str(expected.get("object", kind)))
    if isinstance(expected, list):
        if len(expected) != len(actual):
            return [f"{where}: {len(expected)} items recorded, {len(actual)} now"]
        pairs = enumerate(zip(expected, actual, strict=True))
        return [d for i, pair in pairs for d in differences(*pair, f"{where}[{i}]", kind)]
    return [] if expected == actual else [f"{where}: {expected!r} recorded, {actual!r} now"]


def _in_dict(expected: dict[str, Any], actual: dict[str, Any], where: str, kind: str) -> list[str]:
    """Differences of keys, then of the values below each."""
    found = [
        f"{where}: {key} {'lost' if key in expected else 'added'}" for key in expected.keys() ^ actual.keys()
    ]
    for key in expected.keys() & actual.keys():
        old, new = expected[key], actual[key]
        volatile = key in VOLATILE or key in VOLATILE_IN.get(kind, ()) or where.endswith(".keys")
        if (volatile and not isinstance(old, dict | list)) or key in FREE_FORM:
            old, new = type(old).__name__, type(new).__name__
        found += differences(old, new, f"{where}.{key}", kind)
    return found
