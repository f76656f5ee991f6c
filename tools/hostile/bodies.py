"""Bodies that a hostile or broken sender may post: a grammar of almost-JSON, the corpus, and damage to both.

Text is made by hand rather than by a JSON library: half of it is not JSON.
"""

from __future__ import annotations

import random
from functools import lru_cache
from pathlib import Path

LIMIT = 262_144
CORPUS = Path(__file__).resolve().parents[2] / "tests" / "provisioning" / "webhooks" / "corpus"
KEYS = (
    *("event", "subscription_id", "customer_email", "product_id", "tier", "status", "customer_id"),
    *("first_name", "occurred_at", "sequence", "paid_until", "properties", "price", "__proto__", "memory"),
)
SCALARS = (
    *("null", "true", "-0", "1e400", "NaN", "Infinity", "9223372036854775808", "1e-30", '"1,00"', "0x10"),
    *(
        '"subscription.created"',
        '"12345"',
        '"ada@example.com"',
        '"30-02-2026"',
        '"9999-12-31T23:59:59+99:99"',
    ),
    *(r'"\u0000"', r'"\ud800"', r'"\u202e"', r'"\uZZZZ"', '"', '"\x01"', "'x'", '"%s%n"', '"{{7*7}}"'),
    *(
        '"\'; DROP TABLE provisioning_event; --"',
        '"<script>alert(7)</script>"',
        '"../../etc/passwd"',
        '"\U0001f600"',
    ),
)
GLUE = (",", ",", ",", ",,", "", "/**/,")


def value(chooser: random.Random, depth: int = 0) -> str:
    """Some value: mostly a scalar, else an object or an array that may not even be closed."""
    kind = chooser.random()
    if depth > 6 or kind < 0.7:
        return chooser.choice(SCALARS)
    inner = [value(chooser, depth + 1) for _ in range(chooser.randrange(4))]
    if kind < 0.8:
        return f"[{chooser.choice(GLUE).join(inner)}{chooser.choice((']', ']', ']', ''))}"
    return document(chooser, depth + 1)


def document(chooser: random.Random, depth: int = 0) -> str:
    """An object with the contract's names, some of them twice."""
    names = chooser.choices(KEYS, k=chooser.randrange(1, 7))
    pairs = [f'"{name}":{value(chooser, depth)}' for name in names]
    return "{" + chooser.choice(GLUE).join(pairs) + "}"


def _deep(chooser: random.Random) -> bytes:
    return chooser.choice((b"[" * 100_000, b'{"a":' * 30_000, b"[" * 500 + b"]" * 500))


def _long(chooser: random.Random) -> bytes:
    return chooser.choice((b'{"a":"' + b"x" * (LIMIT - 8) + b'"}', b"9" * 5_000, b"\0" * LIMIT))


def _damaged(chooser: random.Random) -> bytes:
    body = bytearray(document(chooser).encode("utf-8", "surrogatepass"))
    for _ in range(chooser.randrange(1, 4)):
        body[chooser.randrange(len(body))] = chooser.randrange(256)
    return bytes(body[: chooser.randrange(len(body) + 1)])


@lru_cache(maxsize=1)
def corpus() -> tuple[bytes, ...]:
    """The files kept in the tests, in the order of their names."""
    return tuple(path.read_bytes() for path in sorted(CORPUS.glob("*.bin")))


def make(chooser: random.Random) -> bytes:
    """Any body: mostly a document, sometimes damage, the corpus, noise, or something enormous."""
    kind = chooser.random()
    if kind < 0.6:
        return document(chooser).encode()
    if kind < 0.75:
        return _damaged(chooser)
    if kind < 0.9:
        return chooser.choice(corpus())
    if kind < 0.98:
        return chooser.randbytes(chooser.randrange(2_000))
    return _deep(chooser) if kind < 0.99 else _long(chooser)
