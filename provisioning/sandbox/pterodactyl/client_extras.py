"""The Client API's sub-users, backups and allocations (contract sections 8.5 to 8.7)."""

import hashlib
import string

from provisioning.sandbox.http import Response
from provisioning.sandbox.pterodactyl import serializers as show
from provisioning.sandbox.pterodactyl.calling import Call, Endpoints, no_content, success
from provisioning.sandbox.pterodactyl.client import allocation, require
from provisioning.sandbox.pterodactyl.errors import PanelError, display, not_found
from provisioning.sandbox.pterodactyl.listing import page_of
from provisioning.sandbox.pterodactyl.permissions import GROUPS, KEYS
from provisioning.sandbox.pterodactyl.validation import Field
from provisioning.sandbox.world import Backup, Mail, Server, Subuser, User, new_uuid

ENDPOINTS = Endpoints("client")
CONNECT = "websocket.connect"
BACKUPS, BACKUP_SPAN = 2, 600


@ENDPOINTS.on("GET", "/permissions")
def permission_list(_: Call) -> Response:
    """All permission keys with their descriptions."""
    return success(show.item("system_permissions", {"permissions": GROUPS}))


def subuser_shown(call: Call, row: Subuser) -> dict[str, object]:
    """Section 8.5."""
    user = call.state.users[row.user_id]
    digest = hashlib.md5(user.email.lower().encode(), usedforsecurity=False).hexdigest()
    attributes = {
        "uuid": user.uuid,
        "username": user.username,
        "email": user.email,
        "image": f"https://gravatar.com/avatar/{digest}",
        "2fa_enabled": user.two_factor,
        "created_at": show.stamp(row.created_at),
        "permissions": row.permissions,
    }
    return show.item("server_subuser", attributes)


def _permissions(call: Call) -> list[str]:
    """The known keys of the body; unknown ones are dropped silently, connecting is always allowed."""
    sent = call.value("permissions")
    known = [str(p) for p in (sent if isinstance(sent, list) else []) if p in KEYS]
    return list(dict.fromkeys([*known, CONNECT]))


PERMISSION_FIELDS = [Field("permissions", "required|array"), Field("permissions.*", "string")]


@ENDPOINTS.on("GET", "/servers/{server}/users")
def subuser_list(call: Call) -> Response:
    """All sub-users, without pages."""
    require(call, "user.read")
    server = call.bound(Server)
    rows = [s for s in call.state.subusers.values() if s.server_id == server.id]
    return success(show.listed([subuser_shown(call, row) for row in rows]))


@ENDPOINTS.on("POST", "/servers/{server}/users")
def subuser_create(call: Call) -> Response:
    """Invite by e-mail; an unknown address becomes a panel account."""
    require(call, "user.create")
    server = call.bound(Server)
    call.validate([Field("email", "required|email|between:1,191"), *PERMISSION_FIELDS])
    email = str(call.text("email"))
    user = next((u for u in call.state.users.values() if u.email.lower() == email.lower()), None)
    if user is not None and user.id == server.owner_id:
        detail = "You cannot add the server owner as a subuser for this server."
        raise display(detail, "UserIsServerOwnerException")
    if user is not None and any(
        (s.server_id, s.user_id) == (server.id, user.id) for s in call.state.subusers.values()
    ):
        detail = "A user with that email address is already assigned as a subuser for this server."
        raise display(detail, "ServerSubuserExistsException")
    user = user or _invited(call, email)
    row = Subuser(*call.world.stamp("subusers"), server.id, user.id, _permissions(call))
    call.state.subusers[row.id] = row
    call.state.mails.append(Mail(email, "Added to Server"))
    return success(subuser_shown(call, row))


def _invited(call: Call, email: str) -> User:
    """The account that the panel makes for an unknown address: random user name, placeholder names."""
    local = "".join(c for c in email.split("@")[0].lower() if c.isalnum())
    tail = "".join(call.world.random.choices(string.ascii_lowercase + string.digits, k=3))
    stamp = call.world.stamp("users")
    user = User(*stamp, new_uuid(), local + tail, email, first_name="Server", last_name="Subuser")
    call.state.users[user.id] = user
    call.state.mails.append(Mail(email, "Account Created"))
    return user


@ENDPOINTS.on("GET", "/servers/{server}/users/{user}")
def subuser_get(call: Call) -> Response:
    """One sub-user by the uuid of the account."""
    require(call, "user.read")
    return success(subuser_shown(call, call.bound(Subuser)))


@ENDPOINTS.on("POST", "/servers/{server}/users/{user}")
def subuser_update(call: Call) -> Response:
    """Set the permissions."""
    require(call, "user.update")
    call.validate(PERMISSION_FIELDS)
    row = call.bound(Subuser)
    row.permissions = _permissions(call)
    row.updated_at = call.world.now()
    return success(subuser_shown(call, row))


