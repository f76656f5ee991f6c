"""The fuzz corpus: never a 5xx, and not one row unless the signature is valid (bar B7)."""

from __future__ import annotations

import base64
import io
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from provisioning.lib import clock
from provisioning.models import Event
from provisioning.webhooks.signatures import sign_hmac_hex
from tests import factories
from tests.provisioning.webhooks.sender import PAYLOAD, Reply, send, signed

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("jobs")]

LIMIT = 262_144
BODIES: dict[str, bytes] = {
    **{path.stem: path.read_bytes() for path in sorted((Path(__file__).parent / "corpus").glob("*.bin"))},
    "empty": b"",
    "deep_arrays": b"[" * 100_000,
    "deep_object": b'{"a":' * 40_000 + b"1" + b"}" * 40_000,
    "long_integer": b'{"event":"a","sequence":' + b"9" * 5000 + b"}",
    "gzip_bomb": zlib.compress(b"0" * 10_000_000),
    "exactly_the_limit": b'{"a":"' + b"x" * (LIMIT - 8) + b'"}',
}
READABLE = {"emoji_name", "negative_price", "proto"}
"""Those that billing may really send: odd, but nothing is wrong with them."""

GOOD = base64.b64encode(b"x" * 32).decode()
SIGNATURES = {
    "no_comma": "v1" + GOOD,
    "two_commas": f"v1,,{GOOD}",
    "double_space": f"v1,{GOOD}  v1,{GOOD}",
    "not_ascii": "v1,ÄÖÜ",
    "bad_padding": "v1," + GOOD.rstrip("="),
    "ten_thousand": " ".join(["v1," + GOOD] * 10_000),
    "only_v1a": "v1a," + GOOD,
    "only_v2": "v2," + GOOD,
    "empty": "",
    "joined_by_a_proxy": f"v1,{GOOD},v1,{GOOD}",
    "nul": "v1,\x00" + GOOD,
}
TIMESTAMPS = [
    "nan",
    "1e400",
    "-1",
    "{now}.9",
    "{now}_0",
    " {now}",
    "{now} ",
    "",
    "٠١٢٣٤٥٦٧٨٩",
    "+{now}",
    "0x{now}",
]
IDENTS = ["", "a.b", "a\x00b", "x" * 10_240, "a\r\nb", "a b", "é", "a,a", "../../etc", "'; --"]


def nothing_kept(reply: Reply, *statuses: int) -> None:
    """The reply is one of these, and no row was written."""
    assert reply.status in statuses
    assert not Event.objects.exists()


@pytest.mark.req("T83-12")
@pytest.mark.parametrize("name", BODIES)
def test_a_body_without_signature_leaves_nothing(name: str) -> None:
    nothing_kept(send(factories.endpoint(), BODIES[name]), 401)


@pytest.mark.parametrize("name", BODIES)
def test_a_signed_body_is_kept_byte_for_byte(name: str) -> None:
    endpoint = factories.endpoint()
    reply = send(endpoint, BODIES[name], signed(BODIES[name]))
    event = Event.objects.get()
    assert (reply.status, reply.json) == (202, {"event": str(event.pk), "status": "accepted"})
    assert bytes(event.body) == BODIES[name]


@pytest.mark.parametrize("name", BODIES)
def test_the_plain_scheme_takes_any_signed_body(name: str) -> None:
    endpoint = factories.endpoint(scheme="hmac_hex", secret="a-script-of-linus")
    header = {"X-Signature": sign_hmac_hex(secret=b"a-script-of-linus", body=BODIES[name])}
    assert send(endpoint, BODIES[name], header).status == 202


@pytest.mark.parametrize("name", sorted(BODIES.keys() - READABLE))
def test_an_unreadable_signed_body_ends_as_rejected(name: str, jobs: Any) -> None:
    send(factories.endpoint(), BODIES[name], signed(BODIES[name]))
    jobs.drain()
    event = Event.objects.get()
    assert (event.status, event.next_attempt_at) == ("rejected", None)
    assert event.result


@pytest.mark.parametrize("value", SIGNATURES.values(), ids=SIGNATURES.keys())
def test_strange_signatures_are_refused(value: str) -> None:
    nothing_kept(send(factories.endpoint(), PAYLOAD, {**signed(PAYLOAD), "webhook-signature": value}), 401)


@pytest.mark.parametrize("value", TIMESTAMPS)
def test_strange_timestamps_are_refused(value: str) -> None:
    headers = {**signed(PAYLOAD), "webhook-timestamp": value.format(now=int(clock.timestamp()))}
    nothing_kept(send(factories.endpoint(), PAYLOAD, headers), 401)


@pytest.mark.parametrize("value", IDENTS)
def test_strange_ids_are_refused_even_if_signed(value: str) -> None:
    nothing_kept(
        send(factories.endpoint(), PAYLOAD, {**signed(PAYLOAD, ident=value or "m"), "webhook-id": value}), 401
    )


