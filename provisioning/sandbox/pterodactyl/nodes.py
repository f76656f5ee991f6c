"""Nodes and their allocations (contract section 5)."""

import re
from collections.abc import Callable, Iterable
from ipaddress import ip_network
from typing import Any

from provisioning.sandbox.core import random_text
from provisioning.sandbox.daemon import DaemonError
from provisioning.sandbox.http import Response
from provisioning.sandbox.pterodactyl.calling import Call, Endpoints, no_content, success
from provisioning.sandbox.pterodactyl.deployment import suitable_nodes
from provisioning.sandbox.pterodactyl.errors import display, not_found
from provisioning.sandbox.pterodactyl.listing import (
    Filter,
    filtered,
    listing,
    page_of,
    partial,
    partials,
)
from provisioning.sandbox.pterodactyl.reading import readable
from provisioning.sandbox.pterodactyl.relations import shown
from provisioning.sandbox.pterodactyl.serializers import deployable_node, listed
from provisioning.sandbox.pterodactyl.validation import Field, known, validate
from provisioning.sandbox.world import Allocation, Node, new_uuid

ENDPOINTS = Endpoints("application")
NODE_FILTERS = partials("uuid name fqdn daemon_token_id")
MOST_PORTS = 1000
NOT_PERSISTED = (
    "The daemon configuration <strong>has been updated</strong>, however there was an error encountered "
    "while attempting to automatically update the configuration file on the Daemon. You will need to "
    "manually update the configuration file (config.yml) for the daemon to apply these changes."
)
NUMBERS = (
    "memory",
    "memory_overallocate",
    "disk",
    "disk_overallocate",
    "upload_size",
    "daemon_sftp",
    "daemon_listen",
)
FLAGS = ("public", "behind_proxy", "maintenance_mode")


def _exact(attribute: str) -> Filter:
    def matches(row: object, value: str) -> bool:
        return str(getattr(row, attribute)) in value.split(",")

    return matches


def _of_server(row: Allocation, value: str) -> bool:
    """A number: that server's; 0 or anything else: the free ones."""
    return row.server_id == int(value) if value.isdigit() and int(value) else row.server_id is None


ALLOCATION_FILTERS: dict[str, Callable[[Any, str], bool]] = {
    "ip": _exact("ip"),
    "port": _exact("port"),
    "ip_alias": partial("alias"),
    "server_id": _of_server,
}


def node_fields(call: Call) -> list[Field]:
    """The rules of POST and PATCH, in the panel's order."""
    return [
        Field("name", r"required|regex:/^([\w .-]{1,100})$/"),
        Field("location_id", "required", name="Location", exists=known(call.state.locations)),
        Field("fqdn", "required|string"),
        Field("scheme", "required"),
        Field("memory", "required|numeric|min:1"),
        Field("memory_overallocate", "required|numeric|min:-1"),
        Field("disk", "required|numeric|min:1"),
        Field("disk_overallocate", "required|numeric|min:-1"),
        Field("upload_size", "sometimes|integer|between:1,1024"),
        Field("daemon_sftp", "required|numeric|between:1,65535"),
        Field("daemon_listen", "required|numeric|between:1,65535"),
        Field("daemon_base", r"sometimes|regex:/^([\/][\d\w.\-\/]+)$/"),
        *(Field(name, "sometimes|boolean") for name in FLAGS),
    ]


@ENDPOINTS.on("GET", "/nodes/deployable", "nodes")
def node_deployable(call: Call) -> Response:
    """The public nodes that a server of this size fits on; free allocations are not looked at."""
    query = call.request.query
    fields = [Field("memory", "required|integer|min:0"), Field("disk", "required|integer|min:0")]
    validate(query, fields)
    asked = query.get("location_ids")
    locations = [int(v) for v in asked if str(v).isdigit()] if isinstance(asked, list) else []
    nodes = suitable_nodes(call.state, int(str(query["memory"])), int(str(query["disk"])), locations)
    if "page" not in query:
        return success(listed(_deployable(call, nodes)))
    found, pagination = page_of(call, nodes)
    return success({**listed(_deployable(call, found)), "meta": {"pagination": pagination}})


def _deployable(call: Call, nodes: Iterable[Node]) -> list[dict[str, object]]:
    return [shown(call, "node", node, deployable_node(call.state, node)) for node in nodes]


# after nodes/deployable, which the pattern nodes/{node} would take as well
readable(ENDPOINTS, "nodes", "node", NODE_FILTERS, ("id", "uuid", "memory", "disk"))


@ENDPOINTS.on("GET", "/nodes/{node}/configuration", "nodes")
def node_configuration(call: Call) -> Response:
    """The daemon's configuration, its token in clear (contract section 9)."""
    node = call.bound(Node)
    return success(
        {
            "debug": False,
            "uuid": node.uuid,
            "token_id": node.daemon_token_id,
            "token": node.daemon_token,
            "api": {
                "host": "0.0.0.0",  # noqa: S104 - a text of the answer, nothing listens there
                "port": node.daemon_listen,
                "ssl": {"enabled": node.scheme == "https" and not node.behind_proxy},
                "upload_limit": node.upload_size,
            },
            "system": {"data": node.daemon_base, "sftp": {"bind_port": node.daemon_sftp}},
            "allowed_mounts": [],
            "remote": call.request.base_url,
        }
    )


