"""The rules and sentences of the panel's validator (contract section 2)."""

import pytest

from provisioning.sandbox.pterodactyl.errors import ValidationError
from provisioning.sandbox.pterodactyl.validation import Field, lookup, normalised, php_regex, validate


def failures(data: object, *fields: Field) -> list[tuple[str, str, str]]:
    """Field, rule and sentence of everything that fails."""
    try:
        validate(data, fields)
    except ValidationError as error:
        return [(failure.field, failure.rule, failure.message) for failure in error.failures]
    return []


@pytest.mark.parametrize(
    ("rules", "value", "sentence"),
    [
        ("required", None, "The a field field is required."),
        ("required", [], "The a field field is required."),
        ("filled", None, "The a field field is required."),
        ("string", 5, "The a field must be a string."),
        ("integer", "x", "The a field must be an integer."),
        ("integer", 1.5, "The a field must be an integer."),
        ("numeric", "1,5", "The a field must be a number."),
        ("numeric", True, "The a field must be a number."),
        ("array", "x", "The a field must be an array."),
        ("boolean", "true", "The a field field must be true or false."),
        ("email", "x", "The a field must be a valid email address."),
        ("ip", "x", "The a field must be a valid IP address."),
        ("regex:/^a$/", "b", "The a field format is invalid."),
        ("in:a,b", "c", "The selected a field is invalid."),
        ("not_in:a,b", "a", "The selected a field is invalid."),
        ("numeric|min:5", 4, "The a field must be at least 5."),
        ("string|min:5", "abcd", "The a field must be at least 5 characters."),
        ("array|min:2", [1], "The a field must have at least 2 items."),
        ("numeric|max:5", "6", "The a field may not be greater than 5."),
        ("string|max:3", "abcd", "The a field may not be greater than 3 characters."),
        ("numeric|between:1,5", 6, "The a field must be between 1 and 5."),
        ("string|between:1,3", "abcd", "The a field must be between 1 and 3 characters."),
    ],
)
def test_sentences(rules: str, value: object, sentence: str) -> None:
    assert [text for _, _, text in failures({"a_field": value}, Field("a_field", rules))] == [sentence]


@pytest.mark.parametrize(
    ("rules", "value"),
    [
        ("nullable|string", None),
        ("integer", "12"),
        ("integer", -3),
        ("numeric", "1.5"),
        ("boolean", "0"),
        ("boolean", 1),
        ("present|array", []),
        ("numeric|between:10,1000", "10"),
        (r"regex:/^A\.jar$/i", "a.JAR"),
        ("array", {"a": 1}),
    ],
)
def test_passes(rules: str, value: object) -> None:
    assert failures({"a": value}, Field("a", rules)) == []


def test_absence() -> None:
    assert failures({}, Field("a", "string|min:3"), Field("b", "sometimes|required")) == []
    assert [rule for _, rule, _ in failures({}, Field("a", "required|string"), Field("b", "present"))] == [
        "required",
        "present",
    ]


def test_required_with_and_without() -> None:
    rules = (Field("limits.disk", "required_with:limits"), Field("disk", "required_without:limits"))
    assert [field for field, _, _ in failures({}, *rules)] == ["disk"]
    assert [field for field, _, _ in failures({"limits": {"cpu": 1}}, *rules)] == ["limits.disk"]


def test_all_failing_rules_are_told_unless_bail() -> None:
    both = failures({"a": 5}, Field("a", "string|in:x"))
    assert [rule for _, rule, _ in both] == ["string", "in"]
    assert [rule for _, rule, _ in failures({"a": 5}, Field("a", "bail|string|in:x"))] == ["string"]


def test_lookups_come_last_and_only_for_sound_values() -> None:
    taken = Field("a", "string", name="Thing", unique=lambda _: False)
    assert failures({"a": "x"}, taken) == [("a", "unique", "The Thing has already been taken.")]
    assert [rule for _, rule, _ in failures({"a": 5}, taken)] == ["string"]
    gone = Field("a", "integer", exists=lambda _: False)
    assert failures({"a": 5}, gone) == [("a", "exists", "The selected a is invalid.")]
    assert failures({"a": None}, Field("a", "nullable", exists=lambda _: False)) == []


def test_items_are_named_by_their_index() -> None:
    assert [f for f, _, _ in failures({"ports": ["1", 2, 3]}, Field("ports.*", "string"))] == [
        "ports.1",
        "ports.2",
    ]


def test_input_is_trimmed_and_empty_texts_are_null() -> None:
    data = {"a": " x ", "b": "  ", "c": ["", {"d": ""}], "password": " p "}
    assert normalised(data) == {"a": "x", "b": None, "c": [None, {"d": None}], "password": " p "}


def test_lookup_goes_into_lists() -> None:
    assert lookup({"a": [{"b": 1}]}, "a.0.b") == 1


def test_php_expressions() -> None:
    assert php_regex(r"/^([\w\d._-]+)(\.jar)$/").search("server.jar")
    assert not php_regex("/^a$/").search("A")
