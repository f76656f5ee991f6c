"""Reading servers, and their databases' list (contract sections 6.2 and 6.10)."""

from provisioning.sandbox.http import Response
from provisioning.sandbox.pterodactyl.calling import Call, Endpoints, success
from provisioning.sandbox.pterodactyl.listing import Filter, partial, partials
from provisioning.sandbox.pterodactyl.reading import readable, readable_by_mark
from provisioning.sandbox.pterodactyl.serializers import listed
from provisioning.sandbox.world import Server

ENDPOINTS = Endpoints("application")
FILTERS: dict[str, Filter] = {
    "uuid": partial("uuid"),
    "uuidShort": partial("identifier"),
    **partials("name description image external_id"),
}
readable(ENDPOINTS, "servers", "server", FILTERS)
readable_by_mark(ENDPOINTS, "servers", "server")


@ENDPOINTS.on("GET", "/servers/{server}/databases", "server_databases")
def server_databases(call: Call) -> Response:
    """The server's databases: there is no database host here, so there are none."""
    call.bound(Server)
    return success(listed([]))
