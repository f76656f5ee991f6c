"""Webhook signatures: the corpus of bar F, rotation, and another implementation as the judge."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from provisioning.webhooks.signatures import (
    Refused,
    Verified,
    decode_secret,
    dummy_verify,
    generate_secret,
    sign_hmac_hex,
    sign_standard,
    verify_hmac_hex,
    verify_standard,
)

NOW = 1_795_000_000
SECRET, OTHER = b"s" * 32, b"o" * 24
BODY = b'{"event":"subscription.created","subscription_id":"12345"}'


def make_headers(**changes: Any) -> dict[str, Any]:
    """Headers of a good message; `changes` replaces id, timestamp or signature."""
    parts: dict[str, Any] = {
        "id": "msg_1",
        "timestamp": str(NOW),
        "signature": sign_standard(secret=SECRET, message_id="msg_1", timestamp=NOW, body=BODY),
    }
    return {f"webhook-{name}": value for name, value in (parts | changes).items()}


def check(headers: dict[str, Any], **changes: Any) -> Verified | Refused:
    """Verify `BODY` under `SECRET` now, unless told otherwise."""
    settings: dict[str, Any] = {"secrets": [SECRET], "headers": headers, "body": BODY, "now": NOW}
    return verify_standard(**(settings | changes))


HEADERS = make_headers()
GOOD = HEADERS["webhook-signature"]
BAD = "v1," + base64.b64encode(b"x" * 32).decode()


@pytest.mark.req("T83-12")
def test_a_signed_message_passes() -> None:
    assert check(make_headers()) == Verified(secret_index=0, message_id="msg_1", timestamp=NOW)


def test_the_example_of_the_specification_passes() -> None:
    # The vector published with Standard Webhooks.
    secret = decode_secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    signature = sign_standard(
        secret=secret,
        message_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        timestamp=1614265330,
        body=b'{"test": 2432232314}',
    )
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize(
    "headers",
    [
        {name.title(): value for name, value in make_headers().items()},
        {name.upper(): [value] for name, value in make_headers().items()},
        make_headers(signature=f"{BAD} {GOOD}"),
        make_headers(signature=f"v1a,AAAA {GOOD} v2,zzzz"),
        make_headers(signature=" ".join([BAD] * 19 + [GOOD])),
    ],
)
def test_other_spellings_of_a_good_message_pass(headers: dict[str, Any]) -> None:
    assert isinstance(check(headers), Verified)


@pytest.mark.req("T83-12")
@pytest.mark.parametrize(("secrets", "index"), [([SECRET, OTHER], 0), ([OTHER, SECRET], 1)])
def test_two_secrets_are_valid_during_a_rotation(secrets: list[bytes], index: int) -> None:
    assert check(make_headers(), secrets=secrets) == Verified(index, "msg_1", NOW)


@pytest.mark.req("T83-12")
@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"body": BODY + b" "}, "wrong_signature"),
        ({"body": b""}, "wrong_signature"),
        ({"secrets": [OTHER]}, "wrong_signature"),
        ({"secrets": []}, "no_secret"),
        ({"now": NOW + 301}, "too_old"),
        ({"now": NOW - 301}, "too_new"),
        ({"now": NOW + 1.5, "tolerance": 1}, "too_old"),
    ],
)
def test_other_circumstances_are_refused(changes: dict[str, Any], reason: str) -> None:
    assert check(make_headers(), **changes) == Refused(reason)  # type: ignore[arg-type]


@pytest.mark.parametrize("seconds", [-300, 0, 300])
def test_the_window_of_time_is_closed_at_its_ends(seconds: int) -> None:
    assert isinstance(check(make_headers(), now=NOW + seconds), Verified)


def test_the_signature_is_judged_before_the_time() -> None:
    assert check(make_headers(signature=BAD), now=NOW + 9999) == Refused("wrong_signature")


@pytest.mark.parametrize(
    "message_id",
    ["", "a.b", "msg 1", "msg_1\n", "msg\x00", "x" * 129, "x" * 10_000, "a\r\nb: c", "é", "msg_1,msg_1"],
)
def test_strange_ids_are_refused(message_id: str) -> None:
    signature = sign_standard(secret=SECRET, message_id=message_id, timestamp=NOW, body=BODY)
    assert check(make_headers(id=message_id, signature=signature)) == Refused("bad_id")


@pytest.mark.parametrize(
    "timestamp",
    ["", "nan", "1e400", "-1", f"{NOW}.9", "1_795_000_0", f" {NOW}", f"{NOW} ", f"{NOW}\n", "١٧٩٥٠٠٠٠٠٠",
     "179500000", "17950000000", "+179500000", "0x6afd2b40"],
)  # fmt: skip
def test_strange_timestamps_are_refused(timestamp: str) -> None:
    signed = hmac.new(SECRET, f"msg_1.{timestamp}.".encode() + BODY, hashlib.sha256).digest()
    signature = "v1," + base64.b64encode(signed).decode()
    assert check(make_headers(timestamp=timestamp, signature=signature)) == Refused("bad_timestamp")


CORE = GOOD.removeprefix("v1,")


@pytest.mark.parametrize(
    ("signature", "reason"),
    [
        ("", "bad_signature_header"),
        (CORE, "bad_signature_header"),
        (f"v1,,{CORE}", "bad_signature_header"),
        (f"v1,{CORE},v1,{CORE}", "bad_signature_header"),
        (f"{BAD}  {GOOD}", "bad_signature_header"),
        (f" {GOOD}", "bad_signature_header"),
        (f"{GOOD} ", "bad_signature_header"),
        (f"{GOOD}\n", "bad_signature_header"),
        (f"v1,é{CORE[1:]}", "bad_signature_header"),
        (GOOD.rstrip("="), "bad_signature_header"),
        (GOOD + "=", "bad_signature_header"),
        ("v1," + CORE.replace("=", "") + "==", "bad_signature_header"),
        ("v1," + base64.b64encode(b"short").decode(), "bad_signature_header"),
        ("v1," + base64.b64encode(b"x" * 64).decode(), "bad_signature_header"),
        ("v1," + "-_" * 21 + "-=", "bad_signature_header"),
        (f"{GOOD} v1,AAAA", "bad_signature_header"),
        (" ".join([GOOD] * 21), "bad_signature_header"),
        (" ".join([GOOD] * 10_000), "bad_signature_header"),
        (f"V1,{CORE}", "bad_signature_header"),
        (f"v1a,{CORE}", "no_usable_signature"),
        (f"v2,{CORE}", "no_usable_signature"),
        (BAD, "wrong_signature"),
        (" ".join([BAD] * 20), "wrong_signature"),
    ],
)
def test_strange_signatures_are_refused(signature: str, reason: str) -> None:
    assert check(make_headers(signature=signature)) == Refused(reason)  # type: ignore[arg-type]


def test_base64_has_one_spelling() -> None:
    # The last character of 32 bytes carries two bits that mean nothing: loose readers take four spellings.
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    sibling = alphabet[alphabet.index(CORE[42]) ^ 1]
    assert check(make_headers(signature=f"v1,{CORE[:42]}{sibling}=")) == Refused("bad_signature_header")


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_headers_missing_or_repeated_are_refused(name: str) -> None:
    good = make_headers()
    without = {key: value for key, value in good.items() if key != name}
    assert check(without) == Refused("header_missing")
    assert check(good | {name: []}) == Refused("header_missing")
    assert check(without | {name.replace("-", "_"): good[name]}) == Refused("header_missing")
    assert check(good | {name: [good[name], good[name]]}) == Refused("header_repeated")
    assert check(good | {name.upper(): good[name]}) == Refused("header_repeated")


@given(
    st.sampled_from(["webhook-id", "webhook-timestamp", "webhook-signature"]),
    st.text(max_size=60) | st.lists(st.text(max_size=20), max_size=3),
    st.binary(max_size=50),
)
def test_nothing_a_stranger_sends_raises(name: str, value: Any, body: bytes) -> None:
    assert isinstance(check(make_headers() | {name: value}, body=body), Refused)
    assert isinstance(verify_hmac_hex(secrets=[SECRET], header_value=value, body=body), Refused)


MESSAGE_IDS = st.from_regex(r"[A-Za-z0-9_-]{1,128}", fullmatch=True)
SECRETS = st.binary(min_size=24, max_size=64)


@given(SECRETS, MESSAGE_IDS, st.integers(10**9, 4 * 10**9), st.text(st.characters(exclude_categories=["Cs"])))
def test_we_sign_as_the_reference_library_does(
    secret: bytes, message_id: str, moment: int, body: str
) -> None:
    theirs = Webhook(secret).sign(message_id, datetime.fromtimestamp(moment, UTC), body)
    ours = sign_standard(secret=secret, message_id=message_id, timestamp=moment, body=body.encode())
    assert ours == theirs
    headers = make_headers(id=message_id, timestamp=str(moment), signature=theirs)
    verified = verify_standard(secrets=[secret], headers=headers, body=body.encode(), now=moment)
    assert verified == Verified(0, message_id, moment)


def accepted_by_reference(secret: bytes, headers: dict[str, str], body: bytes) -> bool:
    """Ask the reference library, which reads the host's clock and JSON bodies only."""
    try:
        Webhook(secret).verify(body, headers)
    except WebhookVerificationError:
        return False
    return True


