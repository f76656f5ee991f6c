"""The reads that most resources share: a filtered list, one row by number, one row by external id."""

from collections.abc import Mapping, Sequence

from provisioning.sandbox.http import Response
from provisioning.sandbox.pterodactyl.calling import Call, Endpoints, success
from provisioning.sandbox.pterodactyl.errors import not_found
from provisioning.sandbox.pterodactyl.listing import Filter, filtered, listing, ordered
from provisioning.sandbox.pterodactyl.relations import shown
from provisioning.sandbox.world import Row, State


def rows_of(state: State, table: str) -> list[Row]:
    """All rows of a table."""
    rows: dict[int, Row] = getattr(state, table)
    return list(rows.values())


def readable(
    endpoints: Endpoints,
    table: str,
    kind: str,
    filters: Mapping[str, Filter],
    sorts: Sequence[str] = ("id", "uuid"),
) -> None:
    """Register ``GET /<table>`` and ``GET /<table>/{<kind>}``."""

    def read_list(call: Call) -> Response:
        rows = filtered(call, rows_of(call.state, table), filters)
        return success(listing(call, kind, ordered(call, rows, sorts)))

    def read_one(call: Call) -> Response:
        return success(shown(call, kind, call.rows[kind]))

    endpoints.on("GET", f"/{table}", table)(read_list)
    endpoints.on("GET", f"/{table}/{{{kind}}}", table)(read_one)


def readable_by_mark(endpoints: Endpoints, table: str, kind: str) -> None:
    """Register ``GET /<table>/external/{external_id}``: the whole mark in any case, the oldest row wins."""

    def read_one(call: Call) -> Response:
        wanted = call.parameters["external_id"].lower()
        for row in rows_of(call.state, table):
            if str(vars(row)["external_id"] or "").lower() == wanted:
                return success(shown(call, kind, row))
        raise not_found()

    endpoints.on("GET", f"/{table}/external/{{external_id}}", table)(read_one)
