"""The billing sender: signatures, ledger, subscriptions, page."""

import hashlib
import hmac
import json
from collections.abc import Iterator

import pytest
import requests
from standardwebhooks import Webhook

from provisioning.sandbox.billing import BillingSandbox
from provisioning.sandbox.http import HttpServer, Request, Response

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
EVENT = {
    "event": "subscription.created",
    "subscription_id": "12345",
    "customer_email": "ada@example.com",
    "product_id": "fire-elemental",
    "status": "active",
}


class Receiver:
    """Keeps what it gets, answers 202."""

    def __init__(self) -> None:
        self.got: list[Request] = []
        self.server = HttpServer(self.answer)

    def answer(self, request: Request) -> Response:
        self.got.append(request)
        return Response.of_json({"id": "evt_1"}, status=202)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A webhook endpoint on the loopback."""
    found = Receiver()
    found.server.start()
    yield found
    found.server.stop()


@pytest.fixture
def billing() -> Iterator[BillingSandbox]:
    """A running sender."""
    with BillingSandbox() as sandbox:
        yield sandbox


def send(billing: BillingSandbox, address: str, **changes: object) -> requests.Response:
    body = {"url": f"{address}/webhooks/main/", "secret": SECRET, "event": EVENT, **changes}
    return requests.post(f"{billing.url}/_sandbox/send", json=body, timeout=5)


def test_the_signature_is_the_standard_one(billing: BillingSandbox, receiver: Receiver) -> None:
    answer = send(billing, receiver.server.url).json()
    got = receiver.got[0]
    assert Webhook(SECRET).verify(got.body, got.headers) == EVENT
    assert (answer["status"], json.loads(answer["answer"])) == (202, {"id": "evt_1"})
    assert got.path == "/webhooks/main/"


def test_id_and_timestamp_can_be_chosen(billing: BillingSandbox, receiver: Receiver) -> None:
    send(billing, receiver.server.url, id="msg_7", timestamp=1700000000)
    headers = receiver.got[0].headers
    assert (headers["webhook-id"], headers["webhook-timestamp"]) == ("msg_7", "1700000000")


def test_the_plain_scheme_is_hex_in_its_header(billing: BillingSandbox, receiver: Receiver) -> None:
    send(billing, receiver.server.url, scheme="hmac", secret="s3cret", header="X-Billing-Signature")
    got = receiver.got[0]
    expected = hmac.new(b"s3cret", got.body, hashlib.sha256).hexdigest()
    assert got.headers["x-billing-signature"] == expected
    assert "webhook-id" not in got.headers


def test_ledger_and_subscriptions_remember(billing: BillingSandbox, receiver: Receiver) -> None:
    send(billing, receiver.server.url)
    send(billing, receiver.server.url, event={**EVENT, "event": "payment.failed", "status": "overdue"})
    ledger = requests.get(f"{billing.url}/_sandbox/ledger", timeout=5)
    assert [d["event"]["event"] for d in ledger.json()["deliveries"]] == [
        "subscription.created",
        "payment.failed",
    ]
    assert SECRET not in ledger.text
    requests.put(f"{billing.url}/_sandbox/subscriptions/9", json={"status": "active"}, timeout=5)
    kept = requests.get(f"{billing.url}/_sandbox/subscriptions", timeout=5).json()["subscriptions"]
    assert (kept["12345"]["status"], kept["9"]) == ("overdue", {"status": "active"})


def test_the_page_shows_them(billing: BillingSandbox, receiver: Receiver) -> None:
    send(billing, receiver.server.url)
    page = requests.get(billing.url, timeout=5).text
    for text in ("ada@example.com", "fire-elemental", "subscription.created", ">202<"):
        assert text in page
    assert SECRET not in page


def test_a_silent_receiver_is_written_down(billing: BillingSandbox, receiver: Receiver) -> None:
    receiver.server.stop()
    answer = send(billing, receiver.server.url).json()
    assert answer["status"] == 0
    assert answer["answer"].startswith("No answer")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"url": "https://example.com/"}, "only sends to http:// addresses of this machine"),
        ({"url": "http://192.0.2.1/"}, "only sends to http:// addresses of this machine"),
        ({"url": ""}, "Missing: url"),
        ({"secret": "whsec_%%"}, "base64"),
        ({"scheme": "rot13"}, "standard, hmac"),
    ],
)
def test_refused_orders(billing: BillingSandbox, changes: dict[str, object], text: str) -> None:
    answer = send(billing, "http://127.0.0.1:1", **changes)
    assert answer.status_code == 422
    assert text in answer.json()["error"]
    assert billing.ledger == []


def test_unknown_commands(billing: BillingSandbox) -> None:
    assert requests.get(f"{billing.url}/_sandbox/nothing", timeout=5).status_code == 404
