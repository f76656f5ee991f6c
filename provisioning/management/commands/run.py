"""`manage.py run`: the whole bridge in one terminal, for one host without a process manager."""

from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError, connection

from provisioning.lib.redact import clean_line
from provisioning.management.stores import require_redis
from provisioning.management.supervisor import Supervisor, command_argv, require_free_port, web_argv
from provisioning.management.watch import Watch
from provisioning.stored_secrets import lost_keys

INTERRUPTED = 130
"""The exit code that shells expect of what Ctrl-C has ended."""


class Command(BaseCommand):
    """Prepares the database and the static files, then runs web server, queue workers and ticker."""

    help = "Run web server, queue workers and ticker in this terminal; Ctrl-C ends all of them."
    requires_system_checks = "__all__"

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Raises CommandError for Ctrl-C before all runs: during the checks, say, or the migrations."""
        try:
            return super().execute(*args, **options)
        except KeyboardInterrupt:
            words = "Interrupted before everything ran; nothing was left running."
            raise CommandError(words, returncode=INTERRUPTED) from None

    def handle(self, *args: Any, **options: Any) -> None:
        """Run until Ctrl-C.

        Raises CommandError if a process ends by itself, the port is taken, database or Redis do not answer
        or the stored secrets cannot be read.
        """
        require_free_port(int(settings.BIND.rpartition(":")[2]), variable="BIND")
        prepare()
        with Supervisor() as children:
            children.start("The web server", web_argv(settings.BIND))
            children.start("The queue worker", command_argv("work"))
            children.start("The ticker", command_argv("tick"))
            self.stdout.write(f"Running at {settings.PUBLIC_URL} ({settings.BIND}). Ctrl-C ends it.")
            self.stdout.flush()
            problem = children.wait(Watch(children, "The queue worker").look)
        if problem:
            raise CommandError(f"{problem} Everything else was stopped as well.")


def prepare() -> None:
    """Bring the database and the static files up to date. Raises CommandError where that makes no sense."""
    try:
        connection.ensure_connection()
        require_redis()
        call_command("migrate", verbosity=0)
    except OperationalError as error:
        raise CommandError(silent_database(connection.settings_dict, str(error))) from error
    if words := lost_keys():
        raise CommandError(words)
    call_command("collectstatic", interactive=False, verbosity=0)


def silent_database(config: dict[str, Any], reason: str) -> str:
    """The sentence about a database that cannot be used: the driver's reason, and never the password."""
    if config["ENGINE"].endswith("sqlite3"):
        return f"The database file {config['NAME']} cannot be used: {clean_line(reason)}."
    if password := config.get("PASSWORD"):
        reason = reason.replace(password, "***")
    place = f"{config.get('HOST') or 'localhost'}:{config.get('PORT') or 5432}"
    return f"The database at {place} does not answer: {clean_line(reason, limit=300)}"
