"""Nodes: their limits, tokens, servers and what their daemons report (contract section 4.3)."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from provisioning.sandbox.calagopus.calling import Call, Endpoints, done, paged, success
from provisioning.sandbox.calagopus.client_serializers import node_backup
from provisioning.sandbox.calagopus.errors import bad, internal, relation
from provisioning.sandbox.calagopus.places import NAMED, change, check_name, checked_configuration
from provisioning.sandbox.calagopus.rows import Node
from provisioning.sandbox.calagopus.schema import (
    Reader,
    Struct,
    flag,
    free,
    integer,
    needed,
    several,
    text,
    uuid,
    variant,
)
from provisioning.sandbox.calagopus.serializers import node as node_shown
from provisioning.sandbox.calagopus.serializers import server as server_shown
from provisioning.sandbox.calagopus.validation import rule
from provisioning.sandbox.calagopus.world import letters
from provisioning.sandbox.http import Response

ENDPOINTS = Endpoints("admin")
READERS: dict[str, Reader] = {
    "location_uuid": uuid,
    "backup_configuration_uuid": uuid,
    "name": text,
    "description": text,
    "deployment_enabled": flag,
    "maintenance_enabled": flag,
    "public_url": text,
    "url": text,
    "sftp_host": text,
    "sftp_port": integer("i32"),
    "memory": integer("i64"),
    "disk": integer("i64"),
}
OPTIONAL = ("backup_configuration_uuid", "description", "public_url", "sftp_host")
CREATE = Struct(
    "CreateNodeOptions",
    *(free(name, read) if name in OPTIONAL else needed(name, read) for name, read in READERS.items()),
)
UPDATE = Struct("UpdateNodeOptions", *(free(name, read) for name, read in READERS.items()))
RULES = (
    *NAMED,
    rule("url", "url", "length:3,255"),
    rule("public_url", "url", "length:3,255"),
    rule("sftp_host", "length:3,255"),
    rule("sftp_port", "range:1,65535"),
    rule("memory", "range:0,"),
    rule("disk", "range:0,"),
)
POWER = Struct(
    "Payload", needed("servers", several(uuid)), needed("action", variant("start", "stop", "restart", "kill"))
)
NULLABLE = ("description", "public_url", "sftp_host")


def normalised(url: str) -> str:
    """A URL with a path, as the panel stores it."""
    return url if urlsplit(url).path else f"{url}/"


def _clean(body: Mapping[str, Any]) -> dict[str, Any]:
    urls = {name: normalised(body[name]) for name in ("url", "public_url") if body.get(name)}
    return {**body, **urls}


@ENDPOINTS.on("GET", "/nodes", "nodes.read")
def nodes_list(call: Call) -> Response:
    """All nodes."""
    rows = call.state.nodes.values()
    return paged(call, "nodes", rows, lambda n: node_shown(call.state, n), lambda n: [n.name])


@ENDPOINTS.on("GET", "/locations/{location}/nodes", "nodes.read")
def location_nodes(call: Call) -> Response:
    """The nodes of a location."""
    rows = [n for n in call.state.nodes.values() if n.location == call.rows["location"].uuid]
    return paged(call, "nodes", rows, lambda n: node_shown(call.state, n), lambda n: [n.name])


@ENDPOINTS.on("GET", "/nodes/{node}")
def node_show(call: Call) -> Response:
    """One node."""
    return success({"node": node_shown(call.state, call.bound(Node))})


@ENDPOINTS.on("POST", "/nodes", "nodes.create", struct=CREATE, nested=True, rules=RULES)
def node_create(call: Call) -> Response:
    """A new node; an unknown location is a 500."""
    body, state = _clean(call.body), call.state
    if body["location_uuid"] not in state.locations:
        raise internal()
    check_name(state.nodes.values(), body["name"], "node")
    row = Node(
        *call.world.stamp(),
        location=body["location_uuid"],
        backup_configuration=checked_configuration(call),
        token_id=letters(16),
        token=letters(64),
        **{name: body[name] for name in ("name", "url", "memory", "disk")},
    )
    change(row, body)
    state.nodes[row.uuid] = row
    return success({"node": node_shown(state, row)})


@ENDPOINTS.on("PATCH", "/nodes/{node}", "nodes.update", struct=UPDATE, nested=True, rules=RULES)
def node_update(call: Call) -> Response:
    """Change what is sent; here an unknown location is a 400."""
    row, body, state = call.bound(Node), _clean(call.body), call.state
    place = body.get("location_uuid")
    if place is not None and place not in state.locations:
        raise relation("location")
    check_name(state.nodes.values(), body.get("name"), "node", row)
    if "backup_configuration_uuid" in body:
        row.backup_configuration = checked_configuration(call)
    row.location = place or row.location
    change(row, body, NULLABLE)
    return done()


@ENDPOINTS.on("DELETE", "/nodes/{node}", "nodes.delete")
def node_delete(call: Call) -> Response:
    """Remove a node without servers, with its allocations."""
    row, state = call.bound(Node), call.state
    if state.node_servers(row):
        raise bad("node has servers, cannot delete")
    for allocation in state.node_allocations(row):
        del state.allocations[allocation.uuid]
    del state.nodes[row.uuid]
    return done()


@ENDPOINTS.on("GET", "/nodes/{node}/capacity", "nodes.read")
def node_capacity(call: Call) -> Response:
    """What the node has, and what its servers were promised."""
    row = call.bound(Node)
    servers = call.state.node_servers(row)
    allocated = {"servers": len(servers)}
    for name in ("cpu", "memory", "memory_overhead", "disk"):
        allocated[name] = sum(s.limits[name] or 0 for s in servers)
    return success({"limits": {"memory": row.memory, "disk": row.disk}, "allocated": allocated})


@ENDPOINTS.on("GET", "/nodes/{node}/token", "nodes.read-token")
def node_token(call: Call) -> Response:
    """What the daemon signs in with."""
    row = call.bound(Node)
    return success({"token_id": row.token_id, "token": row.token})


@ENDPOINTS.on("POST", "/nodes/{node}/reset-token", "nodes.reset-token", struct=Struct("Payload"))
def node_token_reset(call: Call) -> Response:
    """New ones."""
    row = call.bound(Node)
    row.token_id, row.token = letters(16), letters(64)
    return node_token(call)


@ENDPOINTS.on("GET", "/nodes/{node}/servers", "servers.read")
def node_servers(call: Call) -> Response:
    """The servers on a node."""
    rows, state = call.state.node_servers(call.bound(Node)), call.state
    return paged(call, "servers", rows, lambda s: server_shown(state, s), lambda s: [s.name])


@ENDPOINTS.on("GET", "/nodes/{node}/servers/resources", "servers.read")
def node_resources(call: Call) -> Response:
    """What the daemon reports about all of its servers."""
    return success({"resources": call.daemons.utilisation(call.bound(Node), call.request)})


@ENDPOINTS.on("POST", "/nodes/{node}/servers/power", "nodes.power", struct=POWER)
def node_power(call: Call) -> Response:
    """Start or stop some servers, as an administrator."""
    row = call.bound(Node)
    wanted = [s for s in call.state.node_servers(row) if s.uuid in call.body["servers"]]
    body = {"servers": [s.uuid for s in wanted], "action": call.body["action"]}
    call.daemons.call(row, "POST", "/api/servers/power", body, request=call.request)
    for server in wanted:
        call.daemons.powered(server, call.body["action"])
    return success({"affected": len(wanted)})


@ENDPOINTS.on("GET", "/nodes/{node}/system/overview", "nodes.read")
def node_system(call: Call) -> Response:
    """What the daemon says of its machine; a 500 where it is not there."""
    call.daemons.call(call.bound(Node), "GET", "/api/system/overview", request=call.request)
    return success({"version": "1.1.4"})


@ENDPOINTS.on("GET", "/nodes/{node}/backups", "nodes.backups")
def node_backups(call: Call) -> Response:
    """The backups on a node, also those whose server is gone."""
    row, state = call.bound(Node), call.state
    rows = [b for b in state.backups.values() if b.node == row.uuid]
    return paged(call, "backups", rows, lambda b: node_backup(state, b), lambda b: [b.name])
