"""What was attempted on panels, every call of it, who did what, and which mails went out."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q

from provisioning.choices import LIVE_OUTCOMES, ActorKind, OperationKind, Outcome
from provisioning.models.catalogue import Panel
from provisioning.models.service import Service


class Operation(models.Model):
    """One durable attempt on a panel. It exists before the first call (DESIGN rule 3).

    `attempts` counts what is ours to mend (crashes, strange answers); waiting for a panel uses none up.
    """

    key = models.CharField(max_length=120, unique=True, help_text="Service, generation and round.")
    service = models.ForeignKey(Service, on_delete=models.CASCADE, related_name="operations")
    panel = models.ForeignKey(Panel, on_delete=models.PROTECT, null=True, related_name="operations")
    kind = models.CharField(max_length=20, choices=OperationKind, default=OperationKind.CHECK)
    generation = models.PositiveIntegerField()
    actor_kind = models.CharField(max_length=10, choices=ActorKind, default=ActorKind.BRIDGE)
    actor = models.CharField(max_length=150, blank=True)
    request_id = models.CharField(max_length=40, blank=True)
    outcome = models.CharField(max_length=12, choices=Outcome, default=Outcome.OPEN)
    reason = models.CharField(max_length=40, blank=True)
    detail = models.TextField(blank=True, help_text="In words for staff; the panel's own words in quotes.")
    public = models.CharField(max_length=300, blank=True, help_text="What the customer may read.")
    waiting_since = models.DateTimeField(null=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField(null=True)
    calls = models.PositiveIntegerField(default=0)
    polls = models.PositiveIntegerField(default=0, help_text="Looks at a running install; not part of calls.")
    plan = models.JSONField(default=dict, blank=True)
    proofs = models.JSONField(default=list, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["service"],
                condition=Q(outcome__in=[outcome.value for outcome in LIVE_OUTCOMES]),
                name="one_live_operation",
            )
        ]
        indexes = [
            models.Index(fields=["outcome", "-id"], name="operation_outcome"),
            models.Index(fields=["panel", "kind", "finished_at"], name="operation_panel"),
        ]

    def __str__(self) -> str:
        return f"{self.number} {self.get_kind_display()}"

    @property
    def number(self) -> str:
        """The short number that customers and staff quote."""
        return f"OP-{self.pk:05d}" if self.pk else ""


class LaterCheck(models.Model):
    """A look that an applied change still owes: whether the machine does what the panel shows."""

    service = models.ForeignKey(Service, on_delete=models.CASCADE, related_name="later_checks")
    kind = models.CharField(max_length=20)
    data = models.JSONField(default=dict)
    generation = models.PositiveIntegerField(help_text="A newer change makes this check needless.")
    due_at = models.DateTimeField(db_index=True)
    told = models.PositiveSmallIntegerField(default=0, help_text="How often the machine was told again.")
    waits = models.PositiveSmallIntegerField(default=0, help_text="How often it could not be looked at.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["service", "kind"], name="later_check_once")]

    def __str__(self) -> str:
        return f"{self.kind} of {self.service_id}"


class PanelCall(models.Model):
    """One HTTP call to a panel: method, path, status and time. No body and no header is kept."""

    operation = models.ForeignKey(Operation, on_delete=models.CASCADE, null=True, related_name="panel_calls")
    panel = models.ForeignKey(Panel, on_delete=models.CASCADE, related_name="calls")
    method = models.CharField(max_length=8)
    path = models.CharField(max_length=300)
    status = models.PositiveSmallIntegerField(null=True)
    error = models.CharField(max_length=300, blank=True)
    words = models.TextField(blank=True, help_text="The panel's own words where it refused.")
    ms = models.PositiveIntegerField(default=0)
    attempt = models.PositiveSmallIntegerField(default=0)
    request_id = models.CharField(max_length=40, blank=True)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


class AuditEntry(models.Model):
    """Append-only: who did what and why, as a sentence. A service's entries are its timeline."""

    service = models.ForeignKey(Service, on_delete=models.CASCADE, null=True, related_name="timeline")
    event = models.ForeignKey(
        "provisioning.Event", on_delete=models.SET_NULL, null=True, related_name="entries"
    )
    operation = models.ForeignKey(Operation, on_delete=models.SET_NULL, null=True, related_name="entries")
    actor_kind = models.CharField(max_length=10, choices=ActorKind)
    actor = models.CharField(max_length=150, blank=True)
    action = models.CharField(max_length=60)
    message = models.TextField()
    public = models.BooleanField(default=False, help_text="Whether the customer's timeline shows it.")
    data = models.JSONField(default=dict, blank=True)
    request_id = models.CharField(max_length=40, blank=True)
    at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "audit entries"
        indexes = [models.Index(fields=["service", "-at"], name="audit_service")]

    def __str__(self) -> str:
        return self.message


class BrakeGrant(models.Model):
    """Room under a mass brake, taken by one piece of work; or a release of parked work by staff (B14)."""

    panel = models.ForeignKey(Panel, on_delete=models.CASCADE, related_name="%(class)ss")
    service = models.ForeignKey(Service, on_delete=models.CASCADE, null=True, related_name="%(class)ss")
    released_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+"
    )
    count = models.PositiveIntegerField(default=1)
    at = models.DateTimeField()

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.count} on panel {self.panel_id}"


class DeleteGrant(BrakeGrant):
    """Room for one delete, or a release of parked deletes."""

    class Meta:
        indexes = [models.Index(fields=["panel", "at"], name="grant_panel")]


class CreateGrant(BrakeGrant):
    """Room for one create, or a release of parked creates."""

    class Meta:
        indexes = [
            models.Index(fields=["panel", "at"], name="create_grant_panel"),
        ]


class Notification(models.Model):
    """One mail of one stage: unique, so that nothing replayed or retried mails twice."""

    key = models.CharField(max_length=160, unique=True)
    service = models.ForeignKey(Service, on_delete=models.CASCADE, null=True, related_name="notifications")
    operation = models.ForeignKey(
        Operation, on_delete=models.CASCADE, null=True, related_name="notifications"
    )
    template = models.CharField(max_length=40)
    recipients = models.JSONField(default=list)
    context = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField(null=True)
    error = models.CharField(max_length=300, blank=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["next_attempt_at"],
                condition=Q(next_attempt_at__isnull=False),
                name="notification_due",
            )
        ]

    def __str__(self) -> str:
        return self.key
