"""The service: one customer's subscription to a product, the centre of the model."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Self

from django.db import models
from django.db.models import Q

from provisioning.choices import (
    BillingStatus,
    DesiredState,
    ObservedState,
    Resource,
    SuspendReason,
)
from provisioning.models.catalogue import BillingConnection, GracePolicyVersion, Panel, Product
from provisioning.models.customers import Customer
from provisioning.models.versions import ProductVersion


class Service(models.Model):
    """What billing says, what we want and what the panel showed: three columns, never one.

    Written by `lifecycle/` (billing and desired parts) and by the reconcile engine (observed parts, under
    its lease). `next_check_at` is the one due date: whatever is to be looked at stands there.
    """

    connection = models.ForeignKey(BillingConnection, on_delete=models.PROTECT, related_name="services")
    billing_id = models.CharField("billing service id", max_length=120)
    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="services")
    product = models.ForeignKey(Product, on_delete=models.PROTECT, null=True, related_name="services")
    product_version = models.ForeignKey(
        ProductVersion,
        on_delete=models.PROTECT,
        null=True,
        related_name="services",
        help_text="What was sold: it stays, whatever becomes of the product.",
    )
    billing_product_id = models.CharField(max_length=120)
    tier = models.CharField(max_length=80, blank=True)
    properties = models.JSONField(default=dict, blank=True)
    external_id = models.CharField(max_length=191)
    is_trial = models.BooleanField(
        "trial", default=False, help_text="A test server of “Try it”: no customer's, and never sold."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    # What billing said: last-writer-wins registers, each with the time and rank of its writer.
    billing_status = models.CharField(max_length=10, choices=BillingStatus, default=BillingStatus.PENDING)
    cancel_at = models.DateTimeField(null=True, help_text="When a cancellation takes effect.")
    cancel_known_at = models.DateTimeField(
        null=True, help_text="When we learned of the cancellation: the undo window begins no sooner."
    )
    paid_until = models.DateTimeField(null=True)
    paid_at = models.DateTimeField(null=True, help_text="The last successful payment.")
    failed_payments = models.JSONField(default=list, blank=True)
    registers = models.JSONField(default=dict, blank=True)

    # What follows from it and from staff: written by lifecycle.service_refresh alone.
    desired_state = models.CharField(max_length=10, choices=DesiredState, default=DesiredState.NONE)
    suspend_reasons = models.JSONField(default=list, blank=True)
    overdue_since = models.DateTimeField(null=True)
    suspend_at = models.DateTimeField(null=True)
    warn_at = models.DateTimeField(null=True)
    hold_until = models.DateTimeField(
        null=True, blank=True, help_text="Not suspended as overdue before this."
    )
    ended_at = models.DateTimeField(null=True)
    undo_until = models.DateTimeField(null=True)
    undone_at = models.DateTimeField(null=True, help_text="Staff undid the cancellation at this time.")
    terminated_by_staff_at = models.DateTimeField(null=True)
    unproven_cancel = models.BooleanField(
        default=False,
        help_text="Cancelled by a sender that cannot prove freshness: deleting waits for staff.",
    )
    policy = models.ForeignKey(GracePolicyVersion, on_delete=models.PROTECT, null=True, related_name="+")
    generation = models.PositiveIntegerField(default=0)
    followed_generation = models.PositiveIntegerField(
        null=True, help_text="The generation that a changed product raised: its work leaves orders the way."
    )

    # What the panel showed: written by the engine under its lease.
    panel = models.ForeignKey(Panel, on_delete=models.PROTECT, null=True, related_name="services")
    server_id = models.CharField(max_length=60, blank=True)
    server_uuid = models.CharField(max_length=60, blank=True)
    server_identifier = models.CharField(max_length=60, blank=True)
    observed_state = models.CharField(max_length=20, choices=ObservedState, default=ObservedState.NEVER)
    observed = models.JSONField(default=dict, blank=True)
    observed_at = models.DateTimeField(null=True)
    observed_generation = models.PositiveIntegerField(default=0)
    runtime_applied = models.JSONField(null=True)
    pinned = models.JSONField(default=dict, blank=True)
    create_sent_at = models.DateTimeField(null=True, help_text="A create may be under way since then.")
    create_looks = models.PositiveSmallIntegerField(default=0)
    created_confirmed_at = models.DateTimeField(null=True, help_text="Proof 1: our create was confirmed.")
    adopted_at = models.DateTimeField(null=True, help_text="Staff confirmed that this server is ours.")
    ready_at = models.DateTimeField(null=True)
    terminated_at = models.DateTimeField(null=True)

    lease_token = models.PositiveBigIntegerField(default=0)
    lease_until = models.DateTimeField(null=True)
    next_check_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["connection", "billing_id"], name="service_by_billing_id"),
            # Our marks are unique by how they are made; a bare one only on its own panel.
            models.UniqueConstraint(fields=["panel", "external_id"], name="one_mark_per_panel"),
        ]
        indexes = [
            models.Index(
                fields=["next_check_at"], condition=Q(next_check_at__isnull=False), name="service_due"
            ),
            models.Index(fields=["external_id"], name="service_mark"),
            models.Index(fields=["desired_state", "observed_state"], name="service_states"),
            models.Index(fields=["panel", "server_id"], name="service_server"),
            models.Index(fields=["customer"], name="service_customer"),
            models.Index(
                fields=["suspend_at"], condition=Q(suspend_at__isnull=False), name="service_suspending"
            ),
            models.Index(fields=["undo_until"], condition=Q(undo_until__isnull=False), name="service_ending"),
        ]
        permissions = [
            ("act_suspend", "Can suspend, unsuspend and hold services"),
            ("act_terminate", "Can end services and undo an end"),
            ("act_limits", "Can pin limits"),
            ("act_retry", "Can retry, skip and apply plans"),
            ("act_relink", "Can link, adopt and recreate servers"),
            ("act_replay", "Can replay events"),
        ]

    def __str__(self) -> str:
        return f"{self.name_prefix}{self.billing_id}"

    @property
    def name_prefix(self) -> str:
        """The product's server name prefix (CAL-26); blank means `Server-`."""
        return (self.product.name_prefix if self.product else "") or "Server-"

    @property
    def sold(self) -> Product | ProductVersion | None:
        """What was sold, with its `document` and `panel`; None while no product is mapped.

        The version that the service keeps; the product itself until the first reconcile stored one.
        """
        version = self.product_version
        kept = version is not None and version.product_id == self.product_id
        return version if kept else self.product

    @property
    def follows(self) -> bool:
        """Whether the present generation is a changed product's: work that is in no hurry."""
        return self.followed_generation == self.generation

    @property
    def converged(self) -> bool:
        """Whether the panel showed all that we want."""
        return self.generation == self.observed_generation

    @classmethod
    def from_db(
        cls, db: str | None, field_names: Collection[str], values: Collection[Any], **more: Any
    ) -> Self:
        """Remembers the loaded generation, so that signals.py sees when a saved one is new."""
        service = super().from_db(db, field_names, values, **more)
        service.loaded_generation = service.__dict__.get("generation", 0)
        return service

    loaded_generation: int = 0