@ENDPOINTS.on("DELETE", "/servers/{server}/users/{user}")
def subuser_delete(call: Call) -> Response:
    """Take the access away; the account stays."""
    require(call, "user.delete")
    row = call.bound(Subuser)
    del call.state.subusers[row.id]
    call.state.mails.append(Mail(call.state.users[row.user_id].email, "Removed from Server"))
    return no_content()


def backup_shown(row: Backup) -> dict[str, object]:
    """Section 8.6."""
    attributes = {
        "uuid": row.uuid,
        "is_successful": row.is_successful,
        "is_locked": row.is_locked,
        "name": row.name,
        "ignored_files": row.ignored_files,
        "checksum": row.checksum,
        "bytes": row.bytes,
        "created_at": show.stamp(row.created_at),
        "completed_at": show.stamp(row.completed_at),
    }
    return show.item("backup", attributes)


def _backups(call: Call) -> list[Backup]:
    server = call.bound(Server)
    return [b for b in call.state.backups.values() if b.server_id == server.id]


@ENDPOINTS.on("GET", "/servers/{server}/backups")
def backup_list(call: Call) -> Response:
    """The server's backups, twenty a page."""
    require(call, "backup.read")
    rows = _backups(call)
    found, pagination = page_of(call, rows, default=20, most=50, keep_query=True)
    meta = {"backup_count": len(rows), "pagination": pagination}
    return success({**show.listed([backup_shown(b) for b in found]), "meta": meta})


@ENDPOINTS.on("POST", "/servers/{server}/backups")
def backup_create(call: Call) -> Response:
    """Ask for a backup; unfinished until the control API finishes it."""
    require(call, "backup.create")
    server = call.bound(Server)
    call.validate(
        [
            Field("name", "nullable|string|max:191"),
            Field("is_locked", "nullable|boolean"),
            Field("ignored", "nullable|string"),
        ]
    )
    _check_backup_room(call, server)
    call.daemons.call(call.state.nodes[server.node_id], "POST", f"/api/servers/{server.uuid}/backup")
    stamp = call.world.stamp("backups")
    name = call.text("name") or f"Backup at {stamp[1]:%Y-%m-%d %H:%M:%S}"
    ignored = (call.text("ignored") or "").split("\n") if call.text("ignored") else []
    row = Backup(*stamp, server.id, new_uuid(), name, ignored, is_locked=call.flag("is_locked"))
    call.state.backups[row.id] = row
    return success(backup_shown(row))


def _check_backup_room(call: Call, server: Server) -> None:
    """Raises 429 for too many in a short time, 400 where the server's limit is reached."""
    now, rows = call.world.now(), _backups(call)
    recent = [b for b in rows if (now - b.created_at).total_seconds() < BACKUP_SPAN]
    if len(recent) >= BACKUPS:
        left = int(BACKUP_SPAN - (now - recent[-BACKUPS].created_at).total_seconds())
        detail = f"Only {BACKUPS} backups may be generated within a {BACKUP_SPAN} second span of time."
        raise PanelError(429, "TooManyRequestsHttpException", detail, headers={"Retry-After": str(left)})
    if len(rows) >= server.backup_limit:
        detail = (
            f"Cannot create a new backup, this server has reached its limit of {server.backup_limit} backups."
        )
        raise display(detail, "TooManyBackupsException")


def _own_backup(call: Call) -> Backup:
    """The bound backup; raises 404 where it is another server's."""
    row = call.bound(Backup)
    if row.server_id != call.bound(Server).id:
        raise not_found("The requested resource was not found for this server.")
    return row


@ENDPOINTS.on("GET", "/servers/{server}/backups/{backup}")
def backup_get(call: Call) -> Response:
    """One backup."""
    require(call, "backup.read")
    return success(backup_shown(_own_backup(call)))


@ENDPOINTS.on("DELETE", "/servers/{server}/backups/{backup}")
def backup_delete(call: Call) -> Response:
    """Remove a backup that is not locked."""
    require(call, "backup.delete")
    row, server = _own_backup(call), call.bound(Server)
    if row.is_locked and row.is_successful:
        raise display("Cannot delete a backup that is marked as locked.", "BackupLockedException")
    path = f"/api/servers/{server.uuid}/backup/{row.uuid}"
    call.daemons.call(call.state.nodes[server.node_id], "DELETE", path)
    del call.state.backups[row.id]
    return no_content()


@ENDPOINTS.on("GET", "/servers/{server}/network/allocations")
def allocation_list(call: Call) -> Response:
    """The server's allocations, without pages."""
    require(call, "allocation.read")
    server = call.bound(Server)
    return success(show.listed([allocation(a, server) for a in call.state.server_allocations(server)]))
