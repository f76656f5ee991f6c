"""Replays the exchanges recorded from a Calagopus panel against a sandbox, ids mapped as they are learnt."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from provisioning.sandbox.calagopus.daemon import DaemonCall
from provisioning.sandbox.calagopus.server import CalagopusSandbox

RECORDING = Path(__file__).with_name("calagopus.jsonl")
ID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|c7sp_\w{11}|\b[0-9a-f]{8}\b")
NOBODY = "00000000-0000-4000-8000-000000000000"
LEARNT = {"uuid", "uuid_short", "key_start"}
VOLATILE = {
    "created", "completed", "time", "last_used", "expires", "key", "token", "token_id", "client_secret",
    "secret_key",
}  # fmt: skip
MASK, SECRET = "***", "masked-by-recorder"
TIMEOUT = 10
ANY_TEXT = "*"


@dataclass(frozen=True)
class Exchange:
    """One recorded line."""

    name: str
    method: str
    path: str
    body: Any
    headers: dict[str, str | None]
    status: int
    answered: dict[str, str]
    answer: Any
    to_daemon: bool

    @property
    def is_plain(self) -> bool:
        """Whether it is one call with one answer, not a summary of many."""
        return bool(self.method and self.answered) and not self.to_daemon


@dataclass
class Answer:
    """What the sandbox said to one exchange, beside what it should have said."""

    status: int
    headers: dict[str, str]
    body: Any
    expected: Any


def recorded() -> list[Exchange]:
    """All lines of the recording, in order."""
    return [_exchange(json.loads(line)) for line in RECORDING.read_text().splitlines()]


def _exchange(line: Mapping[str, Any]) -> Exchange:
    request, response = line["request"], line["response"]
    return Exchange(
        name=line["name"],
        method=request.get("method") or "",
        path=request.get("path") or "",
        body=request.get("json"),
        headers=request.get("headers") or {},
        status=response["status"],
        answered=response.get("headers") or {},
        answer=response["json"],
        to_daemon=line.get("to") == "daemon",
    )


@dataclass
class Replay:
    """A run over one sandbox, started without a fleet: the recording makes its own."""

    panel: CalagopusSandbox
    ids: dict[str, str] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    claimed: set[int] = field(default_factory=set)
    session: requests.Session = field(default_factory=requests.Session)

    def control(self, path: str, **body: object) -> None:
        """Use the control API, as anybody outside the process would."""
        answer = self.session.post(f"{self.panel.url}/_sandbox{path}", json=body, timeout=TIMEOUT)
        answer.raise_for_status()

    def admin(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """A call that happened to the real panel between two recorded lines; ids may be recorded ones."""
        answer = self.session.request(
            method,
            f"{self.panel.url}/api{self.mapped(path)}",
            json=self.mapped(body),
            headers={"Authorization": f"Bearer {self.panel.application_key}", **self.mapped(headers)},
            timeout=TIMEOUT,
        )
        answer.raise_for_status()
        return answer.json()

    def mapped(self, value: Any) -> Any:
        """The same with live ids in the place of recorded ones."""
        if isinstance(value, str):
            return ID.sub(lambda found: self.ids.get(found.group(), found.group()), value)
        if isinstance(value, dict):
            return {self.mapped(name): self.mapped(item) for name, item in value.items()}
        return [self.mapped(item) for item in value] if isinstance(value, list) else value

    def play(self, exchange: Exchange, authorisation: str | None) -> Answer:
        """One exchange."""
        headers: dict[str, str | None] = {"Accept": "*/*"}
        if authorisation is not None:
            headers["Authorization"] = authorisation
        if exchange.method not in ("GET", "HEAD"):
            headers["Content-Type"] = "application/json"
        sent = {name: self.mapped(text) for name, text in exchange.headers.items()}
        headers |= {name: text for name, text in sent.items() if MASK not in (text or "")}
        answer = self.session.request(
            exchange.method,
            self.panel.url + self.mapped(exchange.path),
            headers=headers,
            timeout=TIMEOUT,
            allow_redirects=False,
            **self._payload(exchange.body),
        )
        body = _read(answer)
        self.learn(exchange.answer, body)
        self._keep_key(body)
        headers_now = {name.lower(): text for name, text in answer.headers.items()}
        return Answer(answer.status_code, headers_now, body, self.mapped(exchange.answer))

    def _payload(self, body: Any) -> dict[str, Any]:
        """The body as it was sent: some were no JSON, and were cut by the recorder."""
        if not isinstance(body, dict) or "__bytes__" not in body:
            return {} if body is None else {"json": _unmasked(self.mapped(body))}
        text, length = body["__text__"].encode(), body["__bytes__"]
        if len(text) < length - 1:
            text = b'{"name": "' + b"x" * (length - 12) + b'"}'
        return {"data": text.replace("\ufffd".encode(), b"\xff")}

    def _keep_key(self, body: Any) -> None:
        """Remember the secret of a new key under its name."""
        if isinstance(body, dict) and "key" in body and "api_key" in body:
            self.keys[body["api_key"]["name"]] = body["key"]

    def learn(self, old: Any, new: Any) -> None:
        """Note which live ids stand in the place of recorded ones; the first sight of each decides."""
        for before, now in _pairs(old, new):
            if before not in (now, NOBODY):
                self.ids.setdefault(before, now)

    def heard(self) -> list[DaemonCall]:
        """What daemons were told and no line has claimed yet."""
        return [call for call in self.panel.panel.daemons.calls if id(call) not in self.claimed]

    def saw(self, exchange: Exchange) -> Answer | None:
        """The call to a daemon that a recorded one stands for; None: there was none."""
        self.panel.settle()
        path = self.mapped(exchange.path)
        found = [c for c in self.heard() if (c.method, c.path) == (exchange.method, path)]
        if not found:
            return None
        self.learn(exchange.body, found[-1].body)
        expected = self.mapped(exchange.body)
        best = next((c for c in found if not differences(expected, c.body)), found[-1])
        self.claimed.add(id(best))
        return Answer(best.status, {}, best.body, expected)


def _unmasked(body: Any) -> Any:
    """The body with a secret where the recorder left a mask."""
    if not isinstance(body, dict):
        return body
    return {name: SECRET if item == MASK else _unmasked(item) for name, item in body.items()}


def _read(answer: requests.Response) -> Any:
    if not answer.content:
        return None
    if answer.headers.get("content-type") == "application/json":
        return answer.json()
    return {"__text__": answer.content.decode(errors="replace")}


def _pairs(old: Any, new: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Pairs of ids at the same places of two answers."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in old.keys() & new.keys():
            yield from _pairs(old[name], new[name], name)
    elif isinstance(old, list) and isinstance(new, list):
        for one, other in zip(old, new, strict=False):
            yield from _pairs(one, other, key)
    elif key in LEARNT and isinstance(old, str) and isinstance(new, str):
        yield old, new


def differences(
    expected: Any, actual: Any, where: str = "$", ignored: frozenset[str] = frozenset()
) -> list[str]:
    """Where keys, types or values differ; times and secrets aside, and what ``ignored`` names."""
    if type(expected) is not type(actual):
        return [f"{where}: {expected!r} recorded, {actual!r} now"]
    if isinstance(expected, dict):
        found = [
            f"{where}.{key} {'lost' if key in expected else 'added'}"
            for key in expected.keys() ^ actual.keys()
        ]
        for key in expected.keys() & actual.keys():
            old, new = expected[key], actual[key]
            if key in VOLATILE | ignored and not isinstance(old, dict | list):
                old, new = type(old).__name__, type(new).__name__
            found += differences(old, new, f"{where}.{key}", ignored)
        return found
    if isinstance(expected, list):
        if len(expected) != len(actual):
            return [f"{where}: {len(expected)} items recorded, {len(actual)} now"]
        pairs = enumerate(zip(expected, actual, strict=True))
        return [d for i, pair in pairs for d in differences(*pair, f"{where}[{i}]", ignored)]
    same = expected == actual or (ANY_TEXT in ignored and isinstance(expected, str))
    return [] if same else [f"{where}: {expected!r} recorded, {actual!r} now"]
