"""Sends requests straight into the WSGI application: any header, any length, as a hostile sender would."""

from __future__ import annotations

import io
import itertools
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections

from billingbridge.charset import plain_charset
from provisioning.lib import clock
from provisioning.models import WebhookEndpoint
from provisioning.webhooks import signatures
from tests import factories

# What billingbridge.wsgi makes; that module itself looks into the database as well.
application = plain_charset(get_wsgi_application())
_numbers = itertools.count(1)
PAYLOAD = (
    b'{"event":"subscription.created","subscription_id":"12345","customer_email":"user@example.com",'
    b'"product_id":"fire-elemental","tier":"elemental","status":"active"}'
)
"""The payload of T83-11, word for word."""


@dataclass(frozen=True)
class Reply:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as data."""
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The error's stable code."""
        return str(self.json["error"]["code"])

    @property
    def looks(self) -> tuple[int, tuple[tuple[str, str], ...], bytes]:
        """All that a stranger sees of it, without the request's own id."""
        shown = tuple(sorted(item for item in self.headers.items() if item[0] != "X-Request-Id"))
        return self.status, shown, self.body


def signed(body: bytes, *, secret: str = factories.SECRET, ident: str = "", age: float = 0) -> dict[str, str]:
    """Standard Webhooks headers for a body; `age` in seconds lies in the past."""
    ident = ident or f"msg_{next(_numbers)}"
    moment = int(clock.timestamp() - age)
    signature = signatures.sign_standard(
        secret=signatures.decode_secret(secret), message_id=ident, timestamp=moment, body=body
    )
    return {"webhook-id": ident, "webhook-timestamp": str(moment), "webhook-signature": signature}


def send(
    endpoint: WebhookEndpoint | str,
    body: bytes,
    headers: Mapping[str, str] | None = None,
    *,
    stream: Any = None,
    **environ: Any,
) -> Reply:
    """POSTs to an endpoint or a raw path. Keyword arguments overwrite the WSGI environment; None removes."""
    path = endpoint if isinstance(endpoint, str) else f"/webhooks/{endpoint.address}/"
    request: dict[str, Any] = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": path,
        "SERVER_NAME": "testserver",
        "SERVER_PORT": "443",
        "REMOTE_ADDR": "192.0.2.7",
        "CONTENT_LENGTH": str(len(body)),
        "CONTENT_TYPE": "application/json",
        "wsgi.url_scheme": "https",
        "wsgi.input": stream or io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
        **{f"HTTP_{name.upper().replace('-', '_')}": value for name, value in (headers or {}).items()},
        **environ,
    }
    return _call({key: value for key, value in request.items() if value is not None})


@contextmanager
def _connection_kept() -> Iterator[None]:
    """A request ends with its database connection; the one around a test has to go on."""
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    try:
        yield
    finally:
        for signal in signals:
            signal.connect(close_old_connections)


def _call(environ: dict[str, Any]) -> Reply:
    started: dict[str, Any] = {}

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        started.update(status=int(status[:3]), headers=dict(headers))

    with _connection_kept():
        response: Any = application(environ, start_response)
        body = b"".join(response)
        response.close()
    return Reply(started["status"], started["headers"], body)
