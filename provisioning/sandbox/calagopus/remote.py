"""What daemons call: their servers' settings, and reports of what came to an end (contract section 10)."""

from provisioning.sandbox.calagopus.calling import Call, Endpoints, done, paging, success
from provisioning.sandbox.calagopus.configuration import configuration, install_script
from provisioning.sandbox.calagopus.errors import PanelError, not_found, refused
from provisioning.sandbox.calagopus.rows import Backup, Node, Server
from provisioning.sandbox.calagopus.schema import Struct, anything, flag, free, integer, needed, text
from provisioning.sandbox.calagopus.transfers import destination, finish
from provisioning.sandbox.calagopus.world import State
from provisioning.sandbox.http import Request, Response

ENDPOINTS = Endpoints("remote")
HEADER_LENGTH = len("Bearer ") + 16 + 1 + 64
REPORT = Struct("Payload", needed("successful", flag))
BACKUP = Struct(
    "Payload",
    free("checksum", text),
    free("checksum_type", text),
    needed("size", integer("i64")),
    needed("files", integer("i64")),
    needed("successful", flag),
    needed("browsable", flag),
    needed("streaming", flag),
    free("parts", anything),
)


def daemon_node(state: State, request: Request) -> Node:
    """The node whose daemon calls. Raises 401."""
    header = request.headers.get("authorization", "")
    if len(header) != HEADER_LENGTH:
        raise PanelError(401, "invalid authorization header")
    for node in state.nodes.values():
        if header == f"Bearer {node.token_id}.{node.token}":
            return node
    raise PanelError(401, "invalid token")


def _node(call: Call) -> Node:
    if call.node is None:
        raise LookupError("node")
    return call.node


def _own(call: Call) -> Server:
    """The server of the path, if the calling node has something to do with it."""
    row = call.bound(Server)
    if row.node != _node(call).uuid and destination(call.state, row) is not _node(call):
        raise not_found("server")
    return row


@ENDPOINTS.on("GET", "/servers")
def servers_list(call: Call) -> Response:
    """The node's servers with their settings, as the daemon fetches them when it starts."""
    asked = paging(call)
    rows = call.state.node_servers(_node(call))
    first = (asked.page - 1) * asked.per_page
    shown = [configuration(call.state, s) for s in rows[first : first + asked.per_page]]
    pages = -(-len(rows) // asked.per_page)
    return success(
        {"data": shown, "meta": {"current_page": asked.page, "last_page": pages, "total": len(rows)}}
    )


@ENDPOINTS.on("GET", "/servers/{server}")
def server_show(call: Call) -> Response:
    """One server's settings."""
    return success(configuration(call.state, _own(call)))


@ENDPOINTS.on("GET", "/servers/{server}/install")
def script_show(call: Call) -> Response:
    """One server's installation script."""
    return success(install_script(call.state, _own(call)))


@ENDPOINTS.on("POST", "/servers/{server}/install", struct=REPORT)
def install_report(call: Call) -> Response:
    """The end of an installation."""
    call.daemons.finish_install(_own(call).uuid, successful=call.body["successful"])
    return done()


@ENDPOINTS.on(
    "POST", "/servers/{server}/transfer/success", struct=Struct("Payload", free("backups", anything))
)
def transfer_success(call: Call) -> Response:
    """The new node has the server; nobody else may say so."""
    row = _own(call)
    if destination(call.state, row) is not _node(call):
        raise refused("destination node must call success endpoint")
    finish(call, row, moved=True)
    return done()


@ENDPOINTS.on("POST", "/servers/{server}/transfer/failure", struct=Struct("Payload"))
def transfer_failure(call: Call) -> Response:
    """The server stays where it was."""
    finish(call, _own(call), moved=False)
    return done()


@ENDPOINTS.on("POST", "/backups/{backup}", struct=BACKUP)
def backup_report(call: Call) -> Response:
    """The end of a backup."""
    row, body = call.bound(Backup), call.body
    row.is_successful, row.is_browsable, row.is_streaming = (
        body["successful"],
        body["browsable"],
        body["streaming"],
    )
    row.bytes, row.files, row.completed = body["size"], body["files"], call.world.time()
    if body.get("checksum"):
        row.checksum = f"{body.get('checksum_type')}:{body['checksum']}"
    call.log("server", "server:backup.complete", {"name": row.name, "uuid": row.uuid}, row.server)
    return done()
