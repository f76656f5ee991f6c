"""Drift: differences that nobody asked for, and how far each panel's pass has come (docs/drift.md)."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from provisioning.choices import DriftKind, DriftOutcome, DriftStage
from provisioning.models.catalogue import Panel
from provisioning.models.service import Service


class DriftPass(models.Model):
    """One row a panel: the pass under way, how the last one ended, and whether deletes are frozen.

    Changed by its lease's holder alone, by conditional UPDATE; `next_check_at` is the one due date.
    """

    panel = models.OneToOneField(Panel, on_delete=models.CASCADE, related_name="drift_pass")
    next_check_at = models.DateTimeField(null=True)
    lease_token = models.PositiveBigIntegerField(default=0)
    lease_until = models.DateTimeField(null=True)

    # The pass under way.
    stage = models.CharField(max_length=12, choices=DriftStage, default=DriftStage.IDLE)
    started_at = models.DateTimeField(null=True)
    next_page = models.PositiveIntegerField(default=1)
    total = models.PositiveIntegerField(default=0, help_text="Entries of the list, as its last page said.")
    looked = models.JSONField(default=list, blank=True, help_text="Services proven missing one by one.")

    # How the last one ended.
    outcome = models.CharField(max_length=12, choices=DriftOutcome, default=DriftOutcome.NEVER)
    words = models.TextField(blank=True)
    finished_at = models.DateTimeField(null=True)
    compared_at = models.DateTimeField(null=True, help_text="The last pass that read both lists whole.")
    checked = models.PositiveIntegerField(default=0)
    unknown = models.PositiveIntegerField(default=0, help_text="Services that the last pass could not judge.")

    # More than a tenth missing at once: nothing is deleted until staff say so (B14).
    missing = models.PositiveIntegerField(default=0)
    missing_accepted = models.PositiveIntegerField(default=0, help_text="So many, staff said, are all right.")
    frozen_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name_plural = "drift passes"
        indexes = [
            models.Index(fields=["next_check_at"], condition=Q(next_check_at__isnull=False), name="drift_due")
        ]

    def __str__(self) -> str:
        return f"drift of panel {self.panel_id}"

    @property
    def under_way(self) -> bool:
        """Whether a pass has begun and not ended."""
        return self.stage != DriftStage.IDLE


class DriftPage(models.Model):
    """One page of a list as it was read, kept until the pass ends: a killed worker loses one page at most."""

    drift_pass = models.ForeignKey(DriftPass, on_delete=models.CASCADE, related_name="pages")
    stage = models.CharField(max_length=12, choices=DriftStage)
    number = models.PositiveIntegerField()
    items = models.JSONField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["drift_pass", "stage", "number"], name="drift_page_once")
        ]

    def __str__(self) -> str:
        return f"{self.stage} {self.number}"


class Drift(models.Model):
    """One difference: since when, seen last, in words. It is never mended by deleting."""

    panel = models.ForeignKey(Panel, on_delete=models.CASCADE, related_name="drift")
    kind = models.CharField(max_length=12, choices=DriftKind)
    subject = models.CharField(max_length=80, help_text="What differs: server:12, service:45, account:7.")
    service = models.ForeignKey(Service, on_delete=models.CASCADE, null=True, related_name="drift")
    server_id = models.CharField(max_length=60, blank=True)
    words = models.TextField()
    since = models.DateTimeField()
    last_seen_at = models.DateTimeField()
    resolved_at = models.DateTimeField(null=True, help_text="A later pass no longer saw it.")
    ignored_until = models.DateTimeField(null=True)
    ignored_because = models.CharField(max_length=300, blank=True)
    ignored_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )

    class Meta:
        verbose_name = "difference"
        constraints = [models.UniqueConstraint(fields=["panel", "kind", "subject"], name="drift_once")]
        indexes = [
            models.Index(fields=["kind"], condition=Q(resolved_at__isnull=True), name="drift_open"),
            models.Index(fields=["panel", "last_seen_at"], name="drift_panel"),
        ]
        permissions = [("act_drift", "Can have drift checked, and ignore differences")]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}, {self.subject.replace(':', ' ')}"
