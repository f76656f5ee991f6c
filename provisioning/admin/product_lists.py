"""What the product form picks from: a panel's stored lists, their age, and one egg (CAL-20, CAL-30)."""

from __future__ import annotations

from functools import cached_property
from typing import Any, NamedTuple

from provisioning.choices import ItemKind
from provisioning.drivers import registry
from provisioning.drivers.lists import EggItem, NodeItem
from provisioning.lib import clock
from provisioning.lists import (
    MOST_FOUND,
    OLD_AFTER,
    SnapshotProgress,
    item_of,
    items_search,
    snapshot_progress,
)
from provisioning.models import Panel, PanelItem
from provisioning.selectors import span

NOT_LISTED = "{} (not in the panel's lists)"
LONGEST_HINT = 80


class Choice(NamedTuple):
    """One entry as a picker offers it."""

    key: str
    name: str
    hint: str = ""


class PanelLists:
    """The lists of one panel, or of none. Each is read when it is asked for, and once."""

    def __init__(self, panel: Panel | None) -> None:
        """Reads nothing yet."""
        self.panel = panel
        self._first: dict[tuple[str, str], list[Choice]] = {}

    @property
    def boolean_words(self) -> bool:
        """Whether “true” and “false” are left to the panel where a variable is a boolean."""
        return self.panel is not None and registry.get(self.panel.driver).boolean_words

    @cached_property
    def progress(self) -> SnapshotProgress | None:
        """How the newest reading stands."""
        return snapshot_progress(self.panel) if self.panel else None

    @property
    def ready(self) -> bool:
        """Whether the lists were ever read whole."""
        return bool(self.progress and self.progress.completed_at)

    @cached_property
    def kinds(self) -> frozenset[str]:
        """The kinds that this panel has lists of."""
        found = registry.get(self.panel.driver).list_kinds() if self.panel else ()
        return frozenset(kind.value for kind in found)

    def offers(self, kind: str) -> bool:
        """Whether an entry can be picked; if not, its id has to be typed."""
        return self.ready and kind in self.kinds

    @property
    def age(self) -> str:
        """How long ago the lists were read whole: *12 min*."""
        return span(self.progress.age.total_seconds()) if self.progress and self.progress.age else ""

    @property
    def old(self) -> bool:
        """Whether opening the form should have them read anew; how often is the reading's own matter."""
        if self.panel is None or self.panel.retired or (self.progress and self.progress.running):
            return False
        return self.progress is None or self.progress.age is None or self.progress.age > OLD_AFTER

    @property
    def failed_at(self) -> str:
        """How long ago the reading that failed was begun."""
        return span((clock.now() - self.progress.started_at).total_seconds()) if self.progress else ""

    def search(self, kind: str, parent: str, text: str, *, hints: bool = False) -> tuple[list[Choice], bool]:
        """The first entries whose name holds every word, and whether there are more."""
        # Without a nest there is no egg to choose: the search would find those of all nests.
        if self.panel is None or (kind == ItemKind.EGG and not parent):
            return [], False
        rows = items_search(self.panel, ItemKind(kind), parent, text, MOST_FOUND + 1)
        told = _hints(rows[:MOST_FOUND]) if hints and kind != ItemKind.EGG else {}
        found = [Choice(row.key, row.name, told.get(row.pk, "")) for row in rows[:MOST_FOUND]]
        return found, len(rows) > MOST_FOUND

    def every(self, kind: str) -> list[Choice]:
        """All entries by name, where the browser chooses from a plain list."""
        rows = PanelItem.objects.filter(panel=self.panel, kind=kind).order_by("name", "key")
        return [Choice(key, name) for key, name in rows.values_list("key", "name")]

    def first(self, kind: str, parent: str) -> list[Choice]:
        """The first entries, for a browser without scripts."""
        if (kind, parent) not in self._first:
            self._first[kind, parent] = self.search(kind, parent, "")[0]
        return self._first[kind, parent]

    def named(self, kind: str, keys: list[str]) -> list[Choice]:
        """These entries by their names; one that is gone keeps its id, and says so."""
        names: dict[str, str] = {}
        if keys:
            rows = PanelItem.objects.filter(panel=self.panel, kind=kind, key__in=keys)
            names = dict(rows.values_list("key", "name"))
        return [Choice(key, names.get(key) or NOT_LISTED.format(key)) for key in keys]

    def egg(self, nest: str, key: str) -> EggItem | None:
        """The egg of that nest, if the lists have it."""
        if not (nest and key and self.ready):
            return None
        rows = PanelItem.objects.filter(panel=self.panel, kind=ItemKind.EGG, key=key, parent=nest)
        data = rows.values_list("data", flat=True).first()
        return None if data is None else EggItem.from_json(data)


def _hints(rows: list[PanelItem]) -> dict[int, str]:
    """What helps to choose, by row: a node's room, else the description."""
    found = PanelItem.objects.filter(pk__in=[row.pk for row in rows]).values_list("pk", "kind", "data")
    return {pk: _hint(kind, data)[:LONGEST_HINT] for pk, kind, data in found}


def _hint(kind: str, data: dict[str, Any]) -> str:
    if kind != ItemKind.NODE:
        return str(data.get("description") or "")
    node = item_of(kind, data)
    if not isinstance(node, NodeItem):
        return ""
    parts = [_room("memory", node.memory, node.memory_used), _room("disk", node.disk, node.disk_used)]
    parts.append("in maintenance" if node.maintenance else "")
    return ", ".join(part for part in parts if part)


def _room(label: str, limit: int | None, used: int | None) -> str:
    if limit is None or used is None:
        return ""
    return f"{max(0, limit - used) // 1024} of {limit // 1024} GiB {label} free"
