"""A JSON reader that knows where each value ended: the panel's parse errors name line and column.

Recorded from the panel: a wrong value is reported at its last character, a missing member at the
closing brace of its object (``users.create.wrong_type``, ``users.create.missing_fields``).
"""

import json
import re
from dataclasses import dataclass

SPACE = re.compile(r"[ \t\r\n]*")
NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?")
STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
WORDS = {"true": True, "false": False, "null": None}


@dataclass(frozen=True)
class Parsed:
    """A value with the offset behind its last character; containers hold Parsed values."""

    value: object
    end: int
    raw: str = ""


class JsonTextError(Exception):
    """The text is no JSON: what is wrong, and the offset behind it."""

    def __init__(self, problem: str, end: int) -> None:
        super().__init__(problem)
        self.problem = problem
        self.end = end


def position(text: str, end: int) -> str:
    """Line and column of the character before an offset, both from 1, as the panel words it."""
    head = text[:end]
    line = head.count("\n") + 1
    return f"line {line} column {len(head) - (head.rfind(chr(10)) + 1)}"


def read(text: str) -> Parsed:
    """The whole text as one value. Raises JsonTextError."""
    value = _value(text, _skip(text, 0))
    rest = _skip(text, value.end)
    if rest < len(text):
        raise JsonTextError("trailing characters", rest + 1)
    return value


def plain(parsed: Parsed) -> object:
    """The value without its offsets."""
    value = parsed.value
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def _skip(text: str, at: int) -> int:
    match = SPACE.match(text, at)
    return match.end() if match else at


def _value(text: str, at: int) -> Parsed:
    if at >= len(text):
        raise JsonTextError("EOF while parsing a value", len(text))
    first = text[at]
    if first == "{":
        return _object(text, at)
    if first == "[":
        return _array(text, at)
    if first == '"':
        return _string(text, at)
    return _scalar(text, at)


def _scalar(text: str, at: int) -> Parsed:
    for word, value in WORDS.items():
        if text.startswith(word, at):
            return Parsed(value, at + len(word), word)
    match = NUMBER.match(text, at)
    if match is None:
        raise JsonTextError("expected value", at + 1)
    raw = match.group()
    number = float(raw) if match.group(1) or match.group(2) else int(raw)
    return Parsed(number, match.end(), raw)


def _string(text: str, at: int) -> Parsed:
    match = STRING.match(text, at)
    if match is None:
        raise JsonTextError("EOF while parsing a string", len(text))
    try:
        return Parsed(json.loads(match.group()), match.end(), match.group())
    except ValueError:
        raise JsonTextError("invalid escape", match.end()) from None


def _object(text: str, at: int) -> Parsed:
    members: dict[str, Parsed] = {}
    at = _skip(text, at + 1)
    while _char(text, at, "an object") != "}":
        if text[at] != '"':
            raise JsonTextError("key must be a string", at + 1)
        key = _string(text, at)
        at = _skip(text, key.end)
        if _char(text, at, "an object") != ":":
            raise JsonTextError("expected `:`", at + 1)
        value = _value(text, _skip(text, at + 1))
        members[str(key.value)] = value
        at = _next(text, value.end, "}", "an object")
    return Parsed(members, at + 1)


def _array(text: str, at: int) -> Parsed:
    items: list[Parsed] = []
    at = _skip(text, at + 1)
    while _char(text, at, "a list") != "]":
        item = _value(text, at)
        items.append(item)
        at = _next(text, item.end, "]", "a list")
    return Parsed(items, at + 1)


def _next(text: str, at: int, closing: str, what: str) -> int:
    """The offset of the next item, or of the closing character."""
    at = _skip(text, at)
    if _char(text, at, what) == ",":
        return _skip(text, at + 1)
    if text[at] != closing:
        raise JsonTextError(f"expected `,` or `{closing}`", at + 1)
    return at


def _char(text: str, at: int, what: str) -> str:
    if at >= len(text):
        raise JsonTextError(f"EOF while parsing {what}", len(text))
    return text[at]
