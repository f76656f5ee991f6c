"""What a handler gets: the caller, the rows that the path names, the body; and how it answers."""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from provisioning.sandbox.calagopus.daemon import Daemons
from provisioning.sandbox.calagopus.errors import PanelError, bad, invalid
from provisioning.sandbox.calagopus.rows import Activity, ApiKey, Node, Row, User
from provisioning.sandbox.calagopus.schema import Struct
from provisioning.sandbox.calagopus.validation import Rule, failures
from provisioning.sandbox.calagopus.world import State, World
from provisioning.sandbox.http import Request, Response, Route

T = TypeVar("T", bound=Row)
PER_PAGE, MOST_PER_PAGE, LONGEST_SEARCH = 25, 100, 128


@dataclass
class Call:
    """One request; ``state`` may be older than the world's where a fault serves stale reads.

    Without a key (public and daemon routes) ``user`` and ``key`` are missing; a daemon's call has ``node``.
    """

    world: World
    state: State
    request: Request
    daemons: Daemons
    parameters: dict[str, str]
    caller_key: ApiKey | None = None
    caller: User | None = None
    impersonator: User | None = None
    node: Node | None = None
    body: dict[str, Any] = field(default_factory=dict)
    rows: dict[str, Row] = field(default_factory=dict)

    @property
    def user(self) -> User:
        """Who calls."""
        if self.caller is None:
            raise LookupError("user")
        return self.caller

    @property
    def key(self) -> ApiKey:
        """The key that was used."""
        if self.caller_key is None:
            raise LookupError("key")
        return self.caller_key

    @property
    def scoped(self) -> bool:
        """Whether the key's lists count; for an impersonated user they do not (section 2.5)."""
        return self.impersonator is None

    def bound(self, kind: type[T]) -> T:
        """The row of this kind that the path names."""
        for row in self.rows.values():
            if isinstance(row, kind):
                return row
        raise LookupError(kind.__name__)

    def validate(self, rules: Sequence[Rule], *, nested: bool) -> None:
        """Look at the body a second time. Raises PanelError 400 in the endpoint's shape."""
        found = failures(self.body, rules)
        if found:
            raise invalid(found, nested=nested)

    def log(self, kind: str, event: str, data: Mapping[str, object], server: str | None = None) -> None:
        """Write a line of the activity log; what no user did, or by mail only, has no address."""
        by = self.impersonator.uuid if self.impersonator else None
        user = self.caller.uuid if self.caller else None
        address = self.request.address if self.caller else None
        row = Activity(*self.world.stamp(), kind, event, user, by, server, address, dict(data))
        self.state.activities.append(row)


Handler = Callable[[Call], Response]


@dataclass(frozen=True)
class Endpoint:
    """A handler with the right it needs, the body it takes and how its failures are shaped.

    Flat rules are checked before the right, nested ones after it (section 2.4). ``gate`` False: works in
    every state of a server.
    """

    handler: Handler
    api: str
    permission: str = ""
    struct: Struct | None = None
    rules: tuple[Rule, ...] = ()
    nested: bool = False
    gate: bool = True


class Endpoints:
    """Collects the routes of one group of resources."""

    def __init__(self, api: str, prefix: str = "") -> None:
        self.api = api
        self.prefix = prefix or f"/api/{api}"
        self.routes: list[Route] = []

    def on(
        self, method: str, path: str, permission: str = "", **options: Any
    ) -> Callable[[Handler], Handler]:
        """Register a handler below the group's prefix; options are those of Endpoint."""

        def register(handler: Handler) -> Handler:
            endpoint = Endpoint(handler, self.api, permission, **options)
            self.routes.append(Route(method, f"{self.prefix}{path}", endpoint))
            return handler

        return register


def success(payload: Mapping[str, object], status: int = 200) -> Response:
    """A JSON answer without spaces, as the panel writes it."""
    text = json.dumps(payload, separators=(",", ":"), ensure_ascii=False)
    return Response(status=status, body=text.encode())


def done(status: int = 200) -> Response:
    """``{}``."""
    return success({}, status)


@dataclass(frozen=True)
class Paging:
    """What a list was asked for."""

    page: int
    per_page: int
    search: str


def query(call: Call) -> dict[str, str]:
    """The query's members; unknown ones are ignored by all (section 2.7)."""
    return dict(parse_qsl(call.request.query_string, keep_blank_values=True))


def paging(call: Call) -> Paging:
    """Page, size and search term. Raises PanelError 400, flat."""
    asked = query(call)
    page, per_page = _number(asked, "page", 1), _number(asked, "per_page", PER_PAGE)
    search = asked.get("search", "")
    found = []
    if page < 1:
        found.append("page: lower than 1")
    if per_page < 1:
        found.append("per_page: lower than 1")
    if per_page > MOST_PER_PAGE:
        found.append(f"per_page: greater than {MOST_PER_PAGE}")
    if len(search) > LONGEST_SEARCH:
        found.append(f"search: length is greater than {LONGEST_SEARCH}")
    if found:
        raise invalid(found, nested=False)
    return Paging(page, per_page, search)


def _number(asked: Mapping[str, str], name: str, default: int) -> int:
    value = asked.get(name)
    if value is None:
        return default
    if re.fullmatch(r"-?\d+", value) is None:
        problem = "cannot parse integer from empty string" if not value else "invalid digit found in string"
        raise bad(f"Failed to deserialize query string: {name}: {problem}")
    return int(value)


def paged(
    call: Call,
    name: str,
    rows: Iterable[T],
    show: Callable[[T], object],
    searched: Callable[[T], Iterable[str]] = lambda _: (),
) -> Response:
    """One page of rows; past the end the total is 0, as the panel's database counts (section 2.7)."""
    asked = paging(call)
    wanted = like(asked.search)
    found = [r for r in rows if not asked.search or any(wanted.search(text) for text in searched(r))]
    first = (asked.page - 1) * asked.per_page
    shown = found[first : first + asked.per_page]
    total = len(found) if shown else 0
    data = [show(row) for row in shown]
    return success({name: {"total": total, "per_page": asked.per_page, "page": asked.page, "data": data}})


def like(term: str) -> re.Pattern[str]:
    """A search term as the database reads it: ``%`` and ``_`` are wildcards, case does not matter."""
    marks = {"%": ".*", "_": "."}
    return re.compile("".join(marks.get(c) or re.escape(c) for c in term), re.IGNORECASE | re.DOTALL)


def render(error: PanelError) -> Response:
    """The answer for an error."""
    answer = success({"errors": error.texts}, error.status)
    answer.headers = dict(error.headers)
    return answer
