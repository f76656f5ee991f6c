"""The daemon (Wings) behind each node: what it does with the panel's calls, and how it can misbehave.

Contract section 9 names the calls, section 2 the answers that a failing daemon causes.
"""

from dataclasses import dataclass, field
from typing import Literal

from provisioning.sandbox.world import Node, PendingInstall, Server, World

Mode = Literal["ok", "refused", "hang", "4xx", "5xx", "404"]
MODES: tuple[Mode, ...] = ("ok", "refused", "hang", "4xx", "5xx", "404")
UNREACHABLE = "Could not establish a connection to the machine running this server. Please try again."
FAILED = (
    "There was an error while communicating with the machine running this server. "
    "This error has been logged, please try again. (code: {status}) (request_id: {request_id})"
)
REFUSED = "An error occurred on the remote host: {error}. (request id: {request_id})"
MISSING = "The requested resource does not exist on this instance."


@dataclass
class Behaviour:
    """How a daemon answers: seconds only matter to ``hang``, status and error to ``4xx`` and ``5xx``."""

    mode: Mode = "ok"
    seconds: float = 15.0
    status: int = 0
    error: str = "the daemon refuses this"
    request_id: str = ""


@dataclass
class Daemon:
    """One node's daemon: its behaviour, the servers it holds (by uuid) and the calls it got."""

    behaviour: Behaviour = field(default_factory=Behaviour)
    servers: set[str] = field(default_factory=set)
    calls: list[tuple[str, str]] = field(default_factory=list)


class DaemonError(Exception):
    """The panel could not get its wish: the HTTP status it passes on, and its sentence."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


class Daemons:
    """All daemons of a world, by node id."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._daemons: dict[int, Daemon] = {}

    def of(self, node_id: int) -> Daemon:
        """The daemon of a node."""
        return self._daemons.setdefault(node_id, Daemon())

    def call(self, node: Node, method: str, path: str) -> None:
        """One call of the panel; raises DaemonError. A hang lets other requests in while it lasts."""
        daemon = self.of(node.id)
        daemon.calls.append((method, path))
        behaviour = daemon.behaviour
        if behaviour.mode == "hang":
            limit = self.world.settings.daemon_timeout
            self.world.pause(min(behaviour.seconds, limit))
            if behaviour.seconds >= limit:
                raise DaemonError(504, UNREACHABLE)
        elif behaviour.mode != "ok":
            raise failure(behaviour)

    def create(self, node: Node, server: Server) -> None:
        """Make the server and start its installation; a hanging daemon makes it all the same."""
        if self.of(node.id).behaviour.mode == "hang":
            self.of(node.id).servers.add(server.uuid)
        self.call(node, "POST", "/api/servers")
        self.of(node.id).servers.add(server.uuid)
        self.schedule_install(server, reinstall=False)

    def reinstall(self, node: Node, server: Server) -> None:
        """Run the installation again."""
        self.call(node, "POST", f"/api/servers/{server.uuid}/reinstall")
        self.schedule_install(server, reinstall=True)

    def sync(self, node: Node, server: Server) -> None:
        """Fetch the server's settings from the panel."""
        self.call(node, "POST", f"/api/servers/{server.uuid}/sync")

    def delete(self, node: Node, server: Server) -> None:
        """Remove the server; one it does not know is an error 404."""
        self.call(node, "DELETE", f"/api/servers/{server.uuid}")
        if server.uuid not in self.of(node.id).servers:
            raise DaemonError(404, REFUSED.format(error=MISSING, request_id=""))
        self.of(node.id).servers.discard(server.uuid)

    def schedule_install(self, server: Server, *, reinstall: bool) -> None:
        """Note when the install callback will come; without scripts to run it comes at once."""
        policy = self.world.settings.installs
        if policy.outcome != "never":
            delay = 0.0 if server.skip_scripts else policy.delay
            due = self.world.time() + delay
            pending = PendingInstall(due, server.id, policy.outcome == "success", reinstall)
            self.world.state.installs.append(pending)

    def run_due(self) -> None:
        """Deliver the install callbacks whose time has come."""
        now = self.world.time()
        installs = self.world.state.installs
        for pending in [p for p in installs if p.due <= now]:
            installs.remove(pending)
            server = self.world.state.servers.get(pending.server_id)
            if server is not None:
                self.finish_install(server, successful=pending.successful, reinstall=pending.reinstall)

    def finish_install(self, server: Server, *, successful: bool, reinstall: bool = False) -> None:
        """The install callback (section 9): suspended stays suspended, else normal or failed."""
        installs = self.world.state.installs
        installs[:] = [p for p in installs if p.server_id != server.id]
        server.updated_at = self.world.now()
        if server.status == "suspended":
            return
        if successful:
            server.status = None
            server.power = "running" if server.start_on_completion else "offline"
        else:
            server.status = "reinstall_failed" if reinstall else "install_failed"


def failure(behaviour: Behaviour) -> DaemonError:
    """What the panel makes of a daemon that refuses or fails."""
    if behaviour.mode == "refused":
        return DaemonError(504, UNREACHABLE)
    if behaviour.mode == "5xx":
        status = behaviour.status or 500
        return DaemonError(status, FAILED.format(status=status, request_id=behaviour.request_id))
    missing = behaviour.mode == "404"
    error = MISSING if missing else behaviour.error
    status = 404 if missing else behaviour.status or 409
    return DaemonError(status, REFUSED.format(error=error, request_id=behaviour.request_id))
