"""Users of the Admin API (contract section 4.7)."""

from provisioning.sandbox.calagopus.calling import Call, Endpoints, done, paged, query, success
from provisioning.sandbox.calagopus.errors import PanelError, bad, conflict, internal, not_found
from provisioning.sandbox.calagopus.rows import Activity, User
from provisioning.sandbox.calagopus.schema import Member, Struct, flag, free, needed, text, uuid, variant
from provisioning.sandbox.calagopus.serializers import server as server_shown
from provisioning.sandbox.calagopus.serializers import user as user_shown
from provisioning.sandbox.calagopus.validation import rule
from provisioning.sandbox.calagopus.world import Mail
from provisioning.sandbox.http import Response

ENDPOINTS = Endpoints("admin")
FLAGS = ("frozen", "suspended")
CREATE = Struct(
    "CreateUserOptions",
    free("role_uuid", uuid),
    free("external_id", text),
    needed("username", text),
    needed("email", text),
    needed("name_first", text),
    needed("name_last", text),
    free("password", text),
    needed("admin", flag),
    needed("language", text),
    *(Member(name, flag, required=False) for name in (*FLAGS, "send_email")),
)
TEXTS = ("username", "email", "name_first", "name_last", "password", "language")
SWITCHES = ("admin", *FLAGS, "start_on_grouped_servers")
UPDATE = Struct(
    "UpdateUserOptions",
    free("role_uuid", uuid),
    free("external_id", text),
    *(free(name, text) for name in TEXTS),
    *(free(name, flag) for name in SWITCHES),
    free("toast_position", variant("top_left", "top_center", "top_right", "bottom_left", "bottom_center",
                                   "bottom_right")),
)  # fmt: skip
COMMON = (
    rule("username", "length:3,15", "username"),
    rule("email", "email", "length:,255"),
    rule("name_first", "length:1,255"),
    rule("name_last", "length:1,255"),
    rule("language", "language"),
)
ON_CREATE = (*COMMON, rule("external_id", "length:,255"), rule("password", "length:1,512"))
ON_UPDATE = (*COMMON, rule("external_id", "length:1,255"), rule("password", "length:8,512"))
UNIQUE = ("email", "username", "external_id")


@ENDPOINTS.on("GET", "/users", "users.read")
def users_list(call: Call) -> Response:
    """All users; the search looks at user name and e-mail."""
    rows = call.state.users.values()
    return paged(call, "users", rows, lambda u: user_shown(call.state, u), lambda u: [u.username, u.email])


@ENDPOINTS.on("GET", "/users/external/{mark}", "users.read")
def user_by_external_id(call: Call) -> Response:
    """The user with exactly this external id."""
    users = call.state.users.values()
    found = next((u for u in users if u.external_id == call.parameters["mark"]), None)
    if found is None:
        raise not_found("user")
    return success({"user": user_shown(call.state, found)})


@ENDPOINTS.on("GET", "/users/{user}")
def user_show(call: Call) -> Response:
    """One user."""
    return success({"user": user_shown(call.state, call.bound(User))})


@ENDPOINTS.on("POST", "/users", "users.create", struct=CREATE, nested=True, rules=ON_CREATE)
def user_create(call: Call) -> Response:
    """A new account; the mail with the set-password link only goes out where it was asked for."""
    body = call.body
    if not call.user.admin:
        _refuse(body["admin"], "you cannot grant admin status")
        _refuse(body.get("role_uuid"), "you cannot assign roles")
    _check_role(call)
    if _taken(call, None):
        raise conflict("user with email/username already exists")
    row = User(
        *call.world.stamp(), **{name: body[name] for name in ("username", "email", "name_first", "name_last")}
    )
    row.external_id, row.role = body.get("external_id"), body.get("role_uuid")
    row.admin, row.language, row.password = body["admin"], body["language"], body.get("password")
    row.frozen, row.suspended = bool(body.get("frozen")), bool(body.get("suspended"))
    call.state.users[row.uuid] = row
    if body.get("send_email"):
        call.state.mails.append(Mail(row.email, "Account Created"))
    return success({"user": user_shown(call.state, row)})