@pytest.mark.parametrize(
    ("environ", "status"),
    [
        ({"CONTENT_LENGTH": str(LIMIT + 1)}, 413),
        ({"CONTENT_LENGTH": "9" * 12}, 413),
        ({"CONTENT_LENGTH": "9" * 500}, 400),
        ({"CONTENT_LENGTH": None}, 411),
        ({"CONTENT_LENGTH": ""}, 411),
        ({"HTTP_TRANSFER_ENCODING": "chunked"}, 411),
        ({"CONTENT_LENGTH": "-1"}, 400),
        ({"CONTENT_LENGTH": "1_0"}, 400),
        ({"CONTENT_LENGTH": "٥"}, 400),
        ({"CONTENT_LENGTH": "5, 5"}, 400),
        ({"CONTENT_LENGTH": str(len(PAYLOAD) + 1)}, 400),
        ({"CONTENT_LENGTH": str(len(PAYLOAD) - 1)}, 401),
        ({"REQUEST_METHOD": "GET"}, 405),
        ({"REQUEST_METHOD": "OPTIONS"}, 405),
        ({"REQUEST_METHOD": "\x00"}, 405),
        ({"HTTP_HOST": "evil.example.com"}, 400),
        ({"HTTP_ACCEPT": "text/html"}, 202),
        ({"HTTP_ACCEPT": "\x00;q=nan,*/"}, 202),
        ({"CONTENT_TYPE": "multipart/form-data; boundary=\x00"}, 202),
        ({"CONTENT_TYPE": "application/json; charset=hex"}, 202),
        ({"CONTENT_TYPE": "application/json; charset=\x00"}, 202),
        ({"CONTENT_TYPE": "application/json; Charset*=utf-8''%00"}, 202),
        ({"CONTENT_TYPE": 'application/json; x=1; charset="a\x00"'}, 202),
        ({"CONTENT_TYPE": "text/plain; charset=utf-7"}, 202),
        ({"CONTENT_TYPE": "application/json; charset=hex", "QUERY_STRING": "a=%00"}, 202),
        ({"CONTENT_TYPE": "application/json; charset=idna", "QUERY_STRING": "a=\xff.."}, 202),
        ({"CONTENT_TYPE": None}, 202),
        ({"HTTP_CONTENT_ENCODING": "gzip"}, 202),
        ({"HTTP_COOKIE": "sessionid=\x00; csrftoken=x"}, 202),
        ({"HTTP_ACCEPT_LANGUAGE": "x" * 10_000}, 202),
        ({"HTTP_X_FORWARDED_FOR": "\x00, 10.0.0.1"}, 202),
        ({"HTTP_X_HTTP_METHOD_OVERRIDE": "DELETE"}, 202),
        ({"QUERY_STRING": "format=api&_method=%00&" + "a=1&" * 5000}, 202),
    ],
)
def test_odd_requests_get_a_plain_answer(environ: dict[str, Any], status: int) -> None:
    reply = send(factories.endpoint(), PAYLOAD, signed(PAYLOAD), **environ)
    assert reply.status == status
    assert Event.objects.exists() == (status == 202)


@pytest.mark.parametrize(
    "path",
    [
        "/webhooks/",
        "/webhooks/1/",
        "/webhooks/../admin/",
        "/webhooks/%00/",
        "/webhooks/\xff\xfe/",
        "/webhooks//",
        "/webhooks/" + "a" * 5000,
    ],
)
def test_odd_paths_are_not_found(path: str) -> None:
    nothing_kept(send(path, PAYLOAD, signed(PAYLOAD)), 404)


def test_too_large_a_body_is_not_read() -> None:
    stream = io.BytesIO(b"x" * (LIMIT + 1))
    reply = send(factories.endpoint(), b"x" * (LIMIT + 1), stream=stream)
    assert (reply.status, stream.tell()) == (413, 0)


class HungUp(io.BytesIO):
    """A sender that is gone."""

    def read(self, size: int | None = -1, /) -> bytes:
        """The connection is closed."""
        raise ConnectionResetError


def test_a_sender_that_hangs_up_is_told_so() -> None:
    reply = send(factories.endpoint(), PAYLOAD, signed(PAYLOAD), stream=HungUp())
    assert (reply.status, reply.code) == (400, "unreadable")


_NAMES = ("webhook-id", "webhook-timestamp", "webhook-signature", "content-type", "x-signature", "accept")
_VALUES = st.one_of(
    st.text(st.characters(max_codepoint=255), max_size=60),
    st.from_regex(r"(v1a?,[A-Za-z0-9+/=]{0,44} ?){0,3}"),
    st.integers().map(str),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=st.binary(max_size=400),
    headers=st.dictionaries(st.sampled_from(_NAMES), _VALUES),
    scheme=st.sampled_from(["standard", "hmac_hex"]),
    known=st.booleans(),
)
def test_no_made_up_message_is_kept(body: bytes, headers: dict[str, str], scheme: str, known: bool) -> None:
    endpoint = factories.endpoint(scheme=scheme, enabled=known)
    nothing_kept(send(endpoint, body, {**signed(PAYLOAD), **headers}), 401)
