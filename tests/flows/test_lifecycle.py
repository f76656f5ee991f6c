"""From the signed webhook to the server and back, through every change, as billing and panel see it."""

from __future__ import annotations

import pytest

from tests.flows.conftest import StackMaker

pytestmark = pytest.mark.processes


@pytest.mark.req("T83-01", "CAL-01")
def test_an_order_lives_its_whole_life(start: StackMaker) -> None:
    stack = start(scale=4)
    for _ in range(2):
        stack.say("subscription.created")
    stack.until_served(["12345"])
    stack.say("payment.failed")
    stack.until("suspended", lambda: stack.status() == "suspended")
    stack.say("payment.succeeded")
    stack.until("running again", lambda: stack.status() is None)
    stack.say("subscription.updated", product_id="frost-knight")
    stack.until("4096 MiB", lambda: stack.servers("12345")[0]["limits"]["memory"] == 4096)
    stack.say("subscription.cancelled", status="cancelled")
    stack.until("suspended", lambda: stack.status() == "suspended")
    stack.until("deleted", lambda: not stack.servers("12345"))
    stack.until("told so", lambda: stack.read.service("12345")["observed_state"] == "absent")
    assert stack.creates() == 1
    statuses = [event["status"] for event in stack.events(subject="12345")]
    assert len(statuses) == 6
    assert set(statuses) <= {"processed", "stale"}
