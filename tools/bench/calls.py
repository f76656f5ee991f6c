"""How many panel calls each kind of work needs: counted by the engine and by the panel."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any

from tests.flows.stack import Stack
from tools.bench.measuring import require
from tools.bench.product import product
from tools.bench.report import Result

SERVICES = 10
NEW = [f"new{number}" for number in range(SERVICES)]
KNOWN = [f"known{number}" for number in range(SERVICES)]
BIGGER = "frost-knight"
PATIENCE = 240.0


def measure() -> Result:
    """Lives of twenty services: ordered, made bigger, left unpaid, cancelled and deleted."""
    with product("sqlite") as stack:
        lives(stack)
        operations = finished(stack)
        engine = sum(row["calls"] + row["polls"] for row in operations)
        panel = stack.read.panel_control("GET", "calls")["total"]
    # The engine's own count decides nothing unless the panel has counted the same.
    require(engine == panel, f"The engine counted {engine} calls, the panel {panel}.")
    kinds: dict[str, Callable[[dict[str, Any]], bool]] = {
        "create_new": lambda row: row["kind"] == "create" and row["billing_id"] in NEW,
        "create_known": lambda row: row["kind"] == "create" and row["billing_id"] in KNOWN,
        "suspend": lambda row: row["kind"] == "suspend",
        "resize": lambda row: row["kind"] == "change_package",
        "terminate": lambda row: row["kind"] == "terminate",
    }
    counts = {name: [row["calls"] for row in operations if fits(row)] for name, fits in kinds.items()}
    figures = {f"calls.{name}": statistics.median(found) for name, found in counts.items()}
    return Result(dict(figures), {"each": counts, "panel_total": panel})


def lives(stack: Stack) -> None:
    """The events of all services, a stage after the other."""
    stack.order(NEW)
    settled(stack, NEW)
    for new, known in zip(NEW, KNOWN, strict=True):
        stack.say("subscription.created", known, customer_email=f"buyer{new}@example.com")
    settled(stack, KNOWN)
    for event, wanted in (
        ("subscription.updated", "active"),
        ("payment.failed", "suspended"),
        ("subscription.cancelled", "absent"),
    ):
        for key in (*NEW, *KNOWN):
            mail = f"buyer{key.replace('known', 'new')}@example.com"
            stack.say(event, key, customer_email=mail, product_id=BIGGER)
        settled(stack, [*NEW, *KNOWN], state=wanted)


def settled(stack: Stack, keys: list[str], *, state: str = "active") -> None:
    """Waits until our API shows each of them in that state, and nothing left to do."""

    def shown() -> bool:
        rows = stack.read.get("services/", page_size="200")["results"]
        ready = {row["billing_id"] for row in rows if row["observed_state"] == state and row["converged"]}
        return set(keys) <= ready

    stack.until(f"{len(keys)} services {state}", shown, patience=PATIENCE)


def finished(stack: Stack) -> list[dict[str, Any]]:
    """Every operation that came to its end."""
    rows = stack.read.get("operations/", page_size="200")["results"]
    require(len(rows) < 200, "There are more operations than one page holds.")
    return [row for row in rows if row["outcome"] == "succeeded"]
