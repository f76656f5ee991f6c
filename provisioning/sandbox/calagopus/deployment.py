"""POST /servers/deploy: the panel chooses node, address and ports (contract section 5.3)."""

from typing import Any

from provisioning.sandbox.calagopus.calling import Call, Endpoints
from provisioning.sandbox.calagopus.daemon import DaemonError
from provisioning.sandbox.calagopus.errors import bad
from provisioning.sandbox.calagopus.jsontext import Parsed
from provisioning.sandbox.calagopus.ports import PortError, choose
from provisioning.sandbox.calagopus.rows import Node, Server
from provisioning.sandbox.calagopus.schema import (
    Struct,
    flag,
    free,
    integer,
    needed,
    number,
    several,
    text,
    uuid,
    variant,
)
from provisioning.sandbox.calagopus.server_create import (
    DEPLOY_MEMBERS,
    RULES,
    STRICTER,
    check_egg,
    check_relations,
    make,
)
from provisioning.sandbox.calagopus.validation import rule
from provisioning.sandbox.http import Response

ENDPOINTS = Endpoints("admin")
MODES = ("random", "range", "add_primary", "subtract_primary", "multiply_primary", "divide_primary")
PORT = integer("u16")
DETAILS = {
    "range": (needed("start_port", PORT), needed("end_port", PORT)),
    "add_primary": (needed("value", PORT),),
    "subtract_primary": (needed("value", PORT),),
    "multiply_primary": (needed("value", number),),
    "divide_primary": (needed("value", number),),
}
MODE_STRUCTS = {
    kind: Struct("AdditionalMode", needed("type", variant(*MODES)), *DETAILS.get(kind, ())) for kind in MODES
}
ANY_MODE = Struct("AdditionalMode", needed("type", variant(*MODES)))


def mode(parsed: Parsed) -> object:
    """How an additional port is chosen: each type has members of its own."""
    found = ANY_MODE(parsed)
    kind = found["type"] if isinstance(found, dict) else ""
    return MODE_STRUCTS[str(kind)](parsed)


PRIMARY = Struct(
    "PrimaryAllocation",
    needed("start_port", PORT),
    needed("end_port", PORT),
    free("assign_to_variable", text),
)
ADDITIONAL = Struct("AdditionalAllocation", needed("mode", mode), free("assign_to_variable", text))
ALLOCATIONS = Struct(
    "DeploymentAllocations",
    needed("dedicated", flag),
    free("primary", PRIMARY),
    needed("additional", several(ADDITIONAL)),
)
DEPLOYMENT = Struct(
    "Deployment",
    needed("location_uuids", several(uuid)),
    needed("allow_overallocation", flag),
    free("suspension_penalty", number),
    free("randomness", number),
    free("allocations", ALLOCATIONS),
)
DEPLOY = Struct("Payload", *DEPLOY_MEMBERS, needed("deployment", DEPLOYMENT))
DEPLOY_RULES = (
    *RULES,
    rule("deployment.suspension_penalty", "range:0,1"),
    rule("deployment.randomness", "range:0,1"),
)
HALF = 0.5
Deployment = dict[str, Any]


def failed(reason: str) -> Exception:
    """400 with the panel's reason."""
    return bad(f"could not deploy server: {reason}")


@ENDPOINTS.on("POST", "/servers/deploy", "servers.create", struct=DEPLOY, rules=DEPLOY_RULES)
def server_deploy(call: Call) -> Response:
    """A server somewhere in some locations; without a port rule it has no port at all."""
    check_egg(call)
    call.validate(STRICTER, nested=True)
    check_relations(call)
    deployment: Deployment = call.body["deployment"]
    nodes = eligible(call, deployment)
    rules = deployment.get("allocations")
    given = call.body.get("allocation_uuid") and call.body.get("allocation_uuids") is not None
    if rules is None or given:
        return make(call, nodes[0].uuid)
    return make(call, _with_ports(call, nodes, rules).uuid)


def _with_ports(call: Call, nodes: list[Node], rules: dict[str, Any]) -> Node:
    """The first node that has the ports, with them in the body. Raises 400 with the last reason."""
    reason = "no eligible node found for server deployment"
    for node in nodes:
        try:
            used = call.daemons.ports_used(node, call.state, call.request)
            picked = choose(call, node, rules, used)
        except (DaemonError, PortError) as error:
            reason = str(error)
            continue
        call.body["allocation_uuid"] = picked.primary
        call.body["allocation_uuids"] = picked.additional
        call.body["variables"] = [*call.body["variables"], *picked.variables]
        return node
    raise failed(reason)


def eligible(call: Call, deployment: Deployment) -> list[Node]:
    """The nodes that could take it, best first. Raises 400 with what is missing everywhere."""
    places = deployment["location_uuids"]
    nodes = [n for n in call.state.nodes.values() if n.location in places]
    if not nodes:
        raise failed("no nodes exist in the selected location(s)")
    nodes = [n for n in nodes if n.deployment_enabled]
    if not nodes:
        raise failed("deployment is disabled on every node in the selected location(s)")
    if not deployment["allow_overallocation"]:
        nodes = _with_room(call, nodes, _penalty(deployment))
    chance = deployment.get("randomness", HALF) or 0.0
    if chance > 0:
        return call.world.random.sample(nodes, len(nodes))
    return sorted(nodes, key=lambda n: _used(call, n, "memory", _penalty(deployment)))


def _penalty(deployment: Deployment) -> float:
    given = deployment.get("suspension_penalty")
    return HALF if given is None else float(given)


def _with_room(call: Call, nodes: list[Node], penalty: float) -> list[Node]:
    """Those with enough memory and disk; 0 is unlimited. Raises 400."""
    limits = call.body["limits"]
    memory = {n.uuid for n in nodes if _fits(call, n, "memory", limits["memory"], penalty)}
    disk = {n.uuid for n in nodes if _fits(call, n, "disk", limits["disk"], penalty)}
    lacking = "no node in the selected location(s) has enough unallocated "
    if not memory and not disk:
        raise failed(f"{lacking}memory or disk")
    if not memory:
        raise failed(f"{lacking}memory")
    if not disk:
        raise failed(f"{lacking}disk")
    if not memory & disk:
        raise failed(f"no single {lacking.removeprefix('no ')}memory and disk at the same time")
    return [n for n in nodes if n.uuid in memory & disk]


def _fits(call: Call, node: Node, name: str, wanted: int, penalty: float) -> bool:
    has: int = getattr(node, name)
    return has == 0 or _used(call, node, name, penalty) + wanted <= has


def _used(call: Call, node: Node, name: str, penalty: float) -> float:
    """What a node's servers were promised; suspended ones count for a part."""
    return sum(_weight(s, penalty) * _promised(s, name) for s in call.state.node_servers(node))


def _weight(server: Server, penalty: float) -> float:
    return penalty if server.suspended else 1.0


def _promised(server: Server, name: str) -> int:
    overhead = server.limits["memory_overhead"] or 0 if name == "memory" else 0
    return (server.limits[name] or 0) + overhead
