"""Whom to kill: a queue cluster's processes by their role, in the shares of bar B2."""

from __future__ import annotations

import os
import random
from dataclasses import dataclass
from pathlib import Path

SHARES = {"worker": 70, "pusher": 7, "monitor": 7, "sentinel": 6, "group": 10}
"""Percent: workers 70, the three helpers 20 together, everything of the cluster at once 10."""
LAST_WORDS = {
    "idle": "worker",
    "processing": "worker",
    "pusher": "pusher",
    "monitor": "monitor",
}


@dataclass(frozen=True)
class Process:
    """One process of a cluster. `busy` is whether it has a job in hand."""

    pid: int
    parent: int
    title: str

    def role(self, main: int) -> str:
        """Its part in the cluster whose first process is *main*; the sentinel is told by its parent."""
        if self.pid == main:
            return "main"
        words = self.title.split()
        for word, role in LAST_WORDS.items():
            if word in words[2:]:
                return role
        return "sentinel" if self.parent == main else "starting"

    @property
    def busy(self) -> bool:
        """Whether its title says that it works on a job."""
        return " processing" in self.title


def members(group: int) -> list[Process]:
    """The living processes of one process group."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            process = _process(int(entry.name), group)
            if process:
                found.append(process)
    return found


def _process(pid: int, group: int) -> Process | None:
    try:
        if os.getpgid(pid) != group:
            return None
        title = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        # The name before the last bracket may hold anything; after it come state and parent.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:  # it ended while we looked
        return None
    return None if fields[0] == "Z" else Process(pid, int(fields[1]), title.strip())


def choose(chooser: random.Random, processes: list[Process], main: int) -> tuple[str, list[int]]:
    """A role by its share, and the pids to kill; no pids where nobody has that role just now.

    Of the workers a busy one is taken if there is one: killing the idle proves little.
    """
    role = chooser.choices(list(SHARES), list(SHARES.values()))[0]
    if role == "group":
        return role, [process.pid for process in processes]
    found = sorted((p for p in processes if p.role(main) == role), key=lambda p: (not p.busy, p.pid))
    busy = [process for process in found if process.busy] or found
    return role, [chooser.choice(busy).pid] if busy else []
