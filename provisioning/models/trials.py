"""*Try it*: a product is tried on its panel with a test server of its own, which is deleted in any case."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from provisioning.choices import TrialOutcome, TrialStep
from provisioning.models.catalogue import Panel, Product
from provisioning.models.service import Service


class ProductTrial(models.Model):
    """One trial of a product. Its service, marked `is_trial`, is an ordinary one that billing does not know.

    `reason` and `detail` say what failed; `next_check_at` is the one due date, set until the end.
    """

    product = models.ForeignKey(Product, on_delete=models.CASCADE, related_name="trials")
    panel = models.ForeignKey(Panel, on_delete=models.CASCADE, related_name="trials")
    service = models.OneToOneField(Service, on_delete=models.CASCADE, related_name="trial")
    started_by = models.CharField(max_length=150, blank=True)
    started_at = models.DateTimeField()
    step = models.CharField(max_length=10, choices=TrialStep, default=TrialStep.CREATE)
    outcome = models.CharField(max_length=10, choices=TrialOutcome, default=TrialOutcome.RUNNING)
    reason = models.CharField(max_length=40, blank=True)
    detail = models.TextField(blank=True)
    finished_at = models.DateTimeField(null=True, help_text="When the clean-up was proven, or skipped.")
    next_check_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["panel"], condition=Q(finished_at=None), name="one_trial_at_a_time"
            )
        ]
        indexes = [
            models.Index(
                fields=["next_check_at"], condition=Q(next_check_at__isnull=False), name="trial_due"
            ),
            models.Index(fields=["panel", "started_at"], name="trial_allowance"),
        ]

    def __str__(self) -> str:
        return f"trial {self.pk} of {self.product}"

    @property
    def cleaning(self) -> bool:
        """Whether all that is left to do is to have the test server gone."""
        return self.finished_at is None and self.step == TrialStep.DELETE


class ProductTrialStep(models.Model):
    """One step of a trial: from when to when, at which generation of the service, and what went wrong."""

    trial = models.ForeignKey(ProductTrial, on_delete=models.CASCADE, related_name="steps")
    step = models.CharField(max_length=10, choices=TrialStep)
    generation = models.PositiveIntegerField()
    began_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    problem = models.TextField(blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["trial", "step"], name="trial_step_once")]

    def __str__(self) -> str:
        return f"{self.get_step_display()} of trial {self.trial_id}"
