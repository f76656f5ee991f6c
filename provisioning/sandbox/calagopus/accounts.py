"""One's own account and API keys, in the Client API (contract section 2.5)."""

from typing import Any

from provisioning.sandbox.calagopus.access import role_of
from provisioning.sandbox.calagopus.calling import Call, Endpoints, done, paged, success
from provisioning.sandbox.calagopus.errors import bad, conflict, invalid, not_found, refused
from provisioning.sandbox.calagopus.permissions import ADMIN, ADMIN_KEYS, SERVER, SERVER_KEYS, USER, USER_KEYS
from provisioning.sandbox.calagopus.permissions import described as groups_described
from provisioning.sandbox.calagopus.rows import ApiKey
from provisioning.sandbox.calagopus.schema import Struct, free, needed, network, several, text, timestamp
from provisioning.sandbox.calagopus.serializers import api_key, user
from provisioning.sandbox.calagopus.validation import rule
from provisioning.sandbox.calagopus.world import new_key, shown_time
from provisioning.sandbox.http import Response

ENDPOINTS = Endpoints("client")
MOST_KEYS = 50
LISTS = ("user_permissions", "admin_permissions", "server_permissions")
KEY = Struct(
    "Payload",
    needed("name", text),
    needed("allowed_ips", several(network)),
    *(needed(name, several(text)) for name in LISTS),
    free("expires", timestamp),
)


@ENDPOINTS.on("GET", "/permissions")
def permissions_list(_: Call) -> Response:
    """Every permission there is."""
    groups = {"user_permissions": USER, "admin_permissions": ADMIN, "server_permissions": SERVER}
    return success({name: groups_described(held) for name, held in groups.items()})


@ENDPOINTS.on("GET", "/account")
def account_show(call: Call) -> Response:
    """Oneself."""
    return success({"user": user(call.state, call.user, own=True)})


@ENDPOINTS.on("GET", "/account/api-keys", "api-keys.read")
def keys_list(call: Call) -> Response:
    """One's own keys."""
    rows = [k for k in call.state.keys.values() if k.user == call.user.uuid]
    return paged(call, "api_keys", rows, api_key, lambda k: [k.name])


@ENDPOINTS.on("GET", "/account/api-keys/identifier/{start}", "api-keys.read")
def key_show(call: Call) -> Response:
    """A key by its first 16 characters, with its exact lists: the way to look at one's own."""
    start = call.parameters["start"]
    rows = (k for k in call.state.keys.values() if k.user == call.user.uuid and k.start == start)
    row = next(rows, None)
    if row is None:
        raise not_found("api key")
    return success({"api_key": api_key(row)})


@ENDPOINTS.on(
    "POST",
    "/account/api-keys",
    "api-keys.create",
    struct=KEY,
    nested=True,
    rules=(rule("name", "length:3,31"),),
)
def key_create(call: Call) -> Response:
    """A new key; it can not have more rights than the one it is made with."""
    expires = call.body.get("expires")
    if expires is not None and expires <= call.world.time():
        raise invalid(["expires: time must be in the future"], nested=True)
    if any(set(call.body[name]) - _own(call, name) for name in LISTS):
        raise bad("permissions: more permissions than self")
    mine = [k for k in call.state.keys.values() if k.user == call.user.uuid]
    if len(mine) >= MOST_KEYS:
        raise refused("maximum number of api keys reached")
    if any(k.name == call.body["name"] for k in mine):
        raise conflict("api key with name already exists")
    row = ApiKey(*call.world.stamp(), user=call.user.uuid, token=new_key(), **_fields(call))
    call.state.keys[row.uuid] = row
    call.log("user", "api-key:create", _logged(row))
    return success({"api_key": api_key(row), "key": row.token})


def _fields(call: Call) -> dict[str, Any]:
    return {name: call.body.get(name) for name in ("name", "allowed_ips", *LISTS, "expires")}


def _logged(row: ApiKey) -> dict[str, object]:
    """What the activity log keeps of a new key."""
    lists = {name: getattr(row, name) for name in LISTS}
    head = {"name": row.name, "uuid": row.uuid, "expires": shown_time(row.expires)}
    return {**head, "identifier": row.start, "allowed_ips": row.allowed_ips, **lists}


def _own(call: Call, name: str) -> set[str]:
    """What the calling key may hand on. For another user only the calling key's lists count."""
    held: list[str] = getattr(call.key, name)
    known = {
        "user_permissions": USER_KEYS,
        "admin_permissions": ADMIN_KEYS,
        "server_permissions": SERVER_KEYS,
    }
    role = role_of(call.state, call.user)
    if name == "admin_permissions" and call.scoped and not call.user.admin:
        return set(held) & set(role.admin_permissions if role else [])
    return set(held) & set(known[name])


@ENDPOINTS.on("DELETE", "/account/api-keys/{key}", "api-keys.delete")
def key_delete(call: Call) -> Response:
    """Remove a key; for up to five seconds it still works."""
    del call.state.keys[call.bound(ApiKey).uuid]
    return done()
