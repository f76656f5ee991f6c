"""The rows that a path names: how each is found, what is said where it is not, and who may see it."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from provisioning.sandbox.calagopus.access import (
    check_admin_permission,
    check_server_permission,
    server_rights,
)
from provisioning.sandbox.calagopus.calling import Call, Endpoint
from provisioning.sandbox.calagopus.errors import bad, conflict, internal, not_found
from provisioning.sandbox.calagopus.rows import Row, Server
from provisioning.sandbox.calagopus.schema import HEX

SHORT, LONG = 8, 36
Finder = Callable[[Call, str], Row | None]


@dataclass(frozen=True)
class Binder:
    """How a path parameter becomes a row; ``invalid`` is said to what is no uuid."""

    what: str
    find: Finder
    invalid: str = ""
    permission: str = ""


def _in(table: str) -> Finder:
    def find(call: Call, value: str) -> Row | None:
        rows: dict[str, Row] = getattr(call.state, table)
        return rows.get(value.lower())

    return find


def _egg(call: Call, value: str) -> Row | None:
    egg = call.state.eggs.get(value)
    return egg if egg is not None and egg.nest == call.rows["nest"].uuid else None


def server_named(call: Call, value: str) -> Server | None:
    """A server by uuid or short uuid; 8 or 36 characters that are no hexadecimal digits are a 500."""
    if len(value) == SHORT:
        if re.fullmatch(r"[0-9a-fA-F]{8}", value) is None:
            raise internal()
        return next((s for s in call.state.servers.values() if s.short == value.lower()), None)
    if len(value) == LONG and HEX.fullmatch(value) is None:
        raise internal()
    return call.state.servers.get(value.lower())


def _of_server(table: str) -> Finder:
    def find(call: Call, value: str) -> Row | None:
        row: Row | None = getattr(call.state, table).get(value)
        return row if row is not None and getattr(row, "server", None) == call.bound(Server).uuid else None

    return find


def _of_user(table: str) -> Finder:
    def find(call: Call, value: str) -> Row | None:
        row: Row | None = getattr(call.state, table).get(value)
        return row if row is not None and getattr(row, "user", None) == call.rows["user"].uuid else None

    return find


def _visible(call: Call, value: str) -> Server | None:
    """A server that the caller may see; others' do not exist for him."""
    server = server_named(call, value)
    return server if server is not None and server_rights(call, server) is not None else None


def _subuser(call: Call, value: str) -> Row | None:
    server = call.bound(Server)
    rows = call.state.subusers.values()
    return next((s for s in rows if s.server == server.uuid and s.user == value), None)


def _own_key(call: Call, value: str) -> Row | None:
    key = call.state.keys.get(value)
    return key if key is not None and key.user == call.user.uuid else None


ADMIN = {
    "location": Binder("location", _in("locations"), "invalid location uuid", "locations.read"),
    "node": Binder("node", _in("nodes"), "invalid node uuid", "nodes.read"),
    "nest": Binder("nest", _in("nests"), "invalid nest id", "nests.read"),
    "egg": Binder("egg", _egg, "invalid egg id", "eggs.read"),
    "user": Binder("user", _in("users"), "invalid user uuid", "users.read"),
    "provider": Binder(
        "oauth provider", _in("oauth_providers"), "invalid oauth provider uuid", "oauth-providers.read"
    ),
    "role": Binder("role", _in("roles"), "invalid role uuid", "roles.read"),
    "configuration": Binder(
        "backup configuration",
        _in("backup_configurations"),
        "invalid backup configuration uuid",
        "backup-configurations.read",
    ),
    "host": Binder(
        "database host", _in("database_hosts"), "invalid database host uuid", "database-hosts.read"
    ),
    "server": Binder("server", server_named, permission="servers.read"),
    "link": Binder("allocation", _of_server("links")),
    "oauth_link": Binder("oauth link", _of_user("oauth_links")),
}
CLIENT = {
    "server": Binder("server", _visible),
    "subuser": Binder("subuser", _subuser),
    "backup": Binder("backup", _of_server("backups")),
    "key": Binder("api key", _own_key),
}
REMOTE = {
    "server": Binder("server", _in("servers")),
    "backup": Binder("backup", _in("backups")),
}
BINDERS: dict[str, dict[str, Binder]] = {"admin": ADMIN, "client": CLIENT, "remote": REMOTE}


def bind(call: Call, endpoint: Endpoint) -> None:
    """Find the rows of the path; a client's server must be in a state for it. Raises 400, 403, 404, 409."""
    for name, value in call.parameters.items():
        binder = BINDERS.get(endpoint.api, {}).get(name)
        if binder is not None:
            call.rows[name] = _bound(call, binder, value)
    if endpoint.api == "client" and "server" in call.rows:
        server = call.bound(Server)
        if endpoint.gate:
            check_state(call, server)
        if endpoint.permission:
            check_server_permission(call, server, endpoint.permission)


def _bound(call: Call, binder: Binder, value: str) -> Row:
    if binder.invalid and HEX.fullmatch(value) is None:
        raise bad(binder.invalid)
    if binder.permission:
        check_admin_permission(call, binder.permission)
    row = binder.find(call, value)
    if row is None:
        raise not_found(binder.what)
    return row


STATES = {
    "installing": "server is currently installing",
    "install_failed": "your server has failed its installation process",
    "restoring_backup": "server is restoring from a backup",
    "backup_restore_failed": "your server has failed to restore a backup",
}


def check_state(call: Call, server: Server) -> None:
    """The Client API's gate (section 7); administrators pass a suspension. Raises 409."""
    if server.suspended and not call.user.admin:
        raise conflict("server is suspended")
    if server.transfer is not None:
        raise conflict("server is being transferred")
    if server.status in STATES:
        raise conflict(STATES[server.status])
