"""`manage.py demo`: the whole product in one terminal, playing its main job against a sandbox panel."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

import requests
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser

from provisioning.checks import CHECK_TAG
from provisioning.management.demo.environment import (
    STAGE,
    demo_dir,
    demo_environment,
    demo_lock,
    private_write,
)
from provisioning.management.demo.panels import PANELS
from provisioning.management.demo.reading import Reader, StepFailed
from provisioning.management.demo.rows import Cast, cast_make
from provisioning.management.demo.story import Story
from provisioning.management.supervisor import Supervisor, command_argv, require_free_port, web_argv

WEB_PATIENCE = 60
INTERRUPTED = 130
"""The exit code that shells expect of what Ctrl-C has ended."""
PORTS = {"web": 8900, "panel": 8901, "billing": 8902}
MOST_PORTS = 65_535


class Command(BaseCommand):
    """Sets up, starts web server, worker, ticker and sandbox, plays the story, and keeps serving."""

    help = "Plays the main job on this machine, on loopback ports, with a sandbox panel. Ctrl-C ends it."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """--once ends after the story; each port can be chosen."""
        parser.add_argument("--once", action="store_true", help="end after the story; exit 0 if all held")
        parser.add_argument(
            "--panel", choices=sorted(PANELS), default="pterodactyl", help="the kind of panel to play on"
        )
        for name, port in PORTS.items():
            words = f"default {port}, or what {name.upper()}_PORT says"
            parser.add_argument(f"--{name}-port", type=int, help=words)

    def handle(self, *args: Any, **options: Any) -> None:
        """First makes the environment and runs itself again with it; then plays."""
        ports = chosen_ports(options)
        if STAGE not in os.environ:
            self._begin(ports, options["panel"])
        self._play(ports, options["panel"], once=options["once"])

    def _begin(self, ports: dict[str, int], kind: str) -> None:
        for name, port in ports.items():
            require_free_port(port, variable=f"{name.upper()}_PORT")
        try:
            demo_lock()
        except BlockingIOError as error:
            raise CommandError("A demo runs in this folder already. End it with Ctrl-C first.") from error
        environment = {
            **os.environ,
            **demo_environment(**ports, key_start=PANELS[kind].key_start),
            STAGE: "1",
        }
        # Settings are read once per process: the keys just made need a new one.
        os.execve(sys.executable, [sys.executable, *sys.argv], environment)  # noqa: S606

    def _play(self, ports: dict[str, int], kind: str, *, once: bool) -> None:
        # Settings that the demo does not make itself may be wrong; its children would end with a log each.
        self.check(tags=[CHECK_TAG])
        call_command("migrate", verbosity=0)
        try:
            with Supervisor(grace=20) as children:
                self._start_sandbox(children, ports, kind)
                cast = cast_make(panel_port=ports["panel"], billing_port=ports["billing"], kind=kind)
                private_write(demo_dir() / "admin.json", json.dumps(self._sign_in(cast)))
                problem = self._perform(children, cast, ports, once=once)
        except KeyboardInterrupt:
            raise CommandError("Interrupted; everything was stopped.", returncode=INTERRUPTED) from None
        if problem:
            raise CommandError(f"{problem} Everything else was stopped as well.")

    def _perform(self, children: Supervisor, cast: Cast, ports: dict[str, int], *, once: bool) -> str:
        """Starts, plays, and serves until a signal; returns what ended by itself."""
        self._start(children)
        self._wait_for(children, "The web server", f"{settings.PUBLIC_URL}/livez")
        self._greet(cast, ports)
        failed = self._tell(cast)
        if once:
            if failed:
                raise CommandError(f"{failed} The processes' logs are in {demo_dir() / 'log'}.")
            return ""
        self._farewell(cast)
        return children.wait()

    def _start_sandbox(self, children: Supervisor, ports: dict[str, int], kind: str) -> None:
        """First of all: the products' ids are the panel's own."""
        sandbox = command_argv(
            "sandbox",
            f"--panel={kind}",
            f"--panel-port={ports['panel']}",
            f"--billing-port={ports['billing']}",
            "--install-seconds=1.5",
        )
        children.start("The sandbox", sandbox, log=demo_dir().resolve() / "log" / "sandbox.log")
        self._wait_for(children, "The sandbox", f"http://127.0.0.1:{ports['panel']}/_sandbox/state")

    def _start(self, children: Supervisor) -> None:
        log = demo_dir().resolve() / "log"
        children.start("The web server", web_argv(settings.BIND), log=log / "web.log")
        children.start("The queue worker", command_argv("work"), log=log / "worker.log")
        children.start("The ticker", command_argv("tick"), log=log / "tick.log")

    def _wait_for(self, children: Supervisor, what: str, address: str) -> None:
        ends = time.monotonic() + WEB_PATIENCE
        while time.monotonic() < ends:
            if dead := children.dead():
                raise CommandError(f"{dead} Its log is in {demo_dir() / 'log'}.")
            try:
                if requests.get(address, timeout=2).status_code == 200:
                    return
            except requests.RequestException:
                time.sleep(0.1)
        raise CommandError(f"{what} did not start within {WEB_PATIENCE} s; see {demo_dir() / 'log'}.")

    def _tell(self, cast: Cast) -> str:
        """Plays the steps, one line each; returns what failed."""
        story = Story(Reader(cast, settings.PUBLIC_URL))
        begun = time.monotonic()
        for number, (title, step) in enumerate(story.steps(), 1):
            started = time.monotonic()
            self._line("", f"{number}. {title}")
            try:
                for line in step():
                    self._line("✓", line, time.monotonic() - started)
            except (StepFailed, requests.RequestException) as error:
                self._line("✗", str(error), time.monotonic() - started)
                return f"Step {number} ({title}) was not confirmed: {error}"
        self._line("", f"All {number} steps confirmed in {time.monotonic() - begun:.1f} s.")
        return ""

    def _line(self, tick: str, text: str, seconds: float | None = None) -> None:
        elapsed = f"{seconds:6.1f} s" if seconds is not None else " " * 8
        style = (
            self.style.ERROR if tick == "✗" else self.style.SUCCESS if tick else self.style.MIGRATE_HEADING
        )
        self.stdout.write(f"{elapsed}  {style(f'{tick} {text}'.strip())}")
        self.stdout.flush()

    def _greet(self, cast: Cast, ports: dict[str, int]) -> None:
        self._line("", f"billingbridge at {settings.PUBLIC_URL}, sandbox panel at {cast.panel_url}")

    @staticmethod
    def _sign_in(cast: Cast) -> dict[str, Any]:
        return {
            "url": f"{settings.PUBLIC_URL}/admin/",
            "user": "admin",
            "password": cast.admin_password,
            "codes": list(cast.admin_codes),
        }

    def _farewell(self, cast: Cast) -> None:
        self.stdout.write(
            f"\nLook around: {settings.PUBLIC_URL}/admin/   user admin   password {cast.admin_password}\n"
            f"One-time codes (each works once): {'  '.join(cast.admin_codes)}\n"
            f"The panel as it is: {cast.panel_url}/   billing: {cast.billing_url}/\n"
            f"Mails that went out: {demo_dir() / 'mail'}\n"
            "Ctrl-C ends everything."
        )
        self.stdout.flush()


def chosen_ports(options: dict[str, Any]) -> dict[str, int]:
    """The ports of the options, else of the environment, else the usual ones. Raises CommandError."""
    found = {name: _port(name, options[f"{name}_port"]) for name in PORTS}
    if wrong := [f"{name.upper()}_PORT" for name, port in found.items() if not 0 < port <= MOST_PORTS]:
        raise CommandError(f"{' and '.join(wrong)}: not a port. Write a whole number from 1 to {MOST_PORTS}.")
    return found


def _port(name: str, option: int | None) -> int:
    """The port, or 0 for what is no number."""
    if option is not None:
        return option
    text = os.environ.get(f"{name.upper()}_PORT", "").strip()
    return int(text) if text.isascii() and text.isdigit() else 0 if text else PORTS[name]
