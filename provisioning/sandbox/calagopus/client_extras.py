"""Sub-users, backups, databases and schedules of the Client API (contract section 7)."""

from datetime import UTC, datetime
from typing import Any

from provisioning.sandbox.calagopus.calling import Call, Endpoints, done, paged, success
from provisioning.sandbox.calagopus.client_serializers import backup, schedule, subuser
from provisioning.sandbox.calagopus.configuration import environment
from provisioning.sandbox.calagopus.daemon import DaemonError
from provisioning.sandbox.calagopus.errors import bad, conflict, internal, not_found, refused
from provisioning.sandbox.calagopus.rows import Backup, Row, Schedule, Server, Subuser, User
from provisioning.sandbox.calagopus.schema import (
    Struct,
    anything,
    flag,
    free,
    mapping,
    needed,
    several,
    text,
    uuid,
)
from provisioning.sandbox.calagopus.validation import rule
from provisioning.sandbox.calagopus.world import Mail, letters
from provisioning.sandbox.http import Response

ENDPOINTS = Endpoints("client")
MOST_SUBUSERS = 25
IMPLIED = ["websocket.connect", "meta.calagopus"]
SUBUSER = Struct(
    "Payload",
    needed("email", text),
    needed("permissions", several(text)),
    needed("ignored_files", several(text)),
    free("captcha", anything),
)
SUBUSER_UPDATE = Struct("Payload", free("permissions", several(text)), free("ignored_files", several(text)))
PERMISSIONS = (rule("permissions", "server_permissions"),)
BACKUP = Struct(
    "Payload", free("name", text), free("backup_group_uuid", uuid), needed("ignored_files", several(text))
)
DATABASE = Struct("Payload", needed("database_host_uuid", uuid), needed("name", text))
SCHEDULE = Struct(
    "Payload",
    needed("name", text),
    needed("enabled", flag),
    needed("triggers", several(anything)),
    needed("condition", mapping(anything)),
)


def _of(call: Call, table: str) -> list[Any]:
    """The server's rows in a table."""
    server = call.bound(Server)
    return [row for row in getattr(call.state, table).values() if row.server == server.uuid]


@ENDPOINTS.on("GET", "/servers/{server}/subusers", "subusers.read")
def subusers_list(call: Call) -> Response:
    """Who else may use the server."""
    return paged(call, "subusers", _of(call, "subusers"), lambda s: subuser(call.state, s))


@ENDPOINTS.on(
    "POST",
    "/servers/{server}/subusers",
    "subusers.create",
    struct=SUBUSER,
    rules=(rule("email", "email", "length:,255"), *PERMISSIONS),
)
def subuser_create(call: Call) -> Response:
    """Let somebody in; an unknown address becomes a panel user with a made-up name."""
    server, state = call.bound(Server), call.state
    email = call.body["email"].lower()
    user = next((u for u in state.users.values() if u.email.lower() == email), None)
    if user is not None and user.uuid == server.owner:
        raise bad("cannot create subuser for server owner")
    rows = _of(call, "subusers")
    if len(rows) >= MOST_SUBUSERS:
        raise refused("maximum number of subusers reached")
    if user is not None and any(row.user == user.uuid for row in rows):
        raise conflict("subuser with email already exists")
    user = user or _invited(call)
    lists = {name: call.body[name] for name in ("permissions", "ignored_files")}
    row = Subuser(*call.world.stamp(), server=server.uuid, user=user.uuid, **lists)
    state.subusers[row.uuid] = row
    return success({"subuser": subuser(state, row)})


def _invited(call: Call) -> User:
    """A new user for an address that nobody has."""
    email = call.body["email"]
    name = f"{email.partition('@')[0][:10]}_{letters(4)}"
    user = User(*call.world.stamp(), name, email, "Server", "Subuser")
    call.state.users[user.uuid] = user
    call.state.mails.append(Mail(email, "Account Created"))
    return user


@ENDPOINTS.on(
    "PATCH",
    "/servers/{server}/subusers/{subuser}",
    "subusers.update",
    struct=SUBUSER_UPDATE,
    rules=PERMISSIONS,
)
def subuser_update(call: Call) -> Response:
    """What he may do; daemons are told, to cut his open consoles."""
    row = call.bound(Subuser)
    if row.user == call.user.uuid:
        raise bad("cannot update permissions for self")
    row.permissions = call.body.get("permissions") or row.permissions
    row.ignored_files = call.body.get("ignored_files") or row.ignored_files
    _tell(call, row, [*IMPLIED, *row.permissions])
    return done()


@ENDPOINTS.on("DELETE", "/servers/{server}/subusers/{subuser}", "subusers.delete")
def subuser_delete(call: Call) -> Response:
    """Shut him out."""
    row = call.bound(Subuser)
    del call.state.subusers[row.uuid]
    _tell(call, row, [])
    call.daemons.tell(call.bound(Server), "ws/deny", {"jtis": [row.user]})
    return done()


def _tell(call: Call, row: Subuser, permissions: list[str]) -> None:
    entry = {"user": row.user, "permissions": permissions, "ignored_files": row.ignored_files}
    call.daemons.tell(call.bound(Server), "ws/permissions", {"user_permissions": [entry]})