def _refuse(condition: object, text: str) -> None:
    if condition:
        raise PanelError(403, text)


def _check_role(call: Call) -> None:
    """An unknown role is a 500, whatever the panel meant (``users.create.unknown_role``)."""
    role = call.body.get("role_uuid")
    if role is not None and role not in call.state.roles:
        raise internal()


def _taken(call: Call, except_for: User | None) -> bool:
    """Whether somebody else has the e-mail, user name (in any case) or external id of the body."""
    others = [u for u in call.state.users.values() if u is not except_for]
    return any(_folded(name, getattr(u, name)) == _folded(name, call.body.get(name))
               for u in others for name in UNIQUE if call.body.get(name) is not None)  # fmt: skip


def _folded(name: str, value: object) -> object:
    return str(value).lower() if name != "external_id" and value is not None else value


@ENDPOINTS.on("PATCH", "/users/{user}", "users.update", struct=UPDATE, nested=True, rules=ON_UPDATE)
def user_update(call: Call) -> Response:
    """Change what is sent; null clears external id and role, and changes nothing else."""
    row, body = call.bound(User), call.body
    if not call.user.admin:
        _guard_administrators(call, row)
    _check_role(call)
    if _taken(call, row):
        raise conflict("user with email/username/external_id already exists")
    for name in (*TEXTS, *SWITCHES, "toast_position"):
        if body.get(name) is not None:
            setattr(row, name, body[name])
    if "external_id" in body:
        row.external_id = body["external_id"]
    if "role_uuid" in body:
        row.role = body["role_uuid"]
    return done()


def _guard_administrators(call: Call, row: User) -> None:
    """What a caller with a role, who is no administrator, may not change."""
    body = call.body
    changes = {name: body.get(name) not in (None, getattr(row, name)) for name in ("admin", "email")}
    _refuse(changes["admin"], "you cannot change admin status")
    _refuse("role_uuid" in body and body["role_uuid"] != row.role, "you cannot change a user's role")
    _refuse(row.admin, "you cannot modify an administrator")
    if row is not call.user:
        _refuse(body.get("password") is not None, "you cannot change another user's password")
        _refuse(changes["email"], "you cannot change another user's email")


@ENDPOINTS.on("DELETE", "/users/{user}", "users.delete")
def user_delete(call: Call) -> Response:
    """Remove a user who owns no server, with keys, links and memberships."""
    row, state = call.bound(User), call.state
    if any(s.owner == row.uuid for s in state.servers.values()):
        raise bad("user has servers, cannot delete")
    for table in (state.keys, state.oauth_links, state.subusers):
        for key in [key for key, held in table.items() if held.user == row.uuid]:
            del table[key]
    del state.users[row.uuid]
    return done()


@ENDPOINTS.on("GET", "/users/{user}/servers", "servers.read")
def user_servers(call: Call) -> Response:
    """A user's servers; with ``owned=false`` also those that he is a sub-user of."""
    row, state = call.bound(User), call.state
    shared = {s.server for s in state.subusers.values() if s.user == row.uuid}
    others = shared if query(call).get("owned") != "true" else set()
    rows = [s for s in state.servers.values() if s.owner == row.uuid or s.uuid in others]
    return paged(call, "servers", rows, lambda s: server_shown(state, s), lambda s: [s.name])


@ENDPOINTS.on("POST", "/users/{user}/email/reset-password", "users.email", struct=Struct("Payload"))
def user_reset_password(call: Call) -> Response:
    """Queue the mail; the answer never says whether one went out."""
    row, line = call.bound(User), call.world.stamp()
    call.state.mails.append(Mail(row.email, "Reset Password"))
    call.state.activities.append(
        Activity(*line, "user", "email:password-reset", row.uuid, None, None, None, {})
    )
    return done(202)


@ENDPOINTS.on("DELETE", "/users/{user}/two-factor", "users.disable-two-factor")
def user_two_factor_delete(_: Call) -> Response:
    """Nobody here has a second factor."""
    raise conflict("two-factor authentication is not enabled")
