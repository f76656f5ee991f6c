"""Locations, backup configurations, roles and database hosts (contract sections 4.1, 4.4, 4.5)."""

from collections.abc import Iterable
from dataclasses import fields
from typing import Any

from provisioning.sandbox.calagopus.calling import Call, Endpoints, done, paged, success
from provisioning.sandbox.calagopus.errors import PanelError, conflict, internal, refused
from provisioning.sandbox.calagopus.rows import BackupConfiguration, DatabaseHost, Location, Role
from provisioning.sandbox.calagopus.schema import (
    Struct,
    anything,
    flag,
    free,
    integer,
    mapping,
    needed,
    several,
    text,
    uuid,
    variant,
)
from provisioning.sandbox.calagopus.serializers import backup_configuration, database_host, location, role
from provisioning.sandbox.calagopus.validation import rule
from provisioning.sandbox.http import Response

ENDPOINTS = Endpoints("admin")
DISKS = ("local", "s3", "ddup-bak", "btrfs", "zfs", "restic", "proxmox-backup-server", "kopia")
NAMED = (rule("name", "length:1,255"), rule("description", "length:1,1024"))
LOCATION_RULES = (*NAMED, rule("flag", "length:2,2"))
LOCATION = Struct(
    "CreateLocationOptions",
    free("backup_configuration_uuid", uuid),
    needed("name", text),
    free("description", text),
    free("flag", text),
)
LOCATION_UPDATE = Struct(
    "UpdateLocationOptions",
    free("backup_configuration_uuid", uuid),
    *(free(name, text) for name in ("name", "description", "flag")),
)
CONFIGURATION = Struct(
    "CreateBackupConfigurationOptions",
    needed("name", text),
    free("description", text),
    needed("maintenance_enabled", flag),
    needed("shared", flag),
    needed("backup_disk", variant(*DISKS)),
    needed("backup_configs", mapping(anything)),
)
ROLE = Struct(
    "CreateRoleOptions",
    needed("name", text),
    free("description", text),
    needed("require_two_factor", flag),
    needed("admin_permissions", several(text)),
    needed("server_permissions", several(text)),
)
ROLE_RULES = (
    *NAMED,
    rule("admin_permissions", "admin_permissions"),
    rule("server_permissions", "server_permissions"),
)
HOST = Struct(
    "CreateDatabaseHostOptions",
    needed("name", text),
    needed("type", variant("mysql", "postgres", "mongodb")),
    needed("deployment_enabled", flag),
    needed("maintenance_enabled", flag),
    free("public_host", text),
    free("public_port", integer("u16")),
    needed("credentials", anything),
)

MACHINE: dict[str, object] = {
    "container_type": "none",
    "cpu": {"name": "cpu0", "brand": "made up", "vendor_id": "none", "frequency_mhz": 2000, "cpu_count": 2},
    "memory": dict.fromkeys(("total_bytes", "free_bytes", "used_bytes", "used_bytes_process"), 0),
    "database": {
        "version": "15.18",
        "size_bytes": 0,
        **dict.fromkeys((f"{s}_{k}_connections" for s in ("total", "idle") for k in ("read", "write")), 1),
    },
    "architecture": "x86_64",
    "kernel_version": "6.1.0",
}
CACHE = dict.fromkeys(
    ("total_calls", "total_hits", "total_misses", "average_call_latency_ns", "max_call_latency_ns"), 0
)


def check_name(rows: Iterable[Any], name: object, what: str, except_for: object = None) -> None:
    """Names are unique among their kind. Raises 409."""
    if any(row.name == name for row in rows if row is not except_for):
        raise conflict(f"{what} with name already exists")


def change(row: object, body: dict[str, Any], nullable: tuple[str, ...] = ()) -> None:
    """Set the row's fields that the body names; null only where it means something."""
    known = {each.name for each in fields(row)}  # type: ignore[arg-type]
    for name, value in body.items():
        if name in known and (value is not None or name in nullable):
            setattr(row, name, value)


def checked_configuration(call: Call) -> str | None:
    """The backup configuration of the body; an unknown one is a 500 here (section 0)."""
    chosen: str | None = call.body.get("backup_configuration_uuid")
    if chosen is not None and chosen not in call.state.backup_configurations:
        raise internal()
    return chosen


@ENDPOINTS.on("GET", "/locations", "locations.read")
def locations_list(call: Call) -> Response:
    """All locations."""
    rows = call.state.locations.values()
    return paged(call, "locations", rows, lambda r: location(call.state, r), lambda r: [r.name])


@ENDPOINTS.on("GET", "/locations/{location}")
def location_show(call: Call) -> Response:
    """One location."""
    return success({"location": location(call.state, call.bound(Location))})


@ENDPOINTS.on("POST", "/locations", "locations.create", struct=LOCATION, nested=True, rules=LOCATION_RULES)
def location_create(call: Call) -> Response:
    """A new location."""
    body, state = call.body, call.state
    chosen = checked_configuration(call)
    check_name(state.locations.values(), body["name"], "location")
    row = Location(*call.world.stamp(), name=body["name"], backup_configuration=chosen)
    row.description, row.flag = body.get("description"), body.get("flag")
    state.locations[row.uuid] = row
    return success({"location": location(state, row)})


