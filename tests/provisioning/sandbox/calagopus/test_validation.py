"""The parser with its positions, the second look, and the rules of eggs."""

import json

import pytest

from provisioning.sandbox.calagopus.egg_rules import problem
from provisioning.sandbox.calagopus.errors import PanelError
from provisioning.sandbox.calagopus.jsontext import JsonTextError, plain, read
from provisioning.sandbox.calagopus.negotiation import packed
from provisioning.sandbox.calagopus.rows import EggVariable
from provisioning.sandbox.calagopus.schema import (
    Reader,
    Struct,
    address,
    deserialise,
    flag,
    free,
    integer,
    mapping,
    needed,
    number,
    several,
    text,
    timestamp,
    timezone,
    uuid,
    variant,
)
from provisioning.sandbox.calagopus.validation import email_problem, failures, rule

INNER = Struct("Inner", needed("a", integer("i32")))
OUTER = Struct("Outer", needed("name", text), free("note", text), free("inner", INNER))


@pytest.mark.parametrize(
    "value",
    [{}, [], "", 'é\n"\\', 0, -1.5, 1e3, True, None, {"a": [1, {"b": [None, "x"]}], "c": {}}],
    ids=repr,
)
def test_any_json_is_read_as_it_was_written(value: object) -> None:
    assert plain(read(f" {json.dumps(value)} ")) == value


@pytest.mark.parametrize(
    ("content", "problem_found"),
    [
        ("", "EOF while parsing a value"),
        ('{"a', "EOF while parsing a string"),
        ("{1: 2}", "key must be a string"),
        ('{"a" 1}', "expected `:`"),
        ('{"a": 1 2}', "expected `,` or `}`"),
        ("[1", "EOF while parsing a list"),
        ("nope", "expected value"),
        ("1 2", "trailing characters"),
        ('"\\x"', "invalid escape"),
    ],
)
def test_what_is_no_json_is_named(content: str, problem_found: str) -> None:
    with pytest.raises(JsonTextError, match="^" + problem_found.replace("{", r"\{").replace("}", r"\}")):
        read(content)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("{}", "missing field `name` at line 1 column 2"),
        ('{"name": 7}', "invalid type: integer `7`, expected a string at line 1 column 10"),
        ('{"name": "x", "inner": {}}', "missing field `a` at line 1 column 25"),
        ('{"inner": {"a": 1.0}}', "invalid type: floating point `1.0`, expected i32 at line 1 column 19"),
        ('{"inner": []}', "missing field `a` at line 1 column 12"),
        ("null", "invalid type: null, expected struct Outer at line 1 column 4"),
        ('{\n "name": true}', "invalid type: boolean `true`, expected a string at line 2 column 13"),
        ('{"name": [1]}', "invalid type: sequence, expected a string at line 1 column 12"),
        ('{"name": "x", "note": {}}', "invalid type: map, expected a string at line 1 column 24"),
    ],
)
def test_a_misfit_is_told_with_its_place(body: str, told: str) -> None:
    with pytest.raises(PanelError) as caught:
        deserialise(body.encode(), OUTER)
    assert caught.value.texts == [f"invalid payload: {told}"]


def test_a_body_loses_what_is_unknown_and_keeps_null() -> None:
    assert deserialise(b'{"name": "x", "note": null, "other": 1}', OUTER) == {"name": "x", "note": None}
    assert deserialise(b'["x"]', OUTER) == {"name": "x"}


@pytest.mark.parametrize(
    ("reader", "good", "bad", "told"),
    [
        (flag, "true", '"no"', "expected a boolean"),
        (integer("u16"), "65535", "65536", "expected u16"),
        (integer("i64"), "-1", "true", "expected i64"),
        (number, "0.5", '"a"', "expected f64"),
        (uuid, '"00000000-0000-4000-8000-000000000000"', '"zz"', "UUID parsing failed"),
        (uuid, '"00000000000040008000000000000000"', '"12"', "invalid length"),
        (address, '"192.0.2.1"', '"localhost"', "invalid IP address syntax"),
        (timestamp, '"2026-01-01T00:00:00Z"', '"soon"', "invalid characters"),
        (timezone, '"Europe/Berlin"', '"Mars/Olympus"', "failed to parse timezone: 'Mars/Olympus'"),
        (variant("a", "b"), '"a"', '"c"', "unknown variant `c`, expected one of `a`, `b`"),
        (several(flag), "[true]", "{}", "expected a sequence"),
        (mapping(flag), '{"a": true}', "[]", "expected a map"),
    ],
)
def test_each_type_takes_its_own(reader: Reader, good: str, bad: str, told: str) -> None:
    struct = Struct("S", needed("x", reader))
    assert "x" in deserialise(f'{{"x": {good}}}'.encode(), struct)
    with pytest.raises(PanelError, match=r"invalid payload") as caught:
        deserialise(f'{{"x": {bad}}}'.encode(), struct)
    assert told in caught.value.texts[0]


