"""Sees when the workers hang, and starts them anew.

A worker that is killed from outside while it waits for its next job (by the kernel, for memory) can take the
lock of its cluster's own queue with it: django-q2 replaces the process, and the replacement never gets a job.
Nothing is lost by that, but nothing is done either. The workers' heartbeat tells: the sweep beats it each
minute.
"""

from __future__ import annotations

import time
from typing import Final

import structlog
from django.conf import settings
from django.db import DatabaseError, close_old_connections

from provisioning.lib import clock
from provisioning.management.supervisor import Supervisor
from provisioning.models import Heartbeat

LOOK_SECONDS: Final = 5.0

log = structlog.get_logger(__name__)


class Watch:
    """Restarts one child of a supervisor when its workers have not been seen for HEALTH_MAX_LAG_SECONDS."""

    def __init__(self, children: Supervisor, name: str) -> None:
        self.children = children
        self.name = name
        self.patient_since = time.monotonic()
        self.looked = float("-inf")

    def look(self) -> None:
        """Look at the heartbeat, at most each LOOK_SECONDS; a database that is away is no reason to act."""
        now = time.monotonic()
        if now - self.looked < LOOK_SECONDS:
            return
        self.looked = now
        try:
            hanging = self._hangs(now)
        except DatabaseError as error:
            log.warning("watch_without_database", error=type(error).__name__)
            close_old_connections()
            return
        if hanging:
            log.error("workers_hang", child=self.name, silent_for_more_than=settings.HEALTH_MAX_LAG_SECONDS)
            self.children.restart(self.name)
            self.patient_since = now

    def _hangs(self, now: float) -> bool:
        if now - self.patient_since < settings.HEALTH_MAX_LAG_SECONDS:
            return False
        beat = Heartbeat.objects.filter(name="worker").values_list("beat_at", flat=True).first()
        return beat is None or (clock.now() - beat).total_seconds() > settings.HEALTH_MAX_LAG_SECONDS
