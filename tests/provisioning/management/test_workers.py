"""The queue workers outlive the death of any of their processes, and whoever hangs is found."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django_q import cluster
from django_q.signals import post_execute, pre_execute

from provisioning.management import workers
from provisioning.management.workers import JOB_SECONDS, STILL_SECONDS, Cluster, Queue, Sentinel, Signs

FORK = multiprocessing.get_context("fork")


def soon(look: Callable[[], object], within: float = 5) -> bool:
    deadline = time.monotonic() + within
    while not look() and time.monotonic() < deadline:
        time.sleep(0.01)
    return bool(look())


def echo(source: Queue, target: Queue) -> None:
    for item in iter(source.get, "STOP"):
        target.put(item)


def reader(source: Queue, target: Queue) -> BaseProcess:
    process = FORK.Process(target=echo, args=(source, target), daemon=True)
    process.start()
    return process


@pytest.mark.req("T83-10")
def test_who_is_killed_while_waiting_takes_no_lock_along() -> None:
    source, target = Queue(), Queue()
    waiting = [reader(source, target) for _ in range(3)]
    source.put(1)
    assert target.get() == 1
    time.sleep(0.1)  # who was too late to read it waits again
    for process in waiting:
        process.kill()
        process.join()
    last = reader(source, target)
    source.put(2)
    assert soon(lambda: target.waiting)
    assert target.get() == 2
    source.put("STOP")
    last.join(5)
    assert last.exitcode == 0
    assert (source.waiting, target.waiting) == (0, 0)


# --- the sentinel's look -------------------------------------------------------------------------------


@dataclass
class Line:
    """A queue, as far as the sentinel looks at it."""

    waiting: int = 0


@dataclass
class Worker:
    """A process, as far as the sentinel looks at it."""

    busy: float = -1
    killed: bool = False
    timer: Any = field(init=False)

    def __post_init__(self) -> None:
        self.timer = SimpleNamespace(get_obj=lambda: SimpleNamespace(value=self.busy))

    def kill(self) -> None:
        self.killed = True


class GaveUp(Exception):
    """Instead of the process's end."""


@pytest.fixture
def sentinel(monkeypatch: pytest.MonkeyPatch) -> Any:
    def end(code: int) -> None:
        raise GaveUp(code)

    monkeypatch.setattr(os, "_exit", end)
    made: Any = Sentinel.__new__(Sentinel)
    made.signs = Signs()
    made.task_queue, made.result_queue = Line(), Line()
    made.pool = [Worker(), Worker()]
    made.monitor, made.pusher = Worker(), Worker()
    for sign in (made.signs.begun, made.signs.saved):
        sign.value = 1000
    made._look(1000)
    return made


@pytest.mark.parametrize(
    ("jobs", "results", "busy", "seconds", "hangs"),
    [
        (1, 0, -1, JOB_SECONDS + 1, True),
        (1, 0, -1, JOB_SECONDS - 1, False),
        (1, 0, 30, JOB_SECONDS + 1, False),
        (0, 0, -1, STILL_SECONDS + 1, False),
        (0, 1, -1, STILL_SECONDS + 1, True),
        (0, 1, 30, STILL_SECONDS + 1, True),
        (0, 1, -1, STILL_SECONDS - 1, False),
    ],
)
def test_it_gives_up_when_nobody_can_go_on(
    sentinel: Any, jobs: int, results: int, busy: float, seconds: float, hangs: bool
) -> None:
    sentinel.task_queue.waiting, sentinel.result_queue.waiting = jobs, results
    sentinel.pool[0].busy = busy
    everybody = [*sentinel.pool, sentinel.monitor, sentinel.pusher]
    if hangs:
        with pytest.raises(GaveUp):
            sentinel._look(1000 + seconds)
    else:
        sentinel._look(1000 + seconds)
    assert {process.killed for process in everybody} == {hangs}


def test_it_looks_at_each_turn_of_its_guard(monkeypatch: pytest.MonkeyPatch, sentinel: Any) -> None:
    looks: list[float] = []
    monkeypatch.setattr(Sentinel, "_look", lambda self, now: looks.append(now))
    monkeypatch.setattr(cluster.Sentinel, "status", lambda self: "Idle")
    assert sentinel.status() == "Idle"
    assert looks == [sentinel.signs.turned.value]


@pytest.mark.parametrize(("queue", "sign"), [("task_queue", "begun"), ("result_queue", "saved")])
def test_whatever_goes_on_is_patiently_watched(sentinel: Any, queue: str, sign: str) -> None:
    getattr(sentinel, queue).waiting = 1
    getattr(sentinel.signs, sign).value = 1100
    sentinel._look(1101)
    getattr(sentinel, queue).waiting = 0
    sentinel._look(1200)
    getattr(sentinel, queue).waiting = 1
    sentinel._look(1201)