@pytest.mark.parametrize(
    ("checks", "value", "told"),
    [
        ("length:3,5", "ab", ["length is lower than 3"]),
        ("length:3,5", "abcdef", ["length is greater than 5"]),
        ("range:-1,", -2, ["lower than -1"]),
        ("range:,10", 11, ["greater than 10"]),
        ("username", "ada.l", ["does not match pattern /^[a-zA-Z0-9_]+$/"]),
        ("language", "cs", ["invalid language: cs"]),
        ("url", "nope", ["not a valid url: relative URL without a base"]),
        ("auto_kill", {"seconds": 0}, ["auto kill seconds must be between 1 and 3600"]),
        ("distinct:docker image", {"a": 1, "b": 1}, ["duplicate docker image: 1"]),
        ("filled:startup command", {}, ["at least one startup command is required"]),
        ("server_permissions", ["nope"], ["invalid permission: nope"]),
        ("variable_rules", ["max:3", "odd"], ["unknown or unsupported validation rule: odd"]),
        ("length:1,", None, []),
    ],
)
def test_each_check_has_its_words(checks: str, value: object, told: list[str]) -> None:
    assert failures({"x": value}, (rule("x", checks),)) == [f"x: {text}" for text in told]


def test_failures_are_sorted_by_path_and_name_items() -> None:
    body = {"z": "", "a": {"b": ""}, "list": [{"c": "x"}, {"c": ""}]}
    rules = [rule("z", "length:1,"), rule("list[].c", "length:1,"), rule("a.b", "length:1,")]
    assert [text.partition(":")[0] for text in failures(body, rules)] == ["a.b", "list[1].c", "z"]


@pytest.mark.parametrize(
    ("address_given", "told"),
    [
        ("ada@example", ""),
        ("", "value is empty"),
        ("ada", "value is missing `@`"),
        ("a b@example.com", "user contains unexpected characters"),
        ("ada@exa mple.com", "domain contains unexpected characters"),
        (f"{'a' * 65}@example.com", "user length exceeded maximum of 64 characters"),
    ],
)
def test_addresses(address_given: str, told: str) -> None:
    assert email_problem(address_given) == told


@pytest.mark.parametrize(
    ("rules", "value", "told"),
    [
        (["required"], "", "is required and cannot be empty"),
        (["nullable", "integer"], "", ""),
        (["integer", "between:2,32"], "1", "must be between 2 and 32"),
        (["string", "between:3,15"], "ab", "must be between 3 and 15 characters"),
        (["integer"], "1.5", "must be a valid integer"),
        (["numeric", "min:2"], "1", "must be greater than or equal to 2"),
        (["numeric"], "x", "must be a valid number"),
        (["max:3"], "abcd", "must be less than or equal to 3 characters"),
        (["boolean"], "maybe", "must be a valid boolean"),
        (["in:dust,nuke"], "pool", "must be one of: dust, nuke"),
        (["regex:/^[a-z]+$/i"], "A1", "format is invalid"),
        (["required", "string", "max:64"], "server.jar", ""),
    ],
)
def test_eggs_demand(rules: list[str], value: str, told: str) -> None:
    assert problem(EggVariable("u", 0.0, "egg", "Name", "NAME", rules), value) == told


@pytest.mark.parametrize(
    ("value", "bytes_expected"),
    [
        (None, b"\xc0"),
        (True, b"\xc3"),
        (5, b"\x05"),
        ({"a": [1]}, b"\x81\xa1a\x91\x01"),
        ("x" * 40, b"\xdb\0\0\0("),
    ],
)
def test_messagepack(value: object, bytes_expected: bytes) -> None:
    assert packed(value).startswith(bytes_expected)
