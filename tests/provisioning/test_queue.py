"""The door to the queue: what a job goes on with itself, and one connection for all jobs."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
from django.db import transaction
from pytest_django import Settings

from provisioning import queue

pytestmark = pytest.mark.django_db
Capture = Callable[..., AbstractContextManager[Any]]


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """What was queued, and what was done at once, in order."""
    seen: list[tuple[str, int]] = []
    monkeypatch.setattr(queue, "_send", lambda path, ident: seen.append((path, ident)))
    monkeypatch.setattr(
        "provisioning.reconcile.tasks.reconcile_service", lambda ident: seen.append(("at once", ident))
    )
    return seen


def wake(capture: Capture, *wanted: tuple[str, int]) -> None:
    """As a job's transaction does it, and commits."""
    with capture(execute=True):
        for path, ident in wanted:
            queue.enqueue(path, ident)


def test_a_job_goes_on_with_the_first_service_that_it_wakes(
    done: list[tuple[str, int]], django_capture_on_commit_callbacks: Capture
) -> None:
    service, mail = (queue.RECONCILE_SERVICE, 7), (queue.SEND_NOTIFICATION, 3)
    other = (queue.RECONCILE_SERVICE, 8)
    with queue.going_on():
        wake(django_capture_on_commit_callbacks, mail, service, other, service)
        assert done == [mail, other]
    assert done == [mail, other, ("at once", 7)]


def test_outside_of_such_a_job_everything_is_queued(
    done: list[tuple[str, int]], django_capture_on_commit_callbacks: Capture
) -> None:
    with queue.going_on():
        pass
    wake(django_capture_on_commit_callbacks, (queue.RECONCILE_SERVICE, 7))
    assert done == [(queue.RECONCILE_SERVICE, 7)]


def test_a_job_that_fails_goes_on_with_nothing(
    done: list[tuple[str, int]], django_capture_on_commit_callbacks: Capture
) -> None:
    def job() -> None:
        with queue.going_on():
            wake(django_capture_on_commit_callbacks, (queue.RECONCILE_SERVICE, 7))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        job()
    assert done == []


def test_all_jobs_share_one_connection_to_the_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    brokers: list[Any] = []
    monkeypatch.setattr(queue, "async_task", lambda *_, broker, **__: brokers.append(broker))
    queue._send(queue.PROCESS_EVENT, 1)
    queue._send(queue.PROCESS_EVENT, 2)
    assert brokers[0] is brokers[1]


class Broker:
    """A broker with so many waiting jobs, or one that is away."""

    def __init__(self, waiting: int | OSError) -> None:
        self.waiting = waiting

    def queue_size(self) -> int:
        if isinstance(self.waiting, OSError):
            raise self.waiting
        return self.waiting


@pytest.mark.parametrize(("waiting", "room"), [(0, 60), (59, 1), (60, 0), (5000, 0), (OSError("away"), 0)])
def test_the_sweep_is_told_how_much_room_there_is(
    monkeypatch: pytest.MonkeyPatch, settings: Settings, waiting: int | OSError, room: int
) -> None:
    settings.Q_CLUSTER = {"workers": 3}
    monkeypatch.setattr(queue, "_broker", lambda: Broker(waiting))
    assert queue.room() == room


@pytest.fixture
def rung(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> list[int]:
    """The events that a worker was woken for, in order."""
    settings.WAKE_PAUSE_SECONDS = 0.05
    seen: list[int] = []
    monkeypatch.setattr(queue, "_send", lambda path, ident: seen.append(ident))
    return seen


def wait_for(fact: Callable[[], bool]) -> None:
    """Raises AssertionError if it has not come true within two seconds."""
    ends = time.monotonic() + 2
    while not fact():
        assert time.monotonic() < ends, "It did not happen."
        time.sleep(0.005)


def test_many_events_wake_one_worker_at_once_and_one_more_together(rung: list[int]) -> None:
    bell = queue.Bell()
    for ident in range(1, 30):
        bell.ring(ident)
    assert rung == [1]
    wait_for(lambda: len(rung) > 1)
    assert rung == [1, 2]
    # That one was late: the next moment begins with it.
    bell.ring(30)
    assert rung == [1, 2]
    wait_for(lambda: len(rung) > 2)
    assert rung == [1, 2, 30]


def test_an_event_after_a_quiet_moment_wakes_at_once(rung: list[int], settings: Settings) -> None:
    bell = queue.Bell()
    bell.ring(1)
    time.sleep(settings.WAKE_PAUSE_SECONDS)
    bell.ring(2)
    assert rung == [1, 2]


def test_an_event_that_is_rolled_back_wakes_nobody(
    rung: list[int], django_capture_on_commit_callbacks: Capture
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        with transaction.atomic():
            queue.enqueue_event(1)
            transaction.set_rollback(True)
        queue.enqueue_event(2)
        assert rung == []
    assert rung == [2]
