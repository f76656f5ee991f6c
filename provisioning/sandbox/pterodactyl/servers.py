"""Reading servers, and their databases' list (contract sections 6.2 and 6.10)."""

from provisioning.sandbox.http import Response
from provisioning.sandbox.pterodactyl.calling import Call, Endpoints, success
from provisioning.sandbox.pterodactyl.errors import not_found
from provisioning.sandbox.pterodactyl.listing import Filter, filtered, listing, ordered, partial, partials
from provisioning.sandbox.pterodactyl.relations import shown
from provisioning.sandbox.pterodactyl.serializers import listed
from provisioning.sandbox.world import Server

ENDPOINTS = Endpoints("application")
FILTERS: dict[str, Filter] = {
    "uuid": partial("uuid"),
    "uuidShort": partial("identifier"),
    **partials("name description image external_id"),
}


@ENDPOINTS.on("GET", "/servers", "servers")
def server_list(call: Call) -> Response:
    """All servers, filtered and paged."""
    rows = filtered(call, list(call.state.servers.values()), FILTERS)
    return success(listing(call, "server", ordered(call, rows, ("id", "uuid"))))


@ENDPOINTS.on("GET", "/servers/{server}", "servers")
def server_get(call: Call) -> Response:
    """One server by number."""
    return success(shown(call, "server", call.bound(Server)))


@ENDPOINTS.on("GET", "/servers/external/{external_id}", "servers")
def server_external(call: Call) -> Response:
    """One server by the whole external id; the oldest where they are not unique."""
    wanted = call.parameters["external_id"].lower()
    for server in call.state.servers.values():
        if (server.external_id or "").lower() == wanted:
            return success(shown(call, "server", server))
    raise not_found()


@ENDPOINTS.on("GET", "/servers/{server}/databases", "server_databases")
def server_databases(call: Call) -> Response:
    """The server's databases: there is no database host here, so there are none."""
    call.bound(Server)
    return success(listed([]))
