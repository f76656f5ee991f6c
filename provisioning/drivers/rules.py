"""Pure: an egg variable's rules, as far as they can be read here. Rules that can't be are left to the panel.

Eggs carry rules of the panel's own framework, joined by `|` (contract section 4). Checking them when a
product is saved means that staff read the sentence, not a customer's failed order.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

Check = Callable[[str, str, bool], str]
"""Takes argument, value, and whether the value counts as a number. Returns a problem or an empty text."""

_NUMERIC = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_INTEGER = re.compile(r"[+-]?(?:0|[1-9]\d*)", re.ASCII)
_FLAGS = {"i": re.IGNORECASE, "m": re.MULTILINE, "s": re.DOTALL, "x": re.VERBOSE, "u": re.UNICODE, "D": 0}
_LONGEST = 2000


def problem(rules: str, value: str, *, boolean_words: bool = False) -> str:
    """What is wrong with a value, as the rest of a sentence (“must be …”); empty if nothing.

    With `boolean_words` the texts “true” and “false” are left to the panel where a boolean is asked for.
    """
    parts = [(name, argument) for name, _, argument in (part.partition(":") for part in rules.split("|"))]
    names = {name for name, _ in parts}
    if not value.strip():
        return "must not be blank." if names & {"required", "filled"} else ""
    if boolean_words and value.casefold() in ("true", "false"):
        parts = [part for part in parts if part[0] != "boolean"]
    numeric = bool(names & {"numeric", "integer"})
    found = (_CHECKS[name](argument, value, numeric) for name, argument in parts if name in _CHECKS)
    return next((text for text in found if text), "")


def variable_problems(
    variables: Sequence[Mapping[str, str]], runtime: Mapping[str, Any], *, boolean_words: bool = False
) -> dict[str, str]:
    """What a product's own variables and its egg's contradict: field path -> sentences (CAL-30).

    `variables` are the egg's: `name`, `env`, `default`, and `rules` as one text.
    """
    chosen = {name.casefold(): value for name, value in (runtime.get("variables") or {}).items()}
    asked = [name.casefold() for name in runtime.get("customer_variables") or ()]
    known = {item["env"].casefold() for item in variables}
    sentences = [f"The egg has no variable {name.upper()}." for name in chosen if name not in known]
    sentences += _broken_rules(variables, chosen, set(asked), boolean_words=boolean_words)
    problems = {"runtime.variables": " ".join(sentences)} if sentences else {}
    strange = [name.upper() for name in asked if name not in known]
    if strange:
        problems["runtime.customer_variables"] = f"The egg has no variable {', '.join(strange)}."
    return problems


def _broken_rules(
    variables: Iterable[Mapping[str, str]], chosen: Mapping[str, str], asked: set[str], *, boolean_words: bool
) -> list[str]:
    sentences = []
    for item in variables:
        name = item["env"].casefold()
        value = chosen.get(name, item["default"])
        # What the customer has to choose may be blank here.
        free = name in asked and not value
        text = "" if free else problem(item["rules"], value, boolean_words=boolean_words)
        if text:
            sentences.append(f"{item['env']} ({item['name']}) {text}")
    return sentences


def _integer(_argument: str, value: str, _numeric: bool) -> str:
    return "" if _INTEGER.fullmatch(value) else "must be a whole number."


def _number(_argument: str, value: str, _numeric: bool) -> str:
    return "" if _NUMERIC.fullmatch(value) else "must be a number."


def _boolean(_argument: str, value: str, _numeric: bool) -> str:
    # Pterodactyl refuses the texts "true" and "false" (its contract, section 2).
    return "" if value in ("0", "1") else "must be 1 or 0."


def _in(argument: str, value: str, _numeric: bool) -> str:
    choices = _choices(argument)
    return "" if value in choices else f"must be one of {', '.join(choices)}."


def _not_in(argument: str, value: str, _numeric: bool) -> str:
    return f"must not be “{value}”." if value in _choices(argument) else ""


def _choices(argument: str) -> list[str]:
    return [item.strip('"') for item in argument.split(",")]


def _size(value: str, numeric: bool) -> float | None:
    """A number's value, a text's length; None for a number that is none (its own rule says so)."""
    if not numeric:
        return len(value)
    return float(value) if _NUMERIC.fullmatch(value) else None


def _bounds(argument: str, value: str, numeric: bool, *, low: bool, high: bool) -> str:
    limits = argument.split(",")
    size = _size(value, numeric)
    if size is None or not all(_NUMERIC.fullmatch(limit) for limit in limits):
        return ""
    unit = "" if numeric else " characters"
    if low and size < float(limits[0]):
        return f"must be at least {limits[0]}{unit}."
    if high and size > float(limits[-1]):
        return f"must be at most {limits[-1]}{unit}."
    return ""


def _min(argument: str, value: str, numeric: bool) -> str:
    return _bounds(argument, value, numeric, low=True, high=False)


def _max(argument: str, value: str, numeric: bool) -> str:
    return _bounds(argument, value, numeric, low=False, high=True)


def _between(argument: str, value: str, numeric: bool) -> str:
    return _bounds(argument, value, numeric, low=True, high=True)


def _regex(argument: str, value: str, _numeric: bool) -> str:
    pattern = _translated(argument)
    fits = pattern is None or len(value) > _LONGEST or pattern.search(value)
    return "" if fits else f"does not fit the pattern {argument}."


def _not_regex(argument: str, value: str, _numeric: bool) -> str:
    pattern = _translated(argument)
    clashes = pattern is not None and len(value) <= _LONGEST and pattern.search(value)
    return f"fits the forbidden pattern {argument}." if clashes else ""


def _translated(argument: str) -> re.Pattern[str] | None:
    """A simple PCRE as ours; None for one that Python reads otherwise or not at all."""
    match = re.fullmatch(r"([/#~!@%])(.*)\1([imsxuD]*)", argument, re.DOTALL)
    if match is None:
        return None
    letters = match[3]
    flags = 0 if "u" in letters else re.ASCII
    for letter in letters:
        flags |= _FLAGS[letter]
    try:
        return re.compile(match[2], flags)
    except (re.error, OverflowError):
        return None


_CHECKS: dict[str, Check] = {
    "integer": _integer,
    "numeric": _number,
    "boolean": _boolean,
    "in": _in,
    "not_in": _not_in,
    "min": _min,
    "max": _max,
    "between": _between,
    "regex": _regex,
    "not_regex": _not_regex,
}