@given(SECRETS, SECRETS, MESSAGE_IDS, st.integers(-2, 2), st.booleans())
def test_we_accept_what_the_reference_library_accepts(
    secret: bytes, other: bytes, message_id: str, hundreds: int, tampered: bool
) -> None:
    now = datetime.now(UTC).timestamp()
    moment = int(now) + hundreds * 100
    signature = sign_standard(secret=secret, message_id=message_id, timestamp=moment, body=BODY)
    headers = make_headers(id=message_id, timestamp=str(moment), signature=signature)
    body = BODY.replace(b"12345", b"12346") if tampered else BODY
    for candidate in (secret, other):
        ours = verify_standard(secrets=[candidate], headers=headers, body=body, now=now)
        assert isinstance(ours, Verified) is accepted_by_reference(candidate, headers, body)


@pytest.mark.req("T83-12")
@pytest.mark.parametrize("form", [str, str.upper, lambda text: text.removeprefix("sha256=")])
def test_a_plain_hmac_passes(form: Any) -> None:
    text = form(sign_hmac_hex(secret=SECRET, body=BODY)).replace("SHA256", "sha256")
    assert verify_hmac_hex(secrets=[OTHER, SECRET], header_value=text, body=BODY) == Verified(1)
    assert verify_hmac_hex(secrets=[SECRET], header_value=[text], body=BODY) == Verified(0)


