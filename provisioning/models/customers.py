"""Clients of a billing system, and their users on panels."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from provisioning.choices import AccountState
from provisioning.models.catalogue import BillingConnection, Panel


class Customer(models.Model):
    """A client of one billing system: known by (connection, billing user id), else by folded e-mail.

    `mark` is what stands on the panel as the user's external id: the billing user id (CAL-05), or one of
    ours, stored before the first call, while billing's id is unknown (DESIGN section 4).
    """

    connection = models.ForeignKey(BillingConnection, on_delete=models.PROTECT, related_name="customers")
    billing_user_id = models.CharField(max_length=120, blank=True)
    email = models.CharField(max_length=254)
    email_folded = models.CharField(max_length=254)
    email_verified = models.BooleanField(default=False)
    first_name = models.CharField(max_length=191, blank=True)
    last_name = models.CharField(max_length=191, blank=True)
    mark = models.CharField(max_length=160)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["connection", "billing_user_id"],
                condition=~Q(billing_user_id=""),
                name="customer_by_billing_id",
            ),
            models.UniqueConstraint(
                fields=["connection", "email_folded"],
                condition=Q(billing_user_id=""),
                name="customer_by_email",
            ),
        ]

    def __str__(self) -> str:
        return self.email


class PanelAccount(models.Model):
    """A customer's user on one panel. Linked once, then kept: never matched again by name or e-mail."""

    panel = models.ForeignKey(Panel, on_delete=models.PROTECT, related_name="accounts")
    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, related_name="accounts")
    state = models.CharField(max_length=10, choices=AccountState, default=AccountState.WANTED)
    panel_user_id = models.CharField(max_length=60, blank=True)
    uuid = models.CharField(max_length=60, blank=True)
    mark = models.CharField(max_length=160)
    email = models.CharField(max_length=254, blank=True, help_text="As the panel last showed it.")
    username = models.CharField(max_length=191, blank=True)
    created_by_us = models.BooleanField(default=False)
    held_because = models.TextField(blank=True)
    linked_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["panel", "customer"], name="one_account_per_panel"),
            models.UniqueConstraint(
                fields=["panel", "panel_user_id"],
                condition=~Q(panel_user_id=""),
                name="panel_user_linked_once",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.email or self.mark} on panel {self.panel_id}"
