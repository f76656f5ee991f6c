"""Reads of a panel's stored lists: pickers, their age, what a product says against them, where it has room.

Nothing here calls a panel: the lists are those of the last reading that was complete (reconcile/lists.py).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from provisioning.choices import ItemKind, SnapshotState
from provisioning.drivers import registry, rules
from provisioning.drivers.base import PanelDriver
from provisioning.drivers.lists import (
    ITEM_TYPES,
    PICKS,
    EggItem,
    Item,
    ListKind,
    NodeItem,
    picked,
)
from provisioning.lib import clock
from provisioning.models import Panel, PanelItem, PanelSnapshot, Product, ProductVersion

MOST_FOUND = 50
OLD_AFTER = dt.timedelta(hours=1)
"""Lists older than this are read anew when a product form is opened."""


def snapshot_of(panel: Panel) -> PanelSnapshot | None:
    """How the reading of the panel's lists stands; None if they were never asked for."""
    return PanelSnapshot.objects.filter(panel=panel).first()


def snapshot_age(panel: Panel) -> dt.timedelta | None:
    """How old the lists are; None if they were never read whole."""
    row = snapshot_of(panel)
    return clock.now() - row.completed_at if row and row.completed_at else None


@dataclass(frozen=True)
class SnapshotProgress:
    """How a reading stands, for a line and a bar. `age` is that of the lists which are in use meanwhile."""

    state: str
    done: int
    total: int
    calls: int
    detail: str
    started_at: dt.datetime
    completed_at: dt.datetime | None
    age: dt.timedelta | None

    @property
    def running(self) -> bool:
        """Whether a reading is under way."""
        return self.state == SnapshotState.RUNNING

    @property
    def percent(self) -> int:
        """0 to 100; below 100 until all is read."""
        if self.state == SnapshotState.COMPLETE:
            return 100
        return min(99, self.done * 100 // self.total) if self.total else 0


def snapshot_progress(panel: Panel) -> SnapshotProgress | None:
    """How the newest reading stands; None if the lists were never asked for. One query."""
    row = snapshot_of(panel)
    if row is None:
        return None
    return SnapshotProgress(
        state=row.state,
        done=row.done_pages,
        total=row.total_pages,
        calls=row.calls,
        detail=row.detail,
        started_at=row.started_at,
        completed_at=row.completed_at,
        age=clock.now() - row.completed_at if row.completed_at else None,
    )


# --- pickers --------------------------------------------------------------------------------------------


def items_search(
    panel: Panel, kind: ItemKind, parent: str = "", text: str = "", limit: int = MOST_FOUND
) -> list[PanelItem]:
    """Entries whose name holds every word of `text`, by name; of one nest or location if `parent` is given.

    One query. `data` is left out: `item_get` has it.
    """
    rows = PanelItem.objects.filter(panel=panel, kind=kind)
    if parent:
        rows = rows.filter(parent=parent)
    for word in text.lower().split():
        rows = rows.filter(search__contains=word)
    return list(rows.defer("data").order_by("name", "key")[:limit])


def item_get(panel: Panel, kind: ItemKind, key: object) -> Item | None:
    """One entry as data, by the panel's id; None if the lists do not have it."""
    data = PanelItem.objects.filter(panel=panel, kind=kind, key=str(key)).values_list("data", flat=True)
    found = data.first()
    return None if found is None else item_of(kind, found)


def item_of(kind: ItemKind | str, data: Mapping[str, Any]) -> Item:
    """A stored entry as data."""
    return ITEM_TYPES[ListKind(str(kind))].from_json(data)


def _named(panel: Panel, kind: ItemKind) -> dict[str, str]:
    rows = PanelItem.objects.filter(panel=panel, kind=kind)
    return dict(rows.values_list("key", "name"))


# --- what the lists say against a product ---------------------------------------------------------------

GONE = {
    "target.nest": "The nest is gone from the panel.",
    "target.egg": "The egg is gone from the panel.",
    "target.node": "The node is gone from the panel.",
    "target.locations": "A location is gone from the panel.",
    "options.backup_configuration": "The backup configuration is gone from the panel.",
}


def product_flags(product: Product | ProductVersion) -> list[str]:
    """What the panel's lists contradict, a sentence each; empty also where there are no lists yet.

    What is gone, and variables whose values no longer fit the egg's rules (a new required one is empty).
    """
    snapshot = snapshot_of(product.panel)
    if snapshot is None or snapshot.completed_at is None:
        return []
    document = product.document
    kinds = registry.get(product.panel.driver).list_kinds()
    flags = [
        GONE[path]
        for path, kind in PICKS.items()
        if kind in kinds and _missing(product.panel, kind, picked(document, path))
    ]
    return flags + _egg_flags(product)


def _missing(panel: Panel, kind: ListKind, keys: list[str]) -> bool:
    known = PanelItem.objects.filter(panel=panel, kind=kind.value, key__in=keys)
    return bool(keys) and known.count() < len(set(keys))


def _egg_flags(product: Product | ProductVersion) -> list[str]:
    keys, nests = picked(product.document, "target.egg"), picked(product.document, "target.nest")
    egg = item_get(product.panel, ItemKind.EGG, keys[0]) if keys else None
    if not isinstance(egg, EggItem):
        return []
    moved = ["The egg is in another nest now: choose it again."] if nests and egg.nest not in nests else []
    if egg.variables is None:
        return moved
    variables = [
        {"name": item.name, "env": item.env, "default": item.default, "rules": item.rules}
        for item in egg.variables
    ]
    words = registry.get(product.panel.driver).boolean_words
    problems = rules.variable_problems(variables, product.document.get("runtime") or {}, boolean_words=words)
    return [*moved, *problems.values()]


# --- capacity -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class NodeCapacity:
    """How many more servers of a product a node could take. `times` None: nothing that we know bounds it.

    `memory_left` and `disk_left` in MiB, None without a limit or if unknown. `reason` says why it is 0.
    `note` is what the number does not know.
    """

    key: str
    name: str
    location: str
    times: int | None
    reason: str
    memory_left: int | None
    disk_left: int | None
    free_allocations: int | None
    note: str = ""


@dataclass(frozen=True)
class _Need:
    """What one server takes, and how its place is chosen."""

    memory: int
    overhead: int
    disk: int
    auto: bool
    ruled: bool


def capacity(product: Product) -> list[NodeCapacity]:
    """The product's nodes, by what the lists say; most room first. Three queries, no call."""
    panel, document = product.panel, product.document
    places = _named(panel, ItemKind.LOCATION)
    driver, need = registry.get(panel.driver), _need(document)
    found = [
        node_capacity(node, driver, need, document, places.get(node.location, ""))
        for node in _nodes(panel, document)
    ]
    return sorted(found, key=lambda each: (-(10**9 if each.times is None else each.times), each.name))


def _nodes(panel: Panel, document: Mapping[str, Any]) -> Iterable[NodeItem]:
    rows = PanelItem.objects.filter(panel=panel, kind=ItemKind.NODE)
    nodes, places = picked(document, "target.node"), picked(document, "target.locations")
    chosen = rows.filter(key__in=nodes) if nodes else rows.filter(parent__in=places)
    items = [item_of(ItemKind.NODE, data) for data in chosen.values_list("data", flat=True)]
    return [item for item in items if isinstance(item, NodeItem)]


def _need(document: Mapping[str, Any]) -> _Need:
    limits, target = document.get("limits") or {}, document.get("target") or {}
    ruled = any(target.get(name) for name in ("dedicated_ip", "ports", "port_range"))
    return _Need(
        memory=int(limits.get("memory") or 0),
        overhead=int(limits.get("memory_overhead") or 0),
        disk=int(limits.get("disk") or 0),
        auto=bool(target.get("locations")),
        ruled=ruled,
    )


def node_capacity(
    node: NodeItem, driver: type[PanelDriver], need: _Need, document: Mapping[str, Any], location: str
) -> NodeCapacity:
    """One node's room for a product. Pure."""
    memory, disk = driver.node_room(node, document)
    left = (_left(memory, node.memory_used), _left(disk, node.disk_used))
    bounds = [
        (_fits(left[0], need.memory, need.overhead), "Not enough memory is left."),
        (_fits(left[1], need.disk, 0), "Not enough disk space is left."),
        (node.free_allocations, "It has no free allocation."),
    ]
    if need.auto and not node.deployable:
        bounds.insert(0, (0, "The panel puts no new servers there by itself."))
    known = [(times, words) for times, words in bounds if times is not None]
    times, words = min(known, key=lambda bound: bound[0], default=(None, ""))
    reason = words if times == 0 else ""
    return NodeCapacity(
        node.id, node.name, location, times, reason, *left, node.free_allocations, _note(node, need)
    )


def _left(limit: int | None, used: int | None) -> int | None:
    return None if limit is None or used is None else limit - used


def _fits(left: int | None, size: int, overhead: int) -> int | None:
    """How often; the first one's overhead is not asked for by the panel. None: as often as you like."""
    if left is None or not size:
        return None
    return 0 if left < size else 1 + (left - size) // (size + overhead)


def _note(node: NodeItem, need: _Need) -> str:
    notes = []
    if node.maintenance:
        notes.append("In maintenance.")
    if need.ruled:
        notes.append("At most so many: only ports that fit the product's rule count.")
    if node.free_allocations is None:
        notes.append("How many ports are free is not known.")
    return " ".join(notes)
