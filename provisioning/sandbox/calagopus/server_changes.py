"""PATCH /servers: the answer comes before the daemon knows (contract section 5.5)."""

from provisioning.sandbox.calagopus.calling import Call, Endpoints, done
from provisioning.sandbox.calagopus.errors import relation
from provisioning.sandbox.calagopus.places import change
from provisioning.sandbox.calagopus.rows import Server
from provisioning.sandbox.calagopus.schema import (
    Reader,
    Struct,
    flag,
    free,
    integer,
    needed,
    several,
    text,
    timezone,
    uuid,
    variant,
)
from provisioning.sandbox.calagopus.server_create import FEATURE_LIMITS, LIMIT_RULES, LIMITS, feature_limits
from provisioning.sandbox.calagopus.validation import rule
from provisioning.sandbox.http import Response

ENDPOINTS = Endpoints("admin")
AUTO_KILL = Struct("ServerAutoKill", needed("enabled", flag), needed("seconds", integer("i64")))
READERS: dict[str, Reader] = {
    "owner_uuid": uuid,
    "egg_uuid": uuid,
    "backup_configuration_uuid": uuid,
    "suspended": flag,
    "external_id": text,
    "name": text,
    "description": text,
    "limits": LIMITS,
    "pinned_cpus": several(integer("i16")),
    "startup": text,
    "image": text,
    "auto_kill": AUTO_KILL,
    "auto_start_behavior": variant("always", "unless_stopped", "never"),
    "timezone": timezone,
    "hugepages_passthrough_enabled": flag,
    "kvm_passthrough_enabled": flag,
    "feature_limits": FEATURE_LIMITS,
}
UPDATE = Struct("UpdateServerOptions", *(free(name, reader) for name, reader in READERS.items()))
RULES = (
    *LIMIT_RULES,
    rule("external_id", "length:1,255"),
    rule("name", "length:1,255"),
    rule("description", "length:1,1024"),
    rule("auto_kill", "auto_kill"),
)
NULLABLE = ("external_id", "description", "timezone")
RELATIONS = (
    ("owner_uuid", "owner", "users"),
    ("egg_uuid", "egg", "eggs"),
    ("backup_configuration_uuid", "backup_configuration", "backup_configurations"),
)


@ENDPOINTS.on("PATCH", "/servers/{server}", "servers.update", struct=UPDATE, nested=True, rules=RULES)
def server_update(call: Call) -> Response:
    """Change what is sent, in any state of the server; objects are replaced whole; then tell the daemon."""
    row, body = call.bound(Server), call.body
    _set_relations(call, row)
    plain = {name: value for name, value in body.items() if name not in ("limits", "feature_limits")}
    change(row, plain, NULLABLE)
    if body.get("limits"):
        row.limits = {"io_weight": None, **body["limits"]}
        row.limits["io_weight"] = row.limits.pop("io_weight")  # shown last
    if body.get("feature_limits"):
        row.feature_limits = feature_limits(call, body["feature_limits"])
    call.log("admin", "server:update", _logged(call, row))
    call.daemons.sync(row)
    return done()


def _logged(call: Call, row: Server) -> dict[str, object]:
    """What the activity log keeps of a change: the new state, limits only where they were sent."""
    names = (
        "name", "uuid", "image", "startup", "timezone", "description", "external_id", "pinned_cpus",
        "kvm_passthrough_enabled", "hugepages_passthrough_enabled",
    )  # fmt: skip
    sent = {name: call.body.get(name) for name in ("limits", "feature_limits")}
    return {**{n: getattr(row, n) for n in names}, **sent, "egg_uuid": row.egg, "owner_uuid": row.owner}


def _set_relations(call: Call, row: Server) -> None:
    """Owner, egg, backup configuration: all checked before any is set. Raises 400."""
    for member, name, table in RELATIONS:
        wanted = call.body.get(member)
        if wanted is not None and wanted not in getattr(call.state, table):
            raise relation(name)
    row.owner = call.body.get("owner_uuid") or row.owner
    row.egg = call.body.get("egg_uuid") or row.egg
    if "backup_configuration_uuid" in call.body:
        row.backup_configuration = call.body["backup_configuration_uuid"]


@ENDPOINTS.on("POST", "/servers/{server}/clear-state", "servers.update", struct=Struct("Payload"))
def server_clear_state(call: Call) -> Response:
    """Back to normal, whatever it was doing."""
    row = call.bound(Server)
    row.status = row.transfer = None
    call.log("admin", "server:clear-state", {"uuid": row.uuid})
    return done()
