"""Pterodactyl's Application API as paths and JSON: sends, checks the envelope, pages. Knows no rules of ours.

Pages are asked for by number: the panel's own `next` links drop filter and page size (section 0, trap 4).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from provisioning.drivers.errors import Unknown
from provisioning.drivers.pterodactyl.failures import meaning
from provisioning.drivers.trouble import NotThere, only_reading, transport_meaning
from provisioning.drivers.types import ListPage, Transport
from provisioning.lib.http import Answer, HttpError, quote_segment

API = "/api/application"
LONGEST_CALL = 35.0
"""Seconds. A hung daemon makes the panel answer a create after 30 s (trap 10)."""
LONGEST_READ = 15.0
"""Seconds. Reads ask no daemon; a short limit lets the look after a change fit into what is left of a job."""

MOST_PAGES, LARGEST_LIST = 2_000, 256 * 1024 * 1024
"""A list that never ends must not fill our memory. Bytes; 100,000 servers are about 200 MB."""

Attributes = Mapping[str, Any]
Params = Mapping[str, str | int]


def path(*parts: str | int) -> str:
    """The path of a resource, each part quoted: a mark with a slash stays one part."""
    return "/".join([API, *(quote_segment(part) for part in parts)])


class Client:
    """Calls one panel. Everything that is not the expected success raises what it means."""

    def __init__(self, transport: Transport) -> None:
        """Uses the engine's way out: rate budget, breaker and records are its business."""
        self._transport = transport

    def answer(self, method: str, where: str, body: object = None, params: Params | None = None) -> Answer:
        """The bare answer, whatever its status. Raises Unreachable, Unknown."""
        limit = LONGEST_READ if method == "GET" else LONGEST_CALL
        try:
            return self._transport.request(method, where, json=body, params=params, read_timeout=limit)
        except HttpError as error:
            raise transport_meaning(error) from error

    def get(self, kind: str, where: str, params: Params | None = None) -> Attributes:
        """The attributes of one object. Raises NotThere for the panel's own 404."""
        with only_reading():
            return attributes_of(_data(self.answer("GET", where, params=params), 200), kind)

    def find(self, kind: str, where: str, params: Params | None = None) -> Attributes | None:
        """As `get`, but None for what the panel says is not there."""
        try:
            return self.get(kind, where, params)
        except NotThere:
            return None

    def write(self, kind: str, method: str, where: str, body: object) -> Attributes:
        """Creates (POST, 201) or changes (PATCH, 200) one object and returns it as the panel shows it now."""
        expected = 201 if method == "POST" else 200
        return attributes_of(_data(self.answer(method, where, body), expected), kind)

    def order(self, method: str, where: str) -> None:
        """Sends a command without a body: only 204 means done."""
        answer = self.answer(method, where)
        if answer.status != 204:
            raise meaning(answer)

    def pages(self, kind: str, where: str, params: Params | None = None, *, size: int) -> list[Attributes]:
        """Every object of a list, over all pages. Raises Unknown for a list that is cut or shrinks."""
        with only_reading():
            return self._paged(kind, where, params or {}, size)

    def page(
        self, kind: str, where: str, number: int, *, size: int, params: Params | None = None
    ) -> ListPage[Attributes]:
        """One page of a list, in the order of its ids unless `params` say else. Raises Unknown."""
        with only_reading():
            return self._page(kind, where, params or {"sort": "id"}, size, number)[0]

    def _page(
        self, kind: str, where: str, params: Params, size: int, number: int
    ) -> tuple[ListPage[Attributes], int]:
        """A page, and the bytes that it took."""
        answer = self.answer("GET", where, params={**params, "per_page": size, "page": number})
        data = _data(answer, 200)
        total, last = _pagination(data)
        return ListPage(tuple(_items(data, kind)), total, last), len(answer.body)

    def _paged(self, kind: str, where: str, params: Params, size: int) -> list[Attributes]:
        found: list[Attributes] = []
        total, number, last, read = 0, 1, 1, 0
        while number <= last:
            page, length = self._page(kind, where, params, size, number)
            last, read = page.last, read + length
            if number > MOST_PAGES or read > LARGEST_LIST:
                raise Unknown(f"The panel's list is too long to be read: it was left at page {number}.")
            if page.total < total:
                # What moved up by one place would be on no page that we read.
                raise Unknown("A list of the panel became shorter while it was read.")
            if not page.items and number < last:
                break
            found, total, number = [*found, *page.items], page.total, number + 1
        if len({str(item.get("id")) for item in found}) != total:
            raise Unknown(f"The panel counts {total} entries but showed {len(found)}.")
        return found


def _data(answer: Answer, expected: int) -> dict[str, Any]:
    """The JSON object of a success; whether it is the one that was asked for, its envelope tells."""
    if answer.status != expected:
        raise meaning(answer)
    try:
        data = answer.json()
    except HttpError as error:
        raise transport_meaning(error) from error
    if not isinstance(data, dict):
        raise Unknown(f"The answer ({answer.status}) is not what the panel sends.")
    return data


def attributes_of(data: object, kind: str) -> Attributes:
    """What an envelope holds: `{"object": kind, "attributes": {...}}`. Raises Unknown for any other."""
    if isinstance(data, dict) and data.get("object") == kind and isinstance(data.get("attributes"), dict):
        attributes: Attributes = data["attributes"]
        return attributes
    raise Unknown(f"The panel's answer holds no {kind.replace('_', ' ')}.")


def _items(data: Attributes, kind: str) -> list[Attributes]:
    items = data.get("data")
    if data.get("object") != "list" or not isinstance(items, list):
        raise Unknown("The panel's answer is no list.")
    return [attributes_of(item, kind) for item in items]


def _pagination(data: Attributes) -> tuple[int, int]:
    """How many entries there are, and how many pages."""
    meta = data.get("meta")
    pagination = meta.get("pagination") if isinstance(meta, dict) else None
    if isinstance(pagination, dict):
        total, last = pagination.get("total"), pagination.get("total_pages")
        if type(total) is int and type(last) is int:
            return total, last
    raise Unknown("The panel's list does not say how long it is.")
