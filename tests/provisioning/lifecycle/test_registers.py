"""Registers keep the newest word on each aspect, whatever the order of arrival."""

from __future__ import annotations

import datetime as dt
import itertools
import json

import pytest

from provisioning.lifecycle.registers import MILDNESS, Stamp, failures_after, is_newer, written

T = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)


def hour(number: int) -> dt.datetime:
    """That hour of the day."""
    return T + dt.timedelta(hours=number)


ORDERED = [
    Stamp(T, 0, MILDNESS["cancelled"], "b"),
    Stamp(T, 0, MILDNESS["ending"], "a"),
    Stamp(T, 0, MILDNESS["pending"], "a"),
    Stamp(T, 0, MILDNESS["suspended"], "a"),
    Stamp(T, 0, MILDNESS["active"], "a"),
    Stamp(T, 0, MILDNESS["active"], "b"),
    Stamp(T, 1, MILDNESS["cancelled"], "a"),
    Stamp(hour(1), 0, MILDNESS["cancelled"], "a"),
]


def test_time_then_sequence_then_the_milder_step() -> None:
    assert sorted(ORDERED) == ORDERED
    assert len(set(ORDERED)) == len(ORDERED)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_the_newest_stays_in_any_order(order: tuple[int, ...]) -> None:
    kept: dict[str, object] = {}
    for index in order:
        if is_newer(kept, "status", ORDERED[index]):
            kept = written(kept, "status", ORDERED[index])
    assert kept == {"status": ORDERED[2].as_json()}


def test_a_stamp_survives_storage_and_is_not_newer_than_itself() -> None:
    for stamp in ORDERED:
        kept = json.loads(json.dumps(written({"product": [1]}, "status", stamp)))
        assert Stamp.from_json(kept["status"]) == stamp
        assert kept["product"] == [1]
        assert not is_newer(kept, "status", stamp)


@pytest.mark.parametrize("paid", [None, 0, 2, 9])
def test_failures_are_the_same_in_any_order(paid: int | None) -> None:
    paid_at = None if paid is None else hour(paid)
    ends = set()
    for order in itertools.permutations([1, 2, 2, 3]):
        failures: list[str] = []
        for number in order:
            failures = failures_after(failures, paid_at=None, failed_at=hour(number))
        ends.add(tuple(failures_after(failures, paid_at=paid_at, failed_at=None)))
    open_ones = [hour(number).isoformat() for number in (1, 2, 3) if paid is None or number > paid]
    assert ends == {tuple(open_ones)}


def test_the_oldest_failures_are_kept() -> None:
    failures = [hour(number).isoformat() for number in range(5)]
    assert failures_after(failures, paid_at=None, failed_at=hour(9), keep=3) == failures[:3]
