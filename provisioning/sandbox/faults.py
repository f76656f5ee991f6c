"""Faults on request: what goes wrong, for which requests, how many times.

A fault matches by two regular expressions, searched in the method and in the path. The first one that
matches is used; ``skip`` lets so many matching requests pass first, ``count`` None means until cleared.
"""

import json
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from provisioning.sandbox.core import BaseWorld
from provisioning.sandbox.http import Request, Response

Kind = Literal[
    "down", "rate_limited", "error", "bad_gateway", "slow", "cut", "lost", "ghost", "stale", "redirect",
    "unauthorized", "forbidden", "error_in_ok", "wrong_types", "huge", "drip",
]  # fmt: skip
KINDS: tuple[Kind, ...] = get_args(Kind)
HUGE = 10 * 1024 * 1024
ENVELOPE = {"object", "data", "attributes", "meta", "relationships", "servers", "users"}
Handle = Callable[[Request, Any], Response]


@dataclass
class Fault:
    """One fault; ``seconds`` is a delay, an age, an interval or a Retry-After, as the kind needs."""

    id: int
    kind: Kind
    method: str = ""
    path: str = ""
    count: int | None = 1
    skip: int = 0
    seconds: float = 1.0

    def matches(self, request: Request) -> bool:
        """Whether the fault concerns this request; a stale read can only be a read."""
        if self.kind == "stale" and request.method != "GET":
            return False
        return bool(re.search(self.method, request.method) and re.search(self.path, request.path))


class Faults:
    """The faults of one sandbox, the requests that will take effect later, and the past for stale reads."""

    def __init__(self, world: BaseWorld, refusals: "Mapping[str, Refusal]") -> None:
        self.world = world
        self._instead = {**INSTEAD, **refusals}
        self.active: list[Fault] = []
        self._lock = threading.Lock()
        self._last_id = 0
        self._ghosts: list[tuple[float, Request]] = []
        self._past: list[tuple[float, Any]] = []

    def add(
        self,
        kind: Kind,
        *,
        method: str = "",
        path: str = "",
        count: int | None = 1,
        skip: int = 0,
        seconds: float = 1.0,
    ) -> Fault:
        """Arm a fault. Raises ValueError for an unknown kind or a broken expression."""
        if kind not in KINDS:
            raise ValueError(f"Unknown fault. Choose one of: {', '.join(KINDS)}.")
        for expression in (method, path):
            _compiled(expression)
        with self._lock:
            self._last_id += 1
            fault = Fault(self._last_id, kind, method, path, count, skip, seconds)
            self.active.append(fault)
        self.remember()
        return fault

    def clear(self, fault_id: int | None = None) -> None:
        """Disarm one fault, or all of them."""
        with self._lock:
            self.active = [f for f in self.active if fault_id is not None and f.id != fault_id]

    def shown(self) -> list[dict[str, object]]:
        """The armed faults for the control API."""
        return [asdict(fault) for fault in self.active]

    def take(self, request: Request) -> Fault | None:
        """The fault for this request, counted down."""
        with self._lock:
            for fault in self.active:
                if not fault.matches(request):
                    continue
                if fault.skip:
                    fault.skip -= 1
                    continue
                if fault.count is not None:
                    fault.count -= 1
                    if fault.count <= 0:
                        self.active.remove(fault)
                return fault
        return None

    def remember(self) -> None:
        """Keep a copy of the world while stale reads are armed, drop the copies when they are not."""
        ages = [fault.seconds for fault in list(self.active) if fault.kind == "stale"]
        with self.world.lock:
            if not ages:
                self._past.clear()
                return
            now = self.world.time()
            self._past.append((now, self.world.snapshot()))
            while len(self._past) > 1 and self._past[1][0] <= now - max(ages):
                del self._past[0]

    def run_ghosts(self, handle: Handle) -> None:
        """Let the dropped requests take effect whose time has come."""
        now = self.world.time()
        with self._lock:
            due = [request for at, request in self._ghosts if at <= now]
            self._ghosts = [(at, request) for at, request in self._ghosts if at > now]
        for request in due:
            handle(request, None)

    def apply(self, fault: Fault, request: Request, handle: Handle) -> Response:
        """The answer under a fault."""
        if fault.kind in self._instead:
            return self._instead[fault.kind](fault, request)
        if fault.kind == "ghost":
            with self._lock:
                self._ghosts.append((self.world.time() + fault.seconds, request))
            return Response(delivery="drop")
        if fault.kind == "stale":
            return handle(request, self._then(fault.seconds))
        if fault.kind == "slow":
            self._sleep(fault.seconds)
        return _spoilt(fault, handle(request, None))

    def _then(self, seconds: float) -> Any:
        """The world of so many seconds ago; the oldest copy where none is that old."""
        wanted = self.world.time() - seconds
        past = [state for at, state in self._past if at <= wanted]
        return past[-1] if past else (self._past[0][1] if self._past else None)

    def _sleep(self, seconds: float) -> None:
        threading.Event().wait(seconds)


def _compiled(expression: str) -> re.Pattern[str]:
    """An expression, or a ValueError in words."""
    try:
        return re.compile(expression)
    except re.error as error:
        raise ValueError(f"{expression!r} is not a regular expression: {error}.") from error


def _spoilt(fault: Fault, response: Response) -> Response:
    """An answer damaged on its way; what the request did stays done."""
    if fault.kind == "lost":
        response.delivery = "drop"
    elif fault.kind == "cut":
        response.delivery = "cut"
    elif fault.kind == "drip":
        response.delivery, response.interval = "drip", fault.seconds
    elif fault.kind == "wrong_types" and response.body:
        response.body = json.dumps(_twisted(json.loads(response.body))).encode()
    return response


def _twisted(value: object) -> object:
    """The same keys with values of other types."""
    if isinstance(value, dict):
        return {k: _twisted(v) if k in ENVELOPE or not isinstance(v, dict) else [v] for k, v in value.items()}
    if isinstance(value, list):
        return [_twisted(item) for item in value]
    if isinstance(value, bool):
        return [value]
    if isinstance(value, int | float):
        return {"number": value}
    return value if value in ("list", "server", "user") else 12.5


def _bad_gateway(*_: object) -> Response:
    return Response.of_html("<html><head><title>502 Bad Gateway</title></head></html>", status=502)


def _redirect(_: Fault, request: Request) -> Response:
    return Response(
        status=302, headers={"Location": f"{request.base_url}/auth/login"}, content_type="text/html"
    )


Refusal = Callable[[Fault, Request], Response]
INSTEAD: dict[str, Refusal] = {
    "down": lambda *_: Response(delivery="drop"),
    "bad_gateway": _bad_gateway,
    "redirect": _redirect,
    "huge": lambda *_: Response(body=b'{"object":"list","data":["' + b"x" * HUGE + b'"]}'),
}
"""Kinds that answer in the panel's place; how a panel words its own refusals, it says itself."""
