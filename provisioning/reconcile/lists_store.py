"""Where a reading of a panel's lists is kept while it is under way, and how it replaces the former one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from provisioning.choices import ItemKind
from provisioning.drivers.errors import Unknown
from provisioning.drivers.lists import PICKS, Details, Item, ListKind, ListStep, kind_of, picked
from provisioning.drivers.types import ListPage
from provisioning.lists import item_of
from provisioning.models import Panel, PanelItem, PanelListPage, PanelMemory, PanelSnapshot, Product

BATCH = 250
DETAILS = 0
"""The number of a page that holds one entry with what its list left out; none of it if it was gone."""
CHANGED = ["parent", "name", "search", "data", "reading"]
LONGEST_NAME, LONGEST_KEY = 255, 80

Kept = Mapping[str, Any]


class Pages:
    """The pages of a reading: which there are, what is still to be read. `expected` is for the progress."""

    def __init__(self, row: PanelSnapshot, steps: Sequence[ListStep]) -> None:
        """Knows what earlier jobs have stored: one query."""
        self.row, self.steps = row, steps
        stored = PanelListPage.objects.filter(snapshot=row).exclude(number=DETAILS).order_by("number")
        columns = stored.values_list("step", "parent", "number", "last", "total")
        self._last = {(step, parent): (number, last, total) for step, parent, number, last, total in columns}
        self.expected = {(index, ""): 1 for index in range(len(steps))}

    @property
    def total(self) -> int:
        """How many pages the reading has, as far as is known."""
        return sum(self.expected.values())

    def parents(self, index: int) -> list[str]:
        """Of which entries this step's list is read one by one; one empty text where it is one list."""
        per = self.steps[index].per
        if per is None:
            return [""]
        keys = sorted({item["key"] for item in self._items(range(index)) if item["kind"] == per})
        del self.expected[index, ""]
        self.expected |= {(index, key): 1 for key in keys}
        return keys

    def following(self, index: int, parent: str) -> tuple[int, int]:
        """The number of a list's next page, 0 if none is left; and how many entries the last one told."""
        number, last, total = self._last.get((index, parent), (0, 1, 0))
        self.expected[index, parent] = last
        return (number + 1, total) if number < last else (0, total)

    def keep(self, index: int, parent: str, number: int, page: ListPage[Item]) -> None:
        """Stores a page. Raises Unknown where its list has ended and does not add up."""
        step = self.steps[index]
        PanelListPage.objects.create(
            snapshot=self.row,
            step=index,
            parent=parent,
            number=number,
            last=page.last,
            total=page.total,
            items=[_kept(item, kind_of(item, step)) for item in page.items],
        )
        self._last[index, parent] = (number, page.last, page.total)
        self.expected[index, parent] = page.last
        if number >= page.last:
            self._refuse_short(index, parent, page.total)

    def keep_details(self, index: int, key: str, item: Item | None) -> int:
        """Stores an entry as its own look showed it; None if it is gone. Returns 1 the first time, else 0."""
        items = [] if item is None else [_kept(item, self.steps[index].kind)]
        _, first = PanelListPage.objects.update_or_create(
            snapshot=self.row,
            step=index,
            parent=key,
            number=DETAILS,
            defaults={"last": 1, "total": 1, "items": items},
        )
        return int(first)

    def _refuse_short(self, index: int, parent: str, total: int) -> None:
        """The entries that were read are as many as the panel counts, each once. Raises Unknown."""
        kind = self.steps[index].kind
        found = {item["key"] for item in self._items([index], parent=parent) if item["kind"] == kind}
        if len(found) != total:
            words = f"The panel counts {total} entries of the kind {kind.value} but showed {len(found)}."
            raise Unknown(words, maybe_done=False)

    def left_out(self, index: int) -> list[Item]:
        """The entries of a step that may still lack something, as they were seen last."""
        step = self.steps[index]
        if step.details is Details.NONE:
            return []
        used = _used(self.row.panel, step.kind) if step.details is Details.USED else None
        listed = {item["key"]: item for item in self._items([index]) if item["kind"] == step.kind}
        wanted = {key: item for key, item in listed.items() if used is None or key in used}
        self.expected[index, "details"] = len(wanted)
        looked = self._looks(index)
        found = [looked.get(key, [item]) for key, item in wanted.items()]
        return [item_of(step.kind, items[0]["data"]) for items in found if items]

    def _looks(self, index: int) -> dict[str, list[Kept]]:
        """What single looks have shown, by id: an entry, or none."""
        rows = PanelListPage.objects.filter(snapshot=self.row, step=index, number=DETAILS)
        return dict(rows.values_list("parent", "items"))

    def _items(self, steps: Iterable[int], **only: Any) -> list[Kept]:
        pages = PanelListPage.objects.filter(snapshot=self.row, step__in=list(steps), **only)
        rows = pages.exclude(number=DETAILS).order_by("step", "parent", "number")
        return [item for items in rows.values_list("items", flat=True) for item in items]

    def entries(self) -> dict[tuple[str, str], Kept]:
        """Everything that was read, by kind and id, with what single looks added and took away."""
        found: dict[tuple[str, str], Kept] = {}
        for item in self._items(range(len(self.steps))):
            found[item["kind"], item["key"]] = item
        for index, step in enumerate(self.steps):
            for key, items in self._looks(index).items():
                if items:
                    found[step.kind.value, key] = items[0]
                else:
                    found.pop((step.kind.value, key), None)
        return found


def _used(panel: Panel, kind: ListKind) -> set[str]:
    """The ids of this kind that products of the panel are made of."""
    documents = Product.objects.filter(panel=panel).values_list("document", flat=True)
    paths = [path for path, known in PICKS.items() if known is kind]
    return {key for document in documents for path in paths for key in picked(document, path)}


def _kept(item: Item, kind: ListKind) -> dict[str, Any]:
    return {"kind": kind.value, "key": item.id, "data": item.as_json()}


def _row(panel: Panel, kind: str, item: Item, reading: int) -> PanelItem:
    return PanelItem(
        panel=panel,
        kind=kind,
        key=item.id[:LONGEST_KEY],
        parent=item.parent[:LONGEST_KEY],
        name=item.name[:LONGEST_NAME],
        search=f"{item.name} {item.hint}".strip().lower(),
        data=item.as_json(),
        reading=reading,
    )


def items_replace(*, row: PanelSnapshot, entries: Mapping[tuple[str, str], Kept]) -> None:
    """Makes the panel's entries those of this reading. Call it inside a transaction."""
    rows = [
        _row(row.panel, kind, item_of(kind, item["data"]), row.number) for (kind, _), item in entries.items()
    ]
    PanelItem.objects.bulk_create(
        rows,
        batch_size=BATCH,
        update_conflicts=True,
        unique_fields=["panel", "kind", "key"],
        update_fields=CHANGED,
    )
    PanelItem.objects.filter(panel=row.panel).exclude(reading=row.number).delete()
    # What the drivers remember of eggs is as old as the former lists: their defaults may have changed.
    PanelMemory.objects.filter(panel=row.panel, kind=ItemKind.EGG).delete()


def item_store(*, panel: Panel, kind: ItemKind, item: Item) -> None:
    """Puts an entry with its details in place of the one that is there; none comes back that is gone."""
    known = PanelItem.objects.filter(panel=panel, kind=kind, key=item.id)
    known.update(data=item.as_json())
