"""What every imitated panel stands on: a clock that can jump, a lock, switches, the log of calls."""

import copy
import random
import secrets
import threading
import time
import uuid as uuids
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar

from provisioning.sandbox.calls import CallLog


@dataclass
class InstallPolicy:
    """How installs end: after ``delay`` seconds with ``success`` or ``fail``, or ``never``."""

    delay: float = 0.0
    outcome: str = "success"


class BaseWorld:
    """Clock, lock, call log and tables of one panel; the tables' class is the panel's own affair."""

    switches: ClassVar[tuple[str, ...]] = ()
    """The settings that the control API may change."""
    state: Any
    settings: Any

    def __init__(self) -> None:
        self.calls = CallLog()
        self.lock = threading.Lock()
        self.random = random.Random()
        self._offset = 0.0

    def time(self) -> float:
        """World time in seconds since the epoch: the host's clock plus what was skipped by advance()."""
        return time.time() + self._offset

    def now(self) -> datetime:
        """World time as the panel stores it, cut to whole seconds."""
        return datetime.fromtimestamp(int(self.time()), tz=UTC)

    def advance(self, seconds: float) -> None:
        """Let world time jump forward, so that nobody has to wait for installs and rate windows."""
        self._offset += seconds

    def pause(self, seconds: float) -> None:
        """Sleep without holding the lock, as a panel that waits for its daemon lets others in."""
        self.lock.release()
        try:
            time.sleep(seconds)
        finally:
            self.lock.acquire()

    def snapshot(self) -> Any:
        """A copy of every table."""
        return copy.deepcopy(self.state)


def new_uuid() -> str:
    """A random uuid as text."""
    return str(uuids.uuid4())


def random_text(length: int) -> str:
    """So many random hexadecimal digits."""
    return secrets.token_hex(length)[:length]
