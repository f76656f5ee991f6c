"""The bench's load and its reference: signed as the product wants it, counted only when taken."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from provisioning.webhooks import signatures
from tests.factories import SECRET
from tools.bench import bare, paid
from tools.bench.load import Load, Message, message, orders, post

URL = "http://127.0.0.1:1/webhooks/x/"


def headers_of(sent: Message) -> tuple[dict[str, str], bytes]:
    """The header fields and the body of a ready-made request."""
    head, _, body = sent.data.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")[1:]
    return dict(line.split(": ", 1) for line in lines), body


def test_messages_are_signed_as_the_product_wants_it() -> None:
    headers, body = headers_of(message(URL, SECRET, "msg_1", {"event": "subscription.created"}))
    verdict = signatures.verify_standard(
        secrets=[signatures.decode_secret(SECRET)],
        headers=headers,
        body=body,
        now=float(headers["webhook-timestamp"]),
    )
    assert isinstance(verdict, signatures.Verified)


@pytest.mark.parametrize(("customers", "mails"), [(0, 6), (2, 2)])
def test_orders_of_one_or_of_few_customers(customers: int, mails: int) -> None:
    made = orders(URL, SECRET, [str(number) for number in range(6)], customers=customers)
    assert len({headers_of(sent)[1].split(b"customer_email")[1] for sent in made}) == mails


class Server:
    """Answers with the statuses it was given, one after the other, and then with 202."""

    def __init__(self, statuses: list[int]) -> None:
        left, lock = iter(statuses), threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                with lock:
                    status = next(left, 202)
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                """Silent."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()


@pytest.fixture
def served() -> Iterator[list[Server]]:
    """Servers that end with the test."""
    begun: list[Server] = []
    yield begun
    for one in begun:
        one.server.shutdown()
        one.server.server_close()


@pytest.mark.parametrize(
    ("statuses", "accepted", "refused"),
    [([], 4, []), ([503, 503], 4, []), ([401], 3, [401])],
)
def test_a_message_is_sent_until_it_is_taken_or_refused(
    served: list[Server], statuses: list[int], accepted: int, refused: list[int]
) -> None:
    served.append(Server(statuses))
    load = Load(served[0].url, connections=2)
    load.send(orders(served[0].url, SECRET, ["1", "2", "3", "4"]))
    assert len(load.accepted) == len(set(load.accepted)) == accepted
    assert load.refused == refused


def test_each_message_is_asked_for_when_its_turn_comes(served: list[Server]) -> None:
    served.append(Server([]))
    load = Load(served[0].url, connections=1)
    taken_before: list[int] = []

    def fresh() -> Iterator[Message]:
        for key in ("1", "2", "3"):
            taken_before.append(len(load.accepted))
            yield orders(served[0].url, SECRET, [key])[0]

    load.send(fresh())
    assert taken_before == [0, 1, 2]


def test_no_answer_is_no_acceptance() -> None:
    assert post(("127.0.0.1", 1), b"POST / HTTP/1.1\r\n\r\n") == 0


@pytest.fixture
def reference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The bare app on a file of its own."""
    monkeypatch.setattr(bare, "DATABASE", str(tmp_path / "bare.sqlite3"))
    monkeypatch.setattr(bare, "SECRET", signatures.decode_secret(SECRET))
    monkeypatch.setattr(bare, "_held", threading.local())
    bare.prepare()
    yield
    if hasattr(bare._held, "connection"):
        bare._held.connection.close()


def answer(sent: Message, *, body: bytes | None = None) -> str:
    """What the bare app says to a message."""
    headers, own = headers_of(sent)
    names = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()}
    said: list[str] = []
    environ = {**names, "CONTENT_LENGTH": headers["Content-Length"], "wsgi.input": io.BytesIO(body or own)}
    bare.application(environ, lambda status, fields: said.append(status))
    return said[0]


@pytest.mark.usefixtures("reference")
def test_the_reference_checks_and_keeps() -> None:
    sent = message(URL, SECRET, "msg_1", {"event": "subscription.created"})
    assert answer(sent).startswith("202")
    assert answer(message(URL, SECRET, "msg_2", {"event": "x"}), body=b"{}").startswith("401")
    rows = bare.connect()
    assert [row[0] for row in rows.execute("SELECT sender FROM bare_event")] == ["msg_1"]
    assert rows.execute("PRAGMA synchronous").fetchone() == (2,)
    rows.close()


def test_the_panels_own_time_is_no_wait_of_ours() -> None:
    def call(second: float, method: str, ms: int, status: int) -> dict[str, Any]:
        at = f"1970-01-01T00:00:{second:06.3f}+00:00"
        return {"at": at, "method": method, "path": paid.CREATE, "ms": ms, "status": status}

    calls = [call(3.5, "POST", 400, 201), call(2.5, "GET", 100, 404), call(9, "GET", 70, 200)]
    assert paid.waited(calls, 2.0) == pytest.approx(1000)
