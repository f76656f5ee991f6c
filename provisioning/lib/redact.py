"""Keeps secrets, and characters that forge log lines, out of whatever is written down (CAL-12, bar B15).

Three nets, one behind the other: values under keys that name a secret, text shaped like a known kind of
key, and the very values that this process has decrypted (`register_secret`).
"""

import re
import threading
import unicodedata
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from typing import TypeAlias
from urllib.parse import quote
from uuid import UUID

MASK = "[hidden]"
LIMIT = 20_000
Safe: TypeAlias = "bool | int | float | str | list[Safe] | dict[str, Safe] | None"

_NAMES = (
    "authorization", "proxy_authorization", "api_key", "apikey", "x_api_key", "key", "token", "secret",
    "password", "passwd", "passphrase", "pwd", "cookie", "set_cookie", "credentials", "private_key",
    "secret_key", "signing_key", "field_key", "field_keys", "sessionid", "csrfmiddlewaretoken", "otp", "totp",
    "recovery_codes", "webhook_signature",
)  # fmt: skip
_ENDINGS = ("_token", "_tokens", "_secret", "_secrets", "_password", "_passwd", "_api_key", "_private_key")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_SHAPES = re.compile(
    r"\b(?P<scheme>Bearer|Basic)\s+[A-Za-z0-9._~+/=-]{6,}"
    r"|\b(?P<prefix>ptl[acr]_|whsec_|whsk_|papp_|pacc_|c7sp_)[A-Za-z0-9+/=_-]{6,}"
    r"|(?P<userinfo>(?<=://)[^/\s:@]{0,100}:[^/\s@]{1,200}(?=@))",
    re.IGNORECASE,
)
_NAME = re.compile(r"(?P<name>\b[A-Za-z][A-Za-z0-9_-]{1,60}\b)(?P<between>\\?[\"']?\s{0,3}[:=]\s{0,3})")
_VALUE = re.compile(r"\\?\"[^\"]{0,4000}\"?|'[^']{0,4000}'?|[^\s&,;\"'{}\[\]<>]{1,4000}")


@lru_cache(maxsize=2_000)
def names_secret(key: str) -> bool:
    """Tell whether a field of this name holds a secret: `api_key` and `panel-token` do, `egg_key` doesn't."""
    plain = _CAMEL.sub("_", key.strip()).lower().replace("-", "_").replace(" ", "_")
    return plain in _NAMES or plain.endswith(_ENDINGS)


class _Registry:
    """The secret values known to this process: short ones are useless to look for, old ones give way."""

    SHORTEST, MOST = 8, 512

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: OrderedDict[str, None] = OrderedDict()
        self._pattern: re.Pattern[str] | None = None

    def add(self, value: str) -> None:
        if len(value) < self.SHORTEST:
            return
        with self._lock:
            known = value in self._values
            self._values[value] = None
            self._values.move_to_end(value)
            if len(self._values) > self.MOST:
                self._values.popitem(last=False)
            if not known:
                self._pattern = None

    def forget_all(self) -> None:
        with self._lock:
            self._values.clear()
            self._pattern = None

    def mask(self, text: str) -> str:
        with self._lock:
            if not self._values:
                return text
            pattern = self._pattern = self._pattern or self._compiled()
        return pattern.sub(MASK, text)

    def _compiled(self) -> re.Pattern[str]:
        forms = {form for value in self._values for form in (value, quote(value, safe=""))}
        # The longest first: one secret may begin with another.
        return re.compile("|".join(re.escape(form) for form in sorted(forms, key=len, reverse=True)))


_REGISTRY = _Registry()


def register_secret(value: str) -> None:
    """Hide this value from now on, wherever it turns up. Values under 8 characters are not looked for."""
    _REGISTRY.add(value)


def forget_secrets() -> None:
    """Empty the registry of known values. Meant for tests."""
    _REGISTRY.forget_all()


def _mask_shape(match: re.Match[str]) -> str:
    if match["scheme"]:
        return f"{match['scheme']} {MASK}"
    return (match["prefix"] or "") + MASK


