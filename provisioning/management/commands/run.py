"""`manage.py run`: the whole bridge in one terminal, for one host without a process manager."""

from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from provisioning.management.supervisor import Supervisor, command_argv, require_free_port, web_argv
from provisioning.management.watch import Watch


class Command(BaseCommand):
    """Prepares the database and the static files, then runs web server, queue workers and ticker."""

    help = "Run web server, queue workers and ticker in this terminal; Ctrl-C ends all of them."
    requires_system_checks = "__all__"

    def handle(self, *args: Any, **options: Any) -> None:
        """Run until Ctrl-C; raises CommandError if a process ends by itself or the port is taken."""
        port = settings.BIND.rpartition(":")[2]
        if not port.isdigit():
            raise CommandError("BIND must end in a port, such as 127.0.0.1:8000.")
        require_free_port(int(port), variable="BIND")
        call_command("migrate", verbosity=0)
        call_command("collectstatic", interactive=False, verbosity=0)
        with Supervisor() as children:
            children.start("The web server", web_argv(settings.BIND))
            children.start("The queue worker", command_argv("qcluster"))
            children.start("The ticker", command_argv("tick"))
            self.stdout.write(f"Running at {settings.PUBLIC_URL} ({settings.BIND}). Ctrl-C ends it.")
            problem = children.wait(Watch(children, "The queue worker").look)
        if problem:
            raise CommandError(f"{problem} Everything else was stopped as well.")