HEX = sign_hmac_hex(secret=SECRET, body=BODY)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "header_missing"),
        ([], "header_missing"),
        ([HEX, HEX], "header_repeated"),
        ("", "bad_signature_header"),
        (HEX[:-1], "bad_signature_header"),
        (HEX + "\n", "bad_signature_header"),
        (f" {HEX}", "bad_signature_header"),
        ("sha1=" + "0" * 40, "bad_signature_header"),
        ("sha256=" + "g" * 64, "bad_signature_header"),
        ("٠" * 64, "bad_signature_header"),
        ("0" * 64, "wrong_signature"),
        (sign_hmac_hex(secret=OTHER, body=BODY), "wrong_signature"),
    ],
)
def test_a_strange_plain_hmac_is_refused(value: Any, reason: str) -> None:
    assert verify_hmac_hex(secrets=[SECRET], header_value=value, body=BODY) == Refused(reason)  # type: ignore[arg-type]


def test_an_empty_secret_list_takes_no_plain_hmac() -> None:
    assert verify_hmac_hex(secrets=[], header_value=HEX, body=BODY) == Refused("no_secret")


def test_secrets_are_random_and_readable() -> None:
    first, second = generate_secret(), generate_secret()
    assert first != second
    assert len(decode_secret(first)) == 32


@pytest.mark.parametrize(
    "text",
    [
        "",
        "whsec_",
        "c2VjcmV0" * 6,
        "WHSEC_" + "c2VjcmV0" * 5,
        "whsec_" + "c2VjcmV0" * 2,
        "whsec_" + "c2VjcmV0" * 11,
        "whsec_" + "c2VjcmV0" * 5 + "é",
        "whsec_" + "c2VjcmV0" * 5 + " ",
        "whsec_" + "c2Vj-mV_" * 5,
        "whsec_" + "c2VjcmV0" * 5 + "QQ",
    ],
)
def test_malformed_secrets_are_refused_without_quoting_them(text: str) -> None:
    with pytest.raises(ValueError, match="webhook secret") as caught:
        decode_secret(text)
    assert "c2Vj" not in str(caught.value)


@pytest.mark.parametrize("size", [24, 32, 64])
def test_secrets_of_all_allowed_sizes_are_read(size: int) -> None:
    assert decode_secret("whsec_" + base64.b64encode(b"k" * size).decode()) == b"k" * size


class Counter:
    """Counts the digests made, as a measure of the work done."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.made = 0
        original = hmac.new

        def counting(*args: Any, **kwargs: Any) -> Any:
            self.made += 1
            return original(*args, **kwargs)

        monkeypatch.setattr(hmac, "new", counting)


def test_the_work_does_not_tell_which_secret_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    counter = Counter(monkeypatch)
    for secrets in ([SECRET, OTHER], [OTHER, SECRET], [OTHER, OTHER]):
        counter.made = 0
        check(HEADERS, secrets=secrets)
        assert counter.made == 2


@pytest.mark.parametrize("work", [lambda: dummy_verify(body=BODY), lambda: check(HEADERS, secrets=[])])
def test_an_unknown_endpoint_does_the_work_of_a_known_one(work: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    counter = Counter(monkeypatch)
    work()
    assert counter.made == 1
