"""The story: eight steps of one shop, each confirmed where the truth is (the panel, or our own API)."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterator
from typing import Any

from provisioning.management.demo.reading import Reader, StepFailed

ADA = {
    "subscription_id": "12345",
    "customer_email": "user@example.com",
    "product_id": "fire-elemental",
    "tier": "elemental",
    "status": "active",
}
"""The payload of T83-11, word for word."""
GRACE_ORDER = {**ADA, "subscription_id": "12346", "customer_email": "grace@example.com"}
LINUS_ORDER = {**ADA, "subscription_id": "12347", "customer_email": "linus@example.com"}

OUTAGE = 5
"""Seconds for which the panel refuses every connection."""


def mark(billing_id: str) -> str:
    """The external id that the demo's servers carry."""
    return f"demo-shop-{billing_id}"


def clock_time(text: str | None) -> str:
    """A date of our API as the terminal shows it."""
    return dt.datetime.fromisoformat(text).astimezone().strftime("%H:%M:%S") if text else "?"


class Story:
    """Plays the steps in order; each is a generator of the lines it can vouch for."""

    def __init__(self, reader: Reader) -> None:
        self.read = reader

    def steps(self) -> list[tuple[str, Callable[[], Iterator[str]]]]:
        """(title, step) in the order in which they stand on each other."""
        return [
            ("a paid order becomes a server", self.order),
            ("the same event three times more", self.repeat),
            ("a payment fails", self.overdue),
            ("the payment comes", self.paid),
            ("a bigger product", self.bigger),
            ("an order while the panel is down", self.outage),
            ("an order whose answer is lost", self.lost_answer),
            ("cancelled: suspended, then deleted", self.cancelled),
        ]

    def order(self) -> Iterator[str]:
        """Step 1: account made, server created, installed, active."""
        self.read.send({"event": "subscription.created", **ADA})
        server = self._running("12345")
        user = next(user for user in self.read.users() if user["id"] == server["user"])
        yield f"account {user['email']} made (panel user {user['id']}, read on the panel)"
        yield f"server {server['name']} ({server['identifier']}) installed and active (read on the panel)"
        self._expect_word("12345", "running")

    def repeat(self) -> Iterator[str]:
        """Step 2: nothing changes, and the panel is not called."""
        before, generation = self.read.bridge_calls(), self._desired("12345")["generation"]
        for _ in range(3):
            self.read.send({"event": "subscription.created", **ADA})
        self.read.until("three more events worked on", lambda: self._worked_on("12345") >= 4)
        time.sleep(1)
        calls = self.read.bridge_calls() - before
        if calls or self._desired("12345")["generation"] != generation:
            raise StepFailed(f"The repeated event caused {calls} panel calls.")
        yield "accepted three times, nothing changed, 0 panel calls (counted by the panel)"

    def overdue(self) -> Iterator[str]:
        """Step 3: grace with its dates shown, then suspended."""
        self.read.send({"event": "payment.failed", **ADA})
        dates = self.read.until("a date of suspension", lambda: self._dates("12345", "suspend_at"))
        since, at = clock_time(dates["overdue_since"]), clock_time(dates["suspend_at"])
        yield f"grace since {since}, suspends at {at} (read in our API)"
        self.read.until("the server suspended", lambda: self._status("12345") == "suspended")
        self._expect_word("12345", "suspended")
        yield "suspended when the grace was over (read on the panel)"

    def paid(self) -> Iterator[str]:
        """Step 4: running again."""
        self.read.send({"event": "payment.succeeded", **ADA})
        self.read.until("the server running", lambda: self._status("12345") is None)
        self._expect_word("12345", "running")
        yield "running again (read on the panel)"

    def bigger(self) -> Iterator[str]:
        """Step 5: the new product's limits."""
        self.read.send({"event": "subscription.updated", **ADA, "product_id": "frost-knight"})
        self.read.until("4096 MiB", lambda: self._limits("12345").get("memory") == 4096)
        limits = self._limits("12345")
        shown = f"memory {limits['memory']} MiB, disk {limits['disk']} MiB, CPU {limits['cpu']} %"
        yield f"{shown} (read on the panel)"

    def outage(self) -> Iterator[str]:
        """Step 6: waiting, visibly; then one server."""
        self.read.panel_control("POST", "outage", {"seconds": OUTAGE})
        time.sleep(0.3)
        self.read.send({"event": "subscription.created", **GRACE_ORDER})
        waiting = self.read.until("a wait for the panel", lambda: self._waiting_for("12346", "fra-1"))
        yield f"waiting for {waiting['words']} (read in our API)"
        time.sleep(OUTAGE)
        server = self._running("12346")
        yield f"the panel is back: one server, {server['name']} (read on the panel)"

    def lost_answer(self) -> Iterator[str]:
        """Step 7: the panel did it, the answer was lost; still one server."""
        fault = {"kind": "lost", "method": "POST", "path": self.read.panel.creates, "count": 1}
        self.read.panel_control("POST", "faults", fault)
        self.read.send({"event": "subscription.created", **LINUS_ORDER})
        server = self._running("12347")
        posts = [
            call
            for operation in self.read.operations("12347")
            for call in operation["panel_calls"]
            if call["method"] == "POST" and call["path"].endswith("/servers")
        ]
        if len(posts) != 1 or not posts[0]["error"]:
            raise StepFailed("The create was not sent exactly once, or its answer was not lost.")
        yield f"sent once, answer lost, found again: one server, {server['name']} (read on the panel)"

    def cancelled(self) -> Iterator[str]:
        """Step 8: suspended, undo window shown, deleted after it with four proofs."""
        ended = {**ADA, "product_id": "frost-knight", "status": "cancelled"}
        self.read.send({"event": "subscription.cancelled", **ended})
        self.read.until("the server suspended", lambda: self._status("12345") == "suspended")
        dates = self.read.until("an undo date", lambda: self._dates("12345", "undo_until"))
        yield f"suspended; can be undone until {clock_time(dates['undo_until'])}"
        self.read.until("the server deleted", lambda: self.read.server(mark("12345")) is None)
        proofs = self.read.until("a closed delete", lambda: self._proofs("12345"))
        yield "deleted after it (read on the panel), with the guard's four proofs:"
        for proof in proofs:
            yield f"  {proof['name']}: {proof['words']}"
        if len(proofs) != 4 or not all(proof["ok"] for proof in proofs):
            raise StepFailed("A delete without its four proofs.")

    # --- looking ------------------------------------------------------------------------------------

    def _running(self, billing_id: str) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            server = self.read.server(mark(billing_id))
            return server if server and server["status"] is None else None

        server = self.read.until(f"server {mark(billing_id)} active on the panel", look)
        self.read.until("our own view agrees", lambda: self.read.service(billing_id).get("converged"))
        return server

    def _status(self, billing_id: str) -> str | None:
        server = self.read.server(mark(billing_id))
        return server["status"] if server else "missing"

    def _limits(self, billing_id: str) -> dict[str, Any]:
        server = self.read.server(mark(billing_id))
        return dict(server["limits"]) if server else {}

    def _desired(self, billing_id: str) -> dict[str, Any]:
        return dict(self.read.service(billing_id)["desired"])

    def _dates(self, billing_id: str, name: str) -> dict[str, Any] | None:
        dates = self.read.service(billing_id).get("dates", {})
        return dict(dates) if dates.get(name) else None

    def _waiting_for(self, billing_id: str, name: str) -> dict[str, Any] | None:
        waiting = self.read.service(billing_id).get("waiting")
        return dict(waiting) if waiting and name in waiting["words"] else None

    def _worked_on(self, billing_id: str) -> int:
        rows = self.read.get("events/", subject=billing_id)["results"]
        return sum(row["status"] in ("processed", "stale") for row in rows)

    def _proofs(self, billing_id: str) -> list[dict[str, Any]] | None:
        ended = [row for row in self.read.operations(billing_id) if row["kind"] == "terminate"]
        return ended[0]["proofs"] if ended and ended[0]["outcome"] == "succeeded" else None

    def _expect_word(self, billing_id: str, word: str) -> None:
        self.read.until(
            f"our API calls it {word}", lambda: self.read.service(billing_id).get("word", "").lower() == word
        )
