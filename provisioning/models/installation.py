"""This installation, and the heartbeats of its parts."""

from __future__ import annotations

from django.db import models


class Installation(models.Model):
    """One row: which installation this database belongs to, and whether it only looks on.

    Where the environment's INSTALLATION_ID differs (a copy of production on a test machine), everything
    is *observe only* until staff confirm (DESIGN section 4).
    """

    installation_id = models.SlugField(max_length=24, unique=True)
    observe_only = models.BooleanField(
        default=False, help_text="Look at panels, change nothing on any of them."
    )
    marked_at = models.DateTimeField(
        null=True, help_text="The newest mark; a copy outside that is newer shows that a backup was restored."
    )
    restored_at = models.DateTimeField(
        null=True, help_text="When that was noticed: nothing is changed until staff confirm."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = "installation"

    def __str__(self) -> str:
        return self.installation_id


class Heartbeat(models.Model):
    """When a part last said that it lives; also the lease by which one ticker leads."""

    name = models.CharField(max_length=60, unique=True)
    beat_at = models.DateTimeField()
    holder = models.CharField(max_length=80, blank=True)
    note = models.CharField(max_length=200, blank=True)

    def __str__(self) -> str:
        return self.name
