"""The lists that products are chosen from, as a panel last showed them whole, and how newer ones are read."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from provisioning.choices import ItemKind, SnapshotState
from provisioning.models.catalogue import Panel


class PanelSnapshot(models.Model):
    """One row a panel: how the newest reading stands, and when the lists were last read whole (CAL-20).

    Changed by its lease's holder alone, by conditional UPDATE; `next_check_at` is the one due date.
    """

    panel = models.OneToOneField(Panel, on_delete=models.CASCADE, related_name="snapshot")
    state = models.CharField(max_length=12, choices=SnapshotState, default=SnapshotState.RUNNING)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, help_text="When the newest reading ended, well or not.")
    completed_at = models.DateTimeField(null=True, help_text="When the lists were last read whole.")
    detail = models.TextField(blank=True, help_text="Why the newest reading failed.")
    done_pages = models.PositiveIntegerField(default=0)
    total_pages = models.PositiveIntegerField(default=0, help_text="Grows while the panel says what it has.")
    calls = models.PositiveIntegerField(default=0, help_text="Calls of the newest reading.")

    # The reading under way.
    number = models.PositiveIntegerField(default=1, help_text="Which reading of this panel it is.")
    next_check_at = models.DateTimeField(null=True)
    lease_token = models.PositiveBigIntegerField(default=0)
    lease_until = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["next_check_at"], condition=Q(next_check_at__isnull=False), name="snapshot_due"
            )
        ]

    def __str__(self) -> str:
        return f"lists of panel {self.panel_id}"

    @property
    def under_way(self) -> bool:
        """Whether a reading has begun and not ended."""
        return self.state == SnapshotState.RUNNING


class PanelListPage(models.Model):
    """One page as it was read, kept until the reading ends: a killed worker loses one page at most.

    Page 0 is what one entry's own look added to it; `parent` is that entry then.
    """

    snapshot = models.ForeignKey(PanelSnapshot, on_delete=models.CASCADE, related_name="pages")
    step = models.PositiveSmallIntegerField(help_text="Which of the driver's lists it is of.")
    parent = models.CharField(max_length=80, blank=True)
    number = models.PositiveIntegerField()
    last = models.PositiveIntegerField(help_text="How many pages the list has, as this page said.")
    total = models.PositiveIntegerField(help_text="How many entries the list has, as this page said.")
    items = models.JSONField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["snapshot", "step", "parent", "number"], name="panel_list_page_once"
            )
        ]

    def __str__(self) -> str:
        return f"list {self.step}, {self.parent or 'all'}, page {self.number}"


class PanelItem(models.Model):
    """One entry of a panel's lists, of the last reading that was complete. `data` is drivers/lists.py's."""

    panel = models.ForeignKey(Panel, on_delete=models.CASCADE, related_name="items", db_index=False)
    kind = models.CharField(max_length=24, choices=ItemKind)
    key = models.CharField(max_length=80, help_text="The panel's own id, as text.")
    parent = models.CharField(max_length=80, blank=True, help_text="An egg's nest, a node's location.")
    name = models.CharField(max_length=255)
    search = models.TextField(blank=True, help_text="What a search looks in, in lower case.")
    data = models.JSONField()
    reading = models.PositiveIntegerField(help_text="Number of the reading that saw it.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["panel", "kind", "key"], name="panel_item_once")]
        indexes = [models.Index(fields=["panel", "kind", "parent", "name"], name="panel_item_pick")]

    def __str__(self) -> str:
        return self.name
