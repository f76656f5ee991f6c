"""The rate budget, Retry-After and backoff: bars B6 and E."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning.lib.ratelimit import backoff, decide, retry_after

NOW = datetime(2026, 11, 20, 12, 0, 0, tzinfo=UTC)
START = NOW.timestamp()


def granted_times(gaps: Sequence[float], *, rate: float, burst: int, reserve: int = 0) -> list[float]:
    """Ask after each gap (seconds) and return when leave was given."""
    tat: float | None = None
    now, times = START, []
    for gap in gaps:
        now += gap
        decision = decide(tat, now, rate_per_minute=rate, burst=burst, reserve=reserve)
        if decision.granted:
            tat = decision.tat
            times.append(now)
    return times


@given(
    st.lists(st.floats(0, 5), max_size=200),
    st.floats(1, 600),
    st.integers(1, 40),
    st.integers(0, 50),
)
def test_no_minute_sees_more_than_rate_and_burst(
    gaps: list[float], rate: float, burst: int, reserve: int
) -> None:
    times = granted_times(gaps, rate=rate, burst=burst, reserve=reserve)
    for first in times:
        assert len([time for time in times if first <= time < first + 60]) <= rate + burst + 1e-3


@given(st.integers(1, 300), st.integers(1, 20), st.integers(1, 20))
def test_waiting_as_told_is_enough(rate: int, burst: int, cost: int) -> None:
    cost = min(cost, burst)
    tat: float | None = None
    now = START
    for _ in range(30):
        decision = decide(tat, now, rate_per_minute=rate, burst=burst, cost=cost)
        if not decision.granted:
            now += decision.wait
            decision = decide(tat, now, rate_per_minute=rate, burst=burst, cost=cost)
        assert decision.granted
        tat = decision.tat


def test_an_idle_budget_gives_its_burst_and_then_the_rate() -> None:
    assert len(granted_times([0] * 20, rate=60, burst=5)) == 5
    assert len(granted_times([0] * 5 + [1] * 10, rate=60, burst=5)) == 15


def test_a_refusal_tells_how_long_and_stores_nothing() -> None:
    decision = decide(START + 5, START, rate_per_minute=60, burst=5)
    assert (decision.granted, decision.tat) == (False, None)
    assert decision.wait == pytest.approx(1)


def test_reserved_room_is_kept_for_urgent_work() -> None:
    assert len(granted_times([0] * 20, rate=60, burst=10, reserve=4)) == 6
    assert decide(START + 6, START, rate_per_minute=60, burst=10).granted
    assert not decide(START + 6, START, rate_per_minute=60, burst=10, reserve=4).granted


def test_a_reserve_larger_than_the_burst_does_not_starve_the_rest() -> None:
    assert len(granted_times([0] * 20, rate=60, burst=3, reserve=9)) == 1


def test_a_clock_set_back_costs_no_more_than_one_bucket() -> None:
    assert decide(START + 86_400, START, rate_per_minute=60, burst=5).wait == pytest.approx(1)


@pytest.mark.parametrize(
    "bad", [{"rate_per_minute": 0}, {"burst": 0}, {"cost": 0}, {"cost": 6}, {"rate_per_minute": -1}]
)
def test_budgets_that_grant_nothing_are_refused(bad: dict[str, int]) -> None:
    settings = {"rate_per_minute": 60, "burst": 5, "cost": 1} | bad
    with pytest.raises(ValueError, match="budget"):
        decide(None, START, **settings)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("30", 30),
        (" 30 ", 30),
        ("1.5", 1.5),
        ("0", 1),
        ("3600", 3600),
        ("86400", 3600),
        ("Fri, 20 Nov 2026 12:02:00 GMT", 120),
        ("Fri, 20 Nov 2026 12:02:00 -0000", 120),
        ("Fri, 20 Nov 2026 11:00:00 GMT", 1),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 3600),
        (None, 60),
        ("", 60),
        ("soon", 60),
        ("-5", 60),
        ("nan", 60),
        ("1e400", 60),
        ("9" * 5000, 60),
        ("٣٠", 60),
        ("Fri, 30 Feb 2026 12:00:00 GMT", 60),
        ("Fri, 20 Nov 2026 99:99:99 +9999", 60),
    ],
)
def test_retry_after_is_kept_sane(value: str | None, expected: float) -> None:
    assert retry_after(value, NOW) == expected


@pytest.mark.parametrize(("attempt", "ceiling"), [(0, 5), (1, 5), (2, 10), (3, 20), (7, 300), (10_000, 300)])
def test_backoff_doubles_up_to_the_cap(attempt: int, ceiling: float) -> None:
    assert backoff(attempt, base=5, cap=300, rng=lambda: 0.5) == ceiling / 2


def test_backoff_spreads_over_the_whole_range() -> None:
    rng = random.Random(7)
    waits = [backoff(3, base=5, cap=300, rng=rng.random) for _ in range(500)]
    assert min(waits) < 2
    assert 18 < max(waits) < 20
