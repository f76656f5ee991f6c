"""Calagopus's Admin API as paths and JSON: sends, checks the envelope, pages. Knows no rules of ours.

Bodies go as `application/json` without a charset, which is the only form that the panel takes. Query members
that it does not know are ignored there: a filter of another panel would show everything, so none is sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from provisioning.drivers.calagopus.failures import meaning
from provisioning.drivers.errors import Unknown
from provisioning.drivers.fields import Fields
from provisioning.drivers.trouble import NotThere, only_reading, transport_meaning
from provisioning.drivers.types import ListPage, Transport
from provisioning.lib.http import Answer, HttpError, quote_segment

API = "/api/admin"
LONGEST_CALL = 35.0
"""Seconds. The panel itself waits for a silent daemon without an end: the caller has to give up."""
LONGEST_READ = 15.0
"""Seconds. Reads ask no daemon, but for usage."""
PAGE = 100
"""Entries a page: the most that the panel takes; more is an error there, not a cut."""
MOST_PAGES, LARGEST_LIST = 2_000, 1024 * 1024 * 1024
"""A list that never ends must not fill our memory. Bytes; each server repeats node and egg, some 8 KB."""

Attributes = Mapping[str, Any]
Params = Mapping[str, str | int]


def path(*parts: str | int) -> str:
    """The path of a resource of the Admin API, each part quoted: a mark with a slash stays one part."""
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

    def get(self, kind: str, where: str) -> Attributes:
        """One object. Raises NotThere for the panel's own 404."""
        with only_reading():
            return object_of(_data(self.answer("GET", where)), kind)

    def find(self, kind: str, where: str) -> Attributes | None:
        """As `get`, but None for what the panel says is not there."""
        try:
            return self.get(kind, where)
        except NotThere:
            return None

    def every(self, kind: str, where: str) -> list[Any]:
        """A list that the panel shows without pages."""
        with only_reading():
            items = _data(self.answer("GET", where)).get(kind)
            if not isinstance(items, list):
                raise Unknown(f"The panel's answer holds no {kind}.")
            return items

    def create(self, kind: str, where: str, body: object) -> Attributes:
        """Makes one object and returns it as the panel shows it: here 200 says so, not 201."""
        return object_of(_data(self.answer("POST", where, body)), kind)

    def order(self, method: str, where: str, body: object) -> None:
        """Sends a change whose success is `{}` and nothing more: a look has to follow."""
        _data(self.answer(method, where, body), expected=(200, 202))

    def pages(self, kind: str, where: str, params: Params | None = None) -> list[Attributes]:
        """Every object of a list, over all pages. Raises Unknown for a list that is cut or shrinks."""
        with only_reading():
            return self._paged(kind, where, params or {})

    def page(self, kind: str, where: str, number: int) -> ListPage[Attributes]:
        """One page of a list in the order of creation. Raises Unknown for what is no list."""
        with only_reading():
            return self._page(kind, where, {}, number)[0]

    def count(self, kind: str, where: str) -> int:
        """How many entries a list has, by its shortest page. Raises Unknown for what is no list."""
        with only_reading():
            listed = object_of(_data(self.answer("GET", where, params={"per_page": 1, "page": 1})), kind)
            return Fields(listed, "list").number("total")

    def _page(self, kind: str, where: str, params: Params, number: int) -> tuple[ListPage[Attributes], int]:
        """A page, and the bytes that it took."""
        answer = self.answer("GET", where, params={**params, "per_page": PAGE, "page": number})
        listed = object_of(_data(answer), kind)
        items, total = listed.get("data"), listed.get("total")
        if type(total) is not int or not isinstance(items, list):
            raise Unknown("The panel's answer is no list.")
        if not all(isinstance(item, dict) for item in items):
            raise Unknown("The panel's list holds something else than objects.")
        return ListPage(tuple(items), total, max(1, -(-total // PAGE))), len(answer.body)

    def _paged(self, kind: str, where: str, params: Params) -> list[Attributes]:
        found: list[Attributes] = []
        total, number, last, read = 0, 1, 1, 0
        while number <= last:
            page, length = self._page(kind, where, params, number)
            last, read = page.last, read + length
            if number > MOST_PAGES or read > LARGEST_LIST:
                raise Unknown(f"The panel's list is too long to be read: it was left at page {number}.")
            if page.total < total:
                # Past its end a list says that it has no entries at all (contract section 1, 13).
                raise Unknown("A list of the panel became shorter while it was read.")
            found, total, number = [*found, *page.items], page.total, number + 1
        if len({str(item.get("uuid")) for item in found}) != total:
            raise Unknown(f"The panel counts {total} entries but showed {len(found)}.")
        return found


def _data(answer: Answer, expected: tuple[int, ...] = (200,)) -> dict[str, Any]:
    """The JSON object of a success."""
    if answer.status not in expected:
        raise meaning(answer)
    try:
        data = answer.json()
    except HttpError as error:
        raise transport_meaning(error) from error
    if not isinstance(data, dict) or "errors" in data:
        raise Unknown(f"The answer ({answer.status}) is not what the panel sends.")
    return data


def object_of(data: Mapping[str, Any], kind: str) -> Attributes:
    """What an envelope holds: `{kind: {...}}`. Raises Unknown for any other."""
    found = data.get(kind)
    if isinstance(found, dict):
        return found
    raise Unknown(f"The panel's answer holds no {kind.replace('_', ' ')}.")
