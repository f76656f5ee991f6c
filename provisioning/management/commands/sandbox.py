"""``manage.py sandbox``: the stand-ins for panel and billing, for the demo."""

import argparse
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from provisioning.sandbox.command import PortTakenError, add_arguments, ending_signal, serve


class Command(BaseCommand):
    """Runs until Ctrl-C or SIGTERM; see docs/sandbox.md."""

    help = "Run a stand-in for a panel and a small billing sender, on loopback ports."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """The sandbox's own options."""
        add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Serve. Raises CommandError where a port is taken."""
        try:
            serve(argparse.Namespace(**options), self._write, ending_signal())
        except PortTakenError as error:
            raise CommandError(str(error)) from error

    def _write(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()
