"""Enough of Laravel's validator to answer as the panel does: same rules, same order, same sentences.

Rules are written as Laravel writes them (``required|string|between:1,191``). ``unique`` and ``exists``
are functions of the value; both are skipped once the field has failed (contract section 2).
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from provisioning.sandbox.pterodactyl.errors import Failure, ValidationError

Check = Callable[[object], bool]
MISSING = object()
EMAIL = re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)*")
IMPLICIT = {"required", "present", "filled", "required_with", "required_without"}
SIZED = {"min", "max", "between"}
P_USERNAME = (
    "must start and end with alpha-numeric characters and\n                "
    "contain only letters, numbers, dashes, underscores, and periods."
)
MESSAGES = {
    "required": "The {name} field is required.",
    "filled": "The {name} field is required.",
    "present": "The {name} field must be present.",
    "required_with": "The {name} field is required when {values} is present.",
    "required_without": "The {name} field is required when {values} is not present.",
    "string": "The {name} must be a string.",
    "integer": "The {name} must be an integer.",
    "numeric": "The {name} must be a number.",
    "array": "The {name} must be an array.",
    "boolean": "The {name} field must be true or false.",
    "email": "The {name} must be a valid email address.",
    "ip": "The {name} must be a valid IP address.",
    "regex": "The {name} format is invalid.",
    "in": "The selected {name} is invalid.",
    "not_in": "The selected {name} is invalid.",
    "exists": "The selected {name} is invalid.",
    "unique": "The {name} has already been taken.",
    "p_username": "The {name} " + P_USERNAME,
    "min.number": "The {name} must be at least {low}.",
    "min.text": "The {name} must be at least {low} characters.",
    "min.list": "The {name} must have at least {low} items.",
    "max.number": "The {name} may not be greater than {low}.",
    "max.text": "The {name} may not be greater than {low} characters.",
    "max.list": "The {name} may not have more than {low} items.",
    "between.number": "The {name} must be between {low} and {high}.",
    "between.text": "The {name} must be between {low} and {high} characters.",
    "between.list": "The {name} must have between {low} and {high} items.",
}


@dataclass(frozen=True)
class Field:
    """The rules of one field; ``path`` is dotted and may hold ``*`` for the items of a list."""

    path: str
    rules: str
    name: str = ""
    unique: Check | None = None
    exists: Check | None = None

    def label(self, path: str) -> str:
        """What messages call the field."""
        return self.name or path.replace("_", " ")


def normalised(value: object, key: str = "") -> object:
    """Trim every text except passwords and turn empty ones into null, as the panel does with any input."""
    if isinstance(value, dict):
        return {name: normalised(item, str(name)) for name, item in value.items()}
    if isinstance(value, list):
        return [normalised(item) for item in value]
    if isinstance(value, str):
        return (value if key == "password" else value.strip()) or None
    return value


def lookup(data: object, path: str) -> object:
    """The value at a dotted path, or MISSING."""
    for part in path.split("."):
        if isinstance(data, dict) and part in data:
            data = data[part]
        elif isinstance(data, list) and part.isdigit() and int(part) < len(data):
            data = data[int(part)]
        else:
            return MISSING
    return data


def validate(data: object, fields: Iterable[Field]) -> None:
    """Check all fields; raises ValidationError with every failure in the order of the fields."""
    failures = [
        failure for spec in fields for path in _paths(data, spec.path) for failure in _field(data, spec, path)
    ]
    if failures:
        raise ValidationError(failures)


def _paths(data: object, path: str) -> list[str]:
    """The concrete paths of a path with ``*``."""
    if ".*" not in path:
        return [path]
    head, tail = path.split(".*", 1)
    held = lookup(data, head)
    count = len(held) if isinstance(held, list) else 0
    return [f"{head}.{index}{tail}" for index in range(count)]


def _field(data: object, spec: Field, path: str) -> Iterator[Failure]:
    """The failures of one field."""
    value = lookup(data, path)
    rules = spec.rules.split("|")
    if "sometimes" in rules and value is MISSING:
        return
    failed = False
    for rule in rules:
        failure = _rule(data, spec, path, rule, value)
        if failure is None:
            continue
        failed = True
        yield failure
        if failure.rule in IMPLICIT or "bail" in rules:
            return
    if not failed and value is not MISSING and value is not None:
        yield from _lookups(spec, path, value)


def _lookups(spec: Field, path: str, value: object) -> Iterator[Failure]:
    """The failures of ``unique`` and ``exists``."""
    if spec.unique is not None and not spec.unique(value):
        yield Failure(path, "unique", MESSAGES["unique"].format(name=spec.label(path)))
    if spec.exists is not None and not spec.exists(value):
        yield Failure(path, "exists", MESSAGES["exists"].format(name=spec.label(path)))


def _rule(data: object, spec: Field, path: str, rule: str, value: object) -> Failure | None:
    """The failure of one rule, or None."""
    kind, _, argument = rule.partition(":")
    if kind in IMPLICIT:
        passes = _implicit(data, kind, argument, value)
    elif kind not in PLAIN and kind not in SIZED:
        return None  # sometimes, nullable, bail and rules of no consequence
    elif value is MISSING or (value is None and "nullable" in spec.rules.split("|")):
        return None
    elif kind in SIZED:
        return _sized(spec, path, kind, argument, value)
    else:
        passes = PLAIN[kind](value, argument)
    if passes:
        return None
    return Failure(
        path, kind, MESSAGES[kind].format(name=spec.label(path), values=argument.replace("_", " "))
    )


def _implicit(data: object, kind: str, argument: str, value: object) -> bool:
    """The rules that look at absence."""
    filled = value is not MISSING and value is not None and value not in ("", [], {})
    if kind == "present":
        return value is not MISSING
    if kind == "filled":
        return filled or value is MISSING
    other = lookup(data, argument) if argument else MISSING
    given = other is not MISSING and other is not None
    if kind == "required_with":
        return filled or not given
    if kind == "required_without":
        return filled or given
    return filled


def _sized(spec: Field, path: str, kind: str, argument: str, value: object) -> Failure | None:
    """``min``, ``max`` and ``between``, by number, by characters or by items."""
    numeric = bool({"numeric", "integer"} & set(spec.rules.split("|")))
    if numeric and not _is_number(value, ""):
        return None
    size, unit = _size(value, numeric)
    low, _, high = argument.partition(",")
    passes = {
        "min": size >= float(low),
        "max": size <= float(low),
        "between": float(low) <= size <= float(high or low),
    }[kind]
    if passes:
        return None
    return Failure(path, kind, MESSAGES[f"{kind}.{unit}"].format(name=spec.label(path), low=low, high=high))


def _size(value: object, numeric: bool) -> tuple[float, str]:
    """The size of a value and the unit that messages speak of."""
    if isinstance(value, list | dict):
        return len(value), "list"
    if numeric:
        return float(str(value)), "number"
    return len(str(value)), "text"


def known(table: object) -> Check:
    """Whether a number is the id of a row of this table."""

    def exists(value: object) -> bool:
        return isinstance(table, dict) and str(value).isdigit() and int(str(value)) in table

    return exists


def _is_number(value: object, _: str) -> bool:
    if isinstance(value, bool):
        return False
    return isinstance(value, int | float) or (
        isinstance(value, str) and bool(re.fullmatch(r"[+-]?\d+(\.\d+)?", value))
    )


def _is_integer(value: object, _: str) -> bool:
    return _is_number(value, "") and float(str(value)).is_integer()


def php_regex(text: str) -> re.Pattern[str]:
    """A PHP expression such as ``/^a$/i`` as a Python one."""
    body, _, flags = text[1:].rpartition(text[0])
    return re.compile(body, re.IGNORECASE if "i" in flags else 0)


def _matches(value: object, expression: str) -> bool:
    return isinstance(value, str | int | float) and bool(php_regex(expression).search(str(value)))


def _p_username(value: object, _: str) -> bool:
    return bool(re.fullmatch(r"[a-z0-9]([\w.-]+)[a-z0-9]", str(value).lower(), re.ASCII))


PLAIN: dict[str, Callable[[object, str], bool]] = {
    "string": lambda value, _: isinstance(value, str),
    "integer": _is_integer,
    "numeric": _is_number,
    "array": lambda value, _: isinstance(value, list | dict),
    "boolean": lambda value, _: value in (True, False, 0, 1, "0", "1"),
    "email": lambda value, _: bool(EMAIL.fullmatch(str(value))),
    "ip": lambda value, _: bool(re.fullmatch(r"[\d.]+|[0-9a-fA-F:]+", str(value))),
    "regex": _matches,
    "in": lambda value, options: str(value) in options.split(","),
    "not_in": lambda value, options: str(value) not in options.split(","),
    "p_username": _p_username,
}
