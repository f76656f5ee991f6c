"""A sandbox panel as a whole, whatever it imitates: API, faults, control API and page on one port.

What differs between panels is one subclass each (``server.py``, ``calagopus/server.py``): its tables, its
API, how it says no, and what its page and its control API show.
"""

import math
import threading
import time
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, Protocol

from provisioning.sandbox.calls import CallLog, CallRecord
from provisioning.sandbox.control import Control
from provisioning.sandbox.core import BaseWorld
from provisioning.sandbox.daemon import Behaviour, Mode
from provisioning.sandbox.faults import Faults, Refusal
from provisioning.sandbox.http import HttpServer, Request, Response, Served
from provisioning.sandbox.page import Table, panel_page


class Throttled(Protocol):
    """A rate limiter that can be used up and emptied by command."""

    def exhaust(self) -> None:
        """Use up every window."""

    def reset(self) -> None:
        """Begin new windows."""


class Imitation(Protocol):
    """A panel's API as functions of a request."""

    @property
    def refusals(self) -> Mapping[str, Refusal]:
        """How it says no where a fault asks for it."""

    @property
    def throttle(self) -> Throttled:
        """Its rate limiter."""

    def handle(self, request: Request, state: Any = None) -> Response:
        """Answer a request; ``state`` replaces the newest one for a stale read."""

    def pattern(self, request: Request) -> str:
        """The route pattern for the call log."""

    def run_due(self) -> None:
        """Let happen what was to happen by now; the world's lock is held."""


class PanelServer(Served):
    """The parts that every imitated panel has; a subclass makes its world and its API."""

    title: str
    """What it stands in for, with its version."""
    world: BaseWorld
    panel: Imitation
    application_key: str
    client_key: str

    def __init__(self, world: BaseWorld, panel: Imitation, port: int) -> None:
        self.world = world
        self.panel = panel
        self.faults = Faults(world, panel.refusals)
        self.control = Control(self)
        self.server = HttpServer(self.answer, port)

    @property
    def calls(self) -> CallLog:
        """The log of API calls."""
        return self.world.calls

    @property
    def settings(self) -> Any:
        """The switches."""
        return self.world.settings

    @property
    def switches(self) -> tuple[str, ...]:
        """Which settings the control API may change."""
        return self.world.switches

    @property
    def throttle(self) -> Throttled:
        """The panel's rate limiter."""
        return self.panel.throttle

    @property
    @abstractmethod
    def keys(self) -> Mapping[str, str]:
        """The panel's keys by what people call them."""

    def is_api(self, path: str) -> bool:
        """Whether a path belongs to the imitated panel; a browser's favicon must use up no fault."""
        return path.startswith("/api/")

    def answer(self, request: Request) -> Response:
        """Page, control API or panel."""
        if request.path == "/":
            return Response.of_html(panel_page(self, live="live" in request.query))
        if request.path.startswith("/_sandbox"):
            return self.control.handle(request)
        if not self.is_api(request.path):
            return Response.of_html("Not found.", status=404)
        return self._answer_api(request)

    def _answer_api(self, request: Request) -> Response:
        """A call of the imitated API, under a fault where one is armed, and logged."""
        self.faults.run_ghosts(self.panel.handle)
        self.faults.remember()
        fault = self.faults.take(request)
        if fault is None:
            response = self.panel.handle(request)
        else:
            response = self.faults.apply(fault, request, self.panel.handle)
        self.faults.remember()
        status = 0 if response.delivery == "drop" else response.status
        pattern = self.panel.pattern(request)
        note = fault.kind if fault else ""
        self.calls.add(CallRecord(self.world.time(), request.method, request.path, pattern, status, note))
        return response

    def settle(self) -> None:
        """Do what is due: dropped requests that take effect later, install callbacks."""
        self.faults.run_ghosts(self.panel.handle)
        with self.world.lock:
            self.panel.run_due()

    def advance(self, seconds: float) -> float:
        """Let the panel's clock jump; returns its new time in seconds since the epoch."""
        self.world.advance(seconds)
        return self.world.time()

    def outage(self, seconds: float) -> None:
        """Close the port in a moment, and open it again after so many seconds: connecting is refused."""
        threading.Thread(target=self._pause, args=(seconds,), daemon=True).start()

    def _pause(self, seconds: float) -> None:
        # A moment for the answer to the command that asked for this.
        time.sleep(0.1)
        self.stop()
        time.sleep(seconds)
        self.start()

    def daemon_set(
        self,
        mode: Mode,
        *,
        node_id: Any = None,
        seconds: float | None = 15.0,
        status: int = 0,
        error: str = "the daemon refuses this",
        request_id: str = "",
    ) -> None:
        """How one node's daemon (None: every one's) behaves from now on; ``seconds`` None: without end."""
        lasting = math.inf if seconds is None else seconds
        self.daemon_behave(Behaviour(mode, lasting, status, error, request_id), node_id)

    @abstractmethod
    def daemon_behave(self, behaviour: Behaviour, node_id: Any) -> None:
        """Give one node's daemon (None: every one's) this behaviour."""

    @abstractmethod
    def install_finish(self, server_id: Any, *, successful: bool = True, reinstall: bool = False) -> None:
        """Send the install callback of one server now. Raises KeyError for an unknown one."""

    @abstractmethod
    def backup_finish(self, backup_uuid: str, *, successful: bool = True, size: int = 1234) -> None:
        """Finish a backup. Raises KeyError for an unknown one."""

    @abstractmethod
    def server_key(self, text: str) -> Any:
        """The key of a server in the tables, from its text in a path. Raises KeyError or ValueError."""

    @abstractmethod
    def server_status(self, server_id: Any) -> str | None:
        """The status that the panel shows for a server."""

    @abstractmethod
    def power_set(self, server_id: Any, power: str) -> None:
        """What the daemon reports for a server from now on. Raises KeyError for an unknown one."""

    @abstractmethod
    def shown(self) -> dict[str, object]:
        """Servers, users and queued mails in short, for the control API."""

    @abstractmethod
    def tables(self) -> list[Table]:
        """Servers and users for the page."""
