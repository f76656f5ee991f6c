"""Bodies as the panel's parser takes them: typed members, the first misfit ends it (section 2.4).

A struct reports what is wrong in the order of the text, and what is missing in the order of its
declaration, at its closing brace. ``null`` counts as absent for optional members.
"""

import ipaddress
import re
import zoneinfo
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cache

from provisioning.sandbox.calagopus.errors import bad
from provisioning.sandbox.calagopus.jsontext import JsonTextError, Parsed, plain, position, read

RANGES = {"u16": (0, 2**16 - 1), "i16": (-(2**15), 2**15 - 1), "i32": (-(2**31), 2**31 - 1),
          "i64": (-(2**63), 2**63 - 1)}  # fmt: skip
HEX = re.compile(r"[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}|[0-9a-fA-F]{32}")
BODY_LIMIT = 2 * 1024 * 1024
Reader = Callable[[Parsed], object]


class MisfitError(Exception):
    """A value that its type does not take: what the parser says, and where."""

    def __init__(self, problem: str, end: int) -> None:
        super().__init__(problem)
        self.problem = problem
        self.end = end


@dataclass(frozen=True)
class Member:
    """A member of a struct; ``aliases`` are other keys for it."""

    name: str
    reader: Reader
    required: bool = True
    aliases: tuple[str, ...] = ()


def described(parsed: Parsed) -> str:
    """What the parser calls a value that it did not expect."""
    value = parsed.value
    if value is None:
        return "null"
    if isinstance(value, bool):
        return f"boolean `{parsed.raw}`"
    if isinstance(value, int):
        return f"integer `{value}`"
    if isinstance(value, float):
        return f"floating point `{parsed.raw}`"
    if isinstance(value, str):
        return f'string "{value}"'
    return "sequence" if isinstance(value, list) else "map"


def _wrong(parsed: Parsed, expected: str) -> MisfitError:
    return MisfitError(f"invalid type: {described(parsed)}, expected {expected}", parsed.end)


def text(parsed: Parsed) -> object:
    """A string."""
    if not isinstance(parsed.value, str):
        raise _wrong(parsed, "a string")
    return parsed.value


def flag(parsed: Parsed) -> object:
    """A boolean."""
    if not isinstance(parsed.value, bool):
        raise _wrong(parsed, "a boolean")
    return parsed.value


def integer(kind: str) -> Reader:
    """A whole number of one of the panel's widths."""
    low, high = RANGES[kind]

    def reader(parsed: Parsed) -> object:
        value = parsed.value
        if isinstance(value, bool) or not isinstance(value, int):
            raise _wrong(parsed, kind)
        if not low <= value <= high:
            raise MisfitError(f"invalid value: integer `{value}`, expected {kind}", parsed.end)
        return value

    return reader


def number(parsed: Parsed) -> object:
    """Any number."""
    if isinstance(parsed.value, bool) or not isinstance(parsed.value, int | float):
        raise _wrong(parsed, "f64")
    return float(parsed.value)


def uuid(parsed: Parsed) -> object:
    """A uuid, in lower case."""
    value = str(text(parsed))
    if HEX.fullmatch(value) is None:
        found = next((i for i, c in enumerate(value) if c not in "0123456789abcdefABCDEF-"), None)
        problem = (
            f"invalid length: found {len(value)}"
            if found is None
            else f"invalid character: found `{value[found]}` at {found}"
        )
        raise MisfitError(f"UUID parsing failed: {problem}", parsed.end)
    return value.lower()


def address(parsed: Parsed) -> object:
    """An IP address."""
    try:
        return str(ipaddress.ip_address(str(text(parsed))))
    except ValueError:
        raise MisfitError("invalid IP address syntax", parsed.end) from None


def network(parsed: Parsed) -> object:
    """An IP address or network."""
    try:
        return str(ipaddress.ip_network(str(text(parsed)), strict=False))
    except ValueError:
        raise MisfitError("invalid IP address syntax", parsed.end) from None


