"""What was learnt of a panel, kept in the database between jobs; and the holds on allocations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import IntegrityError, transaction

from provisioning.lib import clock
from provisioning.models import AllocationHold, Panel, PanelMemory, Service


class PanelMemories:
    """The engine's side of `drivers.types.Memory` for one panel and, for holds, one service."""

    def __init__(self, panel: Panel, service: Service | None = None) -> None:
        """Without a service nothing can be held."""
        self.panel = panel
        self.service = service

    def recall(self, kind: str, key: str) -> Any | None:
        """The stored value, or None."""
        rows = PanelMemory.objects.filter(panel=self.panel, kind=kind, key=key)
        return rows.values_list("value", flat=True).first()

    def store(self, kind: str, key: str, value: Any) -> None:
        """Keeps a value with the time of the look."""
        PanelMemory.objects.update_or_create(
            panel=self.panel, kind=kind, key=key, defaults={"value": value, "taken_at": clock.now()}
        )

    def forget(self, kind: str, key: str) -> None:
        """Drops a value that the panel contradicted."""
        PanelMemory.objects.filter(panel=self.panel, kind=kind, key=key).delete()

    def hold(self, candidates: Sequence[str]) -> str | None:
        """Reserves the first candidate that no other service of ours holds; the unique row is the proof."""
        if self.service is None:
            return None
        taken = set(
            AllocationHold.objects.filter(panel=self.panel)
            .exclude(service=self.service)
            .values_list("allocation", flat=True)
        )
        return next((item for item in candidates if item not in taken and self._take(item)), None)

    def _take(self, allocation: str) -> bool:
        if self.service is None:
            return False
        try:
            with transaction.atomic():
                row, _ = AllocationHold.objects.get_or_create(
                    panel=self.panel, allocation=allocation, defaults={"service": self.service}
                )
        except IntegrityError:
            return False
        return row.service_id == self.service.pk

    def release(self, held: str) -> None:
        """Gives a hold back."""
        AllocationHold.objects.filter(panel=self.panel, allocation=held, service=self.service).delete()
