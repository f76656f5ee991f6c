"""The Client API: one's servers, usage, power, commands, settings and variables (contract section 7)."""

from collections.abc import Callable
from urllib.parse import urlsplit

from provisioning.sandbox.calagopus.access import check_server_permission, sees_all, server_rights
from provisioning.sandbox.calagopus.calling import Call, Endpoints, done, paged, query, success
from provisioning.sandbox.calagopus.client_serializers import client_server
from provisioning.sandbox.calagopus.configuration import install_script
from provisioning.sandbox.calagopus.egg_rules import check_variables, chosen
from provisioning.sandbox.calagopus.errors import PanelError, conflict, refused
from provisioning.sandbox.calagopus.rows import Server
from provisioning.sandbox.calagopus.schema import Member, Struct, flag, free, needed, text, variant
from provisioning.sandbox.calagopus.serializers import server_allocation, server_variable
from provisioning.sandbox.calagopus.server_create import VARIABLE_RULES, VARIABLES
from provisioning.sandbox.calagopus.validation import rule
from provisioning.sandbox.calagopus.world import letters
from provisioning.sandbox.http import Response

ENDPOINTS = Endpoints("client")
ACTIONS = {
    "start": "control.start",
    "stop": "control.stop",
    "restart": "control.restart",
    "kill": "control.stop",
}
POWER = Struct("Payload", needed("action", variant(*ACTIONS), "signal"))
RENAME = Struct("Payload", needed("name", text), free("description", text))
INSTALL = Struct("Payload", Member("truncate_directory", flag))


def _shown(call: Call) -> Callable[[Server], object]:
    """How the caller sees a server."""

    def show(row: Server) -> object:
        rights = server_rights(call, row) or []
        mine = row.owner == call.user.uuid
        return client_server(call.state, row, is_owner=mine, permissions=rights)

    return show


@ENDPOINTS.on("GET", "/servers", "servers.read")
def servers_list(call: Call) -> Response:
    """One's own servers and those shared with one; administrators may ask for all others."""
    shared = {s.server for s in call.state.subusers.values() if s.user == call.user.uuid}
    others = query(call).get("other") == "true" and sees_all(call.state, call.user)
    rows = [
        s
        for s in call.state.servers.values()
        if (s.owner == call.user.uuid or s.uuid in shared) is not others
    ]
    return paged(call, "servers", rows, _shown(call), lambda s: [s.name])


@ENDPOINTS.on("GET", "/servers/{server}", gate=False)
def server_show(call: Call) -> Response:
    """One server, in any state and with any key."""
    return success({"server": _shown(call)(call.bound(Server))})


@ENDPOINTS.on("GET", "/servers/{server}/resources")
def resources_show(call: Call) -> Response:
    """What the daemon reports about it."""
    row = call.bound(Server)
    found = call.daemons.utilisation(call.state.nodes[row.node], call.request)
    if row.uuid not in found:
        raise PanelError(404, "no resource usage data found for server")
    return success({"resources": found[row.uuid]})


@ENDPOINTS.on("POST", "/servers/{server}/power", struct=POWER)
def power_send(call: Call) -> Response:
    """Start, stop, restart or kill."""
    row, action = call.bound(Server), call.body["action"]
    check_server_permission(call, row, ACTIONS[action])
    call.daemons.power(call.state.nodes[row.node], row, action, request=call.request)
    call.log("server", f"server:power.{action}", {}, row.uuid)
    return done()


@ENDPOINTS.on(
    "POST",
    "/servers/{server}/command",
    "control.console",
    struct=Struct("Payload", needed("command", text)),
    rules=(rule("command", "length:1,1024"),),
)
def command_send(call: Call) -> Response:
    """A line for the console."""
    row = call.bound(Server)
    body = {"commands": [call.body["command"]]}
    node = call.state.nodes[row.node]
    call.daemons.call(node, "POST", f"/api/servers/{row.uuid}/commands", body, request=call.request)
    return done()


@ENDPOINTS.on("GET", "/servers/{server}/websocket", gate=False)
def websocket_show(call: Call) -> Response:
    """Where the console is; nothing listens there."""
    row = call.bound(Server)
    node = call.state.nodes[row.node]
    base = urlsplit(node.public_url or node.url)
    scheme = "wss" if base.scheme == "https" else "ws"
    return success({"token": letters(64), "url": f"{scheme}://{base.netloc}/api/servers/{row.uuid}/ws"})


@ENDPOINTS.on(
    "POST",
    "/servers/{server}/settings/rename",
    "settings.rename",
    struct=RENAME,
    rules=(rule("name", "length:1,255"), rule("description", "length:1,1024")),
)
def server_rename(call: Call) -> Response:
    """Name and description."""
    row = call.bound(Server)
    row.name, row.description = call.body["name"], call.body.get("description")
    call.daemons.sync(row)
    return done()


@ENDPOINTS.on("POST", "/servers/{server}/settings/install", "settings.install", struct=INSTALL)
def server_reinstall(call: Call) -> Response:
    """Run the installation again."""
    row = call.bound(Server)
    node = call.state.nodes[row.node]
    body = {
        "truncate_directory": call.body["truncate_directory"],
        "installation_script": install_script(call.state, row),
    }
    call.daemons.call(node, "POST", f"/api/servers/{row.uuid}/reinstall", body, request=call.request)
    row.status = "installing"
    call.daemons.schedule_install(row.uuid, call.world.settings.installs.delay)
    emptied = {"truncate_directory": body["truncate_directory"]}
    call.log("server", "server:settings.install", emptied, row.uuid)
    return done(202)


@ENDPOINTS.on(
    "POST",
    "/servers/{server}/settings/install/cancel",
    "settings.cancel-install",
    struct=Struct("Payload"),
    gate=False,
)
def install_cancel(call: Call) -> Response:
    """Stop an installation."""
    row = call.bound(Server)
    if row.status != "installing":
        raise conflict("server is not installing")
    row.status = None
    return done()


def _seen(call: Call, row: Server) -> list[object]:
    variables = call.state.variables_of(row.egg)
    return [server_variable(v, row) for v in variables if v.user_viewable]


@ENDPOINTS.on("GET", "/servers/{server}/startup/variables", "startup.read")
def variables_list(call: Call) -> Response:
    """The variables that customers may see."""
    return success({"variables": _seen(call, call.bound(Server))})


@ENDPOINTS.on(
    "PUT",
    "/servers/{server}/startup/variables",
    "startup.update",
    struct=Struct("Payload", needed("variables", VARIABLES)),
    rules=VARIABLE_RULES,
)
def variables_update(call: Call) -> Response:
    """Set those that customers may edit; others are skipped without a word. The daemon is told."""
    row = call.bound(Server)
    variables = call.state.variables_of(row.egg)
    editable = [v for v in variables if v.user_viewable and v.user_editable]
    merged = {**row.variables, **chosen(editable, call.body["variables"])}
    check_variables(variables, merged)
    row.variables = merged
    call.daemons.sync(row)
    return done()


@ENDPOINTS.on("GET", "/servers/{server}/allocations", "allocations.read")
def links_list(call: Call) -> Response:
    """The server's allocations."""
    row, state = call.bound(Server), call.state
    return paged(call, "allocations", state.server_links(row), lambda k: server_allocation(state, k, row))


@ENDPOINTS.on("POST", "/servers/{server}/allocations", "allocations.create")
def link_add(_: Call) -> Response:
    """Customers may not take ports by themselves here."""
    raise refused("self-assigning allocations is not enabled for this server")
