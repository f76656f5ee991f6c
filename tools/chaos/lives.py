"""The lives of many services, as billing tells them: drawn from a seed, sent until they are kept."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

SMALL, BIG = "fire-elemental", "frost-knight"
MADE_SECONDS = 45.0
PAUSES = (0.0, 0.3, 1.2)
"""Seconds between two events of one subscription: at once, in the middle of the work, after it."""


@dataclass(frozen=True)
class Step:
    """One event, so many seconds after the one before; sent more than once, as senders do."""

    event: str
    product: str
    pause: float
    copies: int = 1


def life(chooser: random.Random) -> list[Step]:
    """Ordered; then some of: bigger, unpaid, paid, smaller; then perhaps cancelled, as the end."""
    bigger, unpaid = chooser.random() < 0.5, chooser.random() < 0.5
    paid = not unpaid or chooser.random() < 0.7
    smaller = bigger and paid and chooser.random() < 0.3
    told = [("subscription.created", SMALL)]
    if bigger:
        told.append(("subscription.updated", BIG))
    if unpaid:
        told.append(("payment.failed", told[-1][1]))
    if unpaid and paid:
        told.append(("payment.succeeded", told[-1][1]))
    if smaller:
        told.append(("subscription.updated", SMALL))
    if chooser.random() < 0.4:
        told.append(("subscription.cancelled", told[-1][1]))
    return [_step(chooser, event, product) for event, product in told]


def _step(chooser: random.Random, event: str, product: str) -> Step:
    copies = chooser.choices((1, 2, 3), (80, 15, 5))[0]
    return Step(event, product, chooser.choice(PAUSES) * chooser.uniform(0.5, 1.5), copies)


Made = Callable[[str], bool]
Send = Callable[[dict[str, str], str], bool]
"""Sends an event under a message id; whether the bridge said that it has kept it."""


def live(key: str, steps: Sequence[Step], send: Send, made: Made, stop: threading.Event) -> None:
    """Plays one life. The next event leaves when the one before was kept, as billing's own queue does.

    Nobody is billed again before there is a server: where none comes, the life ends without further events.
    """
    for number, step in enumerate(steps):
        stop.wait(step.pause)
        if step.event == "payment.failed" and not _wait(lambda: made(key), stop):
            return
        body = body_of(key, step)
        for _ in range(step.copies):
            if not _wait(lambda: send(body, f"msg_{key}_{number}"), stop, patience=float("inf")):  # noqa: B023
                return


def _wait(look: Callable[[], bool], stop: threading.Event, *, patience: float = MADE_SECONDS) -> bool:
    ends = time.monotonic() + patience
    while not stop.is_set() and time.monotonic() < ends:
        if look():
            return True
        stop.wait(0.2)
    return False


def body_of(key: str, step: Step) -> dict[str, str]:
    """The event as billing words it."""
    status = "cancelled" if step.event == "subscription.cancelled" else "active"
    return {
        "event": step.event,
        "subscription_id": key,
        "customer_email": f"buyer{key}@example.com",
        "product_id": step.product,
        "tier": "elemental",
        "status": status,
    }


def draw(seed: int, number: int) -> dict[str, list[Step]]:
    """So many lives by the subscription's id; the same for the same seed."""
    chooser = random.Random(seed)  # noqa: S311 - repeatable on purpose
    return {str(seed * 100_000 + index): life(chooser) for index in range(1, number + 1)}
