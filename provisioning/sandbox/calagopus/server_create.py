"""POST /servers: two looks at the body, then rows, then the daemon (contract sections 5.2 and 5.4)."""

from typing import Any

from provisioning.sandbox.calagopus.calling import Call, Endpoints, success
from provisioning.sandbox.calagopus.daemon import DaemonError
from provisioning.sandbox.calagopus.egg_rules import check_variables, chosen
from provisioning.sandbox.calagopus.errors import bad, conflict, internal, relation
from provisioning.sandbox.calagopus.places import change
from provisioning.sandbox.calagopus.rows import AllocationLink, Server
from provisioning.sandbox.calagopus.schema import (
    Member,
    Struct,
    flag,
    free,
    integer,
    needed,
    optional,
    several,
    text,
    timezone,
    uuid,
)
from provisioning.sandbox.calagopus.serializers import server as server_shown
from provisioning.sandbox.calagopus.servers import remove
from provisioning.sandbox.calagopus.validation import rule
from provisioning.sandbox.http import Response

ENDPOINTS = Endpoints("admin")
LIMITS = Struct(
    "ServerLimits",
    *(needed(name, integer("i64")) for name in ("cpu", "memory", "memory_overhead", "swap", "disk")),
    free("io_weight", integer("i16")),
)
FEATURES = ("allocations", "databases", "backups", "schedules")
FEATURE_LIMITS = Struct("ServerFeatureLimits", *(needed(n, integer("i32")) for n in FEATURES), kept=True)
VARIABLES = several(Struct("Variable", needed("env_variable", text), needed("value", text)))
HEAD = (needed("node_uuid", uuid),)
BODY: tuple[Member, ...] = (
    needed("owner_uuid", uuid),
    needed("egg_uuid", uuid),
    free("backup_configuration_uuid", uuid),
    free("allocation_uuid", uuid),
)
TAIL: tuple[Member, ...] = (
    needed("start_on_completion", flag),
    needed("skip_installer", flag),
    free("external_id", text),
    needed("name", text),
    free("description", text),
    needed("limits", LIMITS),
    needed("pinned_cpus", several(integer("i16"))),
    needed("startup", text),
    needed("image", text),
    free("timezone", timezone),
    needed("hugepages_passthrough_enabled", flag),
    needed("kvm_passthrough_enabled", flag),
    needed("feature_limits", FEATURE_LIMITS),
    needed("variables", VARIABLES),
)
CREATE = Struct("Payload", *HEAD, *BODY, needed("allocation_uuids", several(uuid)), *TAIL)
DEPLOY_MEMBERS = (*BODY, Member("allocation_uuids", optional(several(uuid)), required=False), *TAIL)
LIMIT_RULES = (
    *(rule(f"limits.{name}", "range:0,") for name in ("cpu", "memory", "memory_overhead", "disk")),
    rule("limits.swap", "range:-1,"),
    rule("limits.io_weight", "range:0,1000"),
    *(rule(f"feature_limits.{name}", "range:0,") for name in FEATURES),
    rule("pinned_cpus[]", "range:0,32767"),
    rule("startup", "length:1,8192"),
    rule("image", "length:2,255"),
)
VARIABLE_RULES = (
    rule("variables[].env_variable", "length:1,255"),
    rule("variables[].value", "length:,4096"),
)
RULES = (
    *LIMIT_RULES,
    *VARIABLE_RULES,
    rule("external_id", "length:,255"),
    rule("name", "length:3,255"),
    rule("description", "length:,1024"),
)
STRICTER = (rule("external_id", "length:1,255"), rule("description", "length:1,1024"))


@ENDPOINTS.on("POST", "/servers", "servers.create", struct=CREATE, rules=RULES)
def server_create(call: Call) -> Response:
    """A server on a node; neither capacity nor the node's switches nor the allocation's node are checked."""
    check_egg(call)
    call.validate(STRICTER, nested=True)
    if call.body["node_uuid"] not in call.state.nodes:
        raise relation("node")
    check_relations(call)
    return make(call, call.body["node_uuid"])


def check_egg(call: Call) -> None:
    """The egg must exist, and its rules like all values. Raises 400."""
    egg = call.body["egg_uuid"]
    if egg not in call.state.eggs:
        raise relation("egg")
    variables = call.state.variables_of(egg)
    check_variables(variables, chosen(variables, call.body["variables"]))


def check_relations(call: Call) -> None:
    """Owner and backup configuration must exist. Raises 400."""
    body, state = call.body, call.state
    if body["owner_uuid"] not in state.users:
        raise relation("owner")
    chosen_one = body.get("backup_configuration_uuid")
    if chosen_one is not None and chosen_one not in state.backup_configurations:
        raise relation("backup_configuration")


def feature_limits(call: Call, given: dict[str, Any]) -> dict[str, int]:
    """The known keys; others only where an extension declares them, and then perhaps all of them."""
    settings = call.world.settings
    known = (*FEATURES, *settings.extension_limits)
    missing = [name for name in settings.extension_limits if name not in given]
    if settings.extension_required and missing:
        what = f"failed to deserialize extension: missing field `{missing[0]}`"
        raise bad(f"feature_limits.__overlay: {what}")
    return {name: given[name] for name in known if name in given}


def make(call: Call, node_uuid: str) -> Response:
    """Write the rows, then tell the daemon; its failure takes them back, a caller's hanging up does not."""
    body, state = call.body, call.state
    wanted = [body["allocation_uuid"]] if body.get("allocation_uuid") else []
    wanted += body.get("allocation_uuids") or []
    check_allocations(call, wanted)
    server = _row(call, node_uuid)
    state.servers[server.uuid] = server
    for number, key in enumerate(wanted):
        link = AllocationLink(*call.world.stamp(), server=server.uuid, allocation=key)
        state.links[link.uuid] = link
        if number == 0 and body.get("allocation_uuid"):
            server.primary = link.uuid
    shown = server_shown(state, server)
    skip = body["skip_installer"]
    try:
        call.daemons.create(state.nodes[node_uuid], server, skip_scripts=skip, request=call.request)
    except DaemonError:
        remove(state, server)
        raise internal() from None
    call.log("admin", "server:create", {"uuid": server.uuid, "name": server.name})
    return success({"server": shown})


def check_allocations(call: Call, wanted: list[str]) -> None:
    """One that is held or named twice is a 409, an unknown one a 500."""
    held = call.state.holders()
    if any(key not in call.state.allocations for key in wanted):
        raise internal()
    if len(set(wanted)) < len(wanted) or any(key in held for key in wanted):
        raise conflict("server with allocation(s) or external id already exists")


def _row(call: Call, node_uuid: str) -> Server:
    """The server's row from the body."""
    body = call.body
    limits = {name: body["limits"].get(name) for name in (*SHOWN_LIMITS, "io_weight")}
    row = Server(
        *call.world.stamp(),
        owner=body["owner_uuid"],
        node=node_uuid,
        egg=body["egg_uuid"],
        limits=limits,
        feature_limits=feature_limits(call, body["feature_limits"]),
        **{name: body[name] for name in ("name", "startup", "image")},
    )
    plain = {k: v for k, v in body.items() if k not in ("limits", "feature_limits", "variables")}
    change(row, plain)
    row.backup_configuration = body.get("backup_configuration_uuid")
    row.variables = chosen(call.state.variables_of(row.egg), body["variables"])
    row.status = None if body["skip_installer"] else "installing"
    return row


SHOWN_LIMITS = ("cpu", "memory", "memory_overhead", "swap", "disk")
