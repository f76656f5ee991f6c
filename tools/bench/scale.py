"""Two queue clusters beside one, a worker each, on PostgreSQL and Redis, with a panel that takes its time."""

from __future__ import annotations

from collections import Counter

from tests.flows.stack import Stack
from tools.bench.load import order_all
from tools.bench.measuring import best_ratio
from tools.bench.product import product
from tools.bench.report import Result

ROUNDS, ORDERS, CUSTOMERS = 3, 80, 20
PANEL_SECONDS = 0.1
PATIENCE = 120.0


def measure() -> Result:
    """Orders a second with both clusters and with one of them, in turn."""
    with product("postgres", clusters=2, WORKERS="1") as stack:
        rate(stack, "known", CUSTOMERS)
        slow = {"kind": "slow", "path": "^/api/", "count": None, "seconds": PANEL_SECONDS}
        stack.read.panel_control("POST", "faults", slow)
        rounds = [_round(stack, number) for number in range(ROUNDS)]
        marks = Counter(row["external_id"] for row in stack.read.panel_control("GET", "state")["servers"])
    doubles = sum(count - 1 for count in marks.values())
    figures = {"scale.ratio": round(best_ratio(rounds), 3), "scale.doubles": doubles}
    return Result(dict(figures), {"orders_a_second": [[round(rate, 2) for rate in pair] for pair in rounds]})


def _round(stack: Stack, number: int) -> tuple[float, float]:
    second = stack.clusters[1]
    both = rate(stack, f"both{number}x", ORDERS)
    second.stop()
    alone = rate(stack, f"alone{number}x", ORDERS)
    second.start()
    return both, alone


def rate(stack: Stack, name: str, number: int) -> float:
    """Creates a second, from the first one answered to the last one."""
    keys = [f"{name}{index}" for index in range(number)]
    stack.read.panel_control("DELETE", "calls")
    order_all(stack.ground.cast, keys, customers=CUSTOMERS)
    stack.until(f"{number} creates", lambda: stack.creates() >= number, patience=PATIENCE)
    stack.until("rest", lambda: not _moving(stack), patience=PATIENCE)
    calls = stack.read.panel_control("GET", "calls")["calls"]
    creates = [call for call in calls if call["pattern"].endswith("/servers") and call["status"] == 201]
    made: list[float] = [call["at"] for call in creates]
    return (len(made) - 1) / (max(made) - min(made))


def _moving(stack: Stack) -> bool:
    """Whether anything is left to do: the next round begins when all is at rest."""
    return bool(stack.read.get("services/", converged="false", page_size="1")["results"])
