"""Compares what billing sold with what stands on the panel, over HTTP. Shares no code with the engine.

The rules are written down here a second time, from the words of the promise and not from the bridge's code:
who ordered and did not cancel has exactly one server, of the size that was last ordered, running if paid and
suspended if not; who cancelled has none; and nobody else has one.
"""

from __future__ import annotations

import json
import urllib.request
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Row = Mapping[str, Any]
SECONDS = 20


@dataclass(frozen=True)
class Sold:
    """What billing's ledger says of one subscription. `memory` is in MiB."""

    memory: int
    paid: bool = True
    ended: bool = False


@dataclass
class Findings:
    """Subscriptions by what is wrong with them; all empty is what was promised."""

    lost: list[str] = field(default_factory=list)
    """No server although one was sold, or one in another state or of another size than was sold."""
    duplicates: list[str] = field(default_factory=list)
    """More than one server for one subscription."""
    orphans: list[str] = field(default_factory=list)
    """A server, by its mark, that nobody pays for: the subscription has ended or never was."""

    def __bool__(self) -> bool:
        """Whether anything was found."""
        return bool(self.lost or self.duplicates or self.orphans)


def read(url: str, *, key: str = "") -> Any:
    """The JSON behind an address of this machine. Raises OSError and ValueError."""
    headers = {"Accept": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - the harness's own loopback address
    with urllib.request.urlopen(request, timeout=SECONDS) as answer:  # noqa: S310
        return json.load(answer)


def ledger(billing_url: str) -> list[Row]:
    """Every event that the bridge said it had kept, oldest first."""
    deliveries = read(f"{billing_url}/_sandbox/ledger")["deliveries"]
    return [delivery["event"] for delivery in deliveries if delivery["status"] == 202]


def servers(panel_url: str, key: str) -> list[Row]:
    """All servers of the panel, page after page."""
    found: list[Row] = []
    page = pages = 1
    while page <= pages:
        answer = read(f"{panel_url}/api/application/servers?per_page=100&page={page}", key=key)
        found += [item["attributes"] for item in answer["data"]]
        pages, page = answer["meta"]["pagination"]["total_pages"], page + 1
    return found


def sold(events: Iterable[Row], memory: Mapping[str, int]) -> dict[str, Sold]:
    """What each subscription's events add up to. `memory` is each product's size in MiB."""
    found: dict[str, Sold] = {}
    for event in events:
        before = found.get(event["subscription_id"])
        size = memory[event["product_id"]]
        ended = event["event"] == "subscription.cancelled" or (before is not None and before.ended)
        paid = before.paid if before else True
        if event["event"].startswith("payment."):
            paid = event["event"] == "payment.succeeded"
        found[event["subscription_id"]] = Sold(size, paid, ended)
    return found


def compare(wanted: Mapping[str, Sold], shown: Iterable[Row], *, prefix: str) -> Findings:
    """Holds the panel's list against what was sold; marks are *prefix* and the subscription's id."""
    shown = list(shown)
    marks = Counter(str(server["external_id"]) for server in shown)
    findings = Findings(duplicates=sorted(mark for mark, count in marks.items() if count > 1))
    living = {prefix + key: sale for key, sale in wanted.items() if not sale.ended}
    findings.orphans = sorted(mark for mark in marks if mark not in living)
    states = {server["external_id"]: server for server in shown}
    findings.lost = sorted(
        mark for mark, sale in living.items() if mark not in states or not _fits(sale, states[mark])
    )
    return findings


def _fits(sale: Sold, server: Row) -> bool:
    state = None if sale.paid else "suspended"
    return bool(server["status"] == state and server["limits"]["memory"] == sale.memory)
