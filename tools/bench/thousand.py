"""A thousand orders at once on a panel that allows 240 calls a minute, and a suspension in their middle.

Time runs faster for both sides: the engine's clock by its scale, the panel's by having its rate window begin
anew after a minute divided by the scale.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator

from tests.flows.stack import Stack
from tools.bench.load import order_all
from tools.bench.product import product
from tools.bench.report import Result

ORDERS, CUSTOMERS = 1_000, 50
LIMIT, CALLS = 240, 2
SCALE = 2.0
LATE = "late"
SUSPEND_PATIENCE = 30.0
"""Seconds of the wall: whoever waits for longer has missed the goal by far, and that is what is kept."""
PATIENCE = 3.0
"""So many times the time that the limit alone takes may pass before this gives up."""
SHORTEST = ORDERS * CALLS * 60 / LIMIT
"""Seconds of the panel's time that the calls alone need."""


def measure() -> Result:
    """Orders of known customers: the first server of each is made before the limit holds."""
    # Intervals of the engine's clock are as the product has them; the ticker sleeps on the wall's.
    with product("sqlite", scale=SCALE, TICK_SECONDS=str(1 / SCALE)) as stack:
        _known_customers(stack)
        with _limited(stack):
            began = time.monotonic()
            keys = [f"many{number}" for number in range(ORDERS)]
            order_all(stack.ground.cast, keys, customers=CUSTOMERS)
            suspended = _late_suspension(stack, began)
            took = _until_made(stack, CUSTOMERS + 1 + ORDERS) - began
        asked = stack.read.panel_control("GET", "calls")["counts"]
        refused = _refused(stack)
    ratio = took * SCALE / SHORTEST
    figures = {"thousand_orders.ratio": round(ratio, 3), "thousand_orders.suspend_s": round(suspended, 2)}
    calls = {f"{row['method']} {row['pattern']}": row["count"] for row in asked}
    details = {"scale": SCALE, "wall_seconds": round(took), "calls": calls, "answers_429": refused}
    return Result(dict(figures), details)


def _known_customers(stack: Stack) -> None:
    keys = [f"first{number}" for number in range(CUSTOMERS)]
    order_all(stack.ground.cast, [*keys, LATE], customers=CUSTOMERS)
    stack.until_served([*keys, LATE], patience=240)


@contextlib.contextmanager
def _limited(stack: Stack) -> Iterator[None]:
    """The panel allows 240 calls in each minute of the scaled clock, in fixed windows as Laravel has them."""
    stack.read.panel_control("POST", "settings", {"application_limit": LIMIT})
    stack.read.panel_control("DELETE", "calls")
    ended = threading.Event()

    def begin_windows() -> None:
        while not ended.wait(60 / SCALE):
            stack.read.panel_control("POST", "throttle", {})

    stack.read.panel_control("POST", "throttle", {})
    windows = threading.Thread(target=begin_windows)
    windows.start()
    try:
        yield
    finally:
        ended.set()
        windows.join()


def _late_suspension(stack: Stack, began: float) -> float:
    """Staff's view of it: billing says unpaid in the middle of the crowd; seconds of the panel's time."""
    time.sleep(max(0.0, began + SHORTEST / SCALE / 3 - time.monotonic()))
    sent = time.time()
    stack.say("subscription.updated", LATE, customer_email="buyer0@example.com", status="suspended")

    def suspended() -> float:
        calls = stack.read.panel_control("GET", "calls", {"ending": "/suspend"})["calls"]
        at = [call["at"] for call in calls if call["status"] == 204]
        return at[0] if at else 0.0

    while not (at := suspended()) and time.time() < sent + SUSPEND_PATIENCE:
        time.sleep(0.1)
    return ((at or time.time()) - sent) * SCALE


def _until_made(stack: Stack, number: int) -> float:
    """Waits until the panel has so many servers; returns when it was seen."""

    def all_made() -> bool:
        return len(stack.read.panel_control("GET", "state")["servers"]) >= number

    stack.until(f"{number} servers", all_made, patience=PATIENCE * SHORTEST / SCALE)
    return time.monotonic()


def _refused(stack: Stack) -> int:
    calls = stack.read.panel_control("GET", "calls")["calls"]
    return sum(call["status"] == 429 for call in calls)
