"""From request to answer, in the panel's order: route, rate window, key, rows of the path, body, right."""

from collections.abc import Callable

from provisioning.sandbox.calagopus import (
    accounts,
    activity,
    allocations,
    catalogue,
    client,
    client_extras,
    deployment,
    machines,
    oauth,
    places,
    public,
    remote,
    server_changes,
    server_create,
    server_parts,
    servers,
    transfers,
    users,
)
from provisioning.sandbox.calagopus.access import Keys, authenticate, check_admin, check_admin_permission
from provisioning.sandbox.calagopus.access import check_user_permission as check_own
from provisioning.sandbox.calagopus.binding import bind
from provisioning.sandbox.calagopus.calling import Call, Endpoint, render
from provisioning.sandbox.calagopus.daemon import DaemonError, Daemons
from provisioning.sandbox.calagopus.errors import CallerGoneError, PanelError, internal
from provisioning.sandbox.calagopus.negotiation import check_content_type, dressed
from provisioning.sandbox.calagopus.refusals import REFUSALS
from provisioning.sandbox.calagopus.remote import daemon_node
from provisioning.sandbox.calagopus.schema import deserialise
from provisioning.sandbox.calagopus.throttle import Throttle
from provisioning.sandbox.calagopus.world import State, World
from provisioning.sandbox.http import Request, Response, Route, Router

GROUPS = (
    public, accounts, activity, users, oauth, places, machines, allocations, catalogue, servers,
    server_create, deployment, server_changes, server_parts, transfers, client, client_extras, remote,
)  # fmt: skip
KEYED = ("admin", "client")


class Panel:
    """The imitated panel as one function of a request."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.daemons = Daemons(world)
        self.throttle = Throttle(world)
        self.keys = Keys(world)
        self.refusals = REFUSALS
        self.router = Router(route for group in GROUPS for route in group.ENDPOINTS.routes)

    def run_due(self) -> None:
        """Let daemons do and hear what is due."""
        self.daemons.run_due()

    def pattern(self, request: Request) -> str:
        """The route pattern of a request for the call log, or its path where there is none."""
        found = self.router.find(request.method, trimmed(request.path))
        return found[0].pattern if found else request.path

    def handle(self, request: Request, state: State | None = None) -> Response:
        """Answer a request; ``state`` replaces the newest one for a stale read."""
        with self.world.lock:
            self.run_due()
            try:
                response = self._answer(request, state or self.world.state)
            except CallerGoneError:
                return Response(delivery="drop")
            except DaemonError:
                response = render(internal())
            except PanelError as error:
                response = render(error)
        return dressed(request, response)

    def _answer(self, request: Request, state: State) -> Response:
        """The straight path; raises PanelError at the first check that fails."""
        found = self.router.find(request.method, trimmed(request.path))
        if found is None:
            return self._unrouted(request)
        route, parameters = found
        endpoint = _endpoint(route)
        call = Call(self.world, state, request, self.daemons, parameters)
        self._identify(call, endpoint)
        bind(call, endpoint)
        if endpoint.struct is not None:
            check_content_type(request)
            call.body = deserialise(request.body, endpoint.struct)
        if not endpoint.nested:
            call.validate(endpoint.rules, nested=False)
        RIGHTS.get(endpoint.api, _no_right)(call, endpoint.permission)
        if endpoint.nested:
            call.validate(endpoint.rules, nested=True)
        response = endpoint.handler(call)
        if call.caller_key is not None:
            self.keys.used(call.caller_key)
        return response

    def _identify(self, call: Call, endpoint: Endpoint) -> None:
        """Find out who calls, where that matters. Raises 401, 403, 429."""
        if endpoint.api == "remote":
            call.node = daemon_node(call.state, call.request)
        if endpoint.api not in KEYED:
            return
        self.throttle.hit(call.request.address)
        caller = authenticate(self.keys, call.state, call.request)
        call.caller_key, call.caller = caller.key, caller.acts_as
        call.impersonator = None if caller.acts_as is caller.owner else caller.owner
        if endpoint.api == "admin":
            check_admin(call)

    def _unrouted(self, request: Request) -> Response:
        """404 for an unknown route, also without a key; 405 without a word for an unknown method."""
        methods = self.router.methods(trimmed(request.path))
        if not methods:
            return render(PanelError(404, "route not found"))
        return Response(status=405, headers={"Allow": ",".join(methods)}, content_type="")


def _no_right(call: Call, permission: str) -> None:
    """Routes that need none."""


def _own_right(call: Call, permission: str) -> None:
    """Rights about one's own account; those about a server were checked with the server."""
    if permission and "server" not in call.parameters:
        check_own(call, permission)


def _admin_right(call: Call, permission: str) -> None:
    if permission:
        check_admin_permission(call, permission)


RIGHTS: dict[str, Callable[[Call, str], None]] = {"admin": _admin_right, "client": _own_right}


def trimmed(path: str) -> str:
    """The path without slashes at its end, as the panel routes it."""
    return path.rstrip("/") or "/"


def _endpoint(route: Route) -> Endpoint:
    if not isinstance(route.endpoint, Endpoint):
        raise TypeError(route.pattern)
    return route.endpoint
