"""The daemon behind each node: what it was told, what it runs, and how it can misbehave.

The panel waits for it without a limit when it creates or deletes; a PATCH does not wait at all, and what
it tells may come late or in another order than it was sent (contract sections 1 and 10).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any

from provisioning.sandbox.calagopus.configuration import configuration
from provisioning.sandbox.calagopus.errors import CallerGoneError
from provisioning.sandbox.calagopus.rows import Daemon, DaemonServer, Node, Server
from provisioning.sandbox.calagopus.world import State, World
from provisioning.sandbox.daemon import Behaviour
from provisioning.sandbox.http import Request

LOOK = 0.005  # seconds between two looks at a caller who may have hung up
PORTS_TIMEOUT = 3.0
MIB = 1024 * 1024
POWERED = {"start": "running", "restart": "running", "stop": "offline", "kill": "offline"}
Body = dict[str, Any]


@dataclass(frozen=True)
class DaemonCall:
    """A call that a daemon got; ``status`` 0: it was not there."""

    node: str
    method: str
    path: str
    body: Body | None
    status: int


@dataclass
class PendingSync:
    """A sync on its way: it carries the state of the moment when it was sent.

    ``held``: it has come to a silent daemon, which takes it when it comes to itself.
    """

    due: float
    node: str
    server: str
    body: Body
    held: bool = False


class DaemonError(Exception):
    """The daemon failed or was not there; the text is the panel's own."""


