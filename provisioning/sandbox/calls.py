"""The log of calls to the imitated API: what tests count and the page shows."""

import re
import threading
from collections import Counter, deque
from dataclasses import dataclass

KEPT = 5000


@dataclass(frozen=True)
class CallRecord:
    """One call; ``pattern`` is the route's, ``status`` 0: no answer, ``note`` names a fault."""

    at: float
    method: str
    path: str
    pattern: str
    status: int
    note: str = ""


class CallLog:
    """The last calls and a counter by method and path pattern; control and page requests are not in it."""

    def __init__(self) -> None:
        self.entries: deque[CallRecord] = deque(maxlen=KEPT)
        self.counter: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return sum(number for *_, number in self.counts())

    def add(self, record: CallRecord) -> None:
        """Keep one call."""
        with self._lock:
            self.entries.append(record)
            self.counter[record.method, record.pattern] += 1

    def count(self, method: str = "", path: str = "") -> int:
        """How many of the kept calls match both regular expressions (searched; empty matches all)."""
        return sum(1 for e in self.kept() if re.search(method, e.method) and re.search(path, e.path))

    def kept(self) -> list[CallRecord]:
        """The last calls, while others may be coming in."""
        with self._lock:
            return list(self.entries)

    def counts(self) -> list[tuple[str, str, int]]:
        """Method, path pattern and number of all calls, also of those that are no longer kept."""
        with self._lock:
            return [(method, pattern, number) for (method, pattern), number in self.counter.items()]

    def clear(self) -> None:
        """Forget everything, to count from here."""
        with self._lock:
            self.entries.clear()
            self.counter.clear()