@ENDPOINTS.on("POST", "/nodes", "nodes")
def node_create(call: Call) -> Response:
    """A new node."""
    call.validate(node_fields(call))
    node = Node(
        *call.world.stamp("nodes"),
        uuid=new_uuid(),
        name=str(call.text("name")),
        location_id=call.number("location_id"),
        fqdn=str(call.text("fqdn")),
        scheme=str(call.text("scheme")),
        memory=call.number("memory"),
        disk=call.number("disk"),
        daemon_token_id=random_text(16),
        daemon_token=random_text(64),
    )
    _fill(call, node)
    call.state.nodes[node.id] = node
    meta = {"resource": f"{call.request.base_url}/api/application/nodes/{node.id}"}
    return success({**shown(call, "node", node), "meta": meta}, status=201)


@ENDPOINTS.on("PATCH", "/nodes/{node}", "nodes")
def node_update(call: Call) -> Response:
    """Change a node and tell its daemon; where that fails the change stays, the answer is 400."""
    node = call.bound(Node)
    call.validate(node_fields(call))
    for name in ("name", "fqdn", "scheme"):
        setattr(node, name, str(call.text(name)))
    node.location_id = call.number("location_id")
    _fill(call, node)
    node.updated_at = call.world.now()
    try:
        call.daemons.call(node, "POST", "/api/update")
    except DaemonError as error:
        raise display(NOT_PERSISTED, "ConfigurationNotPersistedException") from error
    return success(shown(call, "node", node))


def _fill(call: Call, node: Node) -> None:
    """The columns that may be left out."""
    for name in NUMBERS:
        setattr(node, name, call.number(name, getattr(node, name)))
    for name in FLAGS:
        setattr(node, name, call.flag(name, getattr(node, name)))
    node.daemon_base = call.text("daemon_base") or node.daemon_base


@ENDPOINTS.on("DELETE", "/nodes/{node}", "nodes")
def node_delete(call: Call) -> Response:
    """Remove a node without servers, and its allocations."""
    node, state = call.bound(Node), call.state
    if state.node_servers(node):
        raise display(
            "A node must have no servers linked to it in order to be deleted.", "HasActiveServersException"
        )
    for allocation_id in [a.id for a in state.allocations.values() if a.node_id == node.id]:
        del state.allocations[allocation_id]
    del state.nodes[node.id]
    return no_content()


@ENDPOINTS.on("GET", "/nodes/{node}/allocations", "allocations")
def allocation_list(call: Call) -> Response:
    """The node's allocations; ``filter[server_id]=0`` gives the free ones."""
    node = call.bound(Node)
    rows = [a for a in call.state.allocations.values() if a.node_id == node.id]
    return success(listing(call, "allocation", filtered(call, rows, ALLOCATION_FILTERS)))


@ENDPOINTS.on("POST", "/nodes/{node}/allocations", "allocations")
def allocation_create(call: Call) -> Response:
    """New allocations; ones that exist already are skipped silently, no ids are told."""
    node = call.bound(Node)
    call.validate(
        [
            Field("ip", "required|string"),
            Field("alias", "sometimes|nullable|string|max:191"),
            Field("ports", "required|array"),
            Field("ports.*", "string"),
        ]
    )
    ports = call.value("ports")
    numbers = [n for text in (ports if isinstance(ports, list) else []) for n in parse_ports(str(text))]
    for address in _addresses(str(call.text("ip"))):
        for number in numbers:
            _add(call, node, address, number)
    return no_content()


def _add(call: Call, node: Node, address: str, port: int) -> None:
    rows = call.state.allocations
    if any((a.node_id, a.ip, a.port) == (node.id, address, port) for a in rows.values()):
        return
    row = Allocation(*call.world.stamp("allocations"), node.id, address, port, alias=call.text("alias"))
    rows[row.id] = row


def _addresses(text: str) -> list[str]:
    if "/" not in text:
        return [text]
    network = ip_network(text, strict=False)
    if network.prefixlen < 25:
        raise display("CIDR notation only allows masks between /25 and /32.", "CidrOutOfRangeException")
    return [str(address) for address in network]


def parse_ports(text: str) -> list[int]:
    """The ports of ``25565`` or ``25565-25570``. Raises 400 as the panel does."""
    match = re.fullmatch(r"(\d{4,5})(?:-(\d{4,5}))?", text)
    if match is None:
        detail = f"The mapping provided for {text} was invalid and could not be processed."
        raise display(detail, "InvalidPortMappingException")
    first, last = int(match[1]), int(match[2] or match[1])
    if last - first >= MOST_PORTS:
        detail = "Adding more than 1000 ports in a single range at once is not supported."
        raise display(detail, "TooManyPortsInRangeException")
    if first <= 1024 or last > 65535:
        detail = "Ports in an allocation must be greater than 1024 and less than or equal to 65535."
        raise display(detail, "PortOutOfRangeException")
    return list(range(first, last + 1))


@ENDPOINTS.on("DELETE", "/nodes/{node}/allocations/{allocation}", "allocations")
def allocation_delete(call: Call) -> Response:
    """Remove a free allocation of this node."""
    allocation = call.bound(Allocation)
    if allocation.node_id != call.bound(Node).id:
        raise not_found()
    if allocation.server_id is not None:
        raise display(
            "A server is currently assigned to this allocation. "
            "An allocation can only be deleted if no server is currently assigned.",
            "ServerUsingAllocationException",
        )
    del call.state.allocations[allocation.id]
    return no_content()
