"""Stopped and started under load: nothing is lost, nobody sees an error, all end within their grace (B20)."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

import pytest

from tests.flows.conftest import StackMaker
from tests.flows.load import Load
from tests.flows.stack import GRACE, Part
from tests.flows.test_rotation import manage

pytestmark = [pytest.mark.processes, pytest.mark.slow]


def to_main(part: Part) -> None:
    """As a terminal's supervisor does."""
    part.end()


def to_all(part: Part) -> None:
    """As a process manager does that tells every process of a service at once."""
    os.killpg(part.pid, signal.SIGTERM)


@pytest.mark.timeout(200)
@pytest.mark.req("T83-10", "T83-12")
@pytest.mark.parametrize("tell", [to_main, to_all])
def test_a_stop_under_load_loses_nothing_and_shows_no_error(
    start: StackMaker, tell: Callable[[Part], None]
) -> None:
    stack = start()
    stack.read.panel_control("POST", "settings", {"unique_external_ids": False})
    engine = [stack.web, *stack.clusters, *stack.tickers]
    with Load(stack, order_each=5) as load:
        load.pass_by()
        stack.arm("slow", seconds=2)
        stack.until("the create under way", stack.create_under_way)
        began = time.monotonic()
        for part in engine:
            tell(part)
        stack.until("all of them ended", lambda: all(part.ended for part in engine), patience=GRACE)
        assert time.monotonic() - began < GRACE
        assert [part.ended for part in engine if "(exit code 0)" not in part.ended] == []
        for part in engine:
            part.stop()
            part.start()
        stack.wait_for_web()
        load.pass_by()
    load.check()
    stack.until_served(load.orders)
    assert stack.creates() == len(load.orders)


@pytest.mark.timeout(200)
def test_migrating_disturbs_nobody_who_works(start: StackMaker) -> None:
    stack = start()
    with Load(stack, order_each=5) as load:
        load.pass_by()
        for _ in range(2):
            assert "No migrations to apply" in manage(stack, "migrate")
        load.pass_by()
    load.check()
    stack.until_served(load.orders)
    assert not any(part.ended for part in stack.parts)
