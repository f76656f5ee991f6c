"""How often to call, and when to try again: pure arithmetic, nothing sleeps or stores here.

The rate budget is a GCRA: its whole memory is one number, the *theoretical arrival time*, which the caller
keeps in a row and changes by conditional UPDATE, so that every host shares one budget per panel.
"""

import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

SHORTEST_WAIT, LONGEST_WAIT, DEFAULT_WAIT = 1.0, 3600.0, 60.0

# A Unix time in a double is exact to about a quarter of a microsecond.
_GRAIN = 1e-6
_SECONDS = re.compile(r"[0-9]{1,10}(?:\.[0-9]{1,6})?")


@dataclass(frozen=True, slots=True)
class Decision:
    """What became of a question for leave: `tat` is to be stored if granted, `wait` is in seconds if not."""

    tat: float | None
    wait: float

    @property
    def granted(self) -> bool:
        """True if the call may be made now."""
        return self.tat is not None


def decide(
    tat: float | None,
    now: float,
    *,
    rate_per_minute: float,
    burst: int,
    cost: int = 1,
    reserve: int = 0,
) -> Decision:
    """Decide whether `cost` calls may be made at `now` (Unix seconds), given the stored `tat`.

    `burst` calls fit at once into an idle budget; `reserve` of them are kept for more urgent work. Raises
    ValueError for a rate, burst or cost that could never grant anything.
    """
    if rate_per_minute <= 0 or burst < 1 or not 1 <= cost <= burst:
        raise ValueError("A rate budget needs a positive rate, a burst, and a cost that fits into it.")
    interval = 60 / rate_per_minute
    # A stored time further ahead than a full bucket can only come from a clock that was set back.
    start = min(max(tat if tat is not None else now, now), now + burst * interval)
    # Work that isn't urgent still gets through when the budget is idle.
    room = max(burst - reserve, cost) * interval
    wait = start + cost * interval - now - room
    return Decision(None, wait) if wait > _GRAIN else Decision(start + cost * interval, 0.0)


@dataclass(frozen=True, slots=True)
class Counted:
    """A panel's count of our calls, as far as we know it: Unix seconds of its first and its newest call."""

    started: float = 0.0
    last: float = 0.0
    calls: int = 0


def window_wait(count: Counted, now: float, *, edge: float, clear: float, silence: float, most: int) -> float:
    """Seconds until a call may be made that keeps a window from being prolonged with its count kept.

    Nobody calls from `edge` to `clear` after a window's first call: then the panel counts anew. Where that
    was missed, only `silence` seconds without a call are sure to end the count; until then `most` fit.
    """
    age, quiet = now - count.started, now - count.last
    if quiet >= silence or count.calls == 0:
        return 0.0
    if count.last - count.started >= edge:
        return silence - quiet if count.calls >= most else 0.0
    if age >= clear:
        return 0.0
    return clear - age if age >= edge or count.calls >= most else 0.0


def window_take(count: Counted, now: float, *, edge: float, clear: float, silence: float) -> Counted:
    """The count after a call at `now`."""
    kept_clear = count.last - count.started < edge and now - count.started >= clear
    if count.calls == 0 or now - count.last >= silence or kept_clear:
        return Counted(now, now, 1)
    return Counted(count.started, max(now, count.last), count.calls + 1)


def retry_after(value: str | None, now: datetime) -> float:
    """Seconds to wait according to a Retry-After header: kept within 1 s and 1 h, 60 s if unreadable (B6)."""
    text = (value or "").strip()
    seconds = float(text) if _SECONDS.fullmatch(text) else _seconds_until(text, now)
    return DEFAULT_WAIT if seconds is None else min(max(seconds, SHORTEST_WAIT), LONGEST_WAIT)


def _seconds_until(text: str, now: datetime) -> float | None:
    if not text or len(text) > 64:
        return None
    try:
        moment = parsedate_to_datetime(text)
        # "-0000" is read as a date without a zone; HTTP dates are always GMT.
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - now.timestamp()
    except (ValueError, OverflowError):
        return None


def backoff(attempt: int, *, base: float, cap: float, rng: Callable[[], float] = random.random) -> float:
    """Seconds before the next try after `attempt` failures: full jitter below a doubling ceiling.

    `rng` returns a number in [0, 1).
    """
    doublings = min(max(attempt, 1) - 1, 60)
    return min(cap, base * float(2**doublings)) * rng()
