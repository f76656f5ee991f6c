"""Several clusters and tickers side by side, restarts of all, and a web server that dies under load."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from tests.flows.conftest import StackMaker
from tests.flows.stack import GRACE, Part, Stack

pytestmark = [pytest.mark.processes, pytest.mark.slow]
ORDERS = [str(number) for number in range(3001, 3021)]
PATIENCE = 60
LEADER = "SELECT holder FROM provisioning_heartbeat WHERE name = 'tick'"


def leader(stack: Stack) -> int:
    """The pid of the ticker that leads; 0 if none does."""
    rows = stack.store.select(LEADER)
    return int(rows[0][0].rpartition(":")[2] or 0) if rows else 0


def test_two_clusters_and_two_tickers_create_each_server_once(start: StackMaker) -> None:
    stack = start(clusters=2, tickers=2)
    stack.read.panel_control("POST", "settings", {"unique_external_ids": False})
    stack.until("a leader", lambda: leader(stack))
    stack.order(ORDERS)
    leads = next(ticker for ticker in stack.tickers if ticker.pid == leader(stack))
    leads.kill()
    stack.store.queue_lose()
    stack.until("another leader", lambda: leader(stack) not in (0, leads.pid))
    stack.until_served(ORDERS)
    assert stack.creates() == len(ORDERS)


def clock_wrong(part: Part, seconds: int) -> None:
    """Start it anew on a host whose own clock is that far ahead."""
    part.kill()
    settings = {"DJANGO_SETTINGS_MODULE": "tests.flows.poisoned", "TEST_CLOCK_AHEAD": str(seconds)}
    part.env = part.env | settings
    part.start()


@pytest.mark.skipif("'TEST_DATABASE_URL' not in os.environ", reason="SQLite means one host, with one clock")
def test_hosts_whose_clocks_are_minutes_off_steal_no_lease(start: StackMaker) -> None:
    """A lease of 45 seconds, and clocks 300 seconds ahead and behind: the database's clock counts."""
    stack = start(clusters=3, tickers=2)
    stack.read.panel_control("POST", "settings", {"unique_external_ids": False})
    for part, seconds in ((stack.clusters[1], 300), (stack.clusters[2], -300), (stack.tickers[1], 300)):
        clock_wrong(part, seconds)
    stack.arm("slow", seconds=1.5, count=5)
    stack.order(ORDERS)
    stack.until_served(ORDERS)
    assert stack.creates() == len(ORDERS)
    stack.say("subscription.updated", ORDERS[0], status="suspended")
    stack.until("the suspension", lambda: stack.status(ORDERS[0]) == "suspended")


def frozen(stack: Stack) -> list[int]:
    """Every worker that has a job in hand stands still, as on a host that is swapping or migrated.

    One that stands still while it writes stops its whole database, and nobody could take its place meanwhile:
    such a moment is let pass.
    """
    for _ in range(20):
        pids = [pid for cluster in stack.clusters for pid in cluster.workers("processing")]
        signal_all(pids, signal.SIGSTOP)
        if stack.store.writable():
            return pids
        signal_all(pids, signal.SIGCONT)
        time.sleep(0.02)
    raise AssertionError("A worker writes all the time.")


def signal_all(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        os.kill(pid, number)


def refused(stack: Stack) -> bool:
    """Whether a worker's log says that its lease was gone when it wanted to write."""
    return any("lease_lost" in log.read_text() for log in stack.folder.glob("work*.log"))


@pytest.mark.req("CAL-01", "T83-40")
@pytest.mark.parametrize("fault", ["slow", "drip"])
def test_a_worker_that_freezes_past_its_lease_is_refused(start: StackMaker, fault: str) -> None:
    """It stands still before or while the panel's answer arrives, and wakes when another has finished."""
    stack = start(scale=10, clusters=2)
    stack.read.panel_control("POST", "settings", {"unique_external_ids": False})
    stack.arm(fault, seconds={"slow": 1.0, "drip": 0.005}[fault])
    stack.say("subscription.created")
    stack.until("the create under way", stack.create_under_way)
    pids = frozen(stack)
    assert pids
    try:
        stack.until_served(["12345"])
        assert not refused(stack)
    finally:
        signal_all(pids, signal.SIGCONT)
    stack.until("the late one refused", lambda: refused(stack))
    assert stack.asked() == [201]
    assert [row["outcome"] for row in stack.read.operations("12345")] == ["succeeded"]
    stack.say("subscription.updated", status="suspended")
    stack.until("the next change", lambda: stack.status() == "suspended")


def test_a_clean_stop_in_the_middle_of_work_loses_nothing(start: StackMaker) -> None:
    stack = start()
    stack.read.panel_control("POST", "settings", {"unique_external_ids": False})
    stack.arm("slow", seconds=2)
    stack.order(ORDERS[:8])
    stack.until("the create under way", stack.create_under_way)
    engine = [stack.web, *stack.clusters, *stack.tickers]
    began = time.monotonic()
    for part in engine:
        part.end()
    stack.until("all of them ended", lambda: all(part.ended for part in engine))
    assert time.monotonic() - began < GRACE
    assert ["(exit code 0)" in part.ended for part in engine] == [True] * len(engine)
    for part in engine:
        part.stop()
        part.start()
    stack.wait_for_web()
    stack.until_served(ORDERS[:8])
    assert stack.creates() == 8


def post_until_kept(stack: Stack, webhook_id: str) -> None:
    """What a sender does: the same id again until the answer is 202."""
    cast = stack.ground.cast
    event = {"event": "note.added", "subscription_id": webhook_id}
    body = {"url": cast.webhook_url, "secret": cast.secret, "event": event, "id": webhook_id}
    ends = time.monotonic() + PATIENCE
    while time.monotonic() < ends:
        try:
            if stack.read.control(cast.billing_url, "POST", "send", body)["status"] == 202:
                return
        except requests.Timeout:
            continue
        time.sleep(0.1)
    raise AssertionError(f"{webhook_id} was never kept.")


@pytest.mark.req("T83-12")
def test_every_acknowledged_event_is_kept_once_though_the_web_server_dies(start: StackMaker) -> None:
    stack = start()
    ids = [f"msg_{number}" for number in range(150)]
    with ThreadPoolExecutor(4) as pool:
        sending = [pool.submit(post_until_kept, stack, webhook_id) for webhook_id in ids]
        for share in (0.2, 0.5, 0.8):
            while sum(future.done() for future in sending) < share * len(ids):
                time.sleep(0.01)
            stack.web.kill()
            stack.web.start()
        for future in sending:
            future.result()
    stack.wait_for_web()
    assert Counter(event["sender_id"] for event in stack.events(page_size="200")) == Counter(ids)
    stack.until("all of them looked at", lambda: not list(stack.events(status="received")))
