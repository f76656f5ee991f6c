"""`manage.py work`: the queue workers of this host, started anew whenever they die or hang."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from provisioning.management.workers import Cluster


class Command(BaseCommand):
    """Runs until SIGTERM or SIGINT; `manage.py run` starts it, and so may a process manager."""

    help = "Run the queue workers: what dies or hangs is started anew within seconds."

    def handle(self, *args: Any, **options: Any) -> None:
        """Raises CommandError if the workers do not start at all, as when the database is away."""
        try:
            Cluster().run()
        except RuntimeError as error:
            raise CommandError(f"The queue workers did not start: {error}") from error
