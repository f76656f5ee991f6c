"""The Client API: who may see a server, its state, usage, power and console (contract section 8)."""

from provisioning.sandbox.daemon import DaemonError
from provisioning.sandbox.http import Response
from provisioning.sandbox.pterodactyl import serializers as show
from provisioning.sandbox.pterodactyl.calling import Call, Endpoint, Endpoints, no_content, success
from provisioning.sandbox.pterodactyl.errors import NO_SERVER, PanelError, conflict, denied, not_found
from provisioning.sandbox.pterodactyl.listing import filtered, ordered, page_of, partial, partials
from provisioning.sandbox.pterodactyl.validation import Field
from provisioning.sandbox.world import Allocation, EggVariable, Server, Subuser

ENDPOINTS = Endpoints("client")
FILTERS = {**partials("uuid name description external_id"), "*": partial("name")}
ADMIN = ["*", "admin.websocket.errors", "admin.websocket.install", "admin.websocket.transfer"]
SIGNALS = {
    "start": "control.start",
    "stop": "control.stop",
    "restart": "control.restart",
    "kill": "control.stop",
}
STATES = {"start": "running", "restart": "running", "stop": "offline", "kill": "offline"}
UNAVAILABLE = "the functionality requested is unavailable."
STATE_CONFLICTS = {
    "suspended": f"This server is currently suspended and {UNAVAILABLE}",
    "maintenance": f"The node of this server is currently under maintenance and {UNAVAILABLE}",
    "installing": "This server has not yet completed its installation process, please try again later.",
    "install_failed": "This server has not yet completed its installation process, please try again later.",
    "restoring_backup": "This server is currently restoring from a backup, please try again later.",
}


def membership(call: Call, server: Server) -> Subuser | None:
    """The caller's row as a sub-user of this server."""
    rows = call.state.subusers.values()
    return next((s for s in rows if s.server_id == server.id and s.user_id == call.user.id), None)


def permissions(call: Call, server: Server) -> list[str]:
    """What the caller may do on this server; empty where it is not his."""
    if server.owner_id == call.user.id:
        return ["*"]
    if call.user.root_admin:
        return ADMIN
    row = membership(call, server)
    return row.permissions if row else []


def require(call: Call, permission: str) -> None:
    """Raises 403 where the caller lacks a permission on the bound server."""
    held = permissions(call, call.bound(Server))
    if "*" not in held and permission not in held:
        raise denied()


def check_server_access(call: Call, endpoint: Endpoint) -> None:
    """404 for a server of others, 409 where its state forbids more than looking (section 8.1)."""
    if "server" not in call.rows:
        return
    server = call.bound(Server)
    if not permissions(call, server):
        raise not_found(NO_SERVER)
    state = "maintenance" if call.state.nodes[server.node_id].maintenance_mode else server.status
    state = "suspended" if server.status == "suspended" else state
    if endpoint.gate and state in STATE_CONFLICTS:
        raise conflict(STATE_CONFLICTS[state])


def allocation(row: Allocation, server: Server) -> dict[str, object]:
    """An allocation as this API shows it."""
    head = {"id": row.id, "ip": row.ip, "ip_alias": row.alias, "port": row.port, "notes": row.notes}
    return show.item("allocation", {**head, "is_default": row.id == server.allocation_id})


def variable(row: EggVariable, server: Server) -> dict[str, object]:
    """A variable as this API shows it."""
    head = {
        "name": row.name,
        "description": row.description,
        "env_variable": row.env_variable,
        "default_value": row.default_value,
        "server_value": server.variables.get(row.env_variable, ""),
    }
    return show.item("egg_variable", {**head, "is_editable": row.user_editable, "rules": row.rules})


def invocation(call: Call, server: Server) -> str:
    """The start command with the variables filled in."""
    text = server.startup
    for name, value in show.environment(call.state, server).items():
        text = text.replace("{{" + name + "}}", str(value))
    return text


def relationships(call: Call, server: Server) -> dict[str, object]:
    """The two relations that are always there; hidden variables are left out."""
    variables = [v for v in call.state.eggs[server.egg_id].variables if v.user_viewable]
    return {
        "allocations": show.listed([allocation(a, server) for a in call.state.server_allocations(server)]),
        "variables": show.listed([variable(v, server) for v in variables]),
    }