@ENDPOINTS.on("GET", "/servers/{server}/backups", "backups.read")
def backups_list(call: Call) -> Response:
    """The server's backups."""
    return paged(call, "backups", _of(call, "backups"), backup, lambda b: [b.name])


@ENDPOINTS.on("GET", "/servers/{server}/backups/{backup}", "backups.read")
def backup_show(call: Call) -> Response:
    """One backup."""
    return success({"backup": backup(call.bound(Backup))})


def _has_configuration(call: Call, server: Server) -> bool:
    """A server's own, else its node's, else its location's."""
    node = call.state.nodes[server.node]
    place = call.state.locations[node.location]
    return bool(server.backup_configuration or node.backup_configuration or place.backup_configuration)


@ENDPOINTS.on(
    "POST",
    "/servers/{server}/backups",
    "backups.create",
    struct=BACKUP,
    rules=(rule("name", "length:1,255"),),
)
def backup_create(call: Call) -> Response:
    """Ask the daemon for a backup; the answer comes before it has one, also where there is no daemon."""
    server, state = call.bound(Server), call.state
    if len(_of(call, "backups")) >= server.feature_limits["backups"]:
        raise refused("maximum number of backups reached")
    if not _has_configuration(call, server):
        raise refused("no backup configuration available, unable to create backup")
    row = _backup(call, server)
    state.backups[row.uuid] = row
    shown = backup(row)
    _log_backup(call, row)
    body = {"adapter": "wings", "uuid": row.uuid, "ignore": "\n".join(row.ignored_files)}
    try:
        call.daemons.call(state.nodes[server.node], "POST", f"/api/servers/{server.uuid}/backup", body)
    except DaemonError:
        row.completed = call.world.time()
    return success({"backup": shown})


def _log_backup(call: Call, row: Backup) -> None:
    data = {"name": row.name, "uuid": row.uuid, "ignored_files": row.ignored_files, "backup_group_uuid": None}
    call.log("server", "server:backup.create", data, row.server)


def _backup(call: Call, server: Server) -> Backup:
    values = environment(call.state, server)
    at = datetime.fromtimestamp(call.world.time(), tz=UTC)
    return Backup(
        *call.world.stamp(),
        server=server.uuid,
        node=server.node,
        name=call.body.get("name") or f"{at:%Y-%m-%d %H:%M:%S} +0000",
        ignored_files=call.body["ignored_files"],
        metadata={"image": server.image, "startup": server.startup, "variables": values},
    )


@ENDPOINTS.on("DELETE", "/servers/{server}/backups/{backup}", "backups.delete")
def backup_delete(call: Call) -> Response:
    """Remove a finished backup, in the background."""
    row = call.bound(Backup)
    if row.completed is None:
        raise refused("backup has not been completed yet")
    del call.state.backups[row.uuid]
    return done(202)


@ENDPOINTS.on("GET", "/servers/{server}/databases", "databases.read")
def databases_list(call: Call) -> Response:
    """No database is ever made here."""
    none: list[Row] = []
    return paged(call, "databases", none, lambda _: None)


@ENDPOINTS.on("GET", "/servers/{server}/databases/hosts", "databases.read")
def hosts_list(call: Call) -> Response:
    """Where databases could be made: the hosts of the server's location."""
    place = call.state.nodes[call.bound(Server).node].location
    hosts = [h for h in call.state.database_hosts.values() if place in h.locations]
    return success({"database_hosts": [_host(h.uuid, h.name, h.body) for h in hosts]})


def _host(key: str, name: str, body: dict[str, Any]) -> dict[str, object]:
    """What a customer sees of a database host."""
    credentials = body["credentials"]
    return {
        "uuid": key,
        "name": name,
        "maintenance_enabled": body["maintenance_enabled"],
        "type": body["type"],
        "host": body.get("public_host") or credentials.get("host"),
        "port": body.get("public_port") or credentials.get("port"),
    }


@ENDPOINTS.on("POST", "/servers/{server}/databases", "databases.create", struct=DATABASE)
def database_create(call: Call) -> Response:
    """No host answers here: the request is held for as long as the panel waits, then fails."""
    if call.body["database_host_uuid"] not in call.state.database_hosts:
        raise not_found("database host")
    call.world.pause(call.world.settings.database_wait)
    raise internal()


@ENDPOINTS.on("GET", "/servers/{server}/schedules", "schedules.read")
def schedules_list(call: Call) -> Response:
    """The server's schedules."""
    return paged(call, "schedules", _of(call, "schedules"), schedule, lambda s: [s.name])


@ENDPOINTS.on(
    "POST",
    "/servers/{server}/schedules",
    "schedules.create",
    struct=SCHEDULE,
    rules=(rule("name", "length:1,255"),),
)
def schedule_create(call: Call) -> Response:
    """A new schedule, up to the feature limit."""
    server, body = call.bound(Server), call.body
    if len(_of(call, "schedules")) >= server.feature_limits["schedules"]:
        raise refused("maximum number of schedules reached")
    members = {name: body[name] for name in ("name", "enabled", "triggers", "condition")}
    row = Schedule(*call.world.stamp(), server=server.uuid, **members)
    call.state.schedules[row.uuid] = row
    call.log("server", "server:schedule.create", {"uuid": row.uuid, **members}, server.uuid)
    return success({"schedule": schedule(row)})
