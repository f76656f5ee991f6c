"""Runs the stand-ins as a process: ``python -m provisioning.sandbox``, and behind ``manage.py sandbox``."""

import argparse
import os
import signal
import sys
import threading
from collections.abc import Callable

from provisioning.sandbox.billing import BillingSandbox
from provisioning.sandbox.server import PanelSandbox
from provisioning.sandbox.world import InstallPolicy, Settings

APPLICATION_LIMIT, CLIENT_LIMIT = 240, 720


class PortTakenError(Exception):
    """A port can not be listened on; the text says which and what to do."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options; a port of 0 takes any free one."""
    parser.add_argument("--panel-port", type=int, default=8901, help="port of the panel (default 8901)")
    parser.add_argument("--billing-port", type=int, default=8902, help="port of billing (default 8902)")
    for name, prefix in (("application", "ptla_"), ("client", "ptlc_")):
        variable = f"SANDBOX_{name.upper()}_KEY"
        text = f"a {prefix} key of 48 characters (default: ${variable}, else one is made)"
        parser.add_argument(f"--{name}-key", default=os.environ.get(variable, ""), help=text)
    parser.add_argument("--install-seconds", type=float, default=2.0, help="how long an installation takes")
    parser.add_argument(
        "--rate-limit", type=int, default=APPLICATION_LIMIT, help="calls a minute (default 240; 0: no limit)"
    )


def sandboxes(options: argparse.Namespace) -> tuple[PanelSandbox, BillingSandbox]:
    """The two stand-ins that the options describe, not started yet."""
    settings = Settings(
        application_limit=options.rate_limit or None,
        client_limit=CLIENT_LIMIT if options.rate_limit else None,
        installs=InstallPolicy(delay=options.install_seconds),
    )
    panel = PanelSandbox(
        port=options.panel_port,
        settings=settings,
        application_key=options.application_key,
        client_key=options.client_key,
    )
    return panel, BillingSandbox(port=options.billing_port)


def serve(options: argparse.Namespace, write: Callable[[str], object], ended: threading.Event) -> None:
    """Run both until ``ended`` is set. Raises PortTakenError where a port is in use.

    Keys are printed only where they were made here: ones that were passed in are known already.
    """
    panel, billing = sandboxes(options)
    try:
        _start(panel, options.panel_port)
        _start(billing, options.billing_port)
        write(f"Sandbox panel at {panel.url}, sandbox billing at {billing.url}. Ctrl-C ends both.")
        if not options.application_key:
            write(f"Application key: {panel.application_key}")
        if not options.client_key:
            write(f"Client key: {panel.client_key}")
        ended.wait()
    finally:
        panel.stop()
        billing.stop()


def _start(sandbox: PanelSandbox | BillingSandbox, port: int) -> None:
    try:
        sandbox.start()
    except OSError as error:
        raise PortTakenError(
            f"Port {port} can not be used ({error.strerror}). Choose another one."
        ) from error


def end_on_signals() -> threading.Event:
    """An event that Ctrl-C and SIGTERM set."""
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    return ended


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m provisioning.sandbox", description=__doc__)
    add_arguments(parser)
    options = parser.parse_args(arguments)
    try:
        serve(options, _say, end_on_signals())
    except PortTakenError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0
