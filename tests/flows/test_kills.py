"""Processes killed in the middle of their work: every paid order still ends with one server (B1, B2, B11)."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest

from tests.flows.conftest import StackMaker
from tests.flows.stack import Stack
from tools.chaos import victims

pytestmark = pytest.mark.processes
SCALE = 10
"""A lease of 45 seconds passes in 4.5."""
ORDERS = [str(number) for number in range(2001, 2021)]


def without_the_panels_help(stack: Stack) -> Stack:
    """Has the panel take several servers of one mark: it is no wall against a second create any more."""
    stack.read.panel_control("POST", "settings", {"unique_external_ids": False})
    return stack


def kill_worker(stack: Stack) -> None:
    """SIGKILL to each worker that has a job in hand."""
    workers = stack.clusters[0].workers("processing")
    assert workers
    for worker in workers:
        os.kill(worker, signal.SIGKILL)


def kill_cluster(stack: Stack) -> None:
    """SIGKILL to all workers and to who guards them, and a fresh start."""
    stack.clusters[0].kill()
    stack.clusters[0].start()


@pytest.mark.slow
@pytest.mark.req("T83-10")
@pytest.mark.parametrize("doing", ["idle", "monitor", "pusher"])
def test_whoever_is_killed_while_waiting_takes_no_lock_along(start: StackMaker, doing: str) -> None:
    stack = start(scale=SCALE)
    stack.until("the workers", lambda: len(stack.clusters[0].workers("idle")) == 2)
    for process in stack.clusters[0].workers(doing):
        os.kill(process, signal.SIGKILL)
    stack.order(ORDERS[:5])
    stack.until_served(ORDERS[:5], patience=20)
    assert not stack.clusters[0].ended


@pytest.mark.slow
@pytest.mark.req("T83-10")
def test_a_sentinel_that_is_killed_takes_its_own_along_and_is_started_anew(start: StackMaker) -> None:
    stack = start(scale=SCALE)
    cluster = stack.clusters[0]
    stack.until("the workers", lambda: len(cluster.workers("idle")) == 2)
    before = {process.pid: process.role(cluster.pid) for process in victims.members(cluster.pid)}
    os.kill(next(pid for pid, role in before.items() if role == "sentinel"), signal.SIGKILL)
    stack.until("fresh workers", lambda: len(set(cluster.workers("idle")) - set(before)) == 2, patience=10)
    after = {process.pid for process in victims.members(cluster.pid)}
    assert after & set(before) == {cluster.pid}
    stack.order(ORDERS[:2])
    stack.until_served(ORDERS[:2], patience=20)


@pytest.mark.slow
@pytest.mark.req("T83-10", "CAL-01")
def test_a_worker_killed_while_the_panel_creates(start: StackMaker) -> None:
    stack = without_the_panels_help(start(scale=SCALE))
    stack.arm("slow", seconds=1.5)
    stack.say("subscription.created")
    stack.until("the create under way", stack.create_under_way)
    kill_worker(stack)
    assert not stack.servers("12345")
    stack.until_served(["12345"])
    assert stack.asked() == [201]


@pytest.mark.slow
@pytest.mark.parametrize("kill", [kill_worker, kill_cluster])
def test_a_create_that_comes_true_after_the_lease(start: StackMaker, kill: Callable[[Stack], None]) -> None:
    stack = without_the_panels_help(start(scale=SCALE, UNKNOWN_WAIT_SECONDS=str(12 * SCALE)))
    stack.arm("slow", seconds=8)
    stack.say("subscription.created")
    stack.until("the create under way", stack.create_under_way)
    kill(stack)
    stack.until("a wait", lambda: stack.read.service("12345").get("waiting"))
    stack.until_served(["12345"])
    assert stack.asked() == [201]


@pytest.mark.slow
def test_a_worker_killed_while_the_answer_is_on_its_way(start: StackMaker) -> None:
    stack = without_the_panels_help(start(scale=SCALE))
    stack.arm("drip", seconds=0.005)
    stack.say("subscription.created")
    stack.until("the create answered", stack.creates)
    kill_worker(stack)
    stack.until_served(["12345"])
    assert stack.asked() == [201]


@pytest.mark.slow
@pytest.mark.req("T83-10")
def test_cluster_and_queue_are_lost_in_the_middle_of_many_orders(start: StackMaker) -> None:
    stack = without_the_panels_help(start(scale=SCALE))
    stack.order(ORDERS)
    stack.until("some servers", lambda: len(stack.read.servers()) >= 5)
    stack.clusters[0].kill()
    stack.store.queue_lose()
    assert len(stack.read.servers()) < len(ORDERS)
    stack.clusters[0].start()
    stack.until_served(ORDERS)
    assert stack.creates() == len(ORDERS)
