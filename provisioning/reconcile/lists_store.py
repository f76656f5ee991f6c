"""Where a reading of a panel's lists is kept while it is under way, and how it replaces the former one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from provisioning.choices import ItemKind
from provisioning.drivers.errors import Unknown
from provisioning.drivers.lists import PICKS, Details, Item, ListKind, ListStep, kind_of, picked
from provisioning.drivers.types import ListPage
from provisioning.lists import item_of
from provisioning.models import Panel, PanelItem, PanelListPage, PanelSnapshot, Product

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
        stored = PanelListPage.objects.filter(snapshot=row).order_by("number")
        self._last: dict[tuple[int, str], tuple[int, int, int]] = {}
        self._looked: set[tuple[int, str]] = set()
        for index, parent, number, last, total in stored.values_list(
            "step", "parent", "number", "last", "total"
        ):
            self._know(index, parent, number, last, total)
        self.expected = {(index, ""): 1 for index in range(len(steps))}

    def _know(self, index: int, parent: str, number: int, last: int, total: int) -> None:
        if number == DETAILS:
            self._looked.add((index, parent))
        else:
            self._last[index, parent] = (number, last, total)

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
        items = [_kept(item, kind_of(item, step)) for item in page.items]
        self._store(index, parent, number, page, items)
        self.expected[index, parent] = page.last
        if number >= page.last:
            self._refuse_short(index, parent, page.total)

    def keep_details(self, index: int, key: str, item: Item | None) -> None:
        """Stores an entry as its own look showed it; None if it is gone."""
        page = ListPage(() if item is None else (item,), 1)
        items = [_kept(each, self.steps[index].kind) for each in page.items]
        self._store(index, key, DETAILS, page, items)

    def _store(
        self, index: int, parent: str, number: int, page: ListPage[Item], items: list[dict[str, Any]]
    ) -> None:
        PanelListPage.objects.create(
            snapshot=self.row,
            step=index,
            parent=parent,
            number=number,
            last=page.last,
            total=page.total,
            items=items,
        )
        self._know(index, parent, number, page.last, page.total)

    def _refuse_short(self, index: int, parent: str, total: int) -> None:
        """The entries that were read are as many as the panel counts, each once. Raises Unknown."""
        kind = self.steps[index].kind
        found = {item["key"] for item in self._items([index], parent=parent) if item["kind"] == kind}
        if len(found) != total:
            words = f"The panel counts {total} entries of the kind {kind.value} but showed {len(found)}."
            raise Unknown(words, maybe_done=False)

    def left_out(self, index: int) -> list[Item]:
        """The entries of a step that are still to be asked for by themselves."""
        step = self.steps[index]
        if step.details is Details.NONE:
            return []
        used = _used(self.row.panel, step.kind) if step.details is Details.USED else None
        listed = [item for item in self._items([index]) if item["kind"] == step.kind]
        wanted = [item for item in listed if used is None or item["key"] in used]
        self.expected[index, "details"] = len(wanted)
        return [
            item_of(step.kind, item["data"]) for item in wanted if (index, item["key"]) not in self._looked
        ]

    def _items(self, steps: Iterable[int], **only: Any) -> list[Kept]:
        pages = PanelListPage.objects.filter(snapshot=self.row, step__in=list(steps), **only)
        rows = pages.exclude(number=DETAILS).order_by("step", "parent", "number")
        return [item for items in rows.values_list("items", flat=True) for item in items]

    def entries(self) -> dict[tuple[str, str], Kept]:
        """Everything that was read, by kind and id, with what single looks added and took away."""
        found: dict[tuple[str, str], Kept] = {}
        rows = PanelListPage.objects.filter(snapshot=self.row)
        for items in rows.exclude(number=DETAILS).order_by("pk").values_list("items", flat=True):
            found |= {(item["kind"], item["key"]): item for item in items}
        looks = rows.filter(number=DETAILS).values_list("step", "parent", "items")
        for index, key, items in looks:
            kind = self.steps[index].kind.value
            if items:
                found[kind, key] = items[0]
            else:
                found.pop((kind, key), None)
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


def item_store(*, panel: Panel, kind: ItemKind, item: Item) -> None:
    """Puts an entry with its details in place of the one that is there; none comes back that is gone."""
    known = PanelItem.objects.filter(panel=panel, kind=kind, key=item.id)
    known.update(data=item.as_json())
