"""Runs the stand-ins as a process: ``python -m provisioning.sandbox``, and behind ``manage.py sandbox``."""

import argparse
import os
import queue
import signal
import sys
from collections.abc import Callable

from provisioning.sandbox.base import PanelServer
from provisioning.sandbox.billing import BillingSandbox
from provisioning.sandbox.panels import PANELS


class PortTakenError(Exception):
    """A port can not be listened on; the text says which and what to do."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options; a port of 0 takes any free one."""
    parser.add_argument(
        "--panel", choices=tuple(PANELS), default="pterodactyl", help="which panel to imitate"
    )
    parser.add_argument("--panel-port", type=int, default=8901, help="port of the panel (default 8901)")
    parser.add_argument("--billing-port", type=int, default=8902, help="port of billing (default 8902)")
    for name, prefixes in (("application", "ptla_ or c7sp_"), ("client", "ptlc_")):
        variable = f"SANDBOX_{name.upper()}_KEY"
        text = f"a {prefixes} key of 48 characters (default: ${variable}, else one is made)"
        parser.add_argument(f"--{name}-key", default=os.environ.get(variable, ""), help=text)
    parser.add_argument("--install-seconds", type=float, default=2.0, help="how long an installation takes")
    parser.add_argument(
        "--rate-limit", type=int, help="calls in a rate window (default: the panel's own; 0: no limit)"
    )


def sandboxes(options: argparse.Namespace) -> tuple[PanelServer, BillingSandbox]:
    """The two stand-ins that the options describe, not started yet."""
    return PANELS[options.panel](options), BillingSandbox(port=options.billing_port)


def serve(options: argparse.Namespace, write: Callable[[str], object], wait: Callable[[], object]) -> None:
    """Run both until ``wait`` returns. Raises PortTakenError where a port is in use.

    Keys are printed only where they were made here: ones that were passed in are known already.
    """
    panel, billing = sandboxes(options)
    try:
        _start(panel, options.panel_port)
        _start(billing, options.billing_port)
        write(f"Sandbox panel at {panel.url}, sandbox billing at {billing.url}. Ctrl-C ends both.")
        for name, key in panel.keys.items():
            if key not in (options.application_key, options.client_key):
                write(f"{name} key: {key}")
        wait()
    finally:
        panel.stop()
        billing.stop()


def _start(sandbox: PanelServer | BillingSandbox, port: int) -> None:
    try:
        sandbox.start()
    except OSError as error:
        raise PortTakenError(
            f"Port {port} can not be used ({error.strerror}). Choose another one."
        ) from error


def ending_signal() -> Callable[[], object]:
    """Waits, when called, until Ctrl-C or SIGTERM came; from now on they do nothing else.

    A handler may interrupt itself: an Event would then wait for its own lock, a SimpleQueue does not.
    """
    came: queue.SimpleQueue[int] = queue.SimpleQueue()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: came.put(number))
    return came.get


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m provisioning.sandbox", description=__doc__)
    add_arguments(parser)
    options = parser.parse_args(arguments)
    try:
        serve(options, _say, ending_signal())
    except PortTakenError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0
