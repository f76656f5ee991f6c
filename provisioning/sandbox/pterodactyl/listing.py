"""Lists: filters, sorting and pages (contract section 1.3)."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import urlencode

from provisioning.sandbox.pterodactyl import serializers as show
from provisioning.sandbox.pterodactyl.calling import Call
from provisioning.sandbox.pterodactyl.errors import UNEXPECTED, PanelError
from provisioning.sandbox.pterodactyl.relations import shown
from provisioning.sandbox.world import Row

R = TypeVar("R", bound=Row)
Filter = Callable[[Any, str], bool]


def partial(attribute: str) -> Filter:
    """The panel's usual filter: any of the comma-separated texts is contained, whatever the case."""

    def matches(row: object, value: str) -> bool:
        held = str(getattr(row, attribute) if getattr(row, attribute) is not None else "").lower()
        return any(part.lower() in held for part in value.split(","))

    return matches


def partials(names: str) -> dict[str, Filter]:
    """Partial filters on columns of the same names."""
    return {name: partial(name) for name in names.split()}


def filtered(call: Call, rows: Sequence[R], filters: Mapping[str, Filter]) -> list[R]:
    """The rows that pass the request's filters; an empty value passes all. Raises 400."""
    asked = call.request.query.get("filter")
    if not isinstance(asked, dict):
        return list(rows)
    unknown = [name for name in asked if name not in filters]
    if unknown:
        raise _query_error("InvalidFilterQuery", "filter", "are", unknown, filters)
    kept = list(rows)
    for name, value in asked.items():
        if value:
            kept = [row for row in kept if filters[name](row, str(value))]
    return kept


def ordered(call: Call, rows: Sequence[R], sorts: Sequence[str]) -> list[R]:
    """The rows in the order of ``sort``, by id where none is asked for."""
    asked = str(call.request.query.get("sort") or "")
    name = asked.removeprefix("-")
    if not name:
        return sorted(rows, key=lambda row: row.id)
    if name not in sorts:
        raise _query_error("InvalidSortQuery", "sort", "is", [name], sorts)
    return sorted(rows, key=lambda row: getattr(row, name), reverse=asked.startswith("-"))


def _query_error(
    code: str, what: str, verb: str, asked: Sequence[str], known: Sequence[str] | Mapping[str, Filter]
) -> PanelError:
    names = ", ".join(asked)
    detail = f"Requested {what}(s) `{names}` {verb} not allowed. Allowed {what}(s) are `{', '.join(known)}`."
    return PanelError(400, code, detail)


def page_of(
    call: Call, rows: Sequence[R], *, default: int = 50, most: int | None = None, keep_query: bool = False
) -> tuple[list[R], dict[str, object]]:
    """One page of rows and its ``pagination``; only the Client API's links keep the query."""
    size = _number(call, "per_page", default) or 15
    size = min(size, most) if most else size
    page = max(1, _number(call, "page", 1))
    pages = max(1, -(-len(rows) // size))
    found = list(rows[(page - 1) * size : page * size])
    links = {}
    if page > 1:
        links["previous"] = _link(call, page - 1, keep_query)
    if page < pages:
        links["next"] = _link(call, page + 1, keep_query)
    numbers = {
        "total": len(rows),
        "count": len(found),
        "per_page": size,
        "current_page": page,
        "total_pages": pages,
    }
    return found, {**numbers, "links": links}


def _number(call: Call, name: str, default: int) -> int:
    """A number of the query; the real panel fails with a TypeError where it is none."""
    value = call.request.query.get(name)
    if value is None:
        return default
    if not str(value).isdigit():
        raise PanelError(500, "TypeError", UNEXPECTED)
    return int(str(value))


def _link(call: Call, page: int, keep_query: bool) -> str:
    kept = {
        k: str(v) for k, v in call.request.query.items() if k != "page" and not isinstance(v, dict | list)
    }
    query = {**kept, "page": str(page)} if keep_query else {"page": str(page)}
    return f"{call.request.base_url}{call.request.path}?{urlencode(query)}"


def listing(call: Call, kind: str, rows: Sequence[Row]) -> dict[str, object]:
    """A page of objects with ``meta.pagination``."""
    found, pagination = page_of(call, rows)
    return {**show.listed([shown(call, kind, row) for row in found]), "meta": {"pagination": pagination}}