class Daemons:
    """All daemons of a world, by node."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.calls: list[DaemonCall] = []
        self.waiting = 0
        """How many calls are waiting for a silent daemon."""
        self._syncs: list[PendingSync] = []
        self._later: list[tuple[float, Callable[[], object]]] = []
        self._usage: dict[str, tuple[float, Body]] = {}

    def of(self, node: str) -> Daemon:
        """The daemon of a node."""
        return self.world.state.daemons.setdefault(node, Daemon())

    def view(self, server: Server) -> DaemonServer | None:
        """What the daemon of the server's node knows about it."""
        return self.of(server.node).servers.get(server.uuid)

    def call(
        self,
        node: Node,
        method: str,
        path: str,
        body: Body | None = None,
        *,
        request: Request | None = None,
        broken: bool = False,
    ) -> None:
        """One call of the panel. Raises DaemonError (always where ``broken``), CallerGoneError in a hang."""
        behaviour = self.of(node.uuid).behaviour
        if behaviour.mode == "hang":
            self._wait(node, behaviour, request)
            behaviour = self.of(node.uuid).behaviour
        status = 500 if broken else answer_status(behaviour)
        self.calls.append(DaemonCall(node.uuid, method, path, body, status))
        if status == 0:
            raise DaemonError(f"error sending request for url ({node.url.rstrip('/')}{path})")
        if status >= HTTPStatus.BAD_REQUEST:
            raise DaemonError(failure(status, behaviour.error))

    def _wait(self, node: Node, behaviour: Behaviour, request: Request | None) -> None:
        """Wait for as long as the daemon is silent; any other behaviour ends it."""
        until = self.world.time() + behaviour.seconds
        self.waiting += 1
        try:
            while self.world.time() < until and self.of(node.uuid).behaviour.mode == behaviour.mode:
                _check_caller(request, until)
                self.world.pause(LOOK)
            _check_caller(request, until)
        finally:
            self.waiting -= 1

    def create(self, node: Node, server: Server, *, skip_scripts: bool, request: Request) -> None:
        """Make the server and start its installation. A caller who hangs up does not stop the daemon."""
        body = {
            "uuid": server.uuid,
            "start_on_completion": server.start_on_completion,
            "skip_scripts": skip_scripts,
        }
        behaviour = self.of(node.uuid).behaviour
        try:
            self.call(node, "POST", "/api/servers", body, request=request)
        except CallerGoneError as gone:
            if answer_status(behaviour) == HTTPStatus.OK:
                self.later(gone.until, lambda: self._made(node, server, skip_scripts=skip_scripts))
            raise
        self._made(node, server, skip_scripts=skip_scripts)

    def _made(self, node: Node, server: Server, *, skip_scripts: bool) -> None:
        told = configuration(self.world.state, server)
        self.of(node.uuid).servers[server.uuid] = DaemonServer(server.uuid, told)
        self.schedule_install(server.uuid, 0.0 if skip_scripts else self.world.settings.installs.delay)

    def schedule_install(self, server: str, delay: float) -> None:
        """Note when the install report will come."""
        policy = self.world.settings.installs
        if policy.outcome != "never":
            successful = policy.outcome == "success"
            due = self.world.time() + delay
            self.later(due, lambda: self.finish_install(server, successful=successful))

    def finish_install(self, server_uuid: str, *, successful: bool) -> None:
        """The install report; of a server that is gone nobody hears anything."""
        server = self.world.state.servers.get(server_uuid)
        if server is None:
            return
        server.status = None if successful else "install_failed"
        known = self.view(server)
        if known is not None and successful and server.start_on_completion and not known.suspended:
            known.power = "running"

    def sync(self, server: Server) -> None:
        """Tell the daemon the server's whole state, some time after the answer to the caller."""
        settings, now = self.world.settings, self.world.time()
        due = now + settings.sync_delay
        waiting = [s.due for s in self._syncs if s.server == server.uuid]
        if settings.sync_order == "reversed" and waiting:
            due = min(waiting) - 1e-6
        elif settings.sync_order == "random":
            due = now + self.world.random.uniform(0.0, 2 * settings.sync_delay)
        body = configuration(self.world.state, server)
        self._syncs.append(PendingSync(due, server.node, server.uuid, body))
        self._deliver()

    def tell(self, server: Server, what: str, body: Body) -> None:
        """Something about a server that nobody waits for; a failure is only logged."""
        status = answer_status(self.of(server.node).behaviour)
        self.calls.append(DaemonCall(server.node, "POST", f"/api/servers/{server.uuid}/{what}", body, status))

    def later(self, due: float, action: Callable[[], object]) -> None:
        """Do something when the world's clock says so."""
        self._later.append((due, action))

    def run_due(self) -> None:
        """Let happen what was to happen by now, in its order; one thing may lead to another."""
        self._deliver()
        while due := [pair for pair in self._later if pair[0] <= self.world.time()]:
            first = min(due, key=lambda pair: pair[0])
            self._later.remove(first)
            first[1]()

    def _deliver(self) -> None:
        """Hand the daemons the syncs whose time has come."""
        now = self.world.time()
        due = sorted((s for s in self._syncs if self._is_due(s, now)), key=lambda s: s.due)
        for sync in due:
            self._syncs.remove(sync)
            self._arrive(sync, now)

    def _is_due(self, sync: PendingSync, now: float) -> bool:
        awake = self.of(sync.node).behaviour.mode != "hang"
        return sync.due <= now or (sync.held and awake)

    def _arrive(self, sync: PendingSync, now: float) -> None:
        """One sync at its daemon; a failure is only logged, a silence delays it."""
        daemon, behaviour = self.of(sync.node), self.of(sync.node).behaviour
        if behaviour.mode == "hang" and not sync.held:
            self._syncs.append(replace(sync, due=now + behaviour.seconds, held=True))
            return
        status = answer_status(behaviour)
        path = f"/api/servers/{sync.server}/sync"
        self.calls.append(DaemonCall(sync.node, "POST", path, {"server": sync.body}, status))
        known = daemon.servers.get(sync.server)
        if status == HTTPStatus.OK and known is not None:
            known.told = sync.body
            if known.suspended:
                known.power = "offline"

    def delete(self, node: Node, server: Server, *, request: Request | None) -> None:
        """Remove the server; one that the daemon does not know is its 404."""
        path = f"/api/servers/{server.uuid}"
        self.call(node, "DELETE", path, request=request)
        if self.of(node.uuid).servers.pop(server.uuid, None) is None:
            raise DaemonError(failure(HTTPStatus.NOT_FOUND, "server not found"))

    def forgets(self, node: Node, server: Server, behaviour: Behaviour) -> bool:
        """Whether a silent daemon deletes the server when it comes to itself."""
        if answer_status(behaviour) != HTTPStatus.OK:
            return False
        return self.of(node.uuid).servers.pop(server.uuid, None) is not None

    def ports_used(self, node: Node, state: State, request: Request) -> set[tuple[str, int]]:
        """Which ports are taken on the machine itself. Raises DaemonError, also after 3 s of silence."""
        rows = state.node_allocations(node)
        addresses = "&".join(f"ip={ip}" for ip in dict.fromkeys(a.ip for a in rows))
        behaviour = self.of(node.uuid).behaviour
        if behaviour.mode == "hang" and behaviour.seconds > PORTS_TIMEOUT:
            self._wait(node, replace(behaviour, seconds=PORTS_TIMEOUT), request)
            raise DaemonError("timed out asking the node which ports are in use")
        self.call(node, "GET", f"/api/ports/used?{addresses}", request=request)
        return {(a.ip, a.port) for a in rows} if self.world.settings.ports_in_use else set()

    def power(self, node: Node, server: Server, action: str, *, request: Request) -> None:
        """Start or stop a server."""
        body = {"action": action, "wait_seconds": None}
        self.call(node, "POST", f"/api/servers/{server.uuid}/power", body, request=request)
        self.powered(server, action)

    def powered(self, server: Server, action: str) -> None:
        """What an action makes of a server."""
        known = self.view(server)
        if known is not None:
            known.power = POWERED[action]

    def move(self, server: Server, target: str) -> None:
        """Hand a server from its node's daemon to another one."""
        known = self.of(server.node).servers.pop(server.uuid, None)
        if known is not None:
            self.of(target).servers[server.uuid] = known

    def utilisation(self, node: Node, request: Request) -> Body:
        """What the daemon reports about its servers, by uuid; as old as the panel's cache allows."""
        now = self.world.time()
        at, cached = self._usage.get(node.uuid, (0.0, {}))
        if now - at < self.world.settings.resource_cache:
            return cached
        self.call(node, "GET", "/api/servers/utilization", request=request)
        found = {known.uuid: usage(known) for known in self.of(node.uuid).servers.values()}
        self._usage[node.uuid] = (now, found)
        return found


