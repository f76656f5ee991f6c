"""From request to answer: keys, rate windows, bindings, rights, in the panel's order (section 1.1)."""

import json
from collections.abc import Callable
from urllib.parse import parse_qsl, urlsplit

from provisioning.sandbox.daemon import DaemonError, Daemons
from provisioning.sandbox.http import Request, Response, Route, Router, nested
from provisioning.sandbox.pterodactyl import (
    catalogue,
    client,
    client_extras,
    nodes,
    server_changes,
    server_create,
    servers,
    users,
)
from provisioning.sandbox.pterodactyl.access import (
    authenticate,
    check_address,
    check_application,
    check_client,
)
from provisioning.sandbox.pterodactyl.calling import Call, Endpoint
from provisioning.sandbox.pterodactyl.errors import PanelError, not_found, render
from provisioning.sandbox.pterodactyl.refusals import REFUSALS
from provisioning.sandbox.pterodactyl.throttle import Throttle
from provisioning.sandbox.pterodactyl.validation import normalised
from provisioning.sandbox.world import Row, Server, State, World

GROUPS = (users, catalogue, nodes, servers, server_create, server_changes, client, client_extras)
Binder = Callable[[Call, str], Row | None]


def _by_id(table: str) -> Binder:
    def find(call: Call, value: str) -> Row | None:
        rows: dict[int, Row] = getattr(call.state, table)
        return rows.get(int(value)) if value.isdigit() else None

    return find


def _server_by_identifier(call: Call, value: str) -> Row | None:
    return next((s for s in call.state.servers.values() if value in (s.identifier, s.uuid)), None)


def _subuser_by_uuid(call: Call, value: str) -> Row | None:
    rows = (s for s in call.state.subusers.values() if s.server_id == call.bound(Server).id)
    return next((s for s in rows if call.state.users[s.user_id].uuid == value), None)


def _backup_by_uuid(call: Call, value: str) -> Row | None:
    return next((b for b in call.state.backups.values() if b.uuid == value), None)


BINDERS: dict[str, dict[str, Binder]] = {
    "application": {
        "user": _by_id("users"),
        "location": _by_id("locations"),
        "nest": _by_id("nests"),
        "egg": _by_id("eggs"),
        "node": _by_id("nodes"),
        "allocation": _by_id("allocations"),
        "server": _by_id("servers"),
    },
    "client": {"server": _server_by_identifier, "user": _subuser_by_uuid, "backup": _backup_by_uuid},
}


class Panel:
    """The imitated panel as one function of a request."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.daemons = Daemons(world)
        self.throttle = Throttle(world)
        self.refusals = REFUSALS
        self.router = Router(route for group in GROUPS for route in group.ENDPOINTS.routes)

    def run_due(self) -> None:
        """Let the install callbacks come that are due."""
        self.daemons.run_due()

    def pattern(self, request: Request) -> str:
        """The route pattern of a request for the call log, or its path where there is none."""
        found = self.router.find(request.method, request.path)
        return found[0].pattern if found else request.path

    def handle(self, request: Request, state: State | None = None) -> Response:
        """Answer a request; ``state`` replaces the newest one for a stale read."""
        with self.world.lock:
            self.daemons.run_due()
            headers: dict[str, str] = {}
            try:
                response = self._answer(request, state or self.world.state, headers)
            except DaemonError as error:
                response = render(
                    PanelError(error.status, "DaemonConnectionException", error.detail), request
                )
            except PanelError as error:
                response = render(error, request)
        response.headers = {**headers, **response.headers}
        return response

    def _answer(self, request: Request, state: State, headers: dict[str, str]) -> Response:
        """The straight path; raises PanelError at the first check that fails."""
        found = self.router.find(request.method, request.path)
        if found is None:
            raise self._unrouted(request)
        route, parameters = found
        endpoint = _endpoint(route)
        check_session(request)
        key, user = authenticate(self.world, state, request)
        body = parse_body(request)
        check_address(key, request)
        call = Call(self.world, state, request, key, user, parameters, body, daemons=self.daemons)
        if endpoint.api == "client":
            check_client(call)
            bind(call, endpoint)
            headers.update(self.throttle.hit("client", user))
            client.check_server_access(call, endpoint)
        else:
            headers.update(self.throttle.hit("application", user))
            bind(call, endpoint)
            check_application(call, endpoint)
        return endpoint.handler(call)

    def _unrouted(self, request: Request) -> PanelError:
        """404 for an unknown route, 405 for an unknown method; both outside the rate window."""
        path = request.path.strip("/")
        methods = self.router.methods(request.path)
        if not methods:
            return not_found(f"The route {path} could not be found.")
        known = ", ".join(methods)
        detail = f"The {request.method} method is not supported for route {path}. Supported methods: {known}."
        return PanelError(405, "MethodNotAllowedHttpException", detail, headers={"Allow": known})


def _endpoint(route: Route) -> Endpoint:
    if not isinstance(route.endpoint, Endpoint):
        raise TypeError(route.pattern)
    return route.endpoint


def bind(call: Call, endpoint: Endpoint) -> None:
    """Find the rows that the path names. Raises 404."""
    for name, value in call.parameters.items():
        binder = BINDERS[endpoint.api].get(name)
        if binder is None:
            continue
        row = binder(call, value)
        if row is None:
            raise not_found()
        call.rows[name] = row


def check_session(request: Request) -> None:
    """Writes with a session cookie or the panel's own origin need a CSRF token (section 0, trap 2)."""
    if request.method in ("GET", "HEAD"):
        return
    origin = request.headers.get("origin") or request.headers.get("referer") or ""
    host = urlsplit(origin).netloc
    own = host in (urlsplit(request.base_url).netloc, "localhost", "127.0.0.1", "127.0.0.1:8000")
    if (host and own) or "pterodactyl_session=" in request.headers.get("cookie", ""):
        raise PanelError(419, "HttpException", "CSRF token mismatch.")


def parse_body(request: Request) -> dict[str, object]:
    """The input, trimmed and with empty texts as null; JSON or a form, anything else counts as empty."""
    kind = request.headers.get("content-type", "")
    parsed: object = {}
    if "json" in kind and request.body:
        try:
            parsed = json.loads(request.body)
        except ValueError:
            detail = "The JSON data passed in the request appears to be malformed: Syntax error"
            raise PanelError(400, "BadRequestHttpException", detail) from None
    elif "x-www-form-urlencoded" in kind:
        parsed = nested(parse_qsl(request.body.decode(errors="replace"), keep_blank_values=True))
    clean = normalised(parsed)
    return clean if isinstance(clean, dict) else {}
