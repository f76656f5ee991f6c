"""Panel accounts: ``/api/application/users`` (contract section 3)."""

from provisioning.sandbox.http import Response
from provisioning.sandbox.pterodactyl.calling import Call, Endpoints, no_content, success
from provisioning.sandbox.pterodactyl.errors import display
from provisioning.sandbox.pterodactyl.listing import partials
from provisioning.sandbox.pterodactyl.reading import readable, readable_by_mark
from provisioning.sandbox.pterodactyl.relations import shown
from provisioning.sandbox.pterodactyl.validation import Check, Field
from provisioning.sandbox.world import Mail, State, User, new_uuid

ENDPOINTS = Endpoints("application")
FILTERS = partials("email uuid username external_id")
LANGUAGES = ("en",)
readable(ENDPOINTS, "users", "user", FILTERS)
readable_by_mark(ENDPOINTS, "users", "user")


def unique(state: State, column: str, except_for: User | None) -> Check:
    """Whether no other user has this value; case does not matter, as in the panel's database."""

    def free(value: object) -> bool:
        wanted = str(value).lower()
        return not any(
            str(getattr(row, column)).lower() == wanted
            for row in state.users.values()
            if row is not except_for and getattr(row, column) is not None
        )

    return free


def fields(state: State, user: User | None) -> list[Field]:
    """The rules of POST and PATCH, in the panel's order."""
    return [
        Field("email", "required|email|between:1,191", unique=unique(state, "email", user)),
        Field(
            "external_id",
            "sometimes|nullable|string|max:191",
            name="Third Party Identifier",
            unique=unique(state, "external_id", user),
        ),
        Field("username", "required|between:1,191|p_username", unique=unique(state, "username", user)),
        Field("password", "sometimes|nullable|string"),
        Field("root_admin", "sometimes|boolean", name="Root Administrator Status"),
        Field("language", f"sometimes|string|in:{','.join(LANGUAGES)}"),
        Field("first_name", "required|string|between:1,191"),
        Field("last_name", "required|string|between:1,191"),
    ]


@ENDPOINTS.on("POST", "/users", "users")
def user_create(call: Call) -> Response:
    """A new account; every creation queues the mail with the set-password link."""
    call.validate(fields(call.state, None))
    user = User(
        *call.world.stamp("users"),
        uuid=new_uuid(),
        username=str(call.text("username")).lower(),
        email=str(call.text("email")),
        first_name=str(call.text("first_name")),
        last_name=str(call.text("last_name")),
        external_id=call.text("external_id"),
        language=call.text("language") or "en",
        root_admin=call.flag("root_admin"),
        password=call.text("password"),
    )
    call.state.users[user.id] = user
    call.state.mails.append(Mail(user.email, "Account Created"))
    meta = {"resource": f"{call.request.base_url}/api/application/users/{user.id}"}
    return success({**shown(call, "user", user), "meta": meta}, status=201)


@ENDPOINTS.on("PATCH", "/users/{user}", "users")
def user_update(call: Call) -> Response:
    """Change an account: not partial; left-out optional fields keep their value."""
    user = call.bound(User)
    call.validate(fields(call.state, user))
    user.email = str(call.text("email"))
    user.username = str(call.text("username")).lower()
    user.first_name, user.last_name = str(call.text("first_name")), str(call.text("last_name"))
    if call.has("external_id"):
        user.external_id = call.text("external_id")
    user.root_admin = call.flag("root_admin", user.root_admin)
    user.language = call.text("language") or user.language
    user.password = call.text("password") or user.password
    user.updated_at = call.world.now()
    return success(shown(call, "user", user))


@ENDPOINTS.on("DELETE", "/users/{user}", "users")
def user_delete(call: Call) -> Response:
    """Remove an account that owns no server, with its keys and memberships."""
    user, state = call.bound(User), call.state
    if any(server.owner_id == user.id for server in state.servers.values()):
        raise display(
            "Cannot delete a user with active servers attached to their account. "
            "Please delete their servers before continuing."
        )
    for key_id in [k.id for k in state.keys.values() if k.user_id == user.id]:
        del state.keys[key_id]
    for subuser_id in [s.id for s in state.subusers.values() if s.user_id == user.id]:
        del state.subusers[subuser_id]
    del state.users[user.id]
    return no_content()
