"""The reader of payloads: T83-11 word for word, every optional field, and whatever strangers send."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest

from provisioning.billing.events import BillingEvent, EventInvalid, event_type, read_event

DOCUMENTED = (
    '{"event":"subscription.created","subscription_id":"12345","customer_email":"user@example.com",'
    '"product_id":"fire-elemental","tier":"elemental","status":"active"}'
)
AT = dt.datetime(2026, 11, 20, 14, tzinfo=dt.UTC)
CHOSEN = {"server_name": "Ada's", "slots": 12, "list": [1], "none": None}
LEAST = {"event": "subscription.updated", "subscription_id": "7"}


def read(**fields: Any) -> BillingEvent:
    """The least payload with these fields."""
    return read_event({**LEAST, **fields})


def problems(**fields: Any) -> dict[str, str]:
    """What is wrong with that payload."""
    with pytest.raises(EventInvalid) as caught:
        read(**fields)
    return caught.value.problems


@pytest.mark.req("T83-11")
def test_the_documented_payload_word_for_word() -> None:
    assert read_event(json.loads(DOCUMENTED)) == BillingEvent(
        type="subscription.created",
        subscription_id="12345",
        product_id="fire-elemental",
        status="active",
        tier="elemental",
        email="user@example.com",
    )


@pytest.mark.parametrize(
    ("name", "value", "attribute", "expected"),
    [
        ("subscription_id", 12345, "subscription_id", "12345"),
        ("subscription_id", " 7 ", "subscription_id", "7"),
        ("customer_id", 99, "customer_id", "99"),
        ("status", "ACTIVE", "status", "active"),
        ("status", None, "status", ""),
        ("occurred_at", "2026-11-20T15:00:00+01:00", "occurred_at", AT),
        ("paid_until", "2026-11-20T14:00:00Z", "paid_until", AT),
        ("sequence", 0, "sequence", 0),
        ("sequence", 2**63 - 1, "sequence", 2**63 - 1),
        ("email_verified", True, "email_verified", True),
        ("email_verified", False, "email_verified", False),
        ("email_verified", None, "email_verified", None),
        ("properties", CHOSEN, "properties", {"server_name": "Ada's", "slots": "12"}),
        ("properties", None, "properties", {}),
        ("first_name", "Ada 👩\u200d💻", "first_name", "Ada 👩\u200d💻"),
        ("first_name", "  Ada\r\nLovelace ", "first_name", "Ada Lovelace"),
        ("last_name", "L" * 300, "last_name", "L" * 191),
        ("first_name", ["Ada"], "first_name", ""),
        ("unknown", {"anything": 1}, "type", "subscription.updated"),
        ("memory", 999999, "properties", {}),
    ],
)
def test_what_is_read(name: str, value: Any, attribute: str, expected: Any) -> None:
    assert getattr(read(**{name: value}), attribute) == expected


@pytest.mark.req("T83-11", "T83-40")
@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("event", None, "is missing."),
        ("event", "", "is missing."),
        ("event", "x" * 81, "at most 80"),
        ("event", ["subscription.created"], "printable text"),
        ("subscription_id", None, "is missing."),
        ("subscription_id", "   ", "is missing."),
        ("subscription_id", True, "printable text"),
        ("subscription_id", 1.5, "printable text"),
        ("subscription_id", "1\n2", "printable text"),
        ("subscription_id", "9" * 121, "at most 120"),
        ("product_id", {"$ne": 1}, "printable text"),
        ("customer_email", "ada", "not an e-mail address"),
        ("customer_email", "ada@example.com, eve@example.com", "not an e-mail address"),
        ("customer_email", "ada@example.com\r\nBcc: eve@example.com", "printable text"),
        ("customer_email", "a" * 180 + "@example.com", "not an e-mail address"),
        ("status", "running", "must be one of pending, active"),
        ("email_verified", "true", "true or false"),
        ("email_verified", 1, "true or false"),
        ("occurred_at", "2026-11-20T14:00:00", "with its zone"),
        ("occurred_at", "yesterday", "with its zone"),
        ("occurred_at", 1763647200, "with its zone"),
        ("occurred_at", "1999-01-01T00:00:00Z", "with its zone"),
        ("paid_until", "9999-12-31T23:59:59Z", "with its zone"),
        ("sequence", -1, "whole number"),
        ("sequence", True, "whole number"),
        ("sequence", "3", "whole number"),
        ("sequence", 2**63, "whole number"),
        ("properties", ["a"], "must be an object"),
        ("properties", {str(number): "x" for number in range(51)}, "at most 50"),
        ("properties", {"k" * 81: "x"}, "at most 80"),
        ("properties", {"k": "x" * 501}, "at most 500"),
    ],
)
def test_what_is_refused_and_in_which_words(name: str, value: Any, sentence: str) -> None:
    found = problems(**{name: value})
    assert list(found) == [name]
    assert sentence in found[name]


def test_every_problem_is_named_at_once() -> None:
    assert set(problems(status="x", sequence=-1, customer_email="x")) == {
        "status",
        "sequence",
        "customer_email",
    }


def test_an_email_is_compared_whole_and_folded() -> None:
    assert read(customer_email="Ada@EXAMPLE.com").email_folded == "ada@example.com"
    assert read().email_folded == ""


@pytest.mark.parametrize(
    ("body", "expected"), [({"event": "invoice.paid"}, "invoice.paid"), ({}, ""), ({"event": 1.5}, "")]
)
def test_the_type_alone(body: dict[str, Any], expected: str) -> None:
    assert event_type(body) == expected