class Suspension(models.Model):
    """One reason that staff set on a service, from when to when. Billing's own reasons are computed."""

    service = models.ForeignKey(Service, on_delete=models.CASCADE, related_name="suspensions")
    reason = models.CharField(max_length=12, choices=SuspendReason)
    note = models.CharField(max_length=300, blank=True)
    since = models.DateTimeField()
    lifted_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["service", "reason"], condition=Q(lifted_at=None), name="one_open_suspension"
            )
        ]

    def __str__(self) -> str:
        return self.reason


class Entitlement(models.Model):
    """Extra resource granted to a service by a source, from when to when. Amounts in the resource's unit."""

    service = models.ForeignKey(Service, on_delete=models.CASCADE, related_name="entitlements")
    resource = models.CharField(max_length=20, choices=Resource)
    amount = models.IntegerField()
    source = models.CharField(max_length=120, help_text="What granted it; unique per service.")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField(null=True)
    closed_at = models.DateTimeField(null=True, help_text="When its end was carried over to the limits.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["service", "source"], name="entitlement_source_once")]

    def __str__(self) -> str:
        return f"+{self.amount} {self.resource}"


class Pin(models.Model):
    """A limit that staff fixed by hand: it wins over product, options and entitlements until removed."""

    service = models.ForeignKey(Service, on_delete=models.CASCADE, related_name="pins")
    resource = models.CharField(max_length=20, choices=Resource)
    value = models.IntegerField()
    note = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["service", "resource"], name="one_pin_per_resource")]

    def __str__(self) -> str:
        return f"{self.resource} = {self.value}"
