"""The addresses and ports of a node (contract section 4.6, as release 1.1.4 has it)."""

from provisioning.sandbox.calagopus.calling import Call, Endpoints, done, paged, success
from provisioning.sandbox.calagopus.rows import Allocation, Node
from provisioning.sandbox.calagopus.schema import Struct, address, free, integer, needed, several, text, uuid
from provisioning.sandbox.calagopus.serializers import node_allocation
from provisioning.sandbox.calagopus.validation import rule
from provisioning.sandbox.http import Response

ENDPOINTS = Endpoints("admin")
ADD = Struct(
    "Payload", needed("ip", address), free("ip_alias", text), needed("ports", several(integer("u16")))
)
CHOSEN = Struct("Payload", needed("uuids", several(uuid)))
UPDATE = Struct("Payload", needed("uuids", several(uuid)), free("ip", address), free("ip_alias", text))
RULES = (rule("ip_alias", "length:1,255"),)


def _paged(call: Call, rows: list[Allocation]) -> Response:
    """A page of allocations; the search looks at ``ip:port`` and ``alias:port``."""
    holders = call.state.holders()
    return paged(
        call,
        "allocations",
        rows,
        lambda a: node_allocation(call.state, a, holders.get(a.uuid)),
        lambda a: [f"{a.ip}:{a.port}", f"{a.ip_alias}:{a.port}"],
    )


@ENDPOINTS.on("GET", "/nodes/{node}/allocations", "nodes.allocations")
def allocations_list(call: Call) -> Response:
    """All of a node's allocations."""
    return _paged(call, call.state.node_allocations(call.bound(Node)))


@ENDPOINTS.on("GET", "/nodes/{node}/allocations/available", "nodes.allocations")
def allocations_available(call: Call) -> Response:
    """Those that no server holds."""
    held = call.state.holders()
    return _paged(call, [a for a in call.state.node_allocations(call.bound(Node)) if a.uuid not in held])


@ENDPOINTS.on("POST", "/nodes/{node}/allocations", "nodes.allocations", struct=ADD, rules=RULES)
def allocations_add(call: Call) -> Response:
    """Add ports; those that are there already are skipped without a word."""
    row, body = call.bound(Node), call.body
    known = {(a.ip, a.port) for a in call.state.node_allocations(row)}
    wanted = [port for port in body["ports"] if (body["ip"], port) not in known]
    for port in wanted:
        new = Allocation(*call.world.stamp(), row.uuid, body["ip"], port, body.get("ip_alias"))
        call.state.allocations[new.uuid] = new
    return success({"created": len(wanted)})


@ENDPOINTS.on("PATCH", "/nodes/{node}/allocations", "nodes.allocations", struct=UPDATE, rules=RULES)
def allocations_update(call: Call) -> Response:
    """Change address or alias of some."""
    row = call.bound(Node)
    for held in call.state.node_allocations(row):
        if held.uuid in call.body["uuids"]:
            held.ip = call.body.get("ip") or held.ip
            held.ip_alias = call.body.get("ip_alias", held.ip_alias)
    return done()


@ENDPOINTS.on("DELETE", "/nodes/{node}/allocations", "nodes.allocations", struct=CHOSEN)
def allocations_delete(call: Call) -> Response:
    """Remove some that nobody holds."""
    row, held = call.bound(Node), call.state.holders()
    chosen = [a.uuid for a in call.state.node_allocations(row) if a.uuid in call.body["uuids"]]
    free_ones = [key for key in chosen if key not in held]
    for key in free_ones:
        del call.state.allocations[key]
    return success({"deleted": len(free_ones)})
