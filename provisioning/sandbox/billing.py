"""A small billing system: holds subscriptions, signs events and posts them to a webhook address.

The signatures are made here from the written rules (Standard Webhooks, and plain HMAC-SHA256 in hex), not
with the code that checks them. Only the loopback is ever posted to.
"""

import base64
import binascii
import hashlib
import hmac
import http.client
import json
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Literal, get_args
from urllib.parse import urlsplit

from provisioning.sandbox.commands import Input, run_command
from provisioning.sandbox.http import HttpServer, Request, Response, Route, Router, Served
from provisioning.sandbox.page import cell, clock, document, table

Scheme = Literal["standard", "hmac"]
SCHEMES: tuple[Scheme, ...] = get_args(Scheme)
TIMEOUT = 30.0
ALLOWED_HOSTS = ("127.0.0.1", "localhost", "::1")
LAST_DELIVERIES = 40


@dataclass
class Delivery:
    """One event that was sent, and what the receiver said; ``status`` 0 where it said nothing."""

    at: float
    url: str
    webhook_id: str
    event: Input
    status: int
    answer: str


@dataclass
class Sending:
    """What to send: ``webhook_id``, ``timestamp`` and ``body`` may be forged by a test."""

    url: str
    secret: str = field(repr=False)
    event: Input
    scheme: Scheme = "standard"
    webhook_id: str = ""
    timestamp: int | None = None
    header: str = "X-Signature"


def standard_signature(secret: str, webhook_id: str, timestamp: int, body: bytes) -> str:
    """``v1,`` and the base64 HMAC-SHA256 of ``id.timestamp.body``; the secret is base64 after ``whsec_``.

    Raises ValueError where it is not.
    """
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except binascii.Error as error:
        raise ValueError("The secret must be whsec_ and base64.") from error
    signed = f"{webhook_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


def hex_signature(secret: str, body: bytes) -> str:
    """The plain HMAC-SHA256 of the body, in hex."""
    return hmac.digest(secret.encode(), body, hashlib.sha256).hex()


def signed_headers(sending: Sending, body: bytes) -> dict[str, str]:
    """The headers of one delivery."""
    headers = {"Content-Type": "application/json", "User-Agent": "sandbox-billing"}
    if sending.scheme == "hmac":
        return {**headers, sending.header: hex_signature(sending.secret, body)}
    webhook_id = sending.webhook_id or f"msg_{uuid.uuid4().hex}"
    timestamp = int(time.time()) if sending.timestamp is None else sending.timestamp
    signature = standard_signature(sending.secret, webhook_id, timestamp, body)
    return {
        **headers,
        "webhook-id": webhook_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signature,
    }


def post(url: str, body: bytes, headers: dict[str, str]) -> tuple[int, str]:
    """Post to a loopback address; the status and text of the answer, 0 and the reason where there is none.

    Raises ValueError for any other host.
    """
    parts = urlsplit(url)
    if parts.scheme != "http" or parts.hostname not in ALLOWED_HOSTS:
        raise ValueError("The sandbox only sends to http:// addresses of this machine.")
    connection = http.client.HTTPConnection(parts.hostname, parts.port or 80, timeout=TIMEOUT)
    try:
        connection.request("POST", parts.path or "/", body=body, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        return 0, f"No answer: {error}"
    finally:
        connection.close()


class BillingSandbox(Served):
    """The billing sender behind a loopback port: control API under ``/_sandbox/``, a page at ``/``."""

    def __init__(self, *, port: int = 0) -> None:
        self.subscriptions: dict[str, Input] = {}
        self.ledger: list[Delivery] = []
        self._lock = threading.Lock()
        self.router = Router(Route(method, f"/_sandbox{path}", handler) for method, path, handler in ROUTES)
        self.server = HttpServer(self.answer, port)

    def send(self, sending: Sending) -> Delivery:
        """Sign and post one event, and write it into the ledger. Raises ValueError for wrong input."""
        body = json.dumps(sending.event).encode()
        headers = signed_headers(sending, body)
        status, answer = post(sending.url, body, headers)
        webhook_id = headers.get("webhook-id", "")
        delivery = Delivery(time.time(), sending.url, webhook_id, sending.event, status, answer)
        with self._lock:
            self.ledger.append(delivery)
            self._keep(sending.event)
        return delivery

    def _keep(self, event: Input) -> None:
        """A subscription is what its last event said."""
        key = event.get("subscription_id")
        if key:
            self.subscriptions.setdefault(str(key), {}).update(event)

    def answer(self, request: Request) -> Response:
        """Page or control API."""
        if request.path == "/":
            return Response.of_html(billing_page(self, live="live" in request.query))
        return run_command(self.router, self, request)


def event_send(billing: BillingSandbox, body: Input, _: dict[str, str]) -> object:
    """Sign and post: url, secret, event, and as wished scheme, id, timestamp, header."""
    needed = ("url", "secret", "event")
    missing = [name for name in needed if not body.get(name)]
    if missing:
        raise ValueError(f"Missing: {', '.join(missing)}.")
    if body.get("scheme", "standard") not in SCHEMES:
        raise ValueError(f"The scheme is one of: {', '.join(SCHEMES)}.")
    known = {name: body[name] for name in (*needed, "scheme", "timestamp", "header") if name in body}
    return asdict(billing.send(Sending(webhook_id=str(body.get("id") or ""), **known)))


def ledger_show(billing: BillingSandbox, _: Input, __: dict[str, str]) -> object:
    """All deliveries so far, oldest first."""
    return {"deliveries": [asdict(delivery) for delivery in billing.ledger]}


def subscriptions_show(billing: BillingSandbox, _: Input, __: dict[str, str]) -> object:
    """All subscriptions by their id."""
    return {"subscriptions": billing.subscriptions}


def subscription_set(billing: BillingSandbox, body: Input, parameters: dict[str, str]) -> object:
    """Write a subscription without sending anything."""
    row = billing.subscriptions.setdefault(parameters["subscription"], {})
    row.update(body)
    return row


ROUTES: tuple[tuple[str, str, Callable[[BillingSandbox, Input, dict[str, str]], object]], ...] = (
    ("POST", "/send", event_send),
    ("GET", "/ledger", ledger_show),
    ("GET", "/subscriptions", subscriptions_show),
    ("PUT", "/subscriptions/{subscription}", subscription_set),
)


def billing_page(billing: BillingSandbox, *, live: bool) -> str:
    """Subscriptions and the last deliveries."""
    subscriptions = [
        [cell(key), cell(row.get("customer_email")), cell(row.get("product_id")), cell(row.get("status"))]
        for key, row in list(billing.subscriptions.items())
    ]
    deliveries = [
        [
            cell(clock(d.at)),
            cell(d.event.get("event")),
            cell(d.event.get("subscription_id")),
            cell(d.status or "no answer", "good" if 200 <= d.status < 300 else "bad"),
            cell(d.webhook_id, "path"),
        ]
        for d in reversed(billing.ledger[-LAST_DELIVERIES:])
    ]
    body = table(
        "Subscriptions", ("Id", "Customer", "Product", "Status"), subscriptions, "No subscription yet."
    )
    heads = ("Time", "Event", "Subscription", "Answer", "Message id")
    body += table("Last events", heads, deliveries, "Nothing was sent yet.")
    intro = "It signs events and posts them to the bridge. Times are UTC."
    return document("Sandbox billing", intro, body, live=live)
