"""The clock: offset, scale, shifts, and time taken from the database."""

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from provisioning.lib import clock


@pytest.fixture(autouse=True)
def plain_clock() -> Iterator[None]:
    """Give each test the untouched clock, and the next one too."""
    clock.configure()
    clock.reset()
    yield
    clock.configure()
    clock.reset()


def test_now_is_aware_utc_and_follows_the_host() -> None:
    assert clock.now().tzinfo is UTC
    assert abs(clock.timestamp() - time.time()) < 1


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, 1000),
        ({"offset": 60}, 1060),
        ({"scale": 2}, 2000),
        ({"scale": 10, "epoch": 900}, 1900),
        ({"scale": 0.5, "epoch": 900, "offset": -5}, 945),
    ],
)
def test_offset_scale_and_epoch(settings: dict[str, float], expected: float) -> None:
    clock.configure(source=lambda: 1000.0, **settings)
    assert clock.now() == datetime.fromtimestamp(expected, UTC)


@pytest.mark.parametrize("scale", [0, -1])
def test_a_clock_that_stands_still_is_refused(scale: float) -> None:
    with pytest.raises(ValueError, match="more than 0"):
        clock.configure(scale=scale)


def test_shifts_add_up_and_reset_takes_them_back() -> None:
    clock.configure(source=lambda: 1000.0, scale=10, epoch=1000)
    clock.shift(60)
    clock.shift(-10)
    assert clock.timestamp() == 1050
    clock.reset()
    assert clock.timestamp() == 1000


class FakeTime:
    """Two clocks moved by hand: the other machine's, and the time passed here."""

    def __init__(self) -> None:
        self.theirs, self.ours, self.reads = 5000.0, 10.0, 0
        self.round_trip = 0.0

    def read(self) -> float:
        self.reads += 1
        self.ours += self.round_trip
        return self.theirs

    def source(self, every: float = 30) -> clock.CalibratedSource:
        return clock.CalibratedSource(self.read, every, elapsed=lambda: self.ours)


def test_the_other_clock_is_read_once_and_counted_on() -> None:
    fake = FakeTime()
    source = fake.source()
    assert source() == 5000
    fake.ours += 29
    assert source() == 5029
    assert fake.reads == 1


def test_the_other_clock_is_read_again_when_due() -> None:
    fake = FakeTime()
    source = fake.source()
    source()
    fake.ours += 30
    fake.theirs = 5100
    assert source() == 5100
    assert fake.reads == 2


def test_half_the_round_trip_is_added() -> None:
    fake = FakeTime()
    fake.round_trip = 4.0
    assert fake.source()() == 5002


def test_a_failed_read_is_passed_on_and_tried_again() -> None:
    answers: list[float] = []

    def read() -> float:
        if not answers:
            raise ConnectionError("database gone")
        return answers[0]

    source = clock.CalibratedSource(read, elapsed=lambda: 0.0)
    with pytest.raises(ConnectionError):
        source()
    answers.append(7.0)
    assert source() == 7


def test_many_threads_cause_one_read() -> None:
    reads: list[float] = []

    def read() -> float:
        time.sleep(0.01)
        reads.append(1.0)
        return 1.0

    source = clock.CalibratedSource(read)
    threads = [threading.Thread(target=source) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(reads) == 1
