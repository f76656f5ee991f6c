"""Bodies from strangers: the corpus of bar F, and that ordinary ones pass unchanged."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning.lib.jsonsafe import BodyRejected, parse_body

PLAYED = {
    "event": "subscription.created",
    "subscription_id": "12345",
    "customer_email": "user@example.com",
    "product_id": "fire-elemental",
    "tier": "elemental",
    "status": "active",
}


@pytest.mark.req("T83-11")
def test_the_payload_of_the_document_passes() -> None:
    assert parse_body(json.dumps(PLAYED).encode()) == PLAYED


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b"{}", {}),
        (b' {"a": [1, -2, 2.5, true, null, "x"]} ', {"a": [1, -2, 2.5, True, None, "x"]}),
        (b'{"a": 9223372036854775808}', {"a": 2**63}),
        (b'{"__proto__": {"a": 1}}', {"__proto__": {"a": 1}}),
        ('{"n": "Müller 🎮"}'.encode(), {"n": "Müller 🎮"}),
        (rb'{"n": "\ud83c\udfae [[[ {{{ \" \\"}', {"n": '🎮 [[[ {{{ " \\'}),
        (b'{"a":' * 32 + b"1" + b"}" * 32, None),
        (b'{"a": {"k": 1}, "b": {"k": 1}}', {"a": {"k": 1}, "b": {"k": 1}}),
    ],
)
def test_ordinary_bodies_pass(raw: bytes, value: object) -> None:
    parsed = parse_body(raw)
    assert value is None or parsed == value


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b'{"a": "' + b"x" * 262_144 + b'"}', "too_large"),
        (b'{"a": "\xff"}', "encoding"),
        (b'{"a": "\xed\xa0\x80"}', "encoding"),
        (b'\xef\xbb\xbf{"a": 1}', "encoding"),
        ('{"a": 1}'.encode("utf-16"), "encoding"),
        ('{"a": 1}'.encode("utf-16-le"), "encoding"),
        (b'{"a": "\x00"}', "encoding"),
        (b"{", "malformed"),
        (b'{"a": 1}}', "malformed"),
        (b"{'a': 1}", "malformed"),
        (b'{"a": 01}', "malformed"),
        (b'{"a": "line\nbreak"}', "malformed"),
        (b"a=1&b=2", "malformed"),
        (b"\x1f\x8b\x08", "encoding"),
        (b'--x\r\nContent-Disposition: form-data; name="a"', "malformed"),
        (b"[]", "not_an_object"),
        (b"1", "not_an_object"),
        (b'"text"', "not_an_object"),
        (b"null", "not_an_object"),
        (b"[" * 100_000 + b"]" * 100_000, "too_deep"),
        (b'{"a":' * 33 + b"1" + b"}" * 33, "too_deep"),
        (b"[" * 200_000, "too_deep"),
        (b'{"a": 1, "a": 2}', "duplicate_key"),
        (b'{"x": [{"a": 1, "\\u0061": 2}]}', "duplicate_key"),
        (b'{"a": NaN}', "bad_number"),
        (b'{"a": Infinity}', "bad_number"),
        (b'{"a": -Infinity}', "bad_number"),
        (b'{"a": 1e400}', "bad_number"),
        (b'{"a": -1e400}', "bad_number"),
        (b'{"a": ' + b"9" * 5000 + b"}", "bad_number"),
        (b'{"a": ' + b"1" * 31 + b"}", "bad_number"),
        (b'{"a": 0.' + b"1" * 5000 + b"}", "bad_number"),
        (rb'{"a": "x\u0000"}', "bad_string"),
        (rb'{"a\u0000": 1}', "bad_string"),
        (rb'{"a": ["\ud800"]}', "bad_string"),
        (rb'{"a": {"\udc00": 1}}', "bad_string"),
    ],
)
def test_hostile_bodies_are_refused_with_a_reason(raw: bytes, reason: str) -> None:
    with pytest.raises(BodyRejected) as caught:
        parse_body(raw)
    assert caught.value.reason == reason
    assert str(caught.value).startswith("The body ")


def test_other_top_levels_pass_where_allowed() -> None:
    assert parse_body(b"[1]", require_object=False) == [1]


@pytest.mark.parametrize(
    "raw", [b'"' * 250_000, b'\\"' * 125_000, b'{"a":"' + b'\\"' * 120_000, b"[]" * 125_000, b'"a' * 125_000]
)
def test_hostile_bodies_take_no_time(raw: bytes) -> None:
    started = time.monotonic()
    with pytest.raises(BodyRejected):
        parse_body(raw)
    assert time.monotonic() - started < 1


FINITE = st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | FINITE | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text("abc", max_size=3), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(st.dictionaries(st.text("xyz", max_size=3), VALUES, max_size=4))
def test_whatever_json_can_say_comes_back(value: dict[str, object]) -> None:
    assert parse_body(json.dumps(value).encode()) == value


@given(st.binary(max_size=200))
def test_random_bytes_never_fail_otherwise(raw: bytes) -> None:
    try:
        parsed = parse_body(raw)
    except BodyRejected as error:
        assert error.reason  # noqa: PT017 - either outcome is right here
    else:
        assert isinstance(parsed, dict)
