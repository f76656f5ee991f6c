"""Several connections at once draw from one grammar; each answer, and in the end the inbox, is judged."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tools.chaos import victims
from tools.hostile.front import Front
from tools.hostile.grammar import Grammar, Request, Talk
from tools.hostile.wire import Answer, Connection, Gone

CONNECTIONS = 6
MOST_GROWTH = 20.0
"""MiB that a worker may grow after the warm-up (bar B7)."""
WARM_UP = 0.2
"""The share of requests after which the memory is looked at first: caches and pools are full by then."""
EXAMPLES = 20


@dataclass
class Tally:
    """What was seen so far; shared by all connections."""

    sent: int = 0
    taken: int = 0
    server_errors: int = 0
    wrong: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)
    kept: dict[tuple[str, str], int] = field(default_factory=dict)
    looks: set[object] = field(default_factory=set)
    times: list[float] = field(default_factory=list)

    def judge(self, request: Request, answer: Answer | None) -> None:
        """Whether an answer is right, and what it promises."""
        self.sent += 1
        if answer is None:
            if not request.silent:
                self._wrong(request, "no answer")
            return
        self.server_errors += answer.status >= 500
        if answer.status not in request.statuses:
            self._wrong(request, f"{answer.status} {answer.body[:200]!r}")
        # A cookie is answered with another one, whatever else was wrong.
        if answer.status == 401 and b"\r\nCookie:" not in request.raw:
            self.looks.add(answer.looks)
        if answer.status == 202:
            self.taken += 1
            self._promise(request, answer)

    def _promise(self, request: Request, answer: Answer) -> None:
        if request.kept is None:
            return
        number = int(json.loads(answer.body)["event"])
        if self.kept.setdefault(request.kept, number) != number:
            self._wrong(request, "two events for one message")

    def _wrong(self, request: Request, words: str) -> None:
        self.wrong[request.kind] += 1
        if len(self.examples) < EXAMPLES:
            self.examples.append(f"{request.kind}: {words}\n    {request.raw[:600]!r}")


@dataclass(frozen=True)
class Result:
    """The JSON line. Growth is that of the worker that grew most, in MiB; times are in milliseconds."""

    events: int
    seed: int
    stack: str
    taken: int
    messages: int
    server_errors: int
    wrong_answers: int
    rows_missing: int
    rows_unproven: int
    rows_doubled: int
    refusals_look_alike: bool
    workers_ended: int
    growth_mib: float
    p99_ms: float
    seconds: int

    @property
    def good(self) -> bool:
        """Whether bar B7 holds."""
        answers = (self.server_errors, self.wrong_answers, self.workers_ended)
        rows = (self.rows_missing, self.rows_unproven, self.rows_doubled)
        return not any((*answers, *rows)) and self.refusals_look_alike and self.growth_mib < MOST_GROWTH

    def line(self) -> dict[str, object]:
        """As it is printed."""
        return asdict(self)


class Fire:
    """One run against a running front door."""

    def __init__(self, front: Front, seed: int, events: int) -> None:
        self.front, self.seed, self.events = front, seed, events
        self.tally, self.lock = Tally(), threading.Lock()
        self.talks = Grammar(seed, front.targets).talks()
        self.begun = 0
        self.memory: dict[int, float] = {}

    def run(self, stack: str) -> Result:
        """Sends everything, then compares the inbox with what was answered."""
        began = time.monotonic()
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            for sending in [pool.submit(self._send) for _ in range(CONNECTIONS)]:
                sending.result()
        return self._result(stack, time.monotonic() - began)

    # --- sending ---------------------------------------------------------------------------------------

    def _draw(self) -> Talk | None:
        with self.lock:
            if self.begun >= self.events:
                return None
            if not self.memory and self.begun >= WARM_UP * self.events:
                self.memory = self._memory()
            talk = next(self.talks)
            self.begun += len(talk)
            return talk

    def _send(self) -> None:
        with Connection(self.front.port) as connection:
            while (talk := self._draw()) is not None:
                self._talk(connection, talk)

    def _talk(self, connection: Connection, talk: Talk) -> None:
        """All of it at once, then the answers in turn. A connection that had closed meanwhile is no fault."""
        old = connection.open
        began = time.monotonic()
        connection.send(b"".join(request.raw for request in talk), last=talk[-1].half)
        answers = _answers(connection, talk)
        if old and answers[0] is None:
            began = time.monotonic()
            connection.send(b"".join(request.raw for request in talk), last=talk[-1].half)
            answers = _answers(connection, talk)
        if talk[-1].last:
            connection.close()
        with self.lock:
            self.tally.times.append((time.monotonic() - began) / len(talk))
            for request, answer in zip(talk, answers, strict=True):
                self.tally.judge(request, answer)

    # --- the end ---------------------------------------------------------------------------------------

    def _memory(self) -> dict[int, float]:
        """The resident memory of each worker in MiB."""
        main = self.front.web.pid
        return {p.pid: resident(p.pid) for p in victims.members(main) if p.pid != main}

    def _result(self, stack: str, seconds: float) -> Result:
        memory, tally = self._memory(), self.tally
        growth = [memory[pid] - before for pid, before in self.memory.items() if pid in memory]
        missing, unproven, doubled = self._compare()
        times = sorted(tally.times)
        return Result(
            events=tally.sent,
            seed=self.seed,
            stack=stack,
            taken=tally.taken,
            messages=len(tally.kept),
            server_errors=tally.server_errors,
            wrong_answers=tally.wrong.total(),
            rows_missing=missing,
            rows_unproven=unproven,
            rows_doubled=doubled,
            refusals_look_alike=len(tally.looks) == 1,
            workers_ended=len(self.memory.keys() - memory.keys()),
            growth_mib=round(max(growth, default=MOST_GROWTH), 1),
            p99_ms=round(1000 * times[int(len(times) * 0.99)], 1),
            seconds=round(seconds),
        )

    def _compare(self) -> tuple[int, int, int]:
        """Messages answered with 202 and not in the inbox; rows that nobody proved; rows twice."""
        rows = self.front.rows()
        # A script's message has no id of its own: its body is what tells it from others.
        scripts = {digest for ident, digest in self.tally.kept if not ident}
        found = Counter(("" if digest in scripts else ident, digest) for ident, digest in rows)
        doubled = sum(count - 1 for count in found.values())
        return len(self.tally.kept.keys() - found.keys()), len(found.keys() - self.tally.kept.keys()), doubled

    def words(self) -> list[str]:
        """Examples of wrong answers, and how the refusals differ if they do."""
        looks = [str(look) for look in self.tally.looks] if len(self.tally.looks) > 1 else []
        return [*self.tally.examples, *looks]


def _answers(connection: Connection, talk: Talk) -> list[Answer | None]:
    found: list[Answer | None] = []
    for request in talk:
        try:
            found.append(connection.receive(bodiless=request.bodiless))
        except (Gone, TimeoutError):
            connection.close()
            found.append(None)
    return found


def resident(pid: int) -> float:
    """A process's resident memory in MiB; 0 if it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024