def timestamp(parsed: Parsed) -> object:
    """A time, as seconds since the epoch."""
    try:
        return datetime.fromisoformat(str(text(parsed))).timestamp()
    except ValueError:
        raise MisfitError("input contains invalid characters", parsed.end) from None


@cache
def _zones() -> set[str]:
    return zoneinfo.available_timezones()


def timezone(parsed: Parsed) -> object:
    """A name of the IANA database."""
    value = str(text(parsed))
    if value not in _zones():
        raise MisfitError(f"failed to parse timezone: '{value}'", parsed.end)
    return value


def variant(*names: str) -> Reader:
    """One of some words."""

    def reader(parsed: Parsed) -> object:
        value = text(parsed)
        if value not in names:
            known = ", ".join(f"`{name}`" for name in names)
            raise MisfitError(f"unknown variant `{value}`, expected one of {known}", parsed.end)
        return value

    return reader


def anything(parsed: Parsed) -> object:
    """Whatever it is."""
    return plain(parsed)


def optional(inner: Reader) -> Reader:
    """A value or null."""
    return lambda parsed: None if parsed.value is None else inner(parsed)


def several(inner: Reader) -> Reader:
    """A list."""

    def reader(parsed: Parsed) -> object:
        if not isinstance(parsed.value, list):
            raise _wrong(parsed, "a sequence")
        return [inner(item) for item in parsed.value]

    return reader


def mapping(inner: Reader) -> Reader:
    """An object with any keys."""

    def reader(parsed: Parsed) -> object:
        if not isinstance(parsed.value, dict):
            raise _wrong(parsed, "a map")
        return {name: inner(item) for name, item in parsed.value.items()}

    return reader


class Struct:
    """An object with known members; others are ignored, or kept where ``open`` says so."""

    def __init__(self, name: str, *members: Member, kept: bool = False) -> None:
        self.name = name
        self.members = members
        self.kept = kept
        self._by_key = {key: m for m in members for key in (m.name, *m.aliases)}

    def __call__(self, parsed: Parsed) -> object:
        """The members that are there. Raises MisfitError."""
        if isinstance(parsed.value, list):
            return self._from_list(parsed, parsed.value)
        if not isinstance(parsed.value, dict):
            raise _wrong(parsed, f"struct {self.name}")
        found: dict[str, object] = {}
        for key, item in parsed.value.items():
            member = self._by_key.get(key)
            if member is not None:
                found[member.name] = member.reader(item)
            elif self.kept:
                found[key] = plain(item)
        return self._whole(found, parsed.end)

    def _from_list(self, parsed: Parsed, items: list[Parsed]) -> object:
        """A list is read as the members in their order (``transport.not_an_object``)."""
        pairs = zip(self.members, items, strict=False)
        return self._whole({m.name: m.reader(item) for m, item in pairs}, parsed.end)

    def _whole(self, found: dict[str, object], end: int) -> dict[str, object]:
        for member in self.members:
            if member.required and member.name not in found:
                raise MisfitError(f"missing field `{member.name}`", end)
        return found


def needed(name: str, reader: Reader, *aliases: str) -> Member:
    """A member that must be there."""
    return Member(name, reader, aliases=aliases)


def free(name: str, reader: Reader) -> Member:
    """A member that may be absent or null."""
    return Member(name, optional(reader), required=False)


def deserialise(body: bytes, struct: Struct) -> dict[str, object]:
    """The body as the struct; an empty one counts as ``{}``. Raises PanelError 400."""
    if len(body) > BODY_LIMIT:
        raise bad("invalid payload: failed to read body")
    content = _decoded(body or b"{}")
    try:
        found = struct(read(content))
    except (JsonTextError, MisfitError) as error:
        raise bad(f"invalid payload: {error.problem} at {position(content, error.end)}") from None
    if not isinstance(found, dict):
        raise TypeError(struct.name)
    return found


def _decoded(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        end = body.find(b'"', error.end) + 1 or len(body)
        where = f"line 1 column {end}"
        raise bad(f"invalid payload: invalid unicode code point at {where}") from None
