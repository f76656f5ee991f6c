"""Sign-in providers and users' identities there (contract sections 4.8, 4.9 and 9)."""

from urllib.parse import urlencode

from provisioning.sandbox.calagopus.calling import Call, Endpoints, done, paged, success
from provisioning.sandbox.calagopus.errors import PanelError, conflict, internal, not_found
from provisioning.sandbox.calagopus.rows import OAuthLink, OAuthProvider, User
from provisioning.sandbox.calagopus.schema import Reader, Struct, flag, free, needed, several, text, uuid
from provisioning.sandbox.calagopus.serializers import oauth_link, oauth_provider, user_oauth_link
from provisioning.sandbox.calagopus.validation import rule
from provisioning.sandbox.calagopus.world import letters
from provisioning.sandbox.http import Response

ENDPOINTS = Endpoints("admin")
PUBLIC = Endpoints("public", "/api/auth/oauth")
REQUIRED = ("name", "client_id", "client_secret", "auth_url", "token_url", "info_url", "identifier_path")
PATHS = ("email_path", "username_path", "name_first_path", "name_last_path")
FLAGS = ("enabled", "login_only", "login_bypass_2fa", "link_viewable", "user_manageable", "basic_auth")
CREATE = Struct(
    "CreateOAuthProviderOptions",
    needed("name", text),
    free("description", text),
    *(needed(name, text) for name in REQUIRED[1:6]),
    needed("scopes", several(text)),
    needed("identifier_path", text),
    *(free(name, text) for name in PATHS),
    *(needed(name, flag) for name in FLAGS),
)
UPDATABLE: dict[str, Reader] = {
    **dict.fromkeys((*REQUIRED, *PATHS, "description"), text),
    **dict.fromkeys(FLAGS, flag),
    "scopes": several(text),
}
UPDATE = Struct("UpdateOAuthProviderOptions", *(free(name, reader) for name, reader in UPDATABLE.items()))
RULES = (
    rule("name", "length:1,255"),
    rule("description", "length:1,1024"),
    *(rule(name, "length:3,255") for name in ("client_id", "client_secret")),
    *(rule(name, "length:3,255") for name in ("auth_url", "token_url", "info_url")),
    rule("identifier_path", "json_path", "length:3,255"),
    *(rule(name, "json_path", "length:1,255") for name in PATHS),
)
LINK = Struct("Payload", needed("oauth_provider_uuid", uuid), needed("identifier", text))


@ENDPOINTS.on("GET", "/oauth-providers", "oauth-providers.read")
def providers_list(call: Call) -> Response:
    """All providers."""
    rows = call.state.oauth_providers.values()
    return paged(call, "oauth_providers", rows, oauth_provider, lambda p: [p.name])


@ENDPOINTS.on("POST", "/oauth-providers", "oauth-providers.create", struct=CREATE, nested=True, rules=RULES)
def provider_create(call: Call) -> Response:
    """A new provider; names are unique."""
    _check_name(call, None)
    row = OAuthProvider(*call.world.stamp(), name=call.body["name"], body=dict(call.body))
    call.state.oauth_providers[row.uuid] = row
    return success({"oauth_provider": oauth_provider(row)})


def _check_name(call: Call, except_for: OAuthProvider | None) -> None:
    rows = (p for p in call.state.oauth_providers.values() if p is not except_for)
    if any(p.name == call.body.get("name") for p in rows):
        raise conflict("oauth provider with name already exists")


@ENDPOINTS.on("GET", "/oauth-providers/{provider}")
def provider_show(call: Call) -> Response:
    """One provider."""
    return success({"oauth_provider": oauth_provider(call.bound(OAuthProvider))})


@ENDPOINTS.on(
    "PATCH", "/oauth-providers/{provider}", "oauth-providers.update", struct=UPDATE, nested=True, rules=RULES
)
def provider_update(call: Call) -> Response:
    """Change what is sent."""
    row = call.bound(OAuthProvider)
    _check_name(call, row)
    row.body.update(call.body)
    row.name = str(row.body["name"])
    return done()


