"""Who is calling and what may they do (contract section 1.1)."""

import hmac
from ipaddress import ip_address, ip_network

from provisioning.sandbox.http import LOOPBACK, Request
from provisioning.sandbox.pterodactyl.calling import Call, Endpoint
from provisioning.sandbox.pterodactyl.errors import denied, unauthenticated
from provisioning.sandbox.world import ApiKey, State, User, World

IDENTIFIER = 16


def authenticate(world: World, state: State, request: Request) -> tuple[ApiKey, User]:
    """The key and its owner; looked up by the first 16 characters, the rest compared. Raises 401."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        raise unauthenticated()
    for key in state.keys.values():
        same = key.token[:IDENTIFIER] == token[:IDENTIFIER]
        if same and hmac.compare_digest(key.token.encode(), token.encode()):
            return _alive(world, state, key)
    raise unauthenticated()


def _alive(world: World, state: State, key: ApiKey) -> tuple[ApiKey, User]:
    user = state.users.get(key.user_id)
    if user is None or (key.expires_at is not None and key.expires_at <= world.now()):
        raise unauthenticated()
    return key, user


def check_address(key: ApiKey, request: Request) -> None:
    """A key may be bound to networks; here callers are on the loopback. Raises 403."""
    networks = [ip_network(item, strict=False) for item in key.allowed_ips]
    if networks and not any(ip_address(LOOPBACK) in network for network in networks):
        raise denied(
            f"This IP address ({LOOPBACK}) does not have permission "
            "to access the API using these credentials."
        )


def check_client(call: Call) -> None:
    """Application keys never work on the Client API. Raises 403."""
    if call.key.is_application:
        raise denied(
            "You are attempting to use an application API key on an endpoint that requires a client API key."
        )


def check_application(call: Call, endpoint: Endpoint) -> None:
    """The owner must be an administrator now, an application key needs the right. Raises 403."""
    if not call.user.root_admin:
        raise denied("This account does not have permission to access the API.")
    if endpoint.resource and not call.may(endpoint.resource, endpoint.need):
        raise denied()
