"""A server's variables, allocations, logs and backups in the Admin API (contract sections 5.1 and 5.7)."""

from provisioning.sandbox.calagopus.calling import Call, Endpoints, done, paged, success
from provisioning.sandbox.calagopus.client_serializers import node_backup
from provisioning.sandbox.calagopus.egg_rules import check_variables, chosen
from provisioning.sandbox.calagopus.errors import internal, not_found
from provisioning.sandbox.calagopus.rows import AllocationLink, Row, Server
from provisioning.sandbox.calagopus.schema import Struct, flag, free, needed, text, uuid
from provisioning.sandbox.calagopus.serializers import server_allocation, server_variable
from provisioning.sandbox.calagopus.server_create import VARIABLE_RULES, VARIABLES
from provisioning.sandbox.calagopus.validation import rule
from provisioning.sandbox.http import Response

ENDPOINTS = Endpoints("admin")
PUT_VARIABLES = Struct("Payload", needed("variables", VARIABLES))
PUT_RULES = (*VARIABLE_RULES, rule("variables", "length:,1024", "variable_names"))
LOG = b"line one\nline two\n"


@ENDPOINTS.on("GET", "/servers/{server}/variables", "servers.variables")
def variables_list(call: Call) -> Response:
    """All of the egg's variables with the server's values."""
    row = call.bound(Server)
    shown = [server_variable(v, row) for v in call.state.variables_of(row.egg)]
    return success({"variables": shown})


@ENDPOINTS.on(
    "PUT", "/servers/{server}/variables", "servers.variables", struct=PUT_VARIABLES, rules=PUT_RULES
)
def variables_update(call: Call) -> Response:
    """Set the given ones; the daemon hears nothing of it until the next PATCH."""
    row = call.bound(Server)
    variables = call.state.variables_of(row.egg)
    merged = {**row.variables, **chosen(variables, call.body["variables"])}
    check_variables(variables, merged)
    row.variables = merged
    return done()


@ENDPOINTS.on("GET", "/servers/{server}/allocations", "servers.allocations")
def links_list(call: Call) -> Response:
    """The server's allocations, oldest first."""
    row, state = call.bound(Server), call.state
    return paged(call, "allocations", state.server_links(row), lambda k: server_allocation(state, k, row))


@ENDPOINTS.on(
    "POST",
    "/servers/{server}/allocations",
    "servers.allocations",
    struct=Struct("Payload", needed("allocation_uuid", uuid)),
)
def link_add(call: Call) -> Response:
    """One more of the same node, beyond every feature limit; a held one is a 500."""
    row, state = call.bound(Server), call.state
    wanted = state.allocations.get(call.body["allocation_uuid"])
    if wanted is None or wanted.node != row.node:
        raise not_found("allocation")
    if wanted.uuid in state.holders():
        raise internal()
    link = AllocationLink(*call.world.stamp(), server=row.uuid, allocation=wanted.uuid)
    state.links[link.uuid] = link
    return success({"allocation": server_allocation(state, link, row)})


@ENDPOINTS.on(
    "PATCH",
    "/servers/{server}/allocations/{link}",
    "servers.allocations",
    struct=Struct("Payload", free("notes", text), free("primary", flag)),
    rules=(rule("notes", "length:1,1024"),),
)
def link_update(call: Call) -> Response:
    """Notes, and which one is the primary."""
    row, link = call.bound(Server), call.bound(AllocationLink)
    link.notes = call.body.get("notes", link.notes)
    if call.body.get("primary"):
        row.primary = link.uuid
    elif call.body.get("primary") is False and row.primary == link.uuid:
        row.primary = None
    return done()


@ENDPOINTS.on("DELETE", "/servers/{server}/allocations/{link}", "servers.allocations")
def link_delete(call: Call) -> Response:
    """Take one away, the primary as well: the server then has none."""
    row, link = call.bound(Server), call.bound(AllocationLink)
    row.primary = None if row.primary == link.uuid else row.primary
    del call.state.links[link.uuid]
    return done()


@ENDPOINTS.on("GET", "/servers/{server}/logs", "servers.read")
def logs_show(call: Call) -> Response:
    """The console's last lines, from the daemon."""
    return _log(call, "logs")


@ENDPOINTS.on("GET", "/servers/{server}/logs/install", "servers.read")
def install_log_show(call: Call) -> Response:
    """The installation's output, from the daemon."""
    return _log(call, "logs/install")


def _log(call: Call, what: str) -> Response:
    row = call.bound(Server)
    node = call.state.nodes[row.node]
    call.daemons.call(node, "GET", f"/api/servers/{row.uuid}/{what}", request=call.request)
    return Response(body=LOG, content_type="text/plain")


@ENDPOINTS.on("GET", "/servers/{server}/backups", "nodes.backups")
def backups_list(call: Call) -> Response:
    """The server's backups."""
    row, state = call.bound(Server), call.state
    rows = [b for b in state.backups.values() if b.server == row.uuid]
    return paged(call, "backups", rows, lambda b: node_backup(state, b), lambda b: [b.name])


@ENDPOINTS.on("GET", "/servers/{server}/mounts", "servers.mounts")
def mounts_list(call: Call) -> Response:
    """Nothing is ever mounted here."""
    none: list[Row] = []
    return paged(call, "mounts", none, lambda _: None)
