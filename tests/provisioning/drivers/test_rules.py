"""An egg variable's rules: what can be read is checked, the rest is left to the panel."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning.drivers.rules import problem

JAR = r"required|regex:/^([\w\d._-]+)(\.jar)$/"


@pytest.mark.req("CAL-30")
@pytest.mark.parametrize(
    ("rules", "good", "bad"),
    [
        ("required|string", ["x", " x "], ["", "   "]),
        ("filled", ["x"], [""]),
        ("nullable|string", ["", "x"], []),
        ("nullable|integer", ["", "5"], ["x"]),
        (JAR, ["server.jar", "a-b_c.1.jar"], ["", "server", "no jar.jar", "sürver.jar"]),
        ("required|string|between:3,15", ["abc", "a" * 15], ["ab", "a" * 16]),
        ("required|string|max:3", ["abc"], ["abcd"]),
        ("required|string|min:3", ["abc"], ["ab"]),
        ("required|integer|between:1,10", ["1", "10", "-0"][:2], ["0", "11", "1.5", "abc", "1e3", "٣"]),
        ("required|numeric|min:1.5", ["1.5", "2", "1e3"], ["1.4", "abc", ""]),
        ("required|numeric|max:10", ["10", "-3"], ["10.5"]),
        ("required|boolean", ["0", "1"], ["true", "false", "yes", "2"]),
        ('required|in:a,b c,"d"', ["a", "b c", "d"], ["A", "b", "e"]),
        ("required|not_in:a,b", ["c"], ["a"]),
        ("regex:/^abc$/i", ["ABC"], ["abd"]),
        ("regex:#^a/b$#", ["a/b"], ["ab"]),
        ("not_regex:/\\s/", ["ab"], ["a b"]),
        ("required|url|active_url|ip", ["anything"], [""]),
        ("regex:/^(?<name>x)$/", ["anything"], []),
        ("regex:/unclosed(/", ["anything"], []),
        ("regex:no delimiters", ["anything"], []),
        ("min:abc|max:", ["anything"], []),
        ("", ["", "x"], []),
        ("|||", ["x"], []),
    ],
)
def test_rules(rules: str, good: list[str], bad: list[str]) -> None:
    assert [value for value in good if problem(rules, value)] == []
    assert [value for value in bad if not problem(rules, value)] == []


@pytest.mark.req("CAL-30")
def test_true_and_false_are_left_to_a_panel_that_may_take_them() -> None:
    for value in ("true", "false", "TRUE", "1", "0"):
        assert problem("required|boolean", value, boolean_words=True) == ""
    assert problem("required|boolean", "yes", boolean_words=True) == "must be 1 or 0."
    assert problem("required|boolean|in:1,0", "true", boolean_words=True) == "must be one of 1, 0."


def test_problems_are_the_rest_of_a_sentence() -> None:
    assert problem("required|integer|max:5", "9") == "must be at most 5."
    assert problem("required|string|max:5", "abcdef") == "must be at most 5 characters."
    assert problem("required", "") == "must not be blank."


@given(st.text(max_size=60), st.text(max_size=60))
def test_no_rule_and_no_value_breaks_the_check(rules: str, value: str) -> None:
    assert isinstance(problem(rules, value), str)
