"""Redaction: by name, by shape, by known value; harmless lines; copies that end."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning.lib.redact import (
    MASK,
    clean_line,
    forget_secrets,
    names_secret,
    redact,
    redact_data,
    register_secret,
)

CANARY = "s3cr3t-canary-value-0001"


@pytest.fixture(autouse=True)
def empty_registry() -> Iterator[None]:
    """Start and end each test without known secrets."""
    forget_secrets()
    yield
    forget_secrets()


@pytest.mark.parametrize(
    "name",
    ["Authorization", "api_key", "api-key", "API Key", "apiKey", "X-Api-Key", "token", "panelToken", "key",
     "password", "db_password", "client_secret", "Set-Cookie", "webhook_secrets", "otp", " secret "],
)  # fmt: skip
def test_names_of_secrets(name: str) -> None:
    assert names_secret(name)


@pytest.mark.parametrize(
    "name",
    ["egg_key", "key_count", "monkey", "tokens_left", "tokenizer", "author", "keyboard", "external_id",
     "password_reset_sent_at", "idempotency", "name", ""],
)  # fmt: skip
def test_names_of_other_things(name: str) -> None:
    assert not names_secret(name)


@pytest.mark.req("CAL-12")
@pytest.mark.parametrize(
    "text",
    [
        f"Authorization: Bearer {CANARY}",
        f"authorization=Basic {CANARY}",
        f"sent bearer {CANARY} to the panel",
        f'{{"api_key": "{CANARY}", "name": "x"}}',
        f"{{'password': '{CANARY}'}}",
        f'{{\\"token\\": \\"{CANARY}\\"}}',
        f"GET /?token={CANARY}&page=2",
        f"api_key={CANARY}",
        f"secret : {CANARY}",
        f'secret="{CANARY} and more',
        f"https://ada:{CANARY}@panel.example.com/x",
        f"key ptla_{CANARY} refused",
        f"key PTLC_{CANARY} refused",
        f"whsec_{CANARY}",
        f"papp_{CANARY}",
    ],
)
def test_texts_that_hold_a_secret(text: str) -> None:
    cleaned = redact(text)
    assert CANARY not in cleaned
    assert MASK in cleaned


@pytest.mark.parametrize(
    "text",
    [
        "The egg_key is minecraft-java-1 and the author is Ada.",
        "time: 12:30, status=active, monkey=bananas",
        '{"token": null, "password": true}',
        "https://panel.example.com/server/1a2b3c4d",
        "Paid for MC-12345 until 2026-12-01",
    ],
)
def test_texts_without_a_secret_stay_as_they_are(text: str) -> None:
    assert redact(text) == text


def test_only_the_secret_is_hidden() -> None:
    assert redact(f"/u?page=2&token={CANARY}&sort=id") == f"/u?page=2&token={MASK}&sort=id"
    assert redact(f'{{"key":"{CANARY}","id":4}}') == f'{{"key":"{MASK}","id":4}}'


def test_known_values_are_hidden_wherever_they_turn_up() -> None:
    register_secret("correct horse/battery")
    register_secret("correct horse/battery staple")
    assert redact("x correct horse/battery staple y") == f"x {MASK} y"
    assert redact("x=correct%20horse%2Fbattery") == f"x={MASK}"


def test_short_values_are_not_looked_for() -> None:
    register_secret("admin")
    assert redact("the admin said so") == "the admin said so"


def test_the_registry_forgets_the_oldest() -> None:
    for number in range(600):
        register_secret(f"value-number-{number:04d}")
    assert redact("value-number-0000") == "value-number-0000"
    assert redact("value-number-0599") == MASK


def test_a_secret_across_the_cut_is_hidden_before_cutting() -> None:
    register_secret(CANARY)
    cut = redact("x" * 90 + CANARY, limit=100)
    assert cut == "x" * 90 + "[hidden]"
    assert CANARY[:5] not in redact("x" * 96 + CANARY, limit=100)


@given(st.text(max_size=300))
def test_redacting_never_fails_and_is_stable(text: str) -> None:
    once = redact(text)
    assert redact(once) == once


@pytest.mark.parametrize(
    "text", ["a" * 200_000, "a=" * 50_000, "://a:" * 20_000, '\\"' * 50_000, 'key="' * 20_000]
)
def test_hostile_texts_take_no_time(text: str) -> None:
    started = time.monotonic()
    redact(text)
    assert time.monotonic() - started < 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("one\r\n2026-11-20 INFO forged", "one 2026-11-20 INFO forged"),
        ("a\x1b[31mred\x00\x07", "a [31mred"),
        ("right\u202eleft\u2066x", "right left x"),
        ("a\u2028b\u2029c\x85d", "a b c d"),
        ("lone \ud800 half", "lone half"),
        ("  Müller 🎮  x ", "Müller 🎮 x"),
        ("x" * 30, "x" * 9 + "…"),
        ("token=abcdefgh", f"token={MASK}"[:9] + "…"),
    ],
)
def test_lines_are_harmless(text: str, expected: str) -> None:
    assert clean_line(text, limit=10 if len(text) == 30 or "=" in text else 500) == expected


class Mode(Enum):
    """A stand-in for a choice."""

    READY = "ready"


@dataclass
class Model:
    """A stand-in for an object whose text must not be asked for."""

    password: str


def test_structures_are_copied_as_plain_data() -> None:
    moment = datetime(2026, 11, 20, tzinfo=UTC)
    source = {
        "event": "x", 1: (1, 2.5, None, True), "at": moment, "price": Decimal("1.50"), "mode": Mode.READY,
        "raw": b"token=abcdefgh", "id": UUID(int=1), "model": Model(CANARY), "why": ValueError("key=abcd"),
    }  # fmt: skip
    assert redact_data(source) == {
        "event": "x", "1": [1, 2.5, None, True], "at": str(moment), "price": "1.50", "mode": "ready",
        "raw": f"token={MASK}", "id": str(UUID(int=1)), "model": "<Model>", "why": f"key={MASK}",
    }  # fmt: skip


@pytest.mark.req("CAL-12")
def test_values_under_secret_names_are_hidden_at_any_depth() -> None:
    source = {
        "a": [{"panel": {"api_key": CANARY, "url": "u"}}],
        "secret": {"deep": [CANARY]},
        "pwd": 12345678,
    }
    copied = redact_data(source)
    assert CANARY not in str(copied)
    assert copied == {"a": [{"panel": {"api_key": MASK, "url": "u"}}], "secret": MASK, "pwd": MASK}


def test_absent_and_yes_no_values_stay_visible() -> None:
    assert redact_data({"token": None, "password": False}) == {"token": None, "password": False}


def test_cycles_depth_and_size_end() -> None:
    cycle: list[object] = [1]
    cycle.append(cycle)
    assert redact_data(cycle) == [1, "[cycle]"]
    shared = [1]
    assert redact_data([shared, shared]) == [[1], [1]]
    deep: list[object] = []
    for _ in range(5000):
        deep = [deep]
    assert str(redact_data(deep)).count("[deep]") == 1
    assert len(str(redact_data({str(n): n for n in range(100_000)}))) < 200_000
    assert len(redact_data(list(range(100_000)))) <= 5_001  # type: ignore[arg-type]
