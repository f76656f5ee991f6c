"""Changing and ending servers (contract sections 6.4 to 6.9)."""

from contextlib import suppress

from provisioning.sandbox.daemon import DaemonError
from provisioning.sandbox.http import Response
from provisioning.sandbox.pterodactyl.calling import Call, Endpoints, no_content, success
from provisioning.sandbox.pterodactyl.errors import display
from provisioning.sandbox.pterodactyl.relations import shown
from provisioning.sandbox.pterodactyl.server_create import (
    IMAGE,
    LIMITS,
    THREADS,
    environment,
    unique_mark,
)
from provisioning.sandbox.pterodactyl.server_remove import remove_server
from provisioning.sandbox.pterodactyl.validation import Field, known
from provisioning.sandbox.world import Allocation, Node, Server

ENDPOINTS = Endpoints("application")


def _node(call: Call) -> Node:
    return call.state.nodes[call.bound(Server).node_id]


@ENDPOINTS.on("PATCH", "/servers/{server}/details", "servers")
def server_details(call: Call) -> Response:
    """Name, owner, external id, description; the last two are cleared where left out (section 0, trap 7)."""
    server = call.bound(Server)
    mark = unique_mark(call.world, call.state, server)
    call.validate(
        [
            Field("external_id", "sometimes|nullable|string|between:1,191", unique=mark),
            Field("name", "required|string|between:1,191", name="Server Name"),
            Field("user", "required|integer", name="User ID", exists=known(call.state.users)),
            Field("description", "nullable|string"),
        ]
    )
    server.name, server.owner_id = str(call.text("name")), call.number("user")
    server.external_id = call.text("external_id")
    server.description = call.text("description") or ""
    server.updated_at = call.world.now()
    return success(shown(call, "server", server))


def build_fields(call: Call, server: Server) -> list[Field]:
    """The rules of PATCH build: limits nested, or flat as older clients send them."""
    state = call.state

    def default_of_nobody_else(value: object) -> bool:
        return not any(s.allocation_id == int(str(value)) for s in state.servers.values() if s is not server)

    allocations = [
        Field("allocation", "required", unique=default_of_nobody_else, exists=known(state.allocations)),
        Field("oom_disabled", "sometimes|boolean"),
    ]
    return [
        *allocations,
        Field("limits", "sometimes|array"),
        *_limit_fields("memory"),
        *_limit_fields("swap"),
        *_limit_fields("io"),
        *_limit_fields("cpu"),
        Field("limits.threads", "sometimes|nullable|" + THREADS),
        Field("threads", "sometimes|nullable|" + THREADS),
        *_limit_fields("disk"),
        Field("add_allocations", "bail|array"),
        Field("add_allocations.*", "integer"),
        Field("remove_allocations", "bail|array"),
        Field("remove_allocations.*", "integer"),
        Field("feature_limits", "required|array"),
        Field("feature_limits.databases", "present|nullable|integer|min:0", name="Database Limit"),
        Field("feature_limits.allocations", "sometimes|nullable|integer|min:0", name="Allocation Limit"),
        Field("feature_limits.backups", "present|nullable|integer|min:0", name="Backup Limit"),
    ]


def _limit_fields(name: str) -> list[Field]:
    rules = LIMITS[name]
    return [
        Field(f"limits.{name}", f"required_with:limits|{rules}"),
        Field(name, f"required_without:limits|{rules}"),
    ]


@ENDPOINTS.on("PATCH", "/servers/{server}/build", "servers")
def server_build(call: Call) -> Response:
    """Limits and allocations; a failing daemon is only logged, the answer is 200 all the same."""
    server = call.bound(Server)
    call.validate(build_fields(call, server))
    _change_allocations(call, server)
    prefix = "limits." if call.has("limits") else ""
    for name in LIMITS:
        setattr(server, name, call.number(prefix + name))
    if call.has(prefix + "threads"):
        server.threads = call.text(prefix + "threads")
    server.oom_disabled = call.flag("oom_disabled", server.oom_disabled)
    server.database_limit = _nullable(call, "feature_limits.databases")
    server.allocation_limit = _nullable(call, "feature_limits.allocations")
    server.backup_limit = call.number("feature_limits.backups")
    server.updated_at = call.world.now()
    with suppress(DaemonError):
        call.daemons.sync(_node(call), server)
    return success(shown(call, "server", server))


