"""The closed table of errors, from the recorded answers; what is in no row is Unknown (CAL-42)."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from provisioning.drivers.calagopus.driver import CalagopusDriver
from provisioning.drivers.calagopus.failures import PLACES, BackupsLeft, ServerForgotten, meaning, texts
from provisioning.drivers.errors import (
    AuthFailed,
    Busy,
    Conflict,
    DaemonDown,
    DriverError,
    NoCapacity,
    RateLimited,
    Rejected,
    Unknown,
)
from provisioning.drivers.trouble import NotThere
from provisioning.lib import clock
from provisioning.lib.http import Answer

RECORDED = Path(__file__).parents[3] / "contract" / "calagopus.jsonl"


def answer(status: int, *said: str, **headers: str) -> Answer:
    """An answer with these sentences."""
    return Answer(status, headers, json.dumps({"errors": list(said)}).encode(), 1)


@cache
def recorded() -> dict[str, dict[str, Any]]:
    """The recorded answers by the name of their exchange."""
    lines = [json.loads(line) for line in RECORDED.read_text(encoding="utf-8").splitlines()]
    return {line["name"]: line["response"] for line in lines if "response" in line}


def recorded_answer(name: str) -> Answer:
    """What the real panel answered."""
    found = recorded()[name]
    return Answer(found["status"], found.get("headers") or {}, json.dumps(found["json"]).encode(), 1)


@pytest.mark.req("CAL-42", "CAL-11")
@pytest.mark.parametrize(
    ("name", "kind", "fields"),
    [
        ("servers.create.allocation_taken", Conflict, ("allocation",)),
        ("users.create.duplicate_external_id", Conflict, ("account",)),
        ("oauth_links.create.again", Conflict, ("oauth",)),
        ("client.reinstall.again", Busy, ()),
        ("daemon_404.servers.delete", ServerForgotten, ()),
        ("daemon_500.servers.delete", DaemonDown, ()),
        ("daemon_down.servers.delete", DaemonDown, ()),
        ("backups_fail.servers.delete", BackupsLeft, ()),
        ("servers.deploy.no_memory", NoCapacity, ()),
        ("servers.deploy.no_free_port", NoCapacity, ()),
        ("auth.no_permission", AuthFailed, ()),
        ("servers.get_after_delete", NotThere, ()),
        ("daemon_down.servers.create", Unknown, ()),
        ("route.unknown.admin.no_key", Unknown, ()),
    ],
)
def test_recorded_answers_have_their_meaning(
    name: str, kind: type[DriverError], fields: tuple[str, ...]
) -> None:
    name = "backups_fail.servers.get_after_delete" if name == "servers.get_after_delete" else name
    error = meaning(recorded_answer(name))
    assert type(error) is kind
    assert getattr(error, "fields", ()) == fields
    assert error.detail


def test_every_recorded_refusal_means_something_readable() -> None:
    for name, found in recorded().items():
        if found.get("status", 0) < 400 or not isinstance(found.get("json"), dict):
            continue
        error = meaning(recorded_answer(name))
        assert error.detail, name
        assert not error.detail.startswith("{"), name


NESTED = json.dumps({"errors": ["language: invalid language: cs", "name_last: length is lower than 1"]})


@pytest.mark.parametrize(
    ("said", "fields"),
    [
        (["name: length is lower than 3", "limits.memory: lower than 0"], ("name", "limits.memory")),
        (["SERVER_JARFILE: is required and cannot be empty"], ("environment.SERVER_JARFILE",)),
        (["variables[0].value: length is greater than 4096"], ("variables[0].value",)),
        (["invalid payload: missing field `language` at line 1"], ("payload",)),
        ([NESTED], ("language", "name_last")),
        (["invalid relation `egg` provided"], ("egg",)),
    ],
)
def test_flat_and_nested_errors_read_the_same(said: list[str], fields: tuple[str, ...]) -> None:
    error = meaning(answer(400, *said))
    assert isinstance(error, Rejected)
    assert error.fields == fields
    assert "{" not in error.detail


def test_a_language_has_its_own_reason() -> None:
    assert meaning(answer(400, NESTED)).reason == "panel_language"


@pytest.mark.parametrize(
    ("status", "said", "kind", "words"),
    [
        (401, "invalid api key", AuthFailed, "invalid api key"),
        (403, "you do not have permission to perform this action: users.read", AuthFailed, "users.read"),
        (403, "ip address not allowed for this api key", AuthFailed, "this machine's address"),
        (403, "account is suspended", AuthFailed, "owner"),
        (403, "you cannot modify an administrator", Rejected, "administrator"),
        (404, "server not found", NotThere, "server not found"),
        (404, "route not found", Unknown, "route not found"),
        (404, "nothing here", Unknown, "nothing here"),
        (409, "something new", Unknown, "something new"),
        (417, "maximum number of backups reached", Unknown, "maximum"),
        (400, "a new sentence", Unknown, "a new sentence"),
        (500, "internal server error", Unknown, "500"),
        (418, "teapot", Unknown, "teapot"),
    ],
)
def test_each_row_of_the_table(status: int, said: str, kind: type[DriverError], words: str) -> None:
    error = meaning(answer(status, said))
    assert type(error) is kind
    assert words in error.detail


@pytest.mark.parametrize("start", [start for start, _ in PLACES])
def test_each_reason_for_no_place_is_in_our_words_and_the_panels(start: str) -> None:
    error = meaning(answer(400, f"could not deploy server: {start} and so on"))
    assert isinstance(error, NoCapacity)
    ours = next(words for known, words in PLACES if known == start)
    assert ours in error.detail
    assert f"It says “{start}" in error.detail


def test_a_429_asks_for_a_little_more_silence_than_it_says() -> None:
    said = answer(429, "you are ratelimited, retry in 12s", **{"Retry-After": "12", "retry-after": "12"})
    error = meaning(said)
    assert isinstance(error, RateLimited)
    assert error.seconds == 14
    assert CalagopusDriver.silence_seconds(said, clock.now()) == 14


@pytest.mark.parametrize(
    ("status", "said", "method", "trouble"),
    [
        (500, ["internal server error"], "POST", False),
        (500, ["internal server error"], "GET", True),
        (502, [], "POST", True),
        (417, ["failed to delete server: x"], "DELETE", False),
        (404, ["server not found"], "GET", False),
    ],
)
def test_one_dead_daemon_is_not_the_panels_trouble(
    status: int, said: list[str], method: str, *, trouble: bool
) -> None:
    assert CalagopusDriver.panel_trouble(answer(status, *said), method) is trouble


@pytest.mark.parametrize("body", [b"<html>busy</html>", b"[]", b'{"errors":"x"}', b'{"errors":[1]}', b""])
def test_what_is_not_the_panels_is_unknown(body: bytes) -> None:
    said = Answer(404, {}, body, 1)
    assert texts(said) == []
    assert type(meaning(said)) is Unknown


def test_nested_errors_have_an_end() -> None:
    deep = "x"
    for _ in range(20):
        deep = json.dumps({"errors": [deep]})
    assert meaning(Answer(400, {}, deep.encode(), 1)).detail
