"""The inbox: who may send, and every verified message, kept before anything is done with it."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q

from provisioning.choices import EventStatus, SignatureScheme
from provisioning.lib.crypto import last_four
from provisioning.models.catalogue import BillingConnection
from provisioning.models.fields import EncryptedField


class WebhookEndpoint(models.Model):
    """One address that a billing system (or a script) posts to. Several may feed one connection."""

    connection = models.ForeignKey(BillingConnection, on_delete=models.PROTECT, related_name="endpoints")
    name = models.CharField(max_length=80, unique=True)
    address = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    scheme = models.CharField(max_length=10, choices=SignatureScheme, default=SignatureScheme.STANDARD)
    hmac_header = models.CharField(
        max_length=60, default="X-Signature", help_text="Only for plain HMAC: the header with the hex digest."
    )
    networks = models.TextField(
        "allowed networks", blank=True, help_text="One per line, IPv4 or IPv6. Blank: any address."
    )
    verifies_email = models.BooleanField(
        "this sender verifies e-mail addresses",
        default=False,
        help_text="Only then may an existing panel account be linked by its e-mail address.",
    )
    enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.name


class EndpointSecret(models.Model):
    """A signing secret. Two may be valid at once, each with an end, so that a rotation loses nothing."""

    endpoint = models.ForeignKey(WebhookEndpoint, on_delete=models.CASCADE, related_name="secrets")
    value = EncryptedField("secret")
    ends_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"…{last_four(self.value)}"


class Event(models.Model):
    """One verified message, raw as it came. Unique by (endpoint, sender's id)."""

    # No indexes of their own for three of its keys: each costs time of every webhook, and the composite
    # ones below begin with them.
    endpoint = models.ForeignKey(
        WebhookEndpoint, on_delete=models.PROTECT, related_name="events", db_index=False
    )
    connection = models.ForeignKey(
        BillingConnection, on_delete=models.PROTECT, related_name="events", db_index=False
    )
    sender_id = models.CharField(max_length=128)
    body = models.BinaryField()
    body_sha256 = models.CharField(max_length=64)
    remote_ip = models.GenericIPAddressField(null=True)
    verified_by = models.CharField(max_length=40)
    fresh = models.BooleanField(default=True, help_text="Whether the scheme proves when it was sent.")
    request_id = models.CharField(max_length=40, blank=True)
    received_at = models.DateTimeField()

    type = models.CharField(max_length=80, blank=True)
    subject = models.CharField("billing service id", max_length=120, blank=True)
    occurred_at = models.DateTimeField(null=True)
    sequence = models.BigIntegerField(null=True)
    service = models.ForeignKey(
        "provisioning.Service", on_delete=models.SET_NULL, null=True, related_name="events", db_index=False
    )

    status = models.CharField(max_length=10, choices=EventStatus, default=EventStatus.RECEIVED)
    reason = models.CharField(max_length=40, blank=True)
    result = models.TextField(blank=True, help_text="What it changed, or why not, in words.")
    attempts = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField(null=True, help_text="When the sweep wakes a worker for it.")
    claimed_until = models.DateTimeField(null=True, help_text="A worker has it until then.")
    processed_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["endpoint", "sender_id"], name="event_once")]
        indexes = [
            models.Index(
                fields=["next_attempt_at"], condition=Q(next_attempt_at__isnull=False), name="event_due"
            ),
            models.Index(fields=["connection", "subject", "-id"], name="event_subject"),
            models.Index(fields=["service", "-id"], condition=Q(service__isnull=False), name="event_service"),
            models.Index(fields=["status", "-id"], name="event_status"),
            models.Index(fields=["-received_at"], name="event_received"),
        ]

    def __str__(self) -> str:
        return f"{self.type or 'event'} {self.subject}"
