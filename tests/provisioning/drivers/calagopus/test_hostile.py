"""A panel that was taken over: whatever it answers has a meaning, an end, and a size (T83-40)."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from provisioning.drivers.calagopus import client, reading
from provisioning.drivers.calagopus.failures import meaning, texts
from provisioning.drivers.errors import DriverError, Unknown
from provisioning.drivers.types import ABSENT, ChangeKind
from provisioning.lib.http import Answer, HttpError
from tests.provisioning.drivers.calagopus.bench import Bench, desired, made, pinned
from tests.security.test_malicious_panel import BODIES


def answer(body: bytes, status: int = 200) -> Answer:
    """An answer of the hostile panel."""
    return Answer(status, {}, body, 1)


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
@pytest.mark.parametrize("status", [200, 302, 400, 404, 409, 417, 429, 500])
def test_an_unreadable_answer_has_a_meaning(body: bytes, status: int) -> None:
    with pytest.raises(HttpError):
        answer(body, status).json()
    error = meaning(answer(body, status))
    assert isinstance(error, DriverError)
    assert "\x00" not in error.detail


@pytest.mark.parametrize(
    "inner",
    [
        '{"errors"' * 5_000,
        '{"errors":' + "[" * 50_000,
        '{"errors":[' + "9" * 6_000 + "]}",
        '{"errors":[1, null]}',
    ],
    ids=["unclosed", "deep", "long number", "no texts"],
)
@pytest.mark.parametrize("status", [400, 404, 409, 417])
def test_what_pretends_to_be_nested_is_read_with_care(inner: str, status: int) -> None:
    error = meaning(answer(json.dumps({"errors": [inner] * 20}).encode(), status))
    assert len(error.detail) < 2_000


def test_long_lists_of_long_sentences_are_cut() -> None:
    found = answer(
        json.dumps({"errors": [f"f{number}: " + "x" * 9_000 for number in range(400)]}).encode(), 400
    )
    assert len(texts(found)) <= 20
    assert len(meaning(found).detail) < 2_000


class Endless:
    """A list without an end: every page names one more."""

    def __init__(self, size: int) -> None:
        self.calls, self.size = 0, size

    def request(self, method: str, path: str, **kwargs: Any) -> Answer:
        """The next page."""
        self.calls += 1
        row = {"uuid": str(self.calls), "pad": "x" * self.size}
        body = {"users": {"total": (self.calls + 1) * client.PAGE, "data": [row]}}
        return answer(json.dumps(body).encode())


@pytest.mark.parametrize(("size", "most"), [(1, 6), (3_000, 2)])
def test_a_list_without_end_is_left(monkeypatch: pytest.MonkeyPatch, size: int, most: int) -> None:
    monkeypatch.setattr(client, "MOST_PAGES", 5)
    monkeypatch.setattr(client, "LARGEST_LIST", 5_000)
    endless = Endless(size)
    with pytest.raises(Unknown, match="too long"):
        client.Client(endless).pages("users", "/users")
    assert endless.calls == most


WRONG: tuple[Any, ...] = (None, True, 2**70, -1.5, "x" * 70_000, [], {}, [[]])


@pytest.mark.parametrize("value", WRONG, ids=[type(value).__name__ for value in WRONG])
def test_wrong_types_anywhere_in_a_server_raise_unknown_or_are_not_kept(work: Bench, value: Any) -> None:
    found = made(work)
    (row,) = work.driver._client.pages("servers", "/api/admin/servers")
    for name in row:
        try:
            seen = reading.server({**row, name: value})
        except Unknown:
            continue
        assert len(json.dumps(seen.as_json())) < 200_000
        assert seen.server_id == found.server_id or name == "uuid"


def test_a_create_that_shows_another_owner_is_not_believed(work: Bench) -> None:
    look = made(work)
    stranger = "00000000-0000-4000-8000-000000000000"
    work.panel.install_finish(look.server_id)
    wish = replace(pinned(work, desired(work)), mark="test-shop-200")
    work.wire.replace = (wish.owner.encode(), stranger.encode())
    with pytest.raises(Unknown, match="another server") as caught:
        work.apply(ChangeKind.CREATE, wish, ABSENT)
    assert caught.value.maybe_done
