"""Keeps a verified message exactly once, before anything is done with it (bars B7, B9; T83-12).

The unique pair (endpoint, sender's id) decides which of two simultaneous copies is the first; nothing is
parsed here beyond what telling copies apart needs. Storing a row wakes a job through signals.py.
"""

from __future__ import annotations

import datetime as dt
import enum
import hashlib
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import structlog
from django.conf import settings
from django.db import IntegrityError, connection, transaction

from provisioning import audit
from provisioning.choices import ActorKind
from provisioning.lib import clock
from provisioning.lib.jsonsafe import BodyRejected, parse_body
from provisioning.models import Event, WebhookEndpoint

SUBJECT_LIMIT = 120

log = structlog.get_logger(__name__)


class StoreOutcome(enum.StrEnum):
    """What became of a message: kept, known already, or at odds with what was kept under its id."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"


@dataclass(frozen=True)
class Stored:
    """The row that stands for the message: of a copy or a conflict it is the first one's."""

    event: Event
    outcome: StoreOutcome


@dataclass(frozen=True)
class Origin:
    """Where a message came from and how it was proven. `verified_by` is for staff, up to 40 characters."""

    verified_by: str
    remote_ip: str | None = None


def event_store(*, endpoint: WebhookEndpoint, sender_id: str, body: bytes, origin: Origin) -> Stored:
    """Keeps a message that carries its sender's own id and a proof of freshness (Standard Webhooks).

    The same id with the same body is a copy; with another body it is a conflict, and staff are told.
    """
    digest = _digest(body)
    event = _insert(endpoint, origin, sender_id=sender_id, body=body, body_sha256=digest)
    if event is not None:
        return Stored(event, StoreOutcome.ACCEPTED)
    first = Event.objects.select_related("service").get(endpoint=endpoint, sender_id=sender_id)
    if first.body_sha256 == digest:
        return Stored(first, StoreOutcome.DUPLICATE)
    _conflict_report(endpoint=endpoint, first=first, digest=digest, origin=origin)
    return Stored(first, StoreOutcome.CONFLICT)


def event_store_unnumbered(*, endpoint: WebhookEndpoint, body: bytes, origin: Origin) -> Stored:
    """Keeps a message of a small script, which has neither id nor time (plain HMAC).

    A body equal to the last one of the same subscription on that endpoint is a copy; any other is taken,
    so that suspend, unsuspend, suspend works.
    """
    digest, subject = _digest(body), body_subject(body)
    last = Event.objects.filter(endpoint=endpoint, subject=subject).order_by("-id").first()
    if last is not None and last.body_sha256 == digest:
        return Stored(last, StoreOutcome.DUPLICATE)
    # The id names what the message follows, so that of two simultaneous copies one meets the other.
    sender_id = f"{digest[:40]}-{last.pk if last else 0}"
    fields = {"body": body, "body_sha256": digest, "subject": subject, "fresh": False}
    event = _insert(endpoint, origin, sender_id=sender_id, **fields)
    if event is not None:
        return Stored(event, StoreOutcome.ACCEPTED)
    return Stored(Event.objects.get(endpoint=endpoint, sender_id=sender_id), StoreOutcome.DUPLICATE)


def body_subject(body: bytes) -> str:
    """The subscription that a body speaks of, or "" where it can't be read: the job will say why."""
    try:
        data = parse_body(body)
    except BodyRejected:
        return ""
    value = data.get("subscription_id") if isinstance(data, dict) else None
    if isinstance(value, bool) or not isinstance(value, str | int):
        return ""
    text = str(value).strip()
    return text if len(text) <= SUBJECT_LIMIT else ""


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def _insert(endpoint: WebhookEndpoint, origin: Origin, *, sender_id: str, **fields: Any) -> Event | None:
    """The new row, or None where the pair (endpoint, sender's id) is taken.

    One INSERT that commits by itself: a transaction around it would hold SQLite's only write lock while
    Python prepares the statement. Inside of another transaction a savepoint keeps that one usable.
    """
    now = clock.now()
    try:
        with transaction.atomic() if connection.in_atomic_block else nullcontext():
            return Event.objects.create(
                endpoint=endpoint,
                connection_id=endpoint.connection_id,
                sender_id=sender_id,
                remote_ip=origin.remote_ip,
                verified_by=origin.verified_by,
                request_id=audit.request_id(),
                received_at=now,
                # The signal wakes a worker at once; the sweep looks only for those whose job was lost.
                next_attempt_at=now + dt.timedelta(seconds=settings.SWEEP_SECONDS),
                **fields,
            )
    except IntegrityError:
        if Event.objects.filter(endpoint=endpoint, sender_id=sender_id).exists():
            return None
        raise


def _conflict_report(*, endpoint: WebhookEndpoint, first: Event, digest: str, origin: Origin) -> None:
    """Tells staff that one id came with two bodies: a broken sender, or somebody who has the secret."""
    log.warning(
        "event_conflict", endpoint=endpoint.name, first=first.pk, body_sha256=digest, ip=origin.remote_ip
    )
    with audit.acting_as(ActorKind.BILLING, endpoint.name, event=first):
        audit.record(
            service=first.service,
            action="event_conflict",
            message=(
                f"“{endpoint.name}” sent another body under the id of event {first.pk}. It was refused. "
                "Check the sender; if you don't know why, change the endpoint's secret."
            ),
            data={"body_sha256": digest, "first_sha256": first.body_sha256, "ip": origin.remote_ip or ""},
        )