@pytest.mark.parametrize("breaks", [False, True])
def test_below_the_main_process_nobody_hears_sigterm_and_nobody_is_left(
    monkeypatch: pytest.MonkeyPatch, sentinel: Any, breaks: bool
) -> None:
    heard: list[Any] = []

    def guard(self: Any) -> None:
        heard.append(signal.getsignal(signal.SIGTERM))
        if breaks:
            raise GaveUp

    monkeypatch.setattr(cluster.Sentinel, "start", guard)
    before = signal.getsignal(signal.SIGTERM)
    try:
        with pytest.raises(GaveUp) if breaks else nullcontext():
            sentinel.start()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert heard == [signal.SIG_IGN]
    assert all(process.killed for process in (*sentinel.pool, sentinel.monitor, sentinel.pusher))


def test_a_worker_that_hangs_can_still_be_ended(monkeypatch: pytest.MonkeyPatch, sentinel: Any) -> None:
    monkeypatch.setattr(cluster.Sentinel, "spawn_process", lambda self, *args: Worker())
    process = sentinel.spawn_process(None)
    process.terminate()
    assert process.killed


def test_workers_and_monitor_leave_signs() -> None:
    signs = Signs()
    signs.begun.value = signs.saved.value = 0
    signs.connect()
    pre_execute.send(sender="django_q", func=None, task={})
    assert (signs.begun.value > 0, signs.saved.value) == (True, 0)
    post_execute.send(sender="django_q", task={})
    assert signs.saved.value > 0


# --- the main process ----------------------------------------------------------------------------------


class Guarded(Cluster):
    """A main process whose sentinel is a sleeping child."""

    def __init__(self, starts: int) -> None:
        self.sentinel: Any = None
        self.ending, self.signs = False, Signs()
        self.begun: list[int] = []
        self.starts = starts

    def start(self) -> int:
        if self.starts == len(self.begun):
            self.ending = True
            return 0
        self.sentinel = FORK.Process(target=time.sleep, args=(60,), daemon=True)
        self.sentinel.start()
        self.begun.append(self.sentinel.pid)
        self.trouble()
        return 0

    def trouble(self) -> None:
        os.kill(self.sentinel.pid, signal.SIGKILL)


class Still(Guarded):
    """Its sentinel lives and does nothing."""

    def trouble(self) -> None:
        self.signs.turned.value -= STILL_SECONDS + 1


@pytest.mark.parametrize("kind", [Guarded, Still])
def test_a_dead_or_still_sentinel_is_started_anew(
    monkeypatch: pytest.MonkeyPatch, kind: type[Guarded]
) -> None:
    monkeypatch.setattr(workers, "LOOK_SECONDS", 0.05)
    made = kind(starts=2)
    made.run()
    assert len(made.begun) == 2
    assert not made.sentinel.is_alive()


@pytest.mark.parametrize(("exitcode", "again"), [(1, False), (-9, True)])
def test_a_first_start_is_tried_again_where_it_was_killed(
    monkeypatch: pytest.MonkeyPatch, exitcode: int, again: bool
) -> None:
    made = Guarded(starts=0)
    made.sentinel = SimpleNamespace(exitcode=exitcode, is_alive=lambda: False)
    away = iter([True, False])

    def start() -> int:
        if next(away):
            raise RuntimeError("away")
        made.ending = True
        return 0

    monkeypatch.setattr(made, "start", start)
    if not again:
        with pytest.raises(RuntimeError):
            made.run()
    else:
        made.run()
    assert made.ending == again


def test_a_later_start_that_fails_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Guarded(starts=0)
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    away = iter([True, False])

    def start() -> int:
        if next(away):
            raise RuntimeError("away")
        return 0

    monkeypatch.setattr(made, "start", start)
    made._start_again()
    assert pauses == [workers.START_SECONDS]


def test_a_signal_before_the_start_only_ends() -> None:
    made = Guarded(starts=1)
    made.sig_handler(signal.SIGTERM, None)
    made._start_again()
    assert (made.ending, made.begun) == (True, [])


def test_the_handler_only_notes_a_signal_that_may_interrupt_the_handler_itself() -> None:
    class Told(Guarded):
        stops: ClassVar[list[bool]] = []

        def start(self) -> int:
            self.sentinel = SimpleNamespace(is_alive=lambda: True, join=self._signals)
            return 0

        def _signals(self, timeout: float | None = None) -> None:
            for _ in range(2):
                self.sig_handler(signal.SIGTERM, None)
            assert self.stops == [], "what sets an event waits for ever for the lock of what it interrupted"

        def stop(self) -> bool:
            self.stops.append(True)
            return True

    Told(starts=1).run()
    assert Told.stops == [True]


def test_the_command_says_that_the_workers_do_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing:
        def run(self) -> None:
            raise RuntimeError("sentinel exited with code 1")

    monkeypatch.setattr("provisioning.management.commands.work.Cluster", Failing)
    with pytest.raises(CommandError, match="did not start: sentinel exited"):
        call_command("work", skip_checks=True)
