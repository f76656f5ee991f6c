"""Content types in and out, entity tags (contract section 2.2)."""

import hashlib
import json
from xml.sax.saxutils import escape

from provisioning.sandbox.calagopus.errors import bad
from provisioning.sandbox.http import Request, Response

JSON, XML, MSGPACK = "application/json", "text/xml", "application/msgpack"
ERROR = 400


def check_content_type(request: Request) -> None:
    """Bodies need the bare type; letter case is free, parameters are not. Raises 400."""
    kind = request.headers.get("content-type")
    if kind is None:
        raise bad("invalid payload: missing content type header")
    if kind.lower() != JSON:
        raise bad("invalid payload: unsupported content type")


def dressed(request: Request, response: Response) -> Response:
    """The answer in the form that was asked for, with its tag; 304 where the caller has it already."""
    if response.delivery != "normal" or not response.content_type:
        return response
    accepted = request.headers.get("accept", "")
    if response.content_type == JSON and accepted in (XML, MSGPACK):
        _convert(response, accepted)
    if response.content_type in (JSON, XML, MSGPACK):
        response.headers.setdefault("vary", "Accept")
    tag = hashlib.sha256(response.body).hexdigest()
    response.headers["etag"] = tag
    if request.headers.get("if-none-match") == tag:
        return Response(
            status=304, headers={"etag": tag, "vary": "Accept"}, content_type=response.content_type
        )
    return response


def _convert(response: Response, kind: str) -> None:
    """XML, in which errors are lost, or MessagePack."""
    payload = json.loads(response.body)
    if kind == MSGPACK:
        response.body = packed(payload)
    elif response.status >= ERROR:
        response.body = b"<error>serialization failed</error>"
    else:
        response.body = f"<Response>{_xml(payload)}</Response>".encode()
    response.content_type = kind


def _xml(value: object) -> str:
    """Members as elements; empty lists vanish."""
    if isinstance(value, dict):
        return "".join(_element(name, item) for name, item in value.items())
    return escape(str(value))


def _element(name: str, value: object) -> str:
    items = value if isinstance(value, list) else [value]
    return "".join(f"<{name}>{_xml(item)}</{name}>" for item in items)


def packed(value: object) -> bytes:
    """A value as MessagePack, for the callers that ask for it."""
    if value is None:
        return b"\xc0"
    if isinstance(value, bool):
        return b"\xc3" if value else b"\xc2"
    if isinstance(value, int):
        return bytes([value]) if 0 <= value < 128 else b"\xd3" + value.to_bytes(8, "big", signed=True)
    if isinstance(value, dict):
        pairs = b"".join(packed(k) + packed(v) for k, v in value.items())
        return _head(len(value), 0x80, 16, b"\xdf") + pairs
    if isinstance(value, list):
        return _head(len(value), 0x90, 16, b"\xdd") + b"".join(packed(item) for item in value)
    raw = str(value).encode()
    return _head(len(raw), 0xA0, 32, b"\xdb") + raw


def _head(count: int, small: int, below: int, large: bytes) -> bytes:
    return bytes([small + count]) if count < below else large + count.to_bytes(4, "big")
