"""Servers: reading and removing them (contract sections 5.1 and 5.6)."""

from provisioning.sandbox.calagopus.calling import Call, Endpoints, done, paged, success
from provisioning.sandbox.calagopus.daemon import DaemonError
from provisioning.sandbox.calagopus.errors import CallerGoneError, not_found, refused
from provisioning.sandbox.calagopus.rows import Backup, Server
from provisioning.sandbox.calagopus.schema import Member, Struct, flag
from provisioning.sandbox.calagopus.serializers import server as server_shown
from provisioning.sandbox.calagopus.world import State
from provisioning.sandbox.http import Response

ENDPOINTS = Endpoints("admin")
DELETE = Struct("Payload", *(Member(name, flag, required=False) for name in ("force", "delete_backups")))


@ENDPOINTS.on("GET", "/servers", "servers.read")
def servers_list(call: Call) -> Response:
    """All servers; the search looks at names and nothing else."""
    rows, state = call.state.servers.values(), call.state
    return paged(call, "servers", rows, lambda s: server_shown(state, s), lambda s: [s.name])


@ENDPOINTS.on("GET", "/servers/external/{mark}", "servers.read")
def server_by_external_id(call: Call) -> Response:
    """One server with this mark: of several the oldest."""
    found = next(call.state.with_external_id(call.parameters["mark"]), None)
    if found is None:
        raise not_found("server")
    return success({"server": server_shown(call.state, found)})


@ENDPOINTS.on("GET", "/servers/{server}")
def server_show(call: Call) -> Response:
    """One server, by uuid or short uuid."""
    return success({"server": server_shown(call.state, call.bound(Server))})


@ENDPOINTS.on("DELETE", "/servers/{server}", "servers.delete", struct=DELETE)
def server_delete(call: Call) -> Response:
    """Remove a server: the daemon first, unless forced; its backups last, when it is gone already."""
    server, state = call.bound(Server), call.state
    node, force = state.nodes[server.node], bool(call.body.get("force"))
    backups = [b for b in state.backups.values() if b.server == server.uuid]
    try:
        call.daemons.delete(node, server, request=call.request)
    except CallerGoneError as gone:
        _finish_alone(call, server, gone.until, force=force)
        raise
    except DaemonError as error:
        if not force:
            raise refused(f"failed to delete server: {error}") from None
    remove(state, server)
    if call.body.get("delete_backups"):
        for backup in backups:
            _delete_backup(call, server, backup)
    return done()


def _finish_alone(call: Call, server: Server, until: float, *, force: bool) -> None:
    """The deletion is a task of its own: it goes on when the caller has hung up."""
    node = call.state.nodes[server.node]
    behaviour = call.daemons.of(node.uuid).behaviour

    def finish() -> None:
        gone = force or call.daemons.forgets(node, server, behaviour)
        if gone and server.uuid in call.world.state.servers:
            remove(call.world.state, server)

    call.daemons.later(until, finish)


def _delete_backup(call: Call, server: Server, backup: Backup) -> None:
    """One backup on the daemon; a failure ends the loop, though the server is gone."""
    body = {"adapter": "wings", "foreground": False, "server": server.uuid}
    node = call.state.nodes[backup.node]
    path, broken = f"/api/backups/{backup.uuid}", call.world.settings.backups_fail
    try:
        call.daemons.call(node, "DELETE", path, body, request=call.request, broken=broken)
    except DaemonError as error:
        raise refused(f"failed to delete backup: {error}") from None
    del call.state.backups[backup.uuid]


def remove(state: State, server: Server) -> None:
    """Take a server out of the tables; its allocations are free again, its backups stay."""
    for link in state.server_links(server):
        del state.links[link.uuid]
    for key in [s.uuid for s in state.subusers.values() if s.server == server.uuid]:
        del state.subusers[key]
    for key in [s.uuid for s in state.schedules.values() if s.server == server.uuid]:
        del state.schedules[key]
    for backup in state.backups.values():
        backup.server = None if backup.server == server.uuid else backup.server
    del state.servers[server.uuid]
