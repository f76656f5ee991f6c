"""The other entry point keeps what the usual one does: lost keys are said, hostile headers end in no 500."""

import asyncio
import importlib
import sys
from collections.abc import Coroutine
from typing import Any, cast

import pytest
from django.utils.asyncio import async_unsafe

from billingbridge import startup
from billingbridge.charset import plain_charset_asgi


def load(name: str) -> None:
    """The entry point as a server loads it: for the first time."""
    sys.modules.pop(name, None)
    importlib.import_module(name)


@pytest.mark.parametrize("entry", ["billingbridge.asgi", "billingbridge.wsgi"])
def test_each_entry_point_reports_lost_keys(entry: str, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(startup, "report_lost_keys", lambda: told.append("told"))
    load(entry)
    assert told == ["told"]


def test_a_server_may_load_it_inside_its_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """As uvicorn does: there the database refuses to be asked."""
    told: list[str] = []
    monkeypatch.setattr(startup, "report_lost_keys", async_unsafe(lambda: told.append("told")))

    async def serve() -> None:
        load("billingbridge.asgi")

    asyncio.run(serve())
    assert told == ["told"]


@pytest.mark.parametrize(
    ("sent", "left"),
    [
        (b"application/json; charset=\x00", b"application/json"),
        (b"application/json; charset*=utf-8''%00", b"application/json"),
        (b"application/json; charset=utf-8", b"application/json; charset=utf-8"),
    ],
)
def test_a_hostile_charset_is_cut_off(sent: bytes, left: bytes) -> None:
    seen: list[Any] = []

    async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
        seen.extend(scope["headers"])

    scope = {"type": "http", "headers": [(b"host", b"x"), (b"content-type", sent)]}
    answered = plain_charset_asgi(application)(scope, None, None)
    asyncio.run(cast(Coroutine[Any, Any, None], answered))
    assert seen == [(b"host", b"x"), (b"content-type", left)]
