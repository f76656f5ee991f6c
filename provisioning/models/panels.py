"""What the engine keeps of each panel between jobs: rate budget and breaker, memory, allocation holds."""

from __future__ import annotations

from django.db import models

from provisioning.models.catalogue import Panel


class PanelGate(models.Model):
    """The panel's shared rate budget and circuit breaker, changed by conditional UPDATE only."""

    panel = models.OneToOneField(Panel, on_delete=models.CASCADE, related_name="gate")
    tat = models.FloatField(default=0, help_text="GCRA's theoretical arrival time, seconds of the one clock.")
    booked = models.FloatField(
        default=0, help_text="Until when, in seconds of the one clock, calls are promised to work that waits."
    )
    limit_seen = models.PositiveIntegerField(null=True, help_text="Calls a minute, from the panel's header.")
    remaining_seen = models.PositiveIntegerField(null=True)
    silent_until = models.DateTimeField(null=True, help_text="The panel asked for silence (429).")
    failures = models.PositiveIntegerField(default=0)
    open_until = models.DateTimeField(null=True, help_text="Breaker open: only one probe passes after this.")
    down_since = models.DateTimeField(null=True)
    parked_at = models.DateTimeField(null=True, help_text="Key refused: nothing is called until staff act.")
    last_error = models.CharField(max_length=500, blank=True)
    last_ok_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"gate of panel {self.panel_id}"


class PanelWindow(models.Model):
    """The calls since a panel last began to count anew, where a rate alone is not enough (contract 2.6)."""

    panel = models.OneToOneField(Panel, on_delete=models.CASCADE, related_name="window")
    started = models.FloatField(default=0, help_text="First call of the window, in seconds of the one clock.")
    last = models.FloatField(default=0, help_text="The newest call, in seconds of the one clock.")
    calls = models.PositiveIntegerField(default=0)

    def __str__(self) -> str:
        return f"window of panel {self.panel_id}"


class PanelMemory(models.Model):
    """Something learnt of a panel (egg defaults, free allocations), kept so that calls are saved."""

    panel = models.ForeignKey(Panel, on_delete=models.CASCADE, related_name="memories")
    kind = models.CharField(max_length=30)
    key = models.CharField(max_length=80)
    value = models.JSONField()
    taken_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["panel", "kind", "key"], name="panel_memory_once")]

    def __str__(self) -> str:
        return f"{self.kind} {self.key}"


class AllocationHold(models.Model):
    """An allocation that one service is about to use: no other service of ours chooses it."""

    panel = models.ForeignKey(Panel, on_delete=models.CASCADE, related_name="holds")
    allocation = models.CharField(max_length=60)
    service = models.ForeignKey("provisioning.Service", on_delete=models.CASCADE, related_name="holds")
    held_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["panel", "allocation"], name="allocation_held_once")]

    def __str__(self) -> str:
        return f"{self.allocation} for {self.service_id}"
