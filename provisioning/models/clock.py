"""The database's clock as the source of `lib.clock`, so that no host's wrong clock decides on a lease."""

from __future__ import annotations

import time

from django.conf import settings
from django.db import connection

from provisioning.lib import clock


def _read_database_time() -> float:
    with connection.cursor() as cursor:
        cursor.execute("SELECT extract(epoch FROM clock_timestamp())")
        row = cursor.fetchone()
    return float(row[0])


def configure_clock() -> None:
    """Sets the clock once at start. On SQLite host and database share one clock, so none is asked for."""
    postgres = settings.DATABASES["default"]["ENGINE"].endswith("postgresql")
    source = clock.CalibratedSource(_read_database_time) if postgres else time.time
    clock.configure(
        source=source,
        offset=settings.CLOCK_OFFSET,
        scale=settings.CLOCK_SCALE,
        epoch=settings.CLOCK_EPOCH,
    )
