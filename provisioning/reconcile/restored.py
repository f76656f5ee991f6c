"""Our own database restored from a backup is noticed, and nothing is changed until a person says so (B14).

A restored database believes in the past: it would delete what was brought back since, and make what is there
already. Inside it nothing shows that. So its newest *mark*, a moment that only grows, is also kept outside:
in a file of this host and, where there is one, in Redis. The mark is committed before it is copied, and the
outside is read before the database; so an outside mark that is newer than the database's own proves that
the database went back. A host without a mark proves nothing and stops nothing.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog
from django.conf import settings
from django.core.cache import cache
from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Coalesce

from provisioning import audit
from provisioning.choices import LIVE_OUTCOMES
from provisioning.exceptions import PanelWaiting
from provisioning.lib import clock
from provisioning.models import Installation, Operation, Service
from provisioning.notifications import staff_notify

WORDS = (
    "This database is older than what this installation has done: a backup was restored. Nothing is changed "
    "on any panel until staff have looked and press “Go on after the restore” on the installation's page."
)
MARK_EVERY = 10.0
"""Seconds between two marks of one process; what was done in the last of them leaves no mark."""

log = structlog.get_logger(__name__)
_kept: dict[str, float] = {}


def marks_keep(*, at_most_every: float = 0) -> None:
    """Sets a new mark in the database, then outside of it. Called by the sweep and by every busy worker."""
    if time.monotonic() - _kept.get("at", float("-inf")) < at_most_every:
        return
    _kept["at"] = time.monotonic()
    if restored():
        return
    row = _ours()
    if row is None:
        return
    # A database without a mark is a new one: whatever this folder knows of an older one is overtaken.
    mark = max(filter(None, [clock.now(), _outside() if row.marked_at is None else None]))
    older = Q(marked_at=None) | Q(marked_at__lt=mark)
    if Installation.objects.filter(older, pk=row.pk).update(marked_at=mark):
        _keep_outside(mark)


def restored() -> bool:
    """Whether the database went back behind what the outside knows; noted and told once when it is seen."""
    outside = _outside()
    # After the outside: between two reads the database only goes on.
    row = _ours()
    if row is None:
        return False
    if row.restored_at is None and outside and row.marked_at and outside > row.marked_at:
        _note(row, outside)
        return True
    return row.restored_at is not None


def restored_wait() -> None:
    """Lets a change of a panel pass, or parks it by PanelWaiting."""
    if restored():
        raise PanelWaiting(WORDS, reason="database_restored", seconds=settings.BACKOFF_CAP)


def restored_confirm(*, installation: Installation) -> None:
    """Staff have looked at what would be changed, and let the bridge go on. What waited is tried at once.

    The caller has made sure of a fresh second factor.
    """
    now = clock.now()
    with transaction.atomic():
        Installation.objects.filter(pk=installation.pk).update(restored_at=None)
        audit.record(
            service=None,
            action="installation.restored",
            message="The bridge goes on after a restore of its database: panels are changed again.",
        )
        waiting = Operation.objects.filter(outcome__in=LIVE_OUTCOMES, reason="database_restored")
        Service.objects.filter(pk__in=waiting.values("service")).update(next_check_at=now)
        waiting.update(next_attempt_at=now)


def _ours() -> Installation | None:
    """The installation's row; None in a copy that belongs to another one, which changes nothing anyway."""
    return Installation.objects.filter(installation_id=settings.INSTALLATION_ID).first()


def _note(row: Installation, outside: dt.datetime) -> None:
    with transaction.atomic():
        # The mark catches up: the note is what counts from here on, until staff take it away.
        noted = Installation.objects.filter(pk=row.pk, marked_at=row.marked_at).update(
            marked_at=outside, restored_at=Coalesce("restored_at", clock.now())
        )
        if not noted:
            return
        audit.record(service=None, action="installation.restored", message=WORDS)
        staff_notify(
            key=f"database_restored:{outside.isoformat()}",
            template="database_restored",
            context={"newest_at": outside.isoformat(), "database_at": str(row.marked_at or "")},
        )
    log.error("database_restored", database=str(row.marked_at), outside=str(outside))


# --- outside of the database ---------------------------------------------------------------------------


def mark_file() -> Path:
    """This host's copy of the newest mark."""
    return settings.VAR_DIR / "database.mark"


def _cache_key() -> str:
    return f"database-mark:{settings.INSTALLATION_ID}"


def _outside() -> dt.datetime | None:
    """The newest mark that this host or Redis knows."""
    texts = [_read_file(), _read_redis()]
    return max(filter(None, map(_moment, texts)), default=None)


def _read_file() -> str | None:
    try:
        return mark_file().read_text()
    except OSError:  # the first start on this host
        return None


def _read_redis() -> str | None:
    text: str | None = None
    if settings.REDIS_URL:
        with _redis_may_be_away():
            text = cache.get(_cache_key())
    return text


@contextmanager
def _redis_may_be_away() -> Iterator[None]:
    """The file alone is asked then, and nothing else stops for it."""
    from redis.exceptions import RedisError

    try:
        yield
    except RedisError as error:
        log.warning("mark_without_redis", error=type(error).__name__)


def _moment(text: str | None) -> dt.datetime | None:
    """Reads a mark. One that cannot be read, or is another installation's, proves nothing."""
    try:
        data = json.loads(text or "")
        moment = dt.datetime.fromisoformat(data["marked_at"])
        return moment if data["installation"] == settings.INSTALLATION_ID and moment.tzinfo else None
    except (ValueError, TypeError, KeyError):
        return None


def _keep_outside(mark: dt.datetime) -> None:
    text = json.dumps({"installation": settings.INSTALLATION_ID, "marked_at": mark.isoformat()})
    if settings.REDIS_URL:
        with _redis_may_be_away():
            cache.set(_cache_key(), text, timeout=None)
    path = mark_file()
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        fresh.write_text(text)
        fresh.replace(path)
    except OSError as error:
        log.warning("mark_not_kept", path=str(path), error=error.strerror)
