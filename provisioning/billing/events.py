"""The canonical billing event, and the reader of the payload of T83-11 with its optional fields.

Nothing in a payload is trusted: only the keys named here are read, each by type and size, and the values
never name a limit, a node or an owner (they are ids and words that lead to rows of ours).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from provisioning.lib.names import LONGEST_NAME, clean_server_name, fold_email, valid_email

STATUSES = ("pending", "active", "suspended", "cancelled")
MAX_PROPERTIES = 50
MAX_TYPE = 80


class EventInvalid(Exception):
    """The payload cannot be understood. `problems` says for each field what to send instead."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        """Takes the problems by field name."""
        super().__init__("; ".join(f"{name}: {text}" for name, text in problems.items()))
        self.problems = dict(problems)


@dataclass(frozen=True)
class BillingEvent:
    """What a billing system said of one subscription, whichever way it reached us."""

    type: str
    subscription_id: str
    product_id: str = ""
    status: str = ""
    tier: str = ""
    email: str = ""
    customer_id: str = ""
    first_name: str = ""
    last_name: str = ""
    email_verified: bool | None = None
    occurred_at: dt.datetime | None = None
    sequence: int | None = None
    paid_until: dt.datetime | None = None
    properties: Mapping[str, str] = field(default_factory=dict)

    @property
    def email_folded(self) -> str:
        """The address as addresses are compared: whole, folded."""
        return fold_email(self.email) if self.email else ""


class _Reader:
    """Reads typed values out of a payload and collects what is wrong with it."""

    def __init__(self, body: Mapping[str, Any]) -> None:
        self.body = body
        self.problems: dict[str, str] = {}

    def text(self, name: str, limit: int, *, required: bool = False) -> str:
        value = self.body.get(name)
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        value = value.strip() if isinstance(value, str) else value
        if value is None or value == "":
            if required:
                self.problems[name] = "is missing."
            return ""
        if not isinstance(value, str) or len(value) > limit or not value.isprintable():
            self.problems[name] = f"must be printable text of at most {limit} characters."
            return ""
        return value

    def person(self, name: str) -> str:
        """A person's name is never a reason to refuse a paid order: it is cleaned and cut instead."""
        value = self.body.get(name)
        return clean_server_name(value, LONGEST_NAME) if isinstance(value, str) else ""

    def flag(self, name: str) -> bool | None:
        value = self.body.get(name)
        if value is None or isinstance(value, bool):
            return value
        self.problems[name] = "must be true or false."
        return None

    def number(self, name: str) -> int | None:
        value = self.body.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**63:
            self.problems[name] = "must be a whole number from 0 to 2^63 - 1."
            return None
        return value

    def moment(self, name: str) -> dt.datetime | None:
        value = self.body.get(name)
        if value is None or value == "":
            return None
        try:
            moment = dt.datetime.fromisoformat(value) if isinstance(value, str) else None
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is None or not 2000 <= moment.year <= 2200:
            self.problems[name] = "must be a time with its zone, such as 2026-11-20T14:00:00Z."
            return None
        return moment.astimezone(dt.UTC)

    def properties(self) -> dict[str, str]:
        value = self.body.get("properties")
        if value is None:
            return {}
        if not isinstance(value, dict) or len(value) > MAX_PROPERTIES:
            self.problems["properties"] = f"must be an object of at most {MAX_PROPERTIES} entries."
            return {}
        pairs = {str(key): str(item) for key, item in value.items() if isinstance(item, str | int)}
        if any(len(key) > 80 or len(item) > 500 for key, item in pairs.items()):
            self.problems["properties"] = "names have at most 80 and values at most 500 characters."
            return {}
        return pairs


def event_type(body: Mapping[str, Any]) -> str:
    """The payload's type, or "" where it has none that can be read."""
    return _Reader(body).text("event", MAX_TYPE)


def read_event(body: Mapping[str, Any]) -> BillingEvent:
    """The payload as data. Raises EventInvalid with a sentence for each wrong field."""
    reader = _Reader(body)
    event = BillingEvent(
        type=reader.text("event", MAX_TYPE, required=True),
        subscription_id=reader.text("subscription_id", 120, required=True),
        product_id=reader.text("product_id", 120),
        status=reader.text("status", 20).lower(),
        tier=reader.text("tier", 80),
        email=reader.text("customer_email", 254),
        customer_id=reader.text("customer_id", 120),
        first_name=reader.person("first_name"),
        last_name=reader.person("last_name"),
        email_verified=reader.flag("email_verified"),
        occurred_at=reader.moment("occurred_at"),
        sequence=reader.number("sequence"),
        paid_until=reader.moment("paid_until"),
        properties=reader.properties(),
    )
    if event.status and event.status not in STATUSES:
        reader.problems["status"] = f"must be one of {', '.join(STATUSES)}."
    if event.email and not valid_email(event.email):
        reader.problems["customer_email"] = "is not an e-mail address."
    if reader.problems:
        raise EventInvalid(reader.problems)
    return event
