"""Windows that a late call prolongs: no rhythm of ours is ever banned (Calagopus, section 2.6)."""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import Any

import pytest

from provisioning.drivers.calagopus.driver import CalagopusDriver
from provisioning.lib.ratelimit import Counted, window_take, window_wait
from provisioning.sandbox.calagopus.errors import PanelError
from provisioning.sandbox.calagopus.throttle import Throttle

RULE = CalagopusDriver.rate_window
HOUR = 3600.0


class Caller:
    """A caller that asks before each call, and the panel's own counter behind it."""

    def __init__(self, *, redis: bool) -> None:
        self.now = 1_000_000.0
        self.count = Counted()
        self.made = 0
        world: Any = SimpleNamespace(
            settings=SimpleNamespace(rate_limit=360, rate_redis=redis), time=lambda: self.now
        )
        self.throttle = Throttle(world)

    def wait(self) -> float:
        """Seconds until it may call."""
        assert RULE
        return window_wait(
            self.count, self.now, edge=RULE.edge, clear=RULE.clear, silence=RULE.silence, most=RULE.calls
        )

    def call(self) -> None:
        """One call as soon as it may be made. Raises PanelError for a 429."""
        assert RULE
        self.now += self.wait()
        assert self.wait() == 0
        self.throttle.hit("bridge")
        self.count = window_take(self.count, self.now, edge=RULE.edge, clear=RULE.clear, silence=RULE.silence)
        self.made += 1


@pytest.mark.parametrize("redis", [False, True], ids=["memory", "redis"])
@pytest.mark.parametrize("every", [0.0, 0.1, 0.37, 1.0, 2.4, 5.0, 13.9, 29.0])
def test_no_steady_rhythm_is_ever_banned(every: float, redis: bool) -> None:
    caller = Caller(redis=redis)
    while caller.now < 1_000_000 + HOUR:
        caller.call()
        caller.now += every
    # Silence costs little: at most four seconds a window, and what no window has room for.
    assert caller.made >= min(HOUR / every if every else 10**9, 300 * HOUR / 31) * 0.8


@pytest.mark.parametrize("redis", [False, True], ids=["memory", "redis"])
def test_bursts_are_not_banned_either(redis: bool) -> None:
    caller = Caller(redis=redis)
    for pause in itertools.islice(itertools.cycle([0.01, 0.01, 40, 0.5, 12, 26.5, 0.2, 3]), 4000):
        caller.call()
        caller.now += pause


def test_without_the_silence_a_steady_caller_is_banned() -> None:
    """The counter behind these tests is the real one's: it bans who never rests."""
    caller = Caller(redis=True)
    for _ in range(359):
        caller.throttle.hit("bridge")
        caller.now += 0.5
    with pytest.raises(PanelError):
        caller.throttle.hit("bridge")


def test_nobody_calls_at_the_end_of_a_window() -> None:
    assert RULE
    caller = Caller(redis=True)
    caller.call()
    caller.now += 26.9
    assert caller.wait() == 0
    caller.now += 0.2
    assert caller.wait() == pytest.approx(3.9)
    caller.now += 3.9
    caller.call()
    assert caller.count == Counted(caller.now, caller.now, 1)


def test_a_window_whose_end_was_missed_needs_a_long_silence() -> None:
    assert RULE
    missed = Counted(started=0.0, last=29.0, calls=RULE.calls)
    rule = {"edge": RULE.edge, "clear": RULE.clear, "silence": RULE.silence}
    assert window_wait(missed, 30.0, most=RULE.calls, **rule) == pytest.approx(31.0)
    assert window_wait(missed, 61.0, most=RULE.calls, **rule) == 0
    assert window_take(missed, 61.0, **rule) == Counted(61.0, 61.0, 1)
    few = Counted(started=0.0, last=29.0, calls=10)
    assert window_wait(few, 35.0, most=RULE.calls, **rule) == 0
    assert window_take(few, 35.0, **rule) == Counted(0.0, 35.0, 11)


def test_a_full_window_waits_for_its_end() -> None:
    assert RULE
    full = Counted(started=0.0, last=10.0, calls=RULE.calls)
    rule = {"edge": RULE.edge, "clear": RULE.clear, "silence": RULE.silence}
    assert window_wait(full, 11.0, most=RULE.calls, **rule) == pytest.approx(20.0)
