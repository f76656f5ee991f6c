"""Pure: an egg variable's rules in words, for people who never wrote one (CAL-30).

Reads the same texts as `rules`, which judges values. A rule without a sentence here is shown as it stands.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

SILENT: Final = frozenset({"string", "nullable", "sometimes", "present", "bail", ""})
"""Rules that say nothing to a person: any text is a string, and what may be blank is the usual case."""
NUMBERS: Final = frozenset({"numeric", "integer"})
LONGEST_PATTERN: Final = 60

Sentence = Callable[[str, bool], str]
"""Takes the rule's argument and whether the value is a number."""

_KINDS: Final = {
    "integer": "a whole number",
    "numeric": "a number",
    "boolean": "1 (yes) or 0 (no)",
    "alpha": "letters only",
    "alpha_num": "letters and digits only",
    "alpha_dash": "letters, digits, dashes and underscores only",
    "url": "a web address",
    "active_url": "a web address",
    "ip": "an IP address",
    "ipv4": "an IPv4 address",
    "ipv6": "an IPv6 address",
    "email": "an e-mail address",
    "uuid": "a UUID",
    "json": "JSON",
    "date": "a date",
    "timezone": "a time zone",
    "accepted": "yes, on, 1 or true",
}


def in_words(rules: str) -> str:
    """The rules as one short line: *required; a whole number; 2 to 32*. “any text” where there are none."""
    parts = [
        (name.strip(), argument) for name, _, argument in (part.partition(":") for part in _split(rules))
    ]
    names = {name for name, _ in parts}
    required = "required" if names & {"required", "filled"} else "may be blank"
    told = [_told(name, argument, bool(names & NUMBERS)) for name, argument in parts]
    said = [text for text in told if text]
    return "; ".join([required, *(said or ["any text"])])


def _split(rules: str) -> list[str]:
    # A pattern may hold the separator itself, and nothing but another rule can follow it.
    parts: list[str] = []
    for part in rules.split("|"):
        if parts and _open_pattern(parts[-1]):
            parts[-1] += f"|{part}"
        else:
            parts.append(part)
    return parts


def _open_pattern(part: str) -> bool:
    name, _, pattern = part.partition(":")
    if name not in ("regex", "not_regex") or not pattern:
        return False
    return pattern[0] not in pattern[1:].rstrip("imsxuD")[-1:]


def _told(name: str, argument: str, number: bool) -> str:
    if name in SILENT or name in ("required", "filled"):
        return ""
    if name in _KINDS:
        return _KINDS[name]
    sentence = _SENTENCES.get(name)
    return sentence(argument, number) if sentence and argument else _as_it_stands(name, argument)


def _as_it_stands(name: str, argument: str) -> str:
    return f"{name}:{argument}" if argument else name


def _unit(number: bool) -> str:
    return "" if number else " characters"


def _choices(argument: str) -> str:
    return ", ".join(item.strip('"') for item in argument.split(","))


def _pattern(argument: str) -> str:
    return argument if len(argument) <= LONGEST_PATTERN else f"{argument[:LONGEST_PATTERN]}…"


_SENTENCES: Final[dict[str, Sentence]] = {
    "in": lambda argument, _: f"one of {_choices(argument)}",
    "not_in": lambda argument, _: f"none of {_choices(argument)}",
    "min": lambda argument, number: f"at least {argument}{_unit(number)}",
    "max": lambda argument, number: f"at most {argument}{_unit(number)}",
    "size": lambda argument, number: f"exactly {argument}{_unit(number)}",
    "between": lambda argument, number: f"{' to '.join(argument.split(',', 1))}{_unit(number)}",
    "digits": lambda argument, _: f"exactly {argument} digits",
    "digits_between": lambda argument, _: f"{' to '.join(argument.split(',', 1))} digits",
    "starts_with": lambda argument, _: f"starts with {_choices(argument)}",
    "ends_with": lambda argument, _: f"ends with {_choices(argument)}",
    "regex": lambda argument, _: f"fits the pattern {_pattern(argument)}",
    "not_regex": lambda argument, _: f"does not fit the pattern {_pattern(argument)}",
}
