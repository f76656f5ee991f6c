"""Who is calling and what may they do (contract section 2.5)."""

import copy
import hmac
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from provisioning.sandbox.calagopus.calling import Call
from provisioning.sandbox.calagopus.errors import PanelError, internal
from provisioning.sandbox.calagopus.rows import ApiKey, Role, Server, User
from provisioning.sandbox.calagopus.world import State, World
from provisioning.sandbox.http import Request

HEADER_LENGTH = 55
SESSION = "calagopus_session="
CACHE_SECONDS = 5.0
IMPERSONATE = "users.impersonate"


@dataclass(frozen=True)
class Caller:
    """A key, its owner, and whom he acts as."""

    key: ApiKey
    owner: User
    acts_as: User


class Keys:
    """Finds keys; what was found is believed for five seconds, whatever happened to the key since."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._seen: dict[str, tuple[float, ApiKey]] = {}

    def find(self, state: State, token: str) -> ApiKey | None:
        """The key with this text, or None."""
        now = self.world.time()
        at, cached = self._seen.get(token, (0.0, None))
        if cached is not None and now - at < CACHE_SECONDS:
            return cached
        found = next((k for k in state.keys.values() if _same(k.token, token)), None)
        if found is None or (found.expires is not None and found.expires <= now):
            return None
        self._seen[token] = (now, copy.deepcopy(found))
        return found

    def used(self, key: ApiKey) -> None:
        """Note when a key was last good for something."""
        row = self.world.state.keys.get(key.uuid)
        if row is not None:
            row.last_used = self.world.time()


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


def authenticate(keys: Keys, state: State, request: Request) -> Caller:
    """The key and its owner; a session cookie beats the header. Raises 401, 403."""
    if SESSION in request.headers.get("cookie", ""):
        raise PanelError(401, "invalid session")
    header = request.headers.get("authorization")
    if header is None:
        raise PanelError(401, "missing authorization")
    if len(header) != HEADER_LENGTH:
        raise PanelError(401, "invalid authorization header")
    key = keys.find(state, header.removeprefix("Bearer ")) if header.startswith("Bearer ") else None
    owner = state.users.get(key.user) if key else None
    if key is None or owner is None:
        raise PanelError(401, "invalid api key")
    check_address(key, request)
    if owner.suspended:
        raise PanelError(403, "account is suspended")
    return Caller(key, owner, _impersonated(state, request, key, owner))


def check_address(key: ApiKey, request: Request) -> None:
    """A key may be bound to networks; forwarded headers are not believed. Raises 403."""
    networks = [ip_network(item, strict=False) for item in key.allowed_ips]
    if networks and not any(ip_address(request.address) in network for network in networks):
        raise PanelError(403, "ip address not allowed for this api key")


def _impersonated(state: State, request: Request, key: ApiKey, owner: User) -> User:
    """Whom the caller acts as: without the permission the header is ignored; an unknown user is a 500."""
    wanted = request.headers.get("calagopus-user")
    if wanted is None or IMPERSONATE not in key.admin_permissions or not _is_admin(state, owner):
        return owner
    user = state.users.get(wanted)
    if user is None:
        raise internal()
    return user


def role_of(state: State, user: User) -> Role | None:
    """The user's role."""
    return state.roles.get(user.role) if user.role else None


def _is_admin(state: State, user: User) -> bool:
    role = role_of(state, user)
    return user.admin or bool(role and role.admin_permissions)


def check_admin(call: Call) -> None:
    """The Admin API is for administrators and holders of a role with admin rights. Raises 401."""
    if not _is_admin(call.state, call.user):
        raise PanelError(401, "unauthorized")


def denied(permission: str) -> PanelError:
    """403 that names the missing permission."""
    return PanelError(403, f"you do not have permission to perform this action: {permission}")


def check_admin_permission(call: Call, permission: str) -> None:
    """The user or his role must have it, and the key must list it. Raises 403."""
    role = role_of(call.state, call.user)
    has = call.user.admin or (role is not None and permission in role.admin_permissions)
    if not has or (call.scoped and permission not in call.key.admin_permissions):
        raise denied(permission)


def check_user_permission(call: Call, permission: str) -> None:
    """The key must list it, about the caller's own account. Raises 403."""
    if call.scoped and permission not in call.key.user_permissions:
        raise denied(permission)


def sees_all(state: State, user: User) -> bool:
    """Whether the Client API shows a user everybody's servers (section 7)."""
    role = role_of(state, user)
    if user.admin:
        return role is None or "servers.read" in role.admin_permissions
    return role is not None and "servers.read" in role.admin_permissions


def server_rights(call: Call, server: Server) -> list[str] | None:
    """What the caller may do with a server: ``["*"]`` for all, None where he may not even see it."""
    if server.owner == call.user.uuid or sees_all(call.state, call.user):
        return ["*"]
    for subuser in call.state.subusers.values():
        if subuser.server == server.uuid and subuser.user == call.user.uuid:
            return subuser.permissions
    return None


def check_server_permission(call: Call, server: Server, permission: str) -> None:
    """Owner, administrator or sub-user with the right, and the key must list it. Raises 403."""
    rights = server_rights(call, server) or []
    has = "*" in rights or permission in rights
    if not has or (call.scoped and permission not in call.key.server_permissions):
        raise denied(permission)