def server_shown(call: Call, server: Server) -> dict[str, object]:
    """Section 8.2."""
    node = call.state.nodes[server.node_id]
    attributes = {
        "server_owner": server.owner_id == call.user.id,
        "identifier": server.identifier,
        "internal_id": server.id,
        "uuid": server.uuid,
        "name": server.name,
        "node": node.name,
        "is_node_under_maintenance": node.maintenance_mode,
        "sftp_details": {"ip": node.fqdn, "port": node.daemon_sftp},
        "description": server.description,
        "limits": show.limits(server),
        "invocation": invocation(call, server),
        "docker_image": server.image,
        "egg_features": call.state.eggs[server.egg_id].features,
        "feature_limits": show.feature_limits(server),
        "status": server.status,
        "is_suspended": server.status == "suspended",
        "is_installing": server.status in show.NOT_INSTALLED,
        "is_transferring": False,
        "relationships": relationships(call, server),
    }
    return show.item("server", attributes)


@ENDPOINTS.on("GET", "")
def server_list(call: Call) -> Response:
    """The caller's servers; ``type`` widens it for administrators."""
    kind = str(call.request.query.get("type") or "")
    rows = [s for s in call.state.servers.values() if _in_list(call, s, kind)]
    rows = ordered(call, filtered(call, rows, FILTERS), ("id",))
    found, pagination = page_of(call, rows, most=100, keep_query=True)
    return success(
        {**show.listed([server_shown(call, s) for s in found]), "meta": {"pagination": pagination}}
    )


def _in_list(call: Call, server: Server, kind: str) -> bool:
    own = server.owner_id == call.user.id
    mine = own or membership(call, server) is not None
    if kind in ("admin", "admin-all"):
        return call.user.root_admin and (kind == "admin-all" or not mine)
    return own if kind == "owner" else mine


@ENDPOINTS.on("GET", "/servers/{server}", gate=False)
def server_get(call: Call) -> Response:
    """One server by its short id or uuid."""
    server = call.bound(Server)
    meta = {"is_server_owner": server.owner_id == call.user.id, "user_permissions": permissions(call, server)}
    return success({**server_shown(call, server), "meta": meta})


@ENDPOINTS.on("GET", "/servers/{server}/resources")
def server_resources(call: Call) -> Response:
    """Live usage; whatever the daemon's trouble is, the answer is 504."""
    server = call.bound(Server)
    try:
        call.daemons.call(call.state.nodes[server.node_id], "GET", f"/api/servers/{server.uuid}")
    except DaemonError as error:
        raise PanelError(504, "DaemonConnectionException", error.detail) from error
    running = server.power == "running"
    resources = {
        "memory_bytes": server.memory * 2**18 if running else 0,
        "cpu_absolute": 12.5 if running else 0,
        "disk_bytes": 104857600,
        "network_rx_bytes": 1000 if running else 0,
        "network_tx_bytes": 2000 if running else 0,
        "uptime": 3600000 if running else 0,
    }
    attributes = {"current_state": server.power, "is_suspended": False, "resources": resources}
    return success(show.item("stats", attributes))


@ENDPOINTS.on("POST", "/servers/{server}/power")
def server_power(call: Call) -> Response:
    """Start, stop, restart or kill."""
    server = call.bound(Server)
    signal = str(call.text("signal"))
    if "*" not in permissions(call, server):
        require(call, SIGNALS.get(signal, "control.none"))
    call.validate([Field("signal", f"required|string|in:{','.join(SIGNALS)}")])
    call.daemons.call(call.state.nodes[server.node_id], "POST", f"/api/servers/{server.uuid}/power")
    server.power = STATES[signal]
    return no_content()


@ENDPOINTS.on("POST", "/servers/{server}/command")
def server_command(call: Call) -> Response:
    """A line for the console of a running server."""
    server = call.bound(Server)
    require(call, "control.console")
    call.validate([Field("command", "required|string|min:1")])
    call.daemons.call(call.state.nodes[server.node_id], "POST", f"/api/servers/{server.uuid}/commands")
    if server.power != "running":
        raise PanelError(502, "HttpException", "Server must be online in order to send commands.")
    return no_content()
