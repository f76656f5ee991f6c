"""`manage.py tick`: the ticker. Each second it wakes workers for what is due; one of several leads."""

from __future__ import annotations

import os
import signal
import socket
import time
from typing import Any

import structlog
from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import InterfaceError, OperationalError, close_old_connections

from provisioning.reconcile.heartbeats import leadership_claim, leadership_resign
from provisioning.reconcile.schedules import schedules_sync, sweep_all, sweep_due

log = structlog.get_logger(__name__)


class Command(BaseCommand):
    """Runs until SIGTERM or SIGINT."""

    help = "Wakes workers for whatever is due. Run one on each host; one of them leads at a time."

    def handle(self, *args: Any, **options: Any) -> None:
        """Loops; a database that is away for a moment only delays the next tick."""
        self.stopping = False
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, self._stop)
        self.holder = f"{socket.gethostname()}:{os.getpid()}"
        self.last_sweep = float("-inf")
        schedules_sync()
        while not self.stopping:
            started = time.monotonic()
            self._tick()
            time.sleep(max(0.05, settings.TICK_SECONDS - (time.monotonic() - started)))
        leadership_resign(name="tick", holder=self.holder)

    def _stop(self, *_: Any) -> None:
        self.stopping = True

    def _tick(self) -> None:
        try:
            if not leadership_claim(
                name="tick", holder=self.holder, seconds=max(5, 5 * settings.TICK_SECONDS)
            ):
                return
            if time.monotonic() - self.last_sweep >= settings.SWEEP_SECONDS:
                self.last_sweep = time.monotonic()
                sweep_all()
            else:
                sweep_due()
        except (OperationalError, InterfaceError) as error:
            log.warning("tick_without_database", error=str(error)[:200])
            close_old_connections()
