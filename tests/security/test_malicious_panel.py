"""A panel that lies: whatever it answers ends in the closed table, and little of it is kept (bar B6)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from provisioning.choices import LIVE_OUTCOMES
from provisioning.drivers.errors import DriverError, Unknown
from provisioning.drivers.pterodactyl import client as pterodactyl
from provisioning.drivers.pterodactyl.failures import faults, meaning
from provisioning.drivers.pterodactyl.reading import account, server
from provisioning.lib.http import Answer, HttpError
from provisioning.models import Operation
from tests.bridge import Bridge
from tests.provisioning.reconcile.conftest import bridge, sandbox

__all__ = ["bridge", "sandbox"]

USER: dict[str, Any] = {
    "id": 7,
    "uuid": "u-7",
    "external_id": "42",
    "email": "ada@example.com",
    "username": "ada",
    "root_admin": False,
    "first_name": "Ada",
    "last_name": "L",
}
LIES: dict[str, dict[str, Any]] = {
    "a giant id": {"id": 10**20},
    "a negative giant": {"id": -(2**70)},
    "an id as text": {"id": "../../7"},
    "a flag as number": {"root_admin": 0},
    "a flag as text": {"root_admin": "false"},
    "no flag": {"root_admin": None},
    "a long uuid": {"uuid": "u" * 61},
    "a long name": {"username": "u" * 5_000_000},
    "a long address": {"email": "a" * 300},
    "a list": {"email": ["ada@example.com"]},
}


def answer(body: bytes, status: int = 200, **headers: str) -> Answer:
    """What the panel said."""
    return Answer(status=status, headers=headers, body=body, elapsed_ms=1)


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES.keys())
def test_a_user_that_cannot_be_is_unknown(lie: dict[str, Any]) -> None:
    assert account(USER).id == "7"
    with pytest.raises(Unknown) as raised:
        account({**USER, **lie})
    assert len(raised.value.detail) < 300


BODIES = {
    "nul": b'{"a": "\\u0000"}',
    "half a character": b'{"a": "\\ud800"}',
    "deep": b"[" * 100_000,
    "long number": b'{"a": ' + b"9" * 5_000 + b"}",
    "infinite": b'{"a": Infinity}',
    "not a number": b'{"a": NaN}',
    "overflow": b'{"a": 1e999}',
    "twice": b'{"a": 1, "a": 2}',
    "html": b"<html>\x00</html>",
    "empty": b"",
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
@pytest.mark.parametrize("status", [200, 204, 302, 404, 422, 429, 500, 599])
def test_an_unreadable_answer_has_a_meaning(body: bytes, status: int) -> None:
    found = answer(body, status)
    with pytest.raises(HttpError):
        found.json()
    error = meaning(found)
    assert isinstance(error, DriverError)
    assert "\x00" not in error.detail + found.text


def test_a_long_list_of_faults_is_cut() -> None:
    fault = {
        "code": "Validation\x07Exception" * 50,
        "detail": "x" * 9_000,
        "meta": {"source_field": "f" * 9_000},
    }
    found = answer(json.dumps({"errors": [fault] * 400}).encode(), 422)
    assert len(faults(found)) <= 20
    assert len(meaning(found).detail) < 2_000
    assert all(len(one.field) <= 100 and "\x07" not in one.code for one in faults(found))


class Endless:
    """A list without an end: every page names one more."""

    def __init__(self, size: int) -> None:
        self.calls, self.size = 0, size

    def request(self, method: str, path: str, **kwargs: Any) -> Answer:
        """The next page."""
        self.calls += 1
        items = [{"object": "user", "attributes": {"id": self.calls, "pad": "x" * self.size}}]
        pages = {"total": self.calls + 1, "total_pages": self.calls + 1}
        body = {"object": "list", "data": items, "meta": {"pagination": pages}}
        return answer(json.dumps(body).encode())


@pytest.mark.parametrize(("size", "most"), [(1, 5), (3_000, 2)])
def test_a_list_without_end_is_left(monkeypatch: pytest.MonkeyPatch, size: int, most: int) -> None:
    monkeypatch.setattr(pterodactyl, "MOST_PAGES", 5)
    monkeypatch.setattr(pterodactyl, "LARGEST_LIST", 5_000)
    endless = Endless(size)
    with pytest.raises(Unknown, match="too long"):
        pterodactyl.Client(endless).pages("user", "/users", size=1)
    assert endless.calls == most + (size == 1)


# --- through the whole engine ------------------------------------------------------------------------------


def told(change: Callable[[dict[str, Any]], None]) -> Callable[[Answer], Answer]:
    """An answer in which one server is shown otherwise."""

    def lie(true: Answer) -> Answer:
        body = json.loads(true.body or b"{}")
        if body.get("object") != "server":
            return true
        change(body["attributes"])
        return answer(json.dumps(body).encode(), true.status)

    return lie


SERVERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "nul in the name": lambda shown: shown.update(name="a\x00b"),
    "half a character": lambda shown: shown.update(name="a\ud800b"),
    "a climbing id": lambda shown: shown.update(id="../../users/1"),
    "another id": lambda shown: shown.update(id=2**80),
    "a huge environment": lambda shown: shown["container"].update(environment={"A": "x" * 100_000}),
    "another owner": lambda shown: shown.update(user=1),
    "another mark": lambda shown: shown.update(external_id="stranger"),
    "no limits": lambda shown: shown.update(limits=None),
    "limits as text": lambda shown: shown["limits"].update(memory="1024"),
}


@pytest.mark.django_db
@pytest.mark.parametrize("change", SERVERS.values(), ids=SERVERS.keys())
def test_a_lying_panel_crashes_nothing_and_gets_no_second_server(
    bridge: Bridge, monkeypatch: pytest.MonkeyPatch, change: Callable[[dict[str, Any]], Any]
) -> None:
    from provisioning.lib.http import HttpClient

    real, lie = HttpClient.request, told(change)
    monkeypatch.setattr(HttpClient, "request", lambda *args, **kwargs: lie(real(*args, **kwargs)))
    bridge.say("subscription.created")
    bridge.settle(rounds=3)
    operation = Operation.objects.get()
    assert operation.reason != "internal", operation.detail
    assert operation.outcome in {"needs_staff", *(outcome.value for outcome in LIVE_OUTCOMES)}
    assert len(bridge.servers()) == 1
    assert len(json.dumps(bridge.service().observed)) < 100_000


def test_a_server_in_full_is_still_read() -> None:
    with pytest.raises(Unknown):
        server({"id": 1})
