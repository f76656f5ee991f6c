"""The sandbox panel as a whole: a world, its API, faults, control API and page behind one loopback port."""

import threading
import time

from provisioning.sandbox.calls import CallLog, CallRecord
from provisioning.sandbox.control import Control
from provisioning.sandbox.daemon import Behaviour, Mode
from provisioning.sandbox.faults import Faults
from provisioning.sandbox.http import HttpServer, Request, Response, Served
from provisioning.sandbox.page import panel_page
from provisioning.sandbox.pterodactyl.panel import Panel
from provisioning.sandbox.seed import seed_fleet, seed_panel
from provisioning.sandbox.world import Settings, State, World


class PanelSandbox(Served):
    """A Pterodactyl panel to call: ``with PanelSandbox() as panel: requests.get(panel.url + ...)``.

    ``fleet`` False leaves out the location and the nodes. Keys are generated where none are given.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        settings: Settings | None = None,
        application_key: str = "",
        client_key: str = "",
        fleet: bool = True,
    ) -> None:
        self.world = World(settings)
        self.panel = Panel(self.world)
        self.faults = Faults(self.world)
        self.control = Control(self)
        keys = seed_panel(self.world, application_key=application_key, client_key=client_key)
        self.application_key, self.client_key = keys
        if fleet:
            seed_fleet(self.world)
        self.server = HttpServer(self.answer, port)

    @property
    def calls(self) -> CallLog:
        """The log of API calls."""
        return self.world.calls

    @property
    def state(self) -> State:
        """The panel's tables, with everything done that is due by now."""
        self.settle()
        return self.world.state

    def answer(self, request: Request) -> Response:
        """Page, control API or panel."""
        if request.path == "/":
            return Response.of_html(panel_page(self, live="live" in request.query))
        if request.path.startswith("/_sandbox"):
            return self.control.handle(request)
        if not request.path.startswith("/api/"):  # a browser's favicon must neither count nor use up a fault
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
            self.panel.daemons.run_due()

    def advance(self, seconds: float) -> None:
        """Let the panel's clock jump."""
        self.world.advance(seconds)

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
        node_id: int | None = None,
        seconds: float = 15.0,
        status: int = 0,
        error: str = "the daemon refuses this",
        request_id: str = "",
    ) -> None:
        """How one node's daemon (None: every one's) behaves from now on."""
        for node in self.world.state.nodes.values():
            if node_id in (None, node.id):
                daemon = self.panel.daemons.of(node.id)
                daemon.behaviour = Behaviour(mode, seconds, status, error, request_id)

    def install_finish(self, server_id: int, *, successful: bool = True, reinstall: bool = False) -> None:
        """Send the install callback of one server now. Raises KeyError for an unknown one."""
        with self.world.lock:
            server = self.world.state.servers[server_id]
            self.panel.daemons.finish_install(server, successful=successful, reinstall=reinstall)

    def backup_finish(self, backup_uuid: str, *, successful: bool = True, size: int = 1234) -> None:
        """Finish a backup. Raises KeyError for an unknown one."""
        with self.world.lock:
            found = {backup.uuid: backup for backup in self.world.state.backups.values()}
            backup = found[backup_uuid]
            backup.is_successful, backup.completed_at = successful, self.world.now()
            backup.bytes, backup.checksum = (size, "sha1:abc") if successful else (0, None)
