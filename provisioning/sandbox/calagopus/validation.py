"""The panel's second look at a body: lengths, ranges, patterns (contract section 2.4).

A rule is written as ``length:3,255`` or ``range:0,``; all failures are reported at once, sorted by path.
Absent and null values are not looked at.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from provisioning.sandbox.calagopus.permissions import ADMIN_KEYS, SERVER_KEYS

LANGUAGES = ("ar", "de", "en", "es", "fr", "it", "nl", "no", "pl", "pt", "ro", "ru", "sk", "sv", "tr", "vi",
             "zh")  # fmt: skip
USERNAME = re.compile(r"[a-zA-Z0-9_]+")
USER_PART = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]+")
EMAIL_USER, EMAIL_DOMAIN = 64, 255
VARIABLE_RULES = {
    "required", "nullable", "string", "integer", "numeric", "boolean", "min", "max", "between", "in",
    "not_in", "regex", "not_regex", "size", "digits", "digits_between", "alpha", "alpha_num", "alpha_dash",
    "url", "ip", "required_with", "required_without", "required_if", "uuid", "starts_with", "ends_with",
    "sometimes", "filled", "present", "email", "in_array", "json", "accepted", "lowercase", "uppercase",
    "timezone",
}  # fmt: skip


@dataclass(frozen=True)
class Rule:
    """The checks of one value; ``path`` is dotted and may hold ``[]`` for the items of a list."""

    path: str
    checks: tuple[str, ...]


def rule(path: str, *checks: str) -> Rule:
    """A rule, in short."""
    return Rule(path, checks)


def failures(body: Mapping[str, object], rules: Iterable[Rule]) -> list[str]:
    """What is wrong with a body, sorted by path; of one path in the order of its checks."""
    found = [
        (path, text)
        for each in rules
        for path, value in values(body, each.path)
        if value is not None
        for check in each.checks
        for text in _checked(check, value)
    ]
    return [f"{path}: {text}" for path, text in sorted(found, key=lambda pair: pair[0])]


def values(body: object, path: str, at: str = "") -> Iterable[tuple[str, object]]:
    """The concrete paths of a path with their values; nothing for what is absent."""
    head, _, tail = path.partition(".")
    name, many = head.removesuffix("[]"), head.endswith("[]")
    if not isinstance(body, dict) or name not in body:
        return
    held, where = body[name], f"{at}.{name}" if at else name
    items = [(f"{where}[{i}]", item) for i, item in enumerate(held or [])] if many else [(where, held)]
    for place, item in items:
        if tail:
            yield from values(item, tail, place)
        else:
            yield place, item


def _checked(check: str, value: object) -> Iterable[str]:
    kind, _, argument = check.partition(":")
    yield from CHECKS[kind](value, argument)


def _bounds(argument: str) -> tuple[float, float]:
    low, _, high = argument.partition(",")
    return float(low or "-inf"), float(high or "inf")


def _length(value: object, argument: str) -> Iterable[str]:
    low, high = _bounds(argument)
    size = len(value) if isinstance(value, str | list | dict) else 0
    if size < low:
        yield f"length is lower than {low:g}"
    if size > high:
        yield f"length is greater than {high:g}"


def _range(value: object, argument: str) -> Iterable[str]:
    low, high = _bounds(argument)
    size = float(str(value))
    if size < low:
        yield f"lower than {low:g}"
    if size > high:
        yield f"greater than {high:g}"


def _username(value: object, _: str) -> Iterable[str]:
    if USERNAME.fullmatch(str(value)) is None:
        yield "does not match pattern /^[a-zA-Z0-9_]+$/"


def email_problem(value: str) -> str:
    """What is wrong with an e-mail address, in the panel's words; empty where nothing is."""
    user, at, domain = value.rpartition("@")
    if not value:
        return "value is empty"
    if not at:
        return "value is missing `@`"
    if len(user) > EMAIL_USER:
        return "user length exceeded maximum of 64 characters"
    if USER_PART.fullmatch(user) is None:
        return "user contains unexpected characters"
    if len(domain) > EMAIL_DOMAIN:
        return "domain length exceeded maximum of 255 characters"
    fine = re.fullmatch(r"[\w-]+(\.[\w-]+)*|\[[\d.:a-fA-F]+\]", domain)
    return "" if fine else "domain contains unexpected characters"


def _email(value: object, _: str) -> Iterable[str]:
    problem = email_problem(str(value))
    if problem:
        yield f"not a valid email: {problem}"


def _url(value: object, _: str) -> Iterable[str]:
    parts = urlsplit(str(value))
    if not parts.scheme:
        yield "not a valid url: relative URL without a base"
    elif not parts.netloc:
        yield "not a valid url: empty host"


def _language(value: object, _: str) -> Iterable[str]:
    if value not in LANGUAGES:
        yield f"invalid language: {value}"


def _json_path(value: object, _: str) -> Iterable[str]:
    if not str(value).startswith("$"):
        yield "must be a valid json path: at position 0, parser error"


def _auto_kill(value: object, _: str) -> Iterable[str]:
    seconds = value.get("seconds") if isinstance(value, dict) else None
    if not isinstance(seconds, int) or not 1 <= seconds <= 3600:
        yield "auto kill seconds must be between 1 and 3600"


def _permissions(known: list[str]) -> Callable[[object, str], Iterable[str]]:
    """Each item must be one of the panel's permissions."""

    def check(value: object, _: str) -> Iterable[str]:
        unknown = [p for p in value if p not in known] if isinstance(value, list) else []
        yield from (f"invalid permission: {name}" for name in unknown[:1])

    return check


def _distinct(value: object, what: str) -> Iterable[str]:
    """Values of a map must differ."""
    held = list(value.values()) if isinstance(value, dict) else []
    doubled = [item for index, item in enumerate(held) if item in held[:index]]
    yield from (f"duplicate {what}: {item}" for item in doubled[:1])


def _filled(value: object, what: str) -> Iterable[str]:
    if not value:
        yield f"at least one {what} is required"


def _variable_names(value: object, _: str) -> Iterable[str]:
    names = [item["env_variable"] for item in value] if isinstance(value, list) else []
    doubled = [name for index, name in enumerate(names) if name in names[:index]]
    yield from (f"duplicate environment variable: {name}" for name in doubled[:1])


def _variable_rules(value: object, _: str) -> Iterable[str]:
    names = [str(item).partition(":")[0] for item in value] if isinstance(value, list) else []
    unknown = [name for name in names if name not in VARIABLE_RULES]
    yield from (f"unknown or unsupported validation rule: {name}" for name in unknown[:1])


CHECKS: dict[str, Callable[[object, str], Iterable[str]]] = {
    "length": _length,
    "range": _range,
    "username": _username,
    "email": _email,
    "url": _url,
    "language": _language,
    "json_path": _json_path,
    "auto_kill": _auto_kill,
    "admin_permissions": _permissions(ADMIN_KEYS),
    "server_permissions": _permissions(SERVER_KEYS),
    "distinct": _distinct,
    "filled": _filled,
    "variable_names": _variable_names,
    "variable_rules": _variable_rules,
}
