"""A billing system that sends without a pause and, as real ones do, sends again what was not taken."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from types import TracebackType

import requests

from tests.flows.stack import Stack
from tools.hostile.grammar import sign

NOBODY, TAKEN = 0, 202
PAUSE = 0.1


class Load:
    """So many events a second from several senders while the block runs; each is sent until it is taken."""

    SENDERS = 4

    def __init__(self, stack: Stack, *, rate: float = 20, order_each: int = 0) -> None:
        self.stack, self.rate, self.order_each = stack, rate, order_each
        self.secret = stack.ground.cast.secret
        self.taken: set[str] = set()
        self.orders: list[str] = []
        self.wrong: Counter[str] = Counter()
        self.stop = threading.Event()
        self.threads = [threading.Thread(target=self._send, args=(n,)) for n in range(self.SENDERS)]

    def __enter__(self) -> Load:
        """Start sending."""
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop; what is under way is still sent until it is taken."""
        self.stop.set()
        for thread in self.threads:
            thread.join()

    def pass_by(self, events: int = 20, *, patience: float = 40) -> None:
        """Wait until so many more events were taken."""
        wanted = len(self.taken) + events
        self.stack.until(f"{events} more events taken", lambda: len(self.taken) >= wanted, patience=patience)

    def check(self) -> None:
        """No answer was wrong, and every event that was taken is kept once and could be read."""
        assert self.wrong == {}
        assert self.taken
        self.stack.until("all events looked at", lambda: not list(self.stack.events(status="received")))
        rows = list(self.stack.events(page_size="200"))
        assert Counter(row["sender_id"] for row in rows if row["sender_id"] in self.taken) == Counter(
            self.taken
        )
        assert {row["status"] for row in rows} <= {"processed", "ignored", "stale"}

    def _send(self, sender: int) -> None:
        number = 0
        with requests.Session() as session:
            session.trust_env = False
            while not self.stop.is_set():
                began = time.monotonic()
                number += 1
                self._one(session, sender, number)
                self.stop.wait(max(0.0, self.SENDERS / self.rate - (time.monotonic() - began)))

    def _one(self, session: requests.Session, sender: int, number: int) -> None:
        """One event; a sender knows no other end than 202, but gives up when the test's time is over."""
        ident, ends = f"load_{sender}_{number}", time.monotonic() + 60
        order = bool(self.order_each) and sender == 0 and number % self.order_each == 1
        body = self._body(f"4{number:03d}" if order else ident, order=order)
        while time.monotonic() < ends:
            status = self._post(session, ident, body)
            if status == TAKEN:
                self.taken.add(ident)
                return
            if status != NOBODY:
                self.wrong[str(status)] += 1
            time.sleep(PAUSE)
        self.wrong["never taken"] += 1

    def _body(self, subject: str, *, order: bool) -> bytes:
        event = {"event": "note.added", "subscription_id": subject}
        if order:
            self.orders.append(subject)
            event |= {"event": "subscription.created", "product_id": "fire-elemental", "status": "active"}
            event |= {"customer_email": f"buyer{subject}@example.com"}
        return json.dumps(event).encode()

    def _post(self, session: requests.Session, ident: str, body: bytes) -> int:
        """The answer's status, or NOBODY while there is none."""
        moment = str(int(time.time()))
        headers = {
            "webhook-id": ident,
            "webhook-timestamp": moment,
            "webhook-signature": sign(self.secret, ident, moment, body),
            "Content-Type": "application/json",
        }
        try:
            url = self.stack.ground.cast.webhook_url
            return session.post(url, data=body, headers=headers, timeout=20).status_code
        except requests.RequestException:
            return NOBODY
