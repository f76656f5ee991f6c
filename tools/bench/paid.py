"""From the webhook's arrival to the panel's answer to the create, less what the panel took itself."""

from __future__ import annotations

import datetime as dt
import random
import time
from typing import Any

from tests.flows.stack import Stack
from tools.bench.load import order_all
from tools.bench.measuring import percentile
from tools.bench.product import product
from tools.bench.report import Result

ROUNDS, ORDERS, WARM_UP = 3, 30, 3
PAUSE = 0.7
"""Seconds, at most, between two orders: none finds a queue that an earlier one has just woken."""
STACKS = {"orm": "sqlite", "redis": "postgres"}
CREATE = "/api/application/servers"


def measure() -> Result:
    """The 95th percentile on both queues, the best of three rounds."""
    figures: dict[str, float | bool] = {}
    details = {}
    for name, stack in STACKS.items():
        with product(stack) as running:
            waits(running, "warm", WARM_UP)
            rounds = [waits(running, f"r{number}x", ORDERS) for number in range(ROUNDS)]
        p95 = [percentile(found, 0.95) for found in rounds]
        figures[f"paid_to_server.{name}.p95_ms"] = round(min(p95))
        details[name] = {
            "p95_ms": [round(value) for value in p95],
            "p50_ms": [round(percentile(found, 0.5)) for found in rounds],
        }
    return Result(figures, details)


def waits(stack: Stack, name: str, number: int) -> list[float]:
    """Milliseconds that each of so many orders of new customers waited, one order after the other."""
    cast = stack.ground.cast
    chooser = random.Random(1)  # noqa: S311 - repeatable on purpose
    keys = [f"{name}{index}" for index in range(number)]
    sent = {}
    for key in keys:
        sent[key] = time.time()
        order_all(cast, [key], connections=1)
        time.sleep(chooser.uniform(PAUSE / 2, PAUSE))
    return [waited(_calls(stack, key), sent[key]) for key in keys]


def _calls(stack: Stack, key: str) -> list[dict[str, Any]]:
    """The order's panel calls, once the create is among them."""

    def made() -> list[dict[str, Any]]:
        rows = stack.read.operations(key)
        calls = rows[-1]["panel_calls"] if rows else []
        return calls if any(map(is_create, calls)) else []

    return stack.read.until(f"the create of {key}", made)


def is_create(call: dict[str, Any]) -> bool:
    """Whether a call made a server."""
    return bool(call["method"] == "POST" and call["path"] == CREATE and call["status"] == 201)


def waited(calls: list[dict[str, Any]], sent: float) -> float:
    """Milliseconds from `sent` (Unix seconds) to the create's answer, less those that the calls took."""
    ordered = sorted(calls, key=lambda call: call["at"])
    last = next(index for index, call in enumerate(ordered) if is_create(call))
    answered = dt.datetime.fromisoformat(ordered[last]["at"]).timestamp()
    spent: int = sum(call["ms"] for call in ordered[: last + 1])
    return (answered - sent) * 1000 - spent