@ENDPOINTS.on("DELETE", "/oauth-providers/{provider}", "oauth-providers.delete")
def provider_delete(call: Call) -> Response:
    """Remove a provider with all its links."""
    row, state = call.bound(OAuthProvider), call.state
    for key in [link.uuid for link in state.oauth_links.values() if link.provider == row.uuid]:
        del state.oauth_links[key]
    del state.oauth_providers[row.uuid]
    return done()


def _links_of(call: Call) -> list[OAuthLink]:
    provider = call.bound(OAuthProvider)
    return [link for link in call.state.oauth_links.values() if link.provider == provider.uuid]


@ENDPOINTS.on("GET", "/oauth-providers/{provider}/users")
def provider_users(call: Call) -> Response:
    """Who is linked to a provider."""
    state = call.state
    return paged(
        call,
        "user_oauth_links",
        _links_of(call),
        lambda r: user_oauth_link(state, r),
        lambda r: [r.identifier],
    )


@ENDPOINTS.on("GET", "/oauth-providers/{provider}/users/identifier/{identifier}")
def provider_identity(call: Call) -> Response:
    """Who has this identity at a provider."""
    wanted = call.parameters["identifier"]
    found = next((link for link in _links_of(call) if link.identifier == wanted), None)
    if found is None:
        raise not_found("user oauth link")
    return success({"user_oauth_link": user_oauth_link(call.state, found)})


@ENDPOINTS.on("GET", "/users/{user}/oauth-links", "users.oauth-links")
def links_list(call: Call) -> Response:
    """A user's identities."""
    row, state = call.bound(User), call.state
    rows = [link for link in state.oauth_links.values() if link.user == row.uuid]
    return paged(call, "oauth_links", rows, lambda r: oauth_link(state, r), lambda r: [r.identifier])


@ENDPOINTS.on(
    "POST",
    "/users/{user}/oauth-links",
    "users.oauth-links",
    struct=LINK,
    rules=(rule("identifier", "length:1,255"),),
)
def link_create(call: Call) -> Response:
    """Link a user; an identity and a provider are each good for one link, and one text tells of both."""
    row, body, state = call.bound(User), call.body, call.state
    provider = body["oauth_provider_uuid"]
    if provider not in state.oauth_providers:
        raise not_found("oauth provider")
    links = [link for link in state.oauth_links.values() if link.provider == provider]
    if any(link.identifier == body["identifier"] or link.user == row.uuid for link in links):
        raise conflict("oauth link with provider + identifier already exists")
    link = OAuthLink(*call.world.stamp(), user=row.uuid, provider=provider, identifier=body["identifier"])
    state.oauth_links[link.uuid] = link
    return success({"oauth_link": oauth_link(state, link)})


@ENDPOINTS.on("GET", "/users/{user}/oauth-links/{oauth_link}", "users.oauth-links")
def link_show(call: Call) -> Response:
    """One identity."""
    return success({"oauth_link": oauth_link(call.state, call.bound(OAuthLink))})


@ENDPOINTS.on("DELETE", "/users/{user}/oauth-links/{oauth_link}", "users.oauth-links")
def link_delete(call: Call) -> Response:
    """Remove an identity."""
    del call.state.oauth_links[call.bound(OAuthLink).uuid]
    return done()


@PUBLIC.on("GET", "/redirect/{provider}")
def sign_in(call: Call) -> Response:
    """Send a browser to the provider; an unknown one is a 500."""
    row = call.state.oauth_providers.get(call.parameters["provider"])
    if row is None:
        raise internal()
    scopes = row.body["scopes"]
    asked = {
        "response_type": "code",
        "client_id": row.body["client_id"],
        "state": letters(22),
        "redirect_uri": f"http://localhost:8000/api/auth/oauth/{row.uuid}",
        "scope": " ".join(scopes) if isinstance(scopes, list) else "",
    }
    where = f"{row.body['auth_url']}?{urlencode(asked)}"
    return Response(status=307, headers={"Location": where}, content_type="")


@PUBLIC.on("GET", "/{provider}")
def signed_in(_: Call) -> Response:
    """The way back from a provider: nobody here carries the state cookie."""
    raise PanelError(404, "oauth csrf state not found, please try again")


ENDPOINTS.routes += PUBLIC.routes
