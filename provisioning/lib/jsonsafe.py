"""Reads JSON from strangers without surprises (bars B7 and E; corpus F).

Python's reader accepts NaN, keeps the last of two equal keys, overflows its stack on deep input, and passes
on strings that PostgreSQL can't store. All of that is refused here, with a reason that staff can read.
"""

import json
import math
import re
from typing import Literal

Reason = Literal[
    "too_large",
    "empty",
    "encoding",
    "malformed",
    "too_deep",
    "duplicate_key",
    "bad_number",
    "bad_string",
    "not_an_object",
]

MAX_BYTES = 256 * 1024
MAX_DEPTH = 32
_LONGEST_INTEGER, _LONGEST_FLOAT = 30, 64

# An unfinished string runs to the end: starting over at each of its quotes would take quadratic time.
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"?|[\[{]|[\]}]', re.DOTALL)
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_SENTENCES: dict[Reason, str] = {
    "too_large": "The body is too large.",
    "empty": "The body is empty.",
    "encoding": "The body is not UTF-8 text without a byte order mark.",
    "malformed": "The body is not JSON.",
    "too_deep": "The body is nested too deeply.",
    "duplicate_key": "The body has the same key twice in one object.",
    "bad_number": "The body has a number that is infinite, not a number, or too long.",
    "bad_string": "The body has a text with a NUL or half a character.",
    "not_an_object": "The body is not a JSON object.",
}


class BodyRejected(Exception):
    """The body is not taken. `reason` is a fixed word; the text is a sentence without any of the content."""

    def __init__(self, reason: Reason) -> None:
        self.reason: Reason = reason
        super().__init__(_SENTENCES[reason])


def parse_body(
    raw: bytes, *, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH, require_object: bool = True
) -> object:
    """Return the parsed body. Raises BodyRejected, and nothing else."""
    if len(raw) > max_bytes:
        raise BodyRejected("too_large")
    text = _decode(raw)
    _check_depth(text, max_depth)
    try:
        value: object = json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=_constant,
            parse_int=_integer,
            parse_float=_number,
        )
    except ValueError as error:
        raise BodyRejected("malformed") from error
    _check_strings(value)
    if require_object and not isinstance(value, dict):
        raise BodyRejected("not_an_object")
    return value


def _decode(raw: bytes) -> str:
    if not raw.strip():
        raise BodyRejected("empty")
    # A NUL byte is never part of JSON, but half of the bytes of UTF-16 text are NUL.
    if raw.startswith(b"\xef\xbb\xbf") or b"\x00" in raw:
        raise BodyRejected("encoding")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BodyRejected("encoding") from error


def _check_depth(text: str, deepest: int) -> None:
    depth = 0
    for token in _TOKEN.finditer(text):
        sign = token[0]
        depth += (sign in "[{") - (sign in "]}")
        if depth > deepest:
            raise BodyRejected("too_deep")


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise BodyRejected("duplicate_key")
    return found


def _constant(_name: str) -> object:
    raise BodyRejected("bad_number")


def _integer(digits: str) -> int:
    if len(digits.lstrip("-")) > _LONGEST_INTEGER:
        raise BodyRejected("bad_number")
    return int(digits)


def _number(text: str) -> float:
    value = float(text) if len(text) <= _LONGEST_FLOAT else math.inf
    if not math.isfinite(value):
        raise BodyRejected("bad_number")
    return value


def _check_strings(value: object) -> None:
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            if _UNSTORABLE.search(item):
                raise BodyRejected("bad_string")
        elif isinstance(item, dict):
            waiting += [*item.keys(), *item.values()]
        elif isinstance(item, list):
            waiting += item
