"""Rows as the Application API shows them, (contract sections 3 to 6)."""

from collections.abc import Mapping
from datetime import datetime

from provisioning.sandbox.world import (
    Allocation,
    Egg,
    EggVariable,
    Location,
    Nest,
    Node,
    Row,
    Server,
    State,
    Subuser,
    User,
)

Attributes = dict[str, object]
NOT_INSTALLED = {"installing", "install_failed"}


def stamp(moment: datetime | None) -> str | None:
    """A time as most objects show it."""
    return None if moment is None else moment.strftime("%Y-%m-%dT%H:%M:%S+00:00")


def micro_stamp(moment: datetime) -> str:
    """A time as variables show it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000000Z")


def stamps(row: Row) -> Attributes:
    """The two times at the end of most objects."""
    return {"created_at": stamp(row.created_at), "updated_at": stamp(row.updated_at)}


def columns(row: Row, names: str) -> Attributes:
    """The row's own columns of these names, in this order."""
    return {name: getattr(row, name) for name in names.split()}


def user(_: State, row: User) -> Attributes:
    """Section 3."""
    names = "id external_id uuid username email first_name last_name language root_admin"
    return {**columns(row, names), "2fa": row.two_factor, **stamps(row)}


def location(_: State, row: Location) -> Attributes:
    """Section 4; the times stand the other way round here."""
    times = {"updated_at": stamp(row.updated_at), "created_at": stamp(row.created_at)}
    return {**columns(row, "id short long"), **times}


def nest(_: State, row: Nest) -> Attributes:
    """Section 4."""
    return {**columns(row, "id uuid author name description"), **stamps(row)}


def egg(_: State, row: Egg) -> Attributes:
    """Section 4; ``docker_image`` is the first of ``docker_images``."""
    return {
        **columns(row, "id uuid name"),
        "nest": row.nest_id,
        **columns(row, "author description"),
        "docker_image": next(iter(row.docker_images.values())),
        **columns(row, "docker_images config startup script"),
        **stamps(row),
    }


def egg_variable(_: State, row: EggVariable) -> Attributes:
    """Section 4."""
    names = "id egg_id name description env_variable default_value user_viewable user_editable rules"
    times = {"created_at": micro_stamp(row.created_at), "updated_at": micro_stamp(row.updated_at)}
    return {**columns(row, names), **times}


def used(state: State, row: Node) -> dict[str, int]:
    """Memory and disk that the node's servers were given, in MiB."""
    servers = state.node_servers(row)
    return {"memory": sum(s.memory for s in servers), "disk": sum(s.disk for s in servers)}


def node(state: State, row: Node) -> Attributes:
    """Section 5."""
    return {**node_columns(row), **stamps(row), "allocated_resources": used(state, row)}


def deployable_node(state: State, row: Node) -> Attributes:
    """A node as ``nodes/deployable`` shows it: two sums more, as text."""
    sums = used(state, row)
    extra = {"sum_memory": str(sums["memory"]), "sum_disk": str(sums["disk"])}
    return {**node_columns(row), **stamps(row), **extra, "allocated_resources": sums}


def node_columns(row: Node) -> Attributes:
    """The node's own columns, without its secret."""
    return columns(
        row,
        "id uuid public name description location_id fqdn scheme behind_proxy maintenance_mode memory"
        " memory_overallocate disk disk_overallocate upload_size daemon_listen daemon_sftp daemon_base",
    )


def allocation(_: State, row: Allocation) -> Attributes:
    """Section 5."""
    return {**columns(row, "id ip alias port notes"), "assigned": row.server_id is not None}


def limits(row: Server) -> Attributes:
    """The limits of a server, as both APIs show them."""
    return columns(row, "memory swap disk io cpu threads oom_disabled")


def feature_limits(row: Server) -> Attributes:
    """How many databases, extra allocations and backups a server may have."""
    return {"databases": row.database_limit, "allocations": row.allocation_limit, "backups": row.backup_limit}


def environment(state: State, row: Server) -> Attributes:
    """The egg's variables and the four synthetic keys (section 6.1)."""
    place = state.locations[state.nodes[row.node_id].location_id]
    return {
        **{v.env_variable: row.variables.get(v.env_variable, "") for v in state.eggs[row.egg_id].variables},
        "STARTUP": row.startup,
        "P_SERVER_LOCATION": place.short,
        "P_SERVER_UUID": row.uuid,
        "P_SERVER_ALLOCATION_LIMIT": row.allocation_limit,
    }


def server(state: State, row: Server) -> Attributes:
    """Section 6.1."""
    return {
        **columns(row, "id external_id uuid identifier name description status"),
        "suspended": row.status == "suspended",
        "limits": limits(row),
        "feature_limits": feature_limits(row),
        "user": row.owner_id,
        "node": row.node_id,
        "allocation": row.allocation_id,
        "nest": state.eggs[row.egg_id].nest_id,
        "egg": row.egg_id,
        "container": {
            "startup_command": row.startup,
            "image": row.image,
            "installed": int(row.status not in NOT_INSTALLED),
            "environment": environment(state, row),
        },
        "updated_at": stamp(row.updated_at),
        "created_at": stamp(row.created_at),
    }


def subuser(_: State, row: Subuser) -> Attributes:
    """Section 6.2."""
    return {**columns(row, "id user_id server_id permissions"), **stamps(row)}


def item(kind: str, attributes: Mapping[str, object]) -> dict[str, object]:
    """The envelope of one object."""
    return {"object": kind, "attributes": dict(attributes)}


def listed(items: list[dict[str, object]]) -> dict[str, object]:
    """The envelope of a list."""
    return {"object": "list", "data": items}


NULL = item("null_resource", {})
