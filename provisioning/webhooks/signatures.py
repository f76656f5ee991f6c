"""Webhook signatures: Standard Webhooks, and a plain HMAC for small scripts (T83-12; bars B7, B8, E, F).

Pure functions over bytes. They never raise for what a stranger sent: the answer is `Verified` or `Refused`,
and the reason of a refusal is for staff logs only, since every refusal looks the same from outside.
"""

import base64
import binascii
import hashlib
import hmac
import re
import secrets as random_source
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Reason = Literal[
    "header_missing",
    "header_repeated",
    "bad_id",
    "bad_timestamp",
    "bad_signature_header",
    "no_usable_signature",
    "no_secret",
    "wrong_signature",
    "too_old",
    "too_new",
]
Headers = Mapping[str, str | list[str]]

PREFIX = "whsec_"
TOLERANCE = 300
MOST_SIGNATURES = 20
SHORTEST_SECRET, LONGEST_SECRET = 24, 64

_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
_TIMESTAMP = re.compile(r"[0-9]{10}")
_ENTRY = re.compile(r"(?P<version>v[0-9][a-z0-9]{0,7}),(?P<value>[A-Za-z0-9+/=_-]{1,200})")
_HEX = re.compile(r"(?:sha256=)?([0-9a-fA-F]{64})")
_DUMMY_SECRET = random_source.token_bytes(32)


@dataclass(frozen=True, slots=True)
class Verified:
    """The sender knew a secret: the one at `secret_index`. A plain HMAC has neither id nor timestamp."""

    secret_index: int
    message_id: str = ""
    timestamp: int | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """Not taken; `reason` must not leave the staff's logs."""

    reason: Reason


def decode_secret(text: str) -> bytes:
    """Return the bytes of a secret written as `whsec_<base64>`. Raises ValueError, never with the secret."""
    encoded = text.removeprefix(PREFIX)
    decoded = _strict_base64(encoded) if encoded != text else None
    if decoded is None:
        raise ValueError("A webhook secret is written as whsec_ followed by base64.")
    if not SHORTEST_SECRET <= len(decoded) <= LONGEST_SECRET:
        raise ValueError(f"A webhook secret holds {SHORTEST_SECRET} to {LONGEST_SECRET} bytes.")
    return decoded


def generate_secret() -> str:
    """Return a new random secret of 32 bytes, as it is shown to staff once."""
    return PREFIX + base64.b64encode(random_source.token_bytes(32)).decode()


def _strict_base64(text: str) -> bytes | None:
    """Decode canonical base64 only: one spelling for each value, padding and all."""
    try:
        decoded = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        return None
    return decoded if base64.b64encode(decoded).decode() == text else None


def _digest(secret: bytes, message_id: str, timestamp: str, body: bytes) -> bytes:
    return hmac.new(secret, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()


def sign_standard(*, secret: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """Return the value of `webhook-signature` for this message; `timestamp` is in Unix seconds."""
    digest = _digest(secret, message_id, str(timestamp), body)
    return "v1," + base64.b64encode(digest).decode()


def _header(headers: Headers, name: str) -> str | Refused:
    """Return the one value of a header, whatever the case of its name."""
    values: list[str] = []
    for key, value in headers.items():
        if key.lower() == name:
            values += [value] if isinstance(value, str) else value
    if len(values) > 1:
        return Refused("header_repeated")
    return values[0] if values else Refused("header_missing")


def _offered(text: str) -> list[bytes] | Refused:
    """Return the v1 signatures of the header; those of other versions are not for us."""
    entries = text.split(" ", MOST_SIGNATURES)
    matches = [_ENTRY.fullmatch(entry) for entry in entries[:MOST_SIGNATURES]]
    if len(entries) > MOST_SIGNATURES or None in matches:
        return Refused("bad_signature_header")
    values = [_strict_base64(match["value"]) for match in matches if match and match["version"] == "v1"]
    offered = [value for value in values if value is not None and len(value) == hashlib.sha256().digest_size]
    if len(offered) != len(values):
        return Refused("bad_signature_header")
    return offered or Refused("no_usable_signature")


def _matching(expected: Iterable[bytes], offered: Sequence[bytes]) -> int | None:
    """Return the index of the first expected digest that was offered, comparing all with all."""
    found = None
    for index, digest in enumerate(expected):
        # No early end: the time must not tell which secret or which signature fitted.
        hits = sum(hmac.compare_digest(digest, value) for value in offered)
        found = index if hits else found
    return found


def verify_standard(
    *, secrets: Sequence[bytes], headers: Headers, body: bytes, now: float, tolerance: int = TOLERANCE
) -> Verified | Refused:
    """Check a Standard Webhooks message against every valid secret.

    `now` is in Unix seconds, `tolerance` in seconds to either side. The order of the checks is that of bar
    E: headers, signature over the raw bytes, time.
    """
    message_id = _header(headers, "webhook-id")
    timestamp = _header(headers, "webhook-timestamp")
    signature = _header(headers, "webhook-signature")
    for value in (message_id, timestamp, signature):
        if isinstance(value, Refused):
            return value
    return _verify_parts(secrets, (str(message_id), str(timestamp), str(signature)), body, now, tolerance)


def _verify_parts(
    secrets: Sequence[bytes], parts: tuple[str, str, str], body: bytes, now: float, tolerance: int
) -> Verified | Refused:
    message_id, timestamp, signature = parts
    if not _ID.fullmatch(message_id):
        return Refused("bad_id")
    if not _TIMESTAMP.fullmatch(timestamp):
        return Refused("bad_timestamp")
    offered = _offered(signature)
    if isinstance(offered, Refused):
        return offered
    if not secrets:
        dummy_verify(body=body)
        return Refused("no_secret")
    index = _matching((_digest(secret, message_id, timestamp, body) for secret in secrets), offered)
    if index is None:
        return Refused("wrong_signature")
    if abs(now - int(timestamp)) > tolerance:
        return Refused("too_old" if now > int(timestamp) else "too_new")
    return Verified(secret_index=index, message_id=message_id, timestamp=int(timestamp))


def verify_hmac_hex(
    *, secrets: Sequence[bytes], header_value: str | list[str] | None, body: bytes
) -> Verified | Refused:
    """Check a plain HMAC-SHA256 of the body in hex, bare or after `sha256=`. Nothing proves its freshness."""
    values = [header_value] if isinstance(header_value, str) else header_value or []
    if len(values) != 1:
        return Refused("header_repeated" if values else "header_missing")
    match = _HEX.fullmatch(values[0])
    if match is None:
        return Refused("bad_signature_header")
    if not secrets:
        dummy_verify(body=body)
        return Refused("no_secret")
    expected = (hmac.new(secret, body, hashlib.sha256).digest() for secret in secrets)
    index = _matching(expected, [bytes.fromhex(match[1])])
    return Refused("wrong_signature") if index is None else Verified(secret_index=index)


def sign_hmac_hex(*, secret: bytes, body: bytes) -> str:
    """Return the header value of the plain scheme, `sha256=<hex>`."""
    return "sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest()


def dummy_verify(*, body: bytes) -> None:
    """Do the work of one check and throw it away: an unknown endpoint must not answer faster (B8)."""
    digest = _digest(_DUMMY_SECRET, "none", "0000000000", body)
    hmac.compare_digest(digest, bytes(len(digest)))