def _check_caller(request: Request | None, until: float) -> None:
    """The panel drops a call whose caller has hung up. Raises CallerGoneError."""
    if request is not None and request.hung_up():
        raise CallerGoneError(until)


def answer_status(behaviour: Behaviour) -> int:
    """The HTTP status that a daemon answers with; 0: connecting fails."""
    defaults = {"ok": 200, "refused": 0, "5xx": 500, "4xx": 409, "404": 404, "hang": 200}
    fixed = behaviour.mode in ("ok", "refused", "404")
    return defaults[behaviour.mode] if fixed else behaviour.status or defaults[behaviour.mode]


def failure(status: int, error: str) -> str:
    """What the panel says about a daemon's error."""
    return f"wings api status code {status} {HTTPStatus(status).phrase}: {error}"


def usage(known: DaemonServer) -> Body:
    """What a daemon reports about a server: bytes, percent, milliseconds; half of its memory when running."""
    running, build = known.power == "running", known.build
    memory, cpu = (build.get("memory_limit") or 0) * MIB, build.get("cpu_limit") or 0
    return {
        "memory_bytes": memory // 2 if running else 0,
        "memory_limit_bytes": memory,
        "disk_bytes": 100 * MIB,
        "state": known.power,
        "network": {
            "rx_bytes": 1000 if running else 0,
            "rx_packets": 10 if running else 0,
            "tx_bytes": 2000 if running else 0,
            "tx_packets": 20 if running else 0,
        },
        "cpu_absolute": cpu / 8 if running else 0.0,
        "cpu_limit_absolute": cpu,
        "uptime": 3600000 if running else 0,
    }
