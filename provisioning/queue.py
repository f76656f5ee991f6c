"""The only door to django-q2: a job is a dotted path and one id, sent after commit.

The queue wakes workers and holds no truth: a job that is lost costs a delay until the next sweep, because
every row that is due says so itself (`next_check_at`, `next_attempt_at`).
"""

from __future__ import annotations

import structlog
from django.db import DatabaseError, transaction
from django_q.tasks import async_task

PROCESS_EVENT = "provisioning.inbox.tasks.process_event"
CHECK_DRIFT = "provisioning.reconcile.tasks.check_drift"
RECONCILE_SERVICE = "provisioning.reconcile.tasks.reconcile_service"
SEND_NOTIFICATION = "provisioning.notifications.tasks.send_notification"

log = structlog.get_logger(__name__)


def _broker_errors() -> tuple[type[Exception], ...]:
    try:
        from redis.exceptions import RedisError
    except ImportError:  # the extra `scale` is not installed: the broker is the database
        return (DatabaseError, OSError)
    return (DatabaseError, OSError, RedisError)


def _send(path: str, ident: int) -> None:
    try:
        # The group carries the request id, so that one id joins webhook, job and panel call (T83-41).
        async_task(path, ident, group=structlog.contextvars.get_contextvars().get("request_id"))
    except _broker_errors() as error:
        # What caused the job is committed; failing here would fail a request that has succeeded.
        log.warning("queue_unreachable", job=path, ident=ident, error=type(error).__name__)


def enqueue(path: str, ident: int) -> None:
    """Wakes a worker for this row once the present transaction is committed."""
    transaction.on_commit(lambda: _send(path, ident))