def _mask_pairs(text: str) -> str:
    """Mask the values behind secret names. A value behind another name is read on: `Error: token=…`."""
    parts: list[str] = []
    at = 0
    for found in _NAME.finditer(text):
        if found.start() < at or not names_secret(found["name"]):
            continue
        value = _VALUE.match(text, found.end())
        if value and not value[0].startswith(MASK) and value[0] not in ("null", "None", "true", "false"):
            opening = re.match(r"\\?[\"']?", value[0])
            mark = opening[0] if opening else ""
            parts.append(f"{text[at : found.end()]}{mark}{MASK}{mark}")
            at = value.end()
    return "".join([*parts, text[at:]])


def redact(text: str, *, limit: int = LIMIT) -> str:
    """Return the text without secrets, cut to `limit` characters."""
    # Cut far behind the limit first: cutting a secret in two would leave half of it unrecognised.
    window = _REGISTRY.mask(text[: limit * 4 + 10_000])
    window = _mask_pairs(_SHAPES.sub(_mask_shape, window))
    return window if len(window) <= limit else window[: limit - 1] + "…"


def clean_line(text: str, *, limit: int = 500) -> str:
    """Return the text as one harmless line: no control, bidi or separator characters, no secrets."""
    shown = "".join(
        " " if unicodedata.category(sign) in ("Cc", "Cf", "Zl", "Zp", "Cs") else sign
        for sign in redact(text, limit=limit * 2)
    )
    line = " ".join(shown.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


@dataclass
class _Walk:
    """One pass over a structure: what is open above us (cycles), and how many values may still be shown."""

    left: int
    depth: int
    open: set[int] = field(default_factory=set)


SHORT_NAME = 24
_PLAIN = (date, time, timedelta, Decimal, UUID, IPv4Address, IPv6Address, Exception)


def redact_data(value: object, *, depth: int = 12, items: int = 5_000) -> Safe:
    """Return a copy made of plain JSON types without secrets; cycles, depth and size are capped.

    Objects of unknown kinds are shown by their type only: their text could hold anything, or cost a query.
    """
    return _copy(value, _Walk(left=items, depth=depth))


def _copy(value: object, walk: _Walk) -> Safe:
    walk.left -= 1
    if walk.left < 0:
        return "[cut]"
    if value is None or (isinstance(value, bool | int | float) and not isinstance(value, Enum)):
        return value
    if isinstance(value, Mapping):
        return _nested(value, walk, lambda: _copy_mapping(value, walk))
    if isinstance(value, list | tuple | set | frozenset):
        return _nested(value, walk, lambda: [_copy(item, walk) for item in value if walk.left > 0])
    return redact(_text_of(value))


def _text_of(value: object) -> str:
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bytes | bytearray):
        return bytes(value[: LIMIT * 2]).decode("utf-8", "replace")
    if isinstance(value, Enum):
        return str(value.value)
    return str(value) if isinstance(value, _PLAIN) else f"<{type(value).__name__}>"


def _nested(value: object, walk: _Walk, copy: Callable[[], Safe]) -> Safe:
    if id(value) in walk.open:
        return "[cycle]"
    if len(walk.open) >= walk.depth:
        return "[deep]"
    walk.open.add(id(value))
    try:
        return copy()
    finally:
        walk.open.discard(id(value))


def _copy_mapping(value: Mapping[object, object], walk: _Walk) -> Safe:
    copied: dict[str, Safe] = {}
    for key, item in value.items():
        if walk.left <= 0:
            copied["…"] = "[cut]"
            break
        name = str(key)
        hidden = names_secret(name) and item is not None and not isinstance(item, bool)
        copied[_redact_name(name)] = MASK if hidden else _copy(item, walk)
    return copied


def _redact_name(name: str) -> str:
    # Nearly every name is a short word of our own: no key or pair fits into it, only a value known as secret.
    return _REGISTRY.mask(name) if len(name) < SHORT_NAME and name.isidentifier() else redact(name, limit=200)
