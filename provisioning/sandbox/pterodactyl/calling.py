"""What a handler gets: the caller, the bound rows, the input; and how it answers."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from provisioning.sandbox.daemon import Daemons
from provisioning.sandbox.http import Request, Response, Route
from provisioning.sandbox.pterodactyl.validation import MISSING, Field, lookup, validate
from provisioning.sandbox.world import READ, WRITE, ApiKey, Row, State, User, World

T = TypeVar("T", bound=Row)


@dataclass
class Call:
    """One authenticated request; ``state`` may be older than the world's where a fault serves stale reads."""

    world: World
    state: State
    request: Request
    key: ApiKey
    user: User
    parameters: dict[str, str]
    body: dict[str, object] = field(default_factory=dict)
    rows: dict[str, Row] = field(default_factory=dict)
    daemons: Daemons = field(kw_only=True)

    def bound(self, kind: type[T]) -> T:
        """The row of this kind that the path names."""
        for row in self.rows.values():
            if isinstance(row, kind):
                return row
        raise LookupError(kind.__name__)

    def validate(self, fields: list[Field]) -> None:
        """Check the body; raises ValidationError."""
        validate(self.body, fields)

    def has(self, path: str) -> bool:
        """Whether the body holds this path, even as null."""
        return lookup(self.body, path) is not MISSING

    def text(self, path: str) -> str | None:
        """A text of the body, None where it is null or missing."""
        value = self.value(path)
        return None if value is None else str(value)

    def number(self, path: str, default: int = 0) -> int:
        """A number of the body, rounded as the panel's columns do."""
        value = self.value(path)
        return default if value is None else integer(value)

    def flag(self, path: str, default: bool = False) -> bool:
        """A boolean of the body."""
        value = self.value(path)
        return default if value is None else value in (True, 1, "1")

    def value(self, path: str) -> object:
        """Whatever the body holds at this path; None where nothing."""
        return lookup(self.body, path) if self.has(path) else None

    def may(self, resource: str, need: int = READ) -> bool:
        """Whether the key may read (or write) a resource of the Application API."""
        return not self.key.is_application or bool(self.key.permissions.get(resource, 0) & need)


def integer(value: object) -> int:
    """A number as the panel stores it: text is cast, a fraction rounded half up."""
    return int(float(str(value)) + 0.5) if float(str(value)) > 0 else int(float(str(value)))


Handler = Callable[[Call], Response]


@dataclass(frozen=True)
class Endpoint:
    """A handler with the right it needs; ``gate``: refused in some server states (section 8.1)."""

    handler: Handler
    api: str
    resource: str = ""
    need: int = READ
    gate: bool = True


class Endpoints:
    """Collects the routes of one group of resources."""

    def __init__(self, api: str) -> None:
        self.api = api
        self.routes: list[Route] = []

    def on(
        self, method: str, path: str, resource: str = "", *, gate: bool = True
    ) -> Callable[[Handler], Handler]:
        """Register a handler for ``/api/<api><path>``; GET needs the right to read, others to write."""

        def register(handler: Handler) -> Handler:
            endpoint = Endpoint(handler, self.api, resource, READ if method == "GET" else WRITE, gate)
            self.routes.append(Route(method, f"/api/{self.api}{path}", endpoint))
            return handler

        return register


def success(payload: Mapping[str, object], status: int = 200) -> Response:
    """A JSON answer with escaped slashes, as PHP writes it."""
    return Response(
        status=status, body=json.dumps(payload, separators=(",", ":")).replace("/", "\\/").encode()
    )


def no_content() -> Response:
    """204."""
    return Response(status=204)
