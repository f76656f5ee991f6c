"""Sends signed webhooks as fast as they are taken: ready-made bytes, a connection each as senders do."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from provisioning.management.demo.rows import Cast
from provisioning.sandbox.billing import standard_signature
from tools.bench.measuring import require

TIMEOUT = 20.0
PAUSE = 0.05
"""Seconds before a message is sent again that nobody answered."""
ORDER = {
    "event": "subscription.created",
    "product_id": "fire-elemental",
    "tier": "elemental",
    "status": "active",
}


@dataclass(frozen=True)
class Message:
    """One signed webhook, ready to be written to a socket."""

    id: str
    data: bytes


def message(url: str, secret: str, message_id: str, event: dict[str, str]) -> Message:
    """Signs an event as Standard Webhooks has it."""
    parts, body, now = urlsplit(url), json.dumps(event).encode(), int(time.time())
    head = (
        f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n"
        "Content-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nwebhook-id: {message_id}\r\nwebhook-timestamp: {now}\r\n"
        f"webhook-signature: {standard_signature(secret, message_id, now, body)}\r\n\r\n"
    )
    return Message(message_id, head.encode() + body)


def orders(url: str, secret: str, keys: Sequence[str], *, customers: int = 0) -> list[Message]:
    """An order for each subscription's id; `customers` is how many people share them (0: one each)."""
    made = []
    for number, key in enumerate(keys):
        buyer = f"buyer{number % customers}" if customers else f"buyer{key}"
        event = {**ORDER, "subscription_id": key, "customer_email": f"{buyer}@example.com"}
        made.append(message(url, secret, f"msg_{key}", event))
    return made


def post(place: tuple[str, int], data: bytes) -> int:
    """Writes a request and reads the answer to its end; its status, or 0 where none came."""
    try:
        with socket.create_connection(place, timeout=TIMEOUT) as opened:
            opened.sendall(data)
            answer = b"".join(iter(lambda: opened.recv(4096), b""))
    except OSError:
        return 0
    return int(answer[9:12]) if answer.startswith(b"HTTP/1.") else 0


def order_all(cast: Cast, keys: Sequence[str], *, customers: int = 0, connections: int = 8) -> float:
    """Sends these orders and returns the seconds it took. Raises Failed if one was refused."""
    load = Load(cast.webhook_url, connections)
    seconds = load.send(orders(cast.webhook_url, cast.secret, keys, customers=customers))
    require(len(load.accepted) == len(keys), f"Webhooks were refused: {load.refused[:5]}")
    return seconds


@dataclass
class Load:
    """Takes messages from one list with several senders at once; `accepted` are the ids answered with 202."""

    url: str
    connections: int = 8
    accepted: list[str] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)

    def send(self, messages: Iterable[Message], *, stop: threading.Event | None = None) -> float:
        """Sends all of them, each again until it was taken or refused. Returns the seconds it took.

        A generator is asked for each message when its turn comes, so that its signature is fresh.
        """
        waiting, stop = iter(messages), stop or threading.Event()
        lock = threading.Lock()
        senders = [
            threading.Thread(target=self._work, args=(waiting, lock, stop)) for _ in range(self.connections)
        ]
        began = time.monotonic()
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
        return time.monotonic() - began

    def _work(self, waiting: Iterator[Message], lock: threading.Lock, stop: threading.Event) -> None:
        parts = urlsplit(self.url)
        place = (str(parts.hostname), parts.port or 80)
        while not stop.is_set():
            with lock:
                following = next(waiting, None)
            if following is None:
                break
            self._deliver(place, following, stop)

    def _deliver(self, place: tuple[str, int], following: Message, stop: threading.Event) -> None:
        while not stop.is_set():
            status = post(place, following.data)
            if status == 202:
                self.accepted.append(following.id)
            elif status and status != 503:
                self.refused.append(status)
            else:
                stop.wait(PAUSE)
                continue
            return