def _nullable(call: Call, path: str) -> int | None:
    return None if call.value(path) is None else call.number(path)


def _ids(call: Call, path: str) -> list[int]:
    found = call.value(path)
    return [int(str(i)) for i in found] if isinstance(found, list) else []


def _change_allocations(call: Call, server: Server) -> None:
    """Add, choose the default, remove. Raises 400 and changes nothing where the default would be lost."""
    rows = call.state.allocations
    added = [rows[i] for i in _ids(call, "add_allocations") if i in rows and _addable(rows[i], server)]
    wanted = rows[call.number("allocation")]
    if wanted.server_id != server.id and wanted not in added:
        raise display("The requested default allocation is not currently assigned to this server.")
    removed = set(_ids(call, "remove_allocations")) - {row.id for row in added}
    default = wanted
    if wanted.id in removed:
        if not added:
            raise display(
                "You are attempting to delete the default allocation for this server "
                "but there is no fallback allocation to use."
            )
        default = added[0]
    for row in added:
        row.server_id, row.notes = server.id, None
    server.allocation_id = default.id
    for row in [rows[i] for i in removed if i in rows and rows[i].server_id == server.id]:
        row.server_id, row.notes = None, None


def _addable(row: Allocation, server: Server) -> bool:
    return row.server_id is None and row.node_id == server.node_id


@ENDPOINTS.on("PATCH", "/servers/{server}/startup", "servers")
def server_startup(call: Call) -> Response:
    """Start command, egg, image, variables; the daemon is not told."""
    server = call.bound(Server)
    call.validate(
        [
            Field("startup", "required|string"),
            Field("environment", "present|array"),
            Field("egg", "required", exists=known(call.state.eggs)),
            Field("image", "required|" + IMAGE),
            Field("skip_scripts", "present|boolean"),
        ]
    )
    egg = call.state.eggs[call.number("egg")]
    if call.value("environment"):
        server.variables = environment(call, egg)
    server.startup, server.image, server.egg_id = str(call.text("startup")), str(call.text("image")), egg.id
    server.skip_scripts = call.flag("skip_scripts")
    server.updated_at = call.world.now()
    return success(shown(call, "server", server))


def _toggle(call: Call, suspend: bool) -> Response:
    """Suspend or unsuspend; a failing daemon puts back null or suspended, whatever was before (trap 11)."""
    server = call.bound(Server)
    if (server.status == "suspended") == suspend:
        return no_content()
    server.status = "suspended" if suspend else None
    server.updated_at = call.world.now()
    try:
        call.daemons.sync(_node(call), server)
    except DaemonError:
        server.status = None if suspend else "suspended"
        raise
    server.power = "offline"
    return no_content()


@ENDPOINTS.on("POST", "/servers/{server}/suspend", "servers")
def server_suspend(call: Call) -> Response:
    """Suspend; 204 as well where it is so already."""
    return _toggle(call, suspend=True)


@ENDPOINTS.on("POST", "/servers/{server}/unsuspend", "servers")
def server_unsuspend(call: Call) -> Response:
    """Lift a suspension; on an installing server nothing happens."""
    return _toggle(call, suspend=False)


@ENDPOINTS.on("POST", "/servers/{server}/reinstall", "servers")
def server_reinstall(call: Call) -> Response:
    """Install again; this lifts a suspension as well (section 0, trap 11)."""
    server = call.bound(Server)
    before = server.status
    server.status = "installing"
    try:
        call.daemons.reinstall(_node(call), server)
    except DaemonError:
        server.status = before
        raise
    server.updated_at = call.world.now()
    return no_content()


@ENDPOINTS.on("DELETE", "/servers/{server}", "servers")
def server_delete(call: Call) -> Response:
    """Delete; only a daemon that does not know the server counts as success."""
    server = call.bound(Server)
    try:
        call.daemons.delete(_node(call), server)
    except DaemonError as error:
        if error.status != 404 and call.parameters.get("force") != "force":
            raise
    remove_server(call.state, server)
    return no_content()


@ENDPOINTS.on("DELETE", "/servers/{server}/{force}", "servers")
def server_force_delete(call: Call) -> Response:
    """``/force`` ignores the daemon's errors; any other word is an ordinary delete (section 0, trap 18)."""
    return server_delete(call)
