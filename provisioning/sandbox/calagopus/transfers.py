"""Moving a server to another node (contract section 5.8)."""

from typing import Any

from provisioning.sandbox.calagopus.calling import Call, Endpoints, done
from provisioning.sandbox.calagopus.errors import bad, conflict, not_found
from provisioning.sandbox.calagopus.rows import AllocationLink, Node, Server
from provisioning.sandbox.calagopus.schema import Struct, flag, free, integer, needed, several, uuid, variant
from provisioning.sandbox.calagopus.world import State
from provisioning.sandbox.http import Response

ENDPOINTS = Endpoints("admin")
ARCHIVES = [f"{kind}{packed}" for kind in ("tar", "itaf")
            for packed in ("", "_gz", "_xz", "_lzip", "_bz2", "_lz4", "_zstd")]  # fmt: skip
LEVELS = ("best_speed", "good_speed", "good_compression", "best_compression")
TRANSFER = Struct(
    "Payload",
    needed("node_uuid", uuid),
    free("allocation_uuid", uuid),
    needed("allocation_uuids", several(uuid)),
    needed("backups", several(uuid)),
    needed("delete_source_backups", flag),
    needed("archive_format", variant(*ARCHIVES)),
    free("compression_level", variant(*LEVELS)),
    needed("multiplex_channels", integer("i64")),
)
BUSY = "server is installing or restoring a backup and cannot be transferred"


@ENDPOINTS.on("POST", "/servers/{server}/transfer", "servers.transfer", struct=TRANSFER)
def transfer_begin(call: Call) -> Response:
    """Hold the new allocations and tell the old node's daemon; the end is reported by the new one's."""
    row, state = call.bound(Server), call.state
    target, wanted = _checked(call, row)
    source = state.nodes[row.node]
    body = {
        "url": f"{target.url.rstrip('/')}/api/transfers",
        "token": "Bearer ***",
        "archive_format": call.body["archive_format"],
        "compression_level": call.body.get("compression_level"),
        "backups": call.body["backups"],
        "delete_backups": call.body["delete_source_backups"],
        "multiplex_streams": call.body["multiplex_channels"],
    }
    call.daemons.call(source, "POST", f"/api/servers/{row.uuid}/transfer", body, request=call.request)
    old = [link.uuid for link in state.server_links(row)]
    new = [AllocationLink(*call.world.stamp(), server=row.uuid, allocation=key) for key in wanted]
    state.links.update({link.uuid: link for link in new})
    row.transfer = {"node": target.uuid, "old": old, "new": [link.uuid for link in new]}
    call.log("admin", "server:transfer", {"uuid": row.uuid, "destination_node_uuid": target.uuid})
    return done(202)


def _checked(call: Call, row: Server) -> tuple[Node, list[str]]:
    """The new node and its allocations. Raises 400, 404, 409."""
    body, state = call.body, call.state
    if row.transfer is not None:
        raise conflict("server is already being transferred")
    if body["node_uuid"] == row.node:
        raise conflict("cannot transfer server to the same node")
    if row.status is not None:
        raise conflict(BUSY)
    target = state.nodes.get(body["node_uuid"])
    if target is None:
        raise not_found("node")
    wanted = [body["allocation_uuid"]] if body.get("allocation_uuid") else []
    wanted += body["allocation_uuids"]
    held = state.holders()
    if any(key in held for key in wanted):
        raise conflict("the primary allocation is already assigned to a server")
    known = {a.uuid for a in state.node_allocations(target)}
    if not set(wanted) <= known:
        raise bad("all allocations must belong to the destination node")
    return target, wanted


@ENDPOINTS.on("POST", "/servers/{server}/transfer/cancel", "servers.transfer", struct=Struct("Payload"))
def transfer_cancel(call: Call) -> Response:
    """Only tell the daemon; until it reports the failure, the server counts as moving."""
    row = call.bound(Server)
    if row.transfer is None:
        raise conflict("server is not being transferred")
    node = call.state.nodes[row.node]
    call.daemons.call(node, "DELETE", f"/api/servers/{row.uuid}/transfer", request=call.request)
    return done()


def finish(call: Call, row: Server, *, moved: bool) -> None:
    """The end of a transfer: the server is on the new node with its allocations, or all is as before."""
    transfer: dict[str, Any] = row.transfer or {}
    for key in transfer.get("old" if moved else "new", []):
        call.state.links.pop(key, None)
    if moved:
        call.daemons.move(row, transfer["node"])
        row.node = transfer["node"]
        row.primary = next(iter(transfer["new"]), None)
    row.transfer = None


def destination(state: State, row: Server) -> Node | None:
    """Where a server is being moved to."""
    transfer: dict[str, Any] = row.transfer or {}
    return state.nodes.get(str(transfer.get("node")))
