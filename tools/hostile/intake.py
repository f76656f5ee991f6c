"""Load on the front door, deaths of its processes, and copies of the database as a power cut leaves it."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tools.chaos import victims
from tools.hostile.front import Front
from tools.hostile.grammar import assemble, sign
from tools.hostile.wire import Answer, Connection, Gone

SENDERS = 4
SHARES = {"worker": 70, "master": 20, "group": 10}
"""Percent: one worker, the master alone, everything at once."""
GAP = (0.05, 0.6)
"""Seconds of load before a kill, and before a power cut."""
PAUSE = 0.05
"""Seconds between two tries of a sender that found nobody."""
STILL_SECONDS = 5.0
DATABASE = "billingbridge.sqlite3"


@dataclass
class Log:
    """What the senders saw: each id tried, each answered with 2xx, and every other answer."""

    tried: int = 0
    taken: set[str] = field(default_factory=set)
    others: Counter[int] = field(default_factory=Counter)
    gone: int = 0
    stop: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True)
class Result:
    """The JSON line. `retries` are answers that never came, or said 503: the sender sent again."""

    kills: int
    cuts: int
    seed: int
    stack: str
    acknowledged: int
    retries: int
    server_errors: int
    lost: int
    doubled: int
    lost_in_cuts: int
    damaged_copies: int
    seconds: int

    @property
    def good(self) -> bool:
        """Whether bar B9 holds."""
        bad = (self.lost, self.doubled, self.lost_in_cuts, self.damaged_copies, self.server_errors)
        return self.acknowledged > 0 and not any(bad)

    def line(self) -> dict[str, object]:
        """As it is printed."""
        return asdict(self)


class Intake:
    """One run: senders without a pause, and one kill after the other."""

    def __init__(self, front: Front, seed: int, kills: int) -> None:
        self.front, self.seed, self.kills = front, seed, kills
        self.chooser = random.Random(seed)  # noqa: S311 - repeatable on purpose
        self.log = Log()
        self.killed: Counter[str] = Counter()
        self.cuts = self.lost_in_cuts = self.damaged = 0

    def run(self, stack: str) -> Result:
        """Plays it to the end; then every id that was answered with 2xx has to be there once."""
        began = time.monotonic()
        senders = [threading.Thread(target=self._send, args=(number,)) for number in range(SENDERS)]
        for sender in senders:
            sender.start()
        try:
            for _ in range(self.kills):
                self._one(cuts=stack == "sqlite")
        finally:
            self.log.stop.set()
            for sender in senders:
                sender.join()
        rows = Counter(ident for ident, _ in self.front.rows())
        return Result(
            kills=self.killed.total(),
            cuts=self.cuts,
            seed=self.seed,
            stack=stack,
            acknowledged=len(self.log.taken),
            retries=self.log.gone + self.log.others[503],
            server_errors=sum(n for status, n in self.log.others.items() if status != 503),
            lost=len(self.log.taken - rows.keys()),
            doubled=sum(count - 1 for count in rows.values()),
            lost_in_cuts=self.lost_in_cuts,
            damaged_copies=self.damaged,
            seconds=round(time.monotonic() - began),
        )

    def words(self) -> list[str]:
        """How many of each kind died, and the answers that were no 202."""
        return [f"Killed: {dict(self.killed)}; other answers: {dict(self.log.others)}."]

    # --- senders ---------------------------------------------------------------------------------------

    def _send(self, sender: int) -> None:
        """As a billing system does: the same id again until it is taken."""
        number = 0
        with Connection(self.front.port) as connection:
            while not self.log.stop.is_set():
                number += 1
                ident = f"msg_{self.seed}_{sender}_{number}"
                while not self.log.stop.is_set() and not self._try(connection, ident):
                    time.sleep(PAUSE)

    def _try(self, connection: Connection, ident: str) -> bool:
        self.log.tried += 1
        try:
            connection.send(self._message(ident))
            answer: Answer = connection.receive()
        except (OSError, Gone):
            connection.close()
            self.log.gone += 1
            return False
        if answer.status == 202:
            self.log.taken.add(ident)
            return True
        self.log.others[answer.status] += 1
        return False

    def _message(self, ident: str) -> bytes:
        body = json.dumps({"event": "note.added", "subscription_id": ident}).encode()
        moment = str(int(time.time()))
        signature = sign(self.front.targets.secret("standard"), ident, moment, body)
        names = ("webhook-id", "webhook-timestamp", "webhook-signature", "Content-Length")
        headers = list(zip(names, (ident, moment, signature, str(len(body))), strict=True))
        return assemble(self.front.targets.path("standard"), headers, body)

    # --- deaths ----------------------------------------------------------------------------------------

    def _one(self, *, cuts: bool) -> None:
        """A power cut that is only looked at, then a real death; the next begins when somebody answers."""
        if cuts:
            time.sleep(self.chooser.uniform(*GAP))
            self._cut()
        time.sleep(self.chooser.uniform(*GAP))
        (role,) = self.chooser.choices(list(SHARES), list(SHARES.values()))
        self._kill(role)
        self.killed[role] += 1
        before = len(self.log.taken)
        self.front.wait()
        self._until_taken(before)

    def _kill(self, role: str) -> None:
        web = self.front.web
        workers = sorted(p.pid for p in victims.members(web.pid) if p.pid != web.pid)
        if role == "worker" and workers:
            with suppress(ProcessLookupError):
                os.kill(self.chooser.choice(workers), signal.SIGKILL)
            return
        if role == "master":
            os.kill(web.pid, signal.SIGKILL)
            # For this long the workers go on without it, as they would until a process manager looks.
            time.sleep(self.chooser.uniform(0, 0.3))
        web.kill()
        web.start()

    def _until_taken(self, before: int) -> None:
        ends = time.monotonic() + STILL_SECONDS
        while len(self.log.taken) <= before + SENDERS and time.monotonic() < ends:
            time.sleep(0.01)

    # --- power cuts ------------------------------------------------------------------------------------

    def _cut(self) -> None:
        """Stops everybody, copies the two files, and reads in the copy what was answered before."""
        copy = self.front.folder / "cut"
        shutil.rmtree(copy, ignore_errors=True)
        copy.mkdir()
        with _standing_still(self.front.web.pid):
            # Answers that are on their way count too: they were sent.
            time.sleep(PAUSE)
            answered = set(self.log.taken)
            for name in (DATABASE, f"{DATABASE}-wal"):
                with suppress(FileNotFoundError):
                    shutil.copy(self.front.folder / name, copy / name)
        self.cuts += 1
        self._judge(copy / DATABASE, answered)

    def _judge(self, copy: Path, answered: set[str]) -> None:
        with closing(sqlite3.connect(copy)) as connection:
            try:
                sound = connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
                rows = Counter(
                    row[0] for row in connection.execute("SELECT sender_id FROM provisioning_event")
                )
            except sqlite3.DatabaseError:
                sound, rows = False, Counter()
        self.damaged += not sound
        self.lost_in_cuts += sum(rows[ident] != 1 for ident in answered)


@contextmanager
def _standing_still(group: int) -> Iterator[None]:
    """Every process of the group is stopped inside the block: no thread of any of them runs."""
    os.killpg(group, signal.SIGSTOP)
    try:
        ends = time.monotonic() + STILL_SECONDS
        while not all(map(_stopped, victims.members(group))):
            if time.monotonic() > ends:
                raise TimeoutError("The web server did not stand still.")
            time.sleep(0.002)
        yield
    finally:
        os.killpg(group, signal.SIGCONT)


def _stopped(process: victims.Process) -> bool:
    try:
        states = [
            (task / "stat").read_text().rpartition(")")[2].split()[0]
            for task in Path(f"/proc/{process.pid}/task").iterdir()
        ]
    except OSError:  # it ended while we looked
        return True
    return all(state in "TtZX" for state in states)
