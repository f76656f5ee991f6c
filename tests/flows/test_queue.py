"""The queue may be lost, forged and poisoned, and a service may kill its workers (B11, B13)."""

from __future__ import annotations

import random
import secrets
import time

import pytest

from tests.flows.conftest import StackMaker
from tests.flows.poison import DEADLY
from tests.flows.stack import Part, Stack

pytestmark = [pytest.mark.processes, pytest.mark.slow]
SCALE = 10
ORDERS = [str(number) for number in range(4001, 4031)]
PATIENCE = 90
"""Seconds in which everything has to agree again, with nothing done by hand (B11)."""
PAYLOADS = (
    b"",
    b"poison",
    b":",
    b"a:b:c",
    b"\xff\xfe\x00",
    b"gASVJAAAAAAAAACMBXBvc2l4lIwGc3lzdGVtlJOUjAlpZCA+L3RtcC94lIWUUpQu",
)
"""What no part of the product would put there; the last is a pickle that runs a command, unsigned."""


def lost_and_poisoned(stack: Stack) -> None:
    """Everything that waits is gone, and rubbish is there instead."""
    stack.store.queue_lose()
    for payload in PAYLOADS:
        stack.store.queue_put(payload)


def with_another_key(stack: Stack, parts: list[Part]) -> None:
    """What was signed before cannot be read any more, and nobody kept the old key."""
    for part in parts:
        part.end()
    for part in parts:
        part.stop()
        part.env = {**part.env, "SECRET_KEY": stack.env["SECRET_KEY"]}
        part.start()


@pytest.mark.req("T83-10", "T83-12")
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_queue_that_is_lost_forged_and_unreadable_costs_a_delay(start: StackMaker, seed: int) -> None:
    stack = start(scale=SCALE)
    chance = random.Random(seed)
    stack.read.panel_control("POST", "settings", {"unique_external_ids": False})
    moments = sorted(chance.sample(range(len(ORDERS)), 4))
    rotated = chance.choice(moments)
    for number, order in enumerate(ORDERS):
        stack.say("subscription.created", order)
        if number in moments:
            lost_and_poisoned(stack)
        if number == rotated:
            stack.env["SECRET_KEY"] = secrets.token_urlsafe(48)
            with_another_key(stack, [*stack.clusters, *stack.tickers, stack.web])
            stack.wait_for_web()
    stack.store.queue_lose()
    began = time.monotonic()
    stack.until_served(ORDERS, patience=PATIENCE)
    assert time.monotonic() - began < PATIENCE
    assert stack.creates() == len(ORDERS)
    assert not stack.clusters[0].ended


def seconds_for(stack: Stack, orders: list[str]) -> float:
    began = time.monotonic()
    stack.order(orders)
    stack.until_served(orders)
    return time.monotonic() - began


@pytest.mark.req("T83-40")
def test_a_service_that_kills_its_workers_is_parked_and_slows_nobody(start: StackMaker) -> None:
    stack = start(scale=SCALE, DJANGO_SETTINGS_MODULE="tests.flows.poisoned")
    without = seconds_for(stack, ORDERS[:10])
    stack.say("subscription.created", DEADLY)
    beside = seconds_for(stack, ORDERS[10:20])
    stack.until("the deadly one parked", lambda: parked(stack), patience=PATIENCE)
    (operation,) = stack.read.operations(DEADLY)
    assert (operation["reason"], operation["attempts"]) == ("crashed", 5)
    assert not stack.servers(DEADLY)
    # Half a second of grace: the times are short, and each look at the panel comes in steps.
    assert beside <= without / 0.9 + 0.5, f"{without:.1f} s before, {beside:.1f} s beside it"


def parked(stack: Stack) -> bool:
    """Whether staff are asked for the deadly one."""
    return "needs_staff" in [operation["outcome"] for operation in stack.read.operations(DEADLY)]
