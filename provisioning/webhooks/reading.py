"""Takes the raw body of a request, never more of it than allowed (bars B7, E; ASVS 1.5.3)."""

from __future__ import annotations

import re

from django.http import HttpRequest
from django.http.request import UnreadablePostError

from provisioning.webhooks.answers import Answered

# ASCII only: int() would also take Arabic digits, a sign, or underscores.
_LENGTH = re.compile(r"[0-9]{1,12}", re.ASCII)


def declared_length(request: HttpRequest, *, limit: int) -> int:
    """The Content-Length in bytes. Raises Answered (411, 400 or 413) without reading anything."""
    text = str(request.META.get("CONTENT_LENGTH") or "")
    if not text or request.META.get("HTTP_TRANSFER_ENCODING"):
        raise Answered(411, "length_required", "Send the body with a Content-Length.")
    if not _LENGTH.fullmatch(text):
        raise Answered(400, "bad_length", "The Content-Length is not a number.")
    if int(text) > limit:
        raise Answered(413, "too_large", f"The body may have at most {limit} bytes.")
    return int(text)


def raw_body(request: HttpRequest, *, length: int) -> bytes:
    """The bytes as they came. Raises Answered (400) if the sender hung up before the end."""
    try:
        body = request.read(length)
    except (UnreadablePostError, OSError) as error:
        raise Answered(400, "unreadable", "The body ended too early. Send it again.") from error
    if len(body) != length:
        raise Answered(400, "unreadable", "The body ended too early. Send it again.")
    return body
