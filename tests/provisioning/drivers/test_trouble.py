"""What answers in a panel's place opens the breaker, on either driver; nothing of a panel's own does."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from provisioning.drivers import registry
from provisioning.lib.http import Answer

RECORDED = Path(__file__).parents[2] / "contract"
DRIVERS = ("pterodactyl", "calagopus")
SUBSTITUTES: tuple[tuple[int, bytes, str], ...] = (
    (301, b"", "GET"),
    (302, b"<html>Redirecting</html>", "POST"),
    (308, b"{}", "DELETE"),
    (200, b"<!DOCTYPE html><h1>Maintenance</h1>", "GET"),
    (200, b"<html></html>", "DELETE"),
    (201, b"made", "POST"),
    (202, b"<html></html>", "POST"),
    (200, b"", "GET"),
    (200, b" \n", "GET"),
    (200, b"[]", "GET"),
    (200, b"null", "PATCH"),
    (200, b'"ok"', "GET"),
    (200, b'{"errors": [{"code": "QueryException"}]}', "GET"),
    (201, b'\n{ "errors" : ["internal server error"]}', "POST"),
    (500, b"", "GET"),
    (502, b"<html></html>", "POST"),
)
OWN: tuple[tuple[int, bytes, str], ...] = (
    (200, b'{"object": "server", "attributes": {"id": "one"}}', "GET"),
    (200, b'{"object": "server", "errors_seen": 0}', "GET"),
    (200, b'{"errors_seen": 0}', "GET"),
    (200, b"{}", "PATCH"),
    (200, b"", "DELETE"),
    (202, b"", "GET"),
    (202, b"{}", "POST"),
    (204, b"", "GET"),
    (204, b"", "POST"),
    (401, b"", "GET"),
    (404, b"<html></html>", "GET"),
    (429, b"", "GET"),
)
"""What single objects have, commands are answered with, and a firewall says to one key or one address."""


@pytest.mark.parametrize("name", DRIVERS)
@pytest.mark.parametrize(
    ("given", "trouble"),
    [*((given, True) for given in SUBSTITUTES), *((given, False) for given in OWN)],
    ids=lambda value: f"{value[2]} {value[0]} {value[1].decode()[:20]!r}" if isinstance(value, tuple) else "",
)
def test_what_is_trouble_of_the_whole_panel(
    name: str, given: tuple[int, bytes, str], *, trouble: bool
) -> None:
    status, body, method = given
    assert registry.get(name).panel_trouble(Answer(status, {}, body, 1), method) is trouble


@cache
def recorded(name: str) -> list[tuple[str, dict[str, Any], str]]:
    """Name, answer and method of each exchange with a real panel whose answer was a success."""
    lines = map(json.loads, (RECORDED / f"{name}.jsonl").read_text(encoding="utf-8").splitlines())
    asked = [line for line in lines if 200 <= line.get("response", {}).get("status", 0) < 300]
    return [(line["name"], line["response"], line["request"]["method"]) for line in asked]


@pytest.mark.parametrize("name", DRIVERS)
def test_no_success_of_a_real_panel_is_taken_for_another_s(name: str) -> None:
    driver = registry.get(name)
    seen = 0
    for what, response, method in recorded(name):
        if method == "HEAD":
            continue
        empty = response["json"] is None
        body = b"" if empty else json.dumps(response["json"]).encode()
        assert not driver.panel_trouble(Answer(response["status"], {}, body, 1), method), what
        seen += 1
    assert seen > 50