@ENDPOINTS.on(
    "PATCH",
    "/locations/{location}",
    "locations.update",
    struct=LOCATION_UPDATE,
    nested=True,
    rules=LOCATION_RULES,
)
def location_update(call: Call) -> Response:
    """Change what is sent."""
    row = call.bound(Location)
    chosen = checked_configuration(call)
    check_name(call.state.locations.values(), call.body.get("name"), "location", row)
    change(row, call.body, ("description", "flag"))
    if "backup_configuration_uuid" in call.body:
        row.backup_configuration = chosen
    return done()


@ENDPOINTS.on("DELETE", "/locations/{location}", "locations.delete")
def location_delete(call: Call) -> Response:
    """Remove a location without nodes."""
    row = call.bound(Location)
    if any(node.location == row.uuid for node in call.state.nodes.values()):
        raise conflict("location has nodes, cannot delete")
    del call.state.locations[row.uuid]
    return done()


@ENDPOINTS.on(
    "POST",
    "/locations/{location}/database-hosts",
    "locations.database-hosts",
    struct=Struct("Payload", needed("database_host_uuid", uuid)),
)
def location_host_add(call: Call) -> Response:
    """Let servers of a location use a database host."""
    host = call.state.database_hosts.get(call.body["database_host_uuid"])
    if host is None:
        raise internal()
    host.locations.append(call.bound(Location).uuid)
    return done()


@ENDPOINTS.on("GET", "/backup-configurations", "backup-configurations.read")
def configurations_list(call: Call) -> Response:
    """All backup configurations."""
    rows = call.state.backup_configurations.values()
    return paged(call, "backup_configurations", rows, backup_configuration, lambda r: [r.name])


@ENDPOINTS.on("GET", "/backup-configurations/{configuration}")
def configuration_show(call: Call) -> Response:
    """One backup configuration."""
    return success({"backup_configuration": backup_configuration(call.bound(BackupConfiguration))})


@ENDPOINTS.on(
    "POST",
    "/backup-configurations",
    "backup-configurations.create",
    struct=CONFIGURATION,
    nested=True,
    rules=NAMED,
)
def configuration_create(call: Call) -> Response:
    """A new backup configuration."""
    body, rows = call.body, call.state.backup_configurations
    check_name(rows.values(), body["name"], "backup configuration")
    row = BackupConfiguration(*call.world.stamp(), name=body["name"], backup_disk=body["backup_disk"])
    change(row, body)
    row.configs = body["backup_configs"]
    rows[row.uuid] = row
    return success({"backup_configuration": backup_configuration(row)})


@ENDPOINTS.on("GET", "/roles", "roles.read")
def roles_list(call: Call) -> Response:
    """All roles."""
    return paged(call, "roles", call.state.roles.values(), role, lambda r: [r.name])


@ENDPOINTS.on("GET", "/roles/{role}")
def role_show(call: Call) -> Response:
    """One role."""
    return success({"role": role(call.bound(Role))})


@ENDPOINTS.on("POST", "/roles", "roles.create", struct=ROLE, nested=True, rules=ROLE_RULES)
def role_create(call: Call) -> Response:
    """A new role."""
    body = call.body
    if not call.user.admin:
        raise PanelError(403, "permissions: more permissions than self")
    check_name(call.state.roles.values(), body["name"], "role")
    row = Role(*call.world.stamp(), name=body["name"])
    change(row, body)
    call.state.roles[row.uuid] = row
    return success({"role": role(row)})


@ENDPOINTS.on("GET", "/database-hosts", "database-hosts.read")
def hosts_list(call: Call) -> Response:
    """All database hosts."""
    rows = call.state.database_hosts.values()
    return paged(call, "database_hosts", rows, database_host, lambda r: [r.name])


@ENDPOINTS.on("POST", "/database-hosts", "database-hosts.create", struct=HOST, nested=True, rules=NAMED)
def host_create(call: Call) -> Response:
    """A new database host; nobody looks whether it answers."""
    body, rows = call.body, call.state.database_hosts
    check_name(rows.values(), body["name"], "database host")
    row = DatabaseHost(*call.world.stamp(), name=body["name"], body=dict(body))
    rows[row.uuid] = row
    return success({"database_host": database_host(row)})


@ENDPOINTS.on("POST", "/database-hosts/{host}/test", "database-hosts.test", struct=Struct("Payload"))
def host_test(call: Call) -> Response:
    """No database host answers here: the request is held for as long as the panel waits."""
    call.world.pause(call.world.settings.database_wait)
    raise refused("pool timed out while waiting for an open connection")


@ENDPOINTS.on("GET", "/stats/general", "stats.read")
def stats_show(call: Call) -> Response:
    """How much there is of what."""
    state = call.state
    counts = {
        "users": state.users, "servers": state.servers, "locations": state.locations, "nodes": state.nodes,
        "nest_eggs": state.eggs, "database_hosts": state.database_hosts,
        "backup_configurations": state.backup_configurations, "roles": state.roles,
    }  # fmt: skip
    return success({"stats": {name: len(table) for name, table in counts.items()}})  # type: ignore[arg-type]


@ENDPOINTS.on("GET", "/system/overview", "stats.read")
def system_show(call: Call) -> Response:
    """The panel's version, on a machine that is made up."""
    cache = "memory-only" if not call.world.settings.rate_redis else "7.0.15"
    return success({"version": "1.1.4", **MACHINE, "cache": {"version": cache, **CACHE}})
