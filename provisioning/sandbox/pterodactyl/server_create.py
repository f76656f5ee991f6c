"""Creating a server (contract section 6.3)."""

from contextlib import suppress

from provisioning.sandbox.daemon import DaemonError
from provisioning.sandbox.http import Response
from provisioning.sandbox.pterodactyl.calling import Call, Endpoints, success
from provisioning.sandbox.pterodactyl.deployment import free_allocation, suitable_nodes
from provisioning.sandbox.pterodactyl.nodes import parse_ports
from provisioning.sandbox.pterodactyl.relations import shown
from provisioning.sandbox.pterodactyl.server_remove import remove_server
from provisioning.sandbox.pterodactyl.validation import Check, Field, known, validate
from provisioning.sandbox.world import Allocation, Egg, Server, State, World, new_uuid

ENDPOINTS = Endpoints("application")
IMAGE = r"string|max:191|regex:/^~?[\w\.\/\-:@ ]*$/"
LIMITS = {
    "memory": "numeric|min:0",
    "swap": "numeric|min:-1",
    "disk": "numeric|min:0",
    "io": "numeric|between:10,1000",
    "cpu": "numeric|min:0",
}
THREADS = "regex:/^[0-9-,]+$/"


def unique_mark(world: World, state: State, except_for: Server | None = None) -> Check:
    """Whether no other server has this external id; anything goes where the switch says so."""

    def free(value: object) -> bool:
        if not world.settings.unique_external_ids:
            return True
        wanted = str(value).lower()
        rows = (row for row in state.servers.values() if row is not except_for)
        return not any((row.external_id or "").lower() == wanted for row in rows)

    return free


def free(state: State) -> Check:
    """Whether a number is the id of a free allocation."""

    def exists(value: object) -> bool:
        row = state.allocations.get(int(str(value))) if str(value).isdigit() else None
        return row is not None and row.server_id is None

    return exists


def fields(call: Call) -> list[Field]:
    """The rules of POST, in the panel's order."""
    state = call.state
    return [
        Field(
            "external_id", "sometimes|nullable|string|between:1,191", unique=unique_mark(call.world, state)
        ),
        Field("name", "required|string|between:1,191"),
        Field("description", "nullable|string"),
        Field("user", "required|integer", exists=known(state.users)),
        Field("egg", "required", exists=known(state.eggs)),
        Field("docker_image", "required|" + IMAGE),
        Field("startup", "required|string"),
        Field("environment", "present|array"),
        Field("skip_scripts", "sometimes|boolean"),
        Field("oom_disabled", "sometimes|boolean"),
        Field("limits", "required|array"),
        *(Field(f"limits.{name}", f"required|{rules}") for name, rules in LIMITS.items()),
        Field("limits.threads", "nullable|" + THREADS),
        Field("feature_limits", "required|array"),
        Field("feature_limits.databases", "present|nullable|integer|min:0"),
        Field("feature_limits.allocations", "sometimes|nullable|integer|min:0"),
        Field("feature_limits.backups", "present|nullable|integer|min:0"),
        *(_deploy_fields() if call.has("deploy") else _allocation_fields(state)),
        Field("start_on_completion", "sometimes|boolean"),
    ]


def _allocation_fields(state: State) -> list[Field]:
    return [
        Field("allocation.default", "required|integer", exists=free(state)),
        Field("allocation.additional.*", "integer", exists=free(state)),
    ]


def _deploy_fields() -> list[Field]:
    return [
        Field("deploy", "required|array"),
        Field("deploy.locations", "present|array"),
        Field("deploy.locations.*", "integer|min:1"),
        Field("deploy.dedicated_ip", "required_with:deploy|boolean"),
        Field("deploy.port_range", "present|array"),
        Field("deploy.port_range.*", "string"),
    ]


def environment(call: Call, egg: Egg) -> dict[str, str]:
    """All of the egg's variables: what is not sent is stored empty, never the default (section 0, trap 5).

    Raises 422 for values that break the egg's rules.
    """
    sent = call.value("environment")
    values = {
        v.env_variable: sent.get(v.env_variable) if isinstance(sent, dict) else None for v in egg.variables
    }
    rules = [
        Field(f"environment.{v.env_variable}", v.rules, name=f"{v.name} variable") for v in egg.variables
    ]
    validate({"environment": values}, rules)
    return {name: "" if value is None else str(value) for name, value in values.items()}


def _chosen_allocation(call: Call) -> Allocation:
    """The default allocation: the one that was named, or one of automatic deployment. Raises 400."""
    if not call.has("deploy"):
        return call.state.allocations[call.number("allocation.default")]
    locations, ranges = call.value("deploy.locations"), call.value("deploy.port_range")
    wanted = [int(str(v)) for v in locations] if isinstance(locations, list) else []
    ports = [p for text in (ranges if isinstance(ranges, list) else []) for p in parse_ports(str(text))]
    nodes = suitable_nodes(call.state, call.number("limits.memory"), call.number("limits.disk"), wanted)
    return free_allocation(call.state, nodes, ports, call.flag("deploy.dedicated_ip"), call.world.random)


def _extra_allocations(call: Call) -> list[Allocation]:
    """The additional allocations; not validated together with ``deploy``, as on the panel."""
    ids = call.value("allocation.additional")
    rows = call.state.allocations
    return [rows[int(str(i))] for i in ids if int(str(i)) in rows] if isinstance(ids, list) else []


def _new_server(call: Call, egg: Egg, allocation: Allocation, variables: dict[str, str]) -> Server:
    """The row of the new server, from a body that was found valid."""
    return Server(
        *call.world.stamp("servers"),
        uuid=new_uuid(),
        name=str(call.text("name")),
        owner_id=call.number("user"),
        node_id=allocation.node_id,
        allocation_id=allocation.id,
        egg_id=egg.id,
        startup=str(call.text("startup")),
        image=str(call.text("docker_image")),
        memory=call.number("limits.memory"),
        swap=call.number("limits.swap"),
        disk=call.number("limits.disk"),
        io=call.number("limits.io"),
        cpu=call.number("limits.cpu"),
        external_id=call.text("external_id"),
        description=call.text("description") or "",
        status="installing",
        threads=call.text("limits.threads"),
        oom_disabled=call.flag("oom_disabled", True),
        skip_scripts=call.flag("skip_scripts"),
        start_on_completion=call.flag("start_on_completion"),
        database_limit=call.number("feature_limits.databases"),
        allocation_limit=call.number("feature_limits.allocations"),
        backup_limit=call.number("feature_limits.backups"),
        variables=variables,
    )


@ENDPOINTS.on("POST", "/servers", "servers")
def server_create(call: Call) -> Response:
    """A new server; where the daemon fails, nothing is left of it on the panel."""
    call.validate(fields(call))
    egg = call.state.eggs[call.number("egg")]
    allocation = _chosen_allocation(call)
    server = _new_server(call, egg, allocation, environment(call, egg))
    call.state.servers[server.id] = server
    for row in [allocation, *_extra_allocations(call)]:
        row.server_id = server.id
    node = call.state.nodes[server.node_id]
    try:
        call.daemons.create(node, server)
    except DaemonError:
        _roll_back(call, server)
        raise
    return success(shown(call, "server", server), status=201)


def _roll_back(call: Call, server: Server) -> None:
    """Ask the daemon to forget the server, whatever it answers, and remove it from the panel."""
    node = call.state.nodes[server.node_id]
    with suppress(DaemonError):
        call.daemons.delete(node, server)
    remove_server(call.state, server)
