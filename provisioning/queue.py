"""The only door to django-q2: a job is a dotted path and one id, sent after commit.

The queue wakes workers and holds no truth: a job that is lost costs a delay until the next sweep, because
every row that is due says so itself (`next_check_at`, `next_attempt_at`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

import structlog
from django.conf import settings
from django.db import DatabaseError, connections, transaction
from django.utils.module_loading import import_string
from django_q.brokers import get_broker
from django_q.tasks import async_task

PROCESS_EVENT = "provisioning.inbox.tasks.process_event"
PROCESS_EVENTS = "provisioning.inbox.tasks.process_events"
CHECK_DRIFT = "provisioning.reconcile.tasks.check_drift"
CHECK_LATER = "provisioning.reconcile.tasks.check_later"
FOLLOW_PRODUCT = "provisioning.reconcile.tasks.follow_product"
READ_LISTS = "provisioning.reconcile.tasks.read_lists"
RECONCILE_SERVICE = "provisioning.reconcile.tasks.reconcile_service"
TRY_PRODUCT = "provisioning.reconcile.tasks.try_product"
SEND_NOTIFICATION = "provisioning.notifications.tasks.send_notification"
WAITING_PER_WORKER = 20
"""Wake-ups of the sweep that may wait for each worker of a host: about a second's work."""

log = structlog.get_logger(__name__)


def _broker_errors() -> tuple[type[Exception], ...]:
    try:
        from redis.exceptions import RedisError
    except ImportError:  # the extra `scale` is not installed: the broker is the database
        return (DatabaseError, OSError)
    return (DatabaseError, OSError, RedisError)


@lru_cache(maxsize=1)
def _broker() -> Any:
    # Left to itself, django-q2 opens a connection to Redis for each job.
    return get_broker()


def _send(path: str, ident: int) -> None:
    try:
        # The group carries the request id, so that one id joins webhook, job and panel call (T83-41).
        group = structlog.contextvars.get_contextvars().get("request_id")
        async_task(path, ident, group=group, broker=_broker())
    except _broker_errors() as error:
        # What caused the job is committed; failing here would fail a request that has succeeded.
        log.warning("queue_unreachable", job=path, ident=ident, error=type(error).__name__)


def room() -> int:
    """How many more wake-ups the sweep may send now; none while the broker is away.

    What waits longer than until the next sweep is woken once more. Without a bound a queue that has fallen
    behind would fill with copies, and the workers would read copies instead of catching up.
    """
    try:
        waiting = int(_broker().queue_size())
    except _broker_errors() as error:
        log.warning("queue_unreachable", error=type(error).__name__)
        return 0
    return max(0, WAITING_PER_WORKER * int(settings.Q_CLUSTER["workers"]) - waiting)


_ahead: ContextVar[list[int] | None] = ContextVar("ahead", default=None)
"""Services that the present job goes on with after its own work; None where no job does that."""


@contextmanager
def going_on() -> Iterator[None]:
    """A job that wakes one service reconciles it itself, right after the block: a paid order queues once.

    Further services that it wakes are queued as always.
    """
    ahead: list[int] = []
    token = _ahead.set(ahead)
    try:
        yield
    finally:
        _ahead.reset(token)
    for ident in ahead:
        import_string(RECONCILE_SERVICE)(ident)


def _wake(path: str, ident: int) -> None:
    ahead = _ahead.get()
    if ahead is not None and not ahead and path == RECONCILE_SERVICE:
        ahead.append(ident)
    elif ahead != [ident] or path != RECONCILE_SERVICE:
        _send(path, ident)


def enqueue(path: str, ident: int) -> None:
    """Wakes a worker for this row once the present transaction is committed."""
    transaction.on_commit(lambda: _wake(path, ident))


class Bell:
    """Wakes a worker for the first of many events at once, and for all that follow within a moment together.

    The job takes every event that waits, so a crowd of webhooks costs a few jobs, not one each. A process
    that is killed in that moment leaves its last events to the sweep, as with any lost job.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rung = float("-inf")
        self._covered = False

    def ring(self, ident: int) -> None:
        """An event is committed; ids that come while a wake-up is on its way are covered by it."""
        with self._lock:
            if self._covered:
                return
            now = time.monotonic()
            left = self._rung + settings.WAKE_PAUSE_SECONDS - now
            if left > 0:
                self._covered = True
                # Not a daemon: a web server that ends in good order sends its last wake-up first.
                threading.Timer(left, self._ring_late, (ident,)).start()
                return
            self._rung = now
        _send(PROCESS_EVENTS, ident)

    def _ring_late(self, ident: int) -> None:
        with self._lock:
            # Before the job is sent: what is committed from here on rings again.
            self._rung, self._covered = time.monotonic(), False
        try:
            _send(PROCESS_EVENTS, ident)
        finally:
            connections.close_all()


_bell = Bell()


def enqueue_event(ident: int) -> None:
    """Has this event and all others that wait processed, once the present transaction is committed."""
    transaction.on_commit(lambda: _bell.ring(ident))
