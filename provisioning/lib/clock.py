"""The one clock of the project.

Every date that is stored or compared comes from `now()`. An offset and a scale let the demo and the tests
play days in seconds; a calibrated source lets several hosts agree on the database's time, so that a host
whose own clock is wrong neither steals nor outlives a lease.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

Source = Callable[[], float]


@dataclass(frozen=True, slots=True)
class _Settings:
    source: Source | None = None
    offset: float = 0.0
    scale: float = 1.0
    epoch: float = 0.0


class _State:
    settings = _Settings()
    shifted = 0.0


def configure(*, source: Source | None = None, offset: float = 0, scale: float = 1, epoch: float = 0) -> None:
    """Set how time passes: `scale` seconds for each real one since `epoch` (Unix seconds), plus `offset`.

    `source` returns real Unix seconds; without one the host's clock is read. Raises ValueError for a scale
    that would stop time or run it backwards.
    """
    if scale <= 0:
        raise ValueError("The clock's scale must be more than 0.")
    _State.settings = _Settings(source=source, offset=offset, scale=scale, epoch=epoch)


def timestamp() -> float:
    """Unix seconds on the project's clock."""
    settings = _State.settings
    # Looked up at each call, so that tools that replace time.time are seen.
    real = settings.source() if settings.source else time.time()
    return settings.epoch + (real - settings.epoch) * settings.scale + settings.offset + _State.shifted


def now() -> datetime:
    """The present moment, aware and in UTC."""
    return datetime.fromtimestamp(timestamp(), UTC)


def shift(seconds: float) -> None:
    """Move this process's clock by `seconds`, on top of earlier moves. Meant for tests."""
    _State.shifted += seconds


def reset() -> None:
    """Take back every `shift` of this process."""
    _State.shifted = 0.0


class CalibratedSource:
    """A source of time that asks another clock now and then and counts on by itself in between.

    `read` returns Unix seconds, usually the database's; whatever it raises is passed on. `every` is in
    seconds of real time.
    """

    def __init__(self, read: Source, every: float = 30, *, elapsed: Source = time.monotonic) -> None:
        self._read = read
        self._every = every
        self._elapsed = elapsed
        self._lock = threading.Lock()
        self._base: tuple[float, float] | None = None

    def __call__(self) -> float:
        """Unix seconds of the other clock."""
        with self._lock:
            before = self._elapsed()
            if self._base is None or before - self._base[1] >= self._every:
                # The answer is as old as half the round trip: without this a slow read would set us back.
                answer = self._read()
                self._base = (answer, (before + self._elapsed()) / 2)
            theirs, ours = self._base
            return theirs + self._elapsed() - ours
