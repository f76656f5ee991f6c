"""An egg variable's rules, as a person reads them beside the field."""

from __future__ import annotations

import pytest

from provisioning.drivers.rule_words import in_words


@pytest.mark.req("CAL-30")
@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ("", "may be blank; any text"),
        ("nullable|string", "may be blank; any text"),
        ("required|string|max:20", "required; at most 20 characters"),
        ("required|integer|between:2,32", "required; a whole number; 2 to 32"),
        ("required|string|between:3,15", "required; 3 to 15 characters"),
        ("required|in:dust,nuke", "required; one of dust, nuke"),
        ('not_in:"a","b"', "may be blank; none of a, b"),
        ("required|boolean", "required; 1 (yes) or 0 (no)"),
        ("numeric|min:0.5", "may be blank; a number; at least 0.5"),
        ("digits_between:3,4", "may be blank; 3 to 4 digits"),
        (r"required|regex:/^([\w\d._-]+)(\.jar)$/", r"required; fits the pattern /^([\w\d._-]+)(\.jar)$/"),
        ("required|regex:/^(a|b)$/i|max:3", "required; fits the pattern /^(a|b)$/i; at most 3 characters"),
        ("regex:/^(a|b", "may be blank; fits the pattern /^(a|b"),
        ("nonsense", "may be blank; nonsense"),
        ("size", "may be blank; size"),
        ("ends_with:.jar", "may be blank; ends with .jar"),
    ],
)
def test_rules_are_told_in_words(rules: str, words: str) -> None:
    assert in_words(rules) == words


def test_a_long_pattern_is_cut() -> None:
    assert in_words(f"regex:/{'x' * 90}/") == f"may be blank; fits the pattern /{'x' * 59}…"
