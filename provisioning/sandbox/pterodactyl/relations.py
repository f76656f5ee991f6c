"""The ``include`` parameter: which relations each object has and the right that each needs (section 1.3)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from provisioning.sandbox.pterodactyl import serializers as show
from provisioning.sandbox.pterodactyl.calling import Call
from provisioning.sandbox.pterodactyl.errors import UNEXPECTED, PanelError
from provisioning.sandbox.world import Egg, Node, Row, Server, State

DEPTH = 2
Found = Row | list[Row] | None


@dataclass(frozen=True)
class Relation:
    """One include: the kind of object it adds, the rows, and the resource whose read right it takes."""

    kind: str
    rows: Callable[[State, Any], Any]
    resource: str


def _egg_variables(_: State, row: Egg) -> list[Row]:
    return list(row.variables)


def _server_egg_variables(state: State, row: Server) -> list[Row]:
    return list(state.eggs[row.egg_id].variables)


def _server_location(state: State, row: Server) -> Row:
    return state.locations[state.nodes[row.node_id].location_id]


def _nest_servers(state: State, row: Row) -> list[Row]:
    return [s for s in state.servers.values() if state.eggs[s.egg_id].nest_id == row.id]


def _location_servers(state: State, row: Row) -> list[Row]:
    return [s for s in state.servers.values() if state.nodes[s.node_id].location_id == row.id]


def _nodes_of(state: State, row: Row) -> list[Row]:
    return [n for n in state.nodes.values() if n.location_id == row.id]


def _allocations_of(state: State, row: Node) -> list[Row]:
    return [a for a in state.allocations.values() if a.node_id == row.id]


def _subusers_of(state: State, row: Server) -> list[Row]:
    return [s for s in state.subusers.values() if s.server_id == row.id]


RELATIONS: dict[str, dict[str, Relation]] = {
    "user": {
        "servers": Relation(
            "server", lambda s, r: [x for x in s.servers.values() if x.owner_id == r.id], "servers"
        ),
    },
    "location": {
        "nodes": Relation("node", _nodes_of, "nodes"),
        "servers": Relation("server", _location_servers, "servers"),
    },
    "nest": {
        "eggs": Relation("egg", lambda s, r: [e for e in s.eggs.values() if e.nest_id == r.id], "eggs"),
        "servers": Relation("server", _nest_servers, "servers"),
    },
    "egg": {
        "nest": Relation("nest", lambda s, r: s.nests[r.nest_id], "nests"),
        "servers": Relation(
            "server", lambda s, r: [x for x in s.servers.values() if x.egg_id == r.id], "servers"
        ),
        "variables": Relation("egg_variable", _egg_variables, "eggs"),
        "config": Relation("null", lambda s, r: None, "eggs"),
        "script": Relation("null", lambda s, r: None, "eggs"),
    },
    "node": {
        "allocations": Relation("allocation", _allocations_of, "allocations"),
        "location": Relation("location", lambda s, r: s.locations[r.location_id], "locations"),
        "servers": Relation("server", lambda s, r: s.node_servers(r), "servers"),
    },
    "allocation": {
        "node": Relation("node", lambda s, r: s.nodes[r.node_id], "nodes"),
        "server": Relation("server", lambda s, r: s.servers.get(r.server_id), "servers"),
    },
    "server": {
        "allocations": Relation("allocation", lambda s, r: s.server_allocations(r), "allocations"),
        "user": Relation("user", lambda s, r: s.users[r.owner_id], "users"),
        "subusers": Relation("subuser", _subusers_of, "users"),
        "nest": Relation("nest", lambda s, r: s.nests[s.eggs[r.egg_id].nest_id], "nests"),
        "egg": Relation("egg", lambda s, r: s.eggs[r.egg_id], "eggs"),
        "variables": Relation("server_variable", _server_egg_variables, "servers"),
        "location": Relation("location", _server_location, "locations"),
        "node": Relation("node", lambda s, r: s.nodes[r.node_id], "nodes"),
        "databases": Relation("databases", lambda s, r: [], "server_databases"),
    },
}

SERIALIZERS: dict[str, Callable[[State, Any], show.Attributes]] = {
    "user": show.user,
    "location": show.location,
    "nest": show.nest,
    "egg": show.egg,
    "egg_variable": show.egg_variable,
    "server_variable": show.egg_variable,
    "node": show.node,
    "allocation": show.allocation,
    "server": show.server,
    "subuser": show.subuser,
}


def included(call: Call) -> list[list[str]]:
    """The relations asked for, by query or body, as paths."""
    asked = call.request.query.get("include", call.body.get("include", ""))
    names = asked if isinstance(asked, list) else str(asked or "").split(",")
    return [str(name).split(".")[:DEPTH] for name in names if name]


def shown(
    call: Call, kind: str, row: Row, attributes: Mapping[str, object] | None = None
) -> dict[str, object]:
    """A row in its envelope, with the relations that the request asks for."""
    return _with(call, kind, row, dict(attributes or SERIALIZERS[kind](call.state, row)), included(call))


def _with(
    call: Call, kind: str, row: Row, attributes: show.Attributes, paths: list[list[str]]
) -> dict[str, object]:
    """Add ``relationships`` inside the attributes where any of the paths is one of this object's."""
    relationships: dict[str, object] = {}
    for name in dict.fromkeys(path[0] for path in paths):
        if kind == "server" and name == "transfer":
            raise PanelError(500, "TypeError", UNEXPECTED)
        relation = RELATIONS.get(kind, {}).get(name)
        if relation is not None:
            deeper = [path[1:] for path in paths if path[0] == name and path[1:]]
            relationships[name] = _related(call, relation, row, deeper)
    if relationships:
        attributes["relationships"] = relationships
    return show.item(kind, attributes)


def _related(call: Call, relation: Relation, row: Row, paths: list[list[str]]) -> dict[str, object]:
    """One relation: a list, an object, or the null object where there is none or it may not be read."""
    found: Found = relation.rows(call.state, row) if call.may(relation.resource) else None
    if isinstance(found, list):
        return show.listed([_one(call, relation.kind, row, other, paths) for other in found])
    return show.NULL if found is None else _one(call, relation.kind, row, found, paths)


def _one(call: Call, kind: str, parent: Row, row: Row, paths: list[list[str]]) -> dict[str, object]:
    """One related object; a server's variables also hold its own value."""
    attributes = SERIALIZERS[kind](call.state, row)
    if kind == "server_variable" and isinstance(parent, Server):
        attributes["server_value"] = parent.variables.get(str(attributes["env_variable"]), "")
    return _with(call, kind, row, attributes, paths)
