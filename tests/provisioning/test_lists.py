"""Reads of stored lists: search, age, progress, and where a product would fit."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries

from provisioning import lists
from provisioning.choices import ItemKind, SnapshotState
from provisioning.drivers.lists import EggItem, Item, LocationItem, NodeItem
from provisioning.lib import clock
from provisioning.models import Panel, PanelItem, PanelSnapshot, Product
from tests import factories

pytestmark = pytest.mark.django_db


def keep(panel: Panel, kind: ItemKind, *items: Item) -> None:
    """Entries as a reading would have left them."""
    PanelItem.objects.bulk_create(
        PanelItem(
            panel=panel,
            kind=kind,
            key=item.id,
            parent=item.parent,
            name=item.name,
            search=f"{item.name} {item.hint}".strip().lower(),
            data=item.as_json(),
            reading=1,
        )
        for item in items
    )


# --- pickers --------------------------------------------------------------------------------------------


@pytest.fixture
def panel() -> Panel:
    """A panel with a few eggs in two nests, and another one with an egg of the same name."""
    made = factories.panel()
    eggs = [("1", "Paper", "1"), ("2", "Forge Minecraft", "1"), ("3", "Vanilla Minecraft", "1")]
    keep(made, ItemKind.EGG, *(EggItem(*egg[:2], nest=egg[2]) for egg in [*eggs, ("4", "Ärger", "2")]))
    keep(made, ItemKind.LOCATION, LocationItem("1", "eu-1", "Frankfurt"))
    keep(factories.panel(), ItemKind.EGG, EggItem("1", "Paper", nest="1"))
    return made


@pytest.mark.parametrize(
    ("parent", "text", "found"),
    [
        ("1", "", ["Forge Minecraft", "Paper", "Vanilla Minecraft"]),
        ("1", "MINE", ["Forge Minecraft", "Vanilla Minecraft"]),
        ("1", "mine van", ["Vanilla Minecraft"]),
        ("2", "mine", []),
        ("", "ärg", ["Ärger"]),
        ("", "100%", []),
        ("", "_aper", []),
    ],
)
@pytest.mark.req("CAL-20")
def test_a_search_holds_every_word(panel: Panel, parent: str, text: str, found: list[str]) -> None:
    assert [item.name for item in lists.items_search(panel, ItemKind.EGG, parent, text)] == found


def test_a_search_is_one_query_and_has_an_end(
    panel: Panel, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(1):
        (place,) = lists.items_search(panel, ItemKind.LOCATION, text="frank")
        assert (place.key, place.name) == ("1", "eu-1")
    assert len(lists.items_search(panel, ItemKind.EGG, limit=2)) == 2


def test_an_entry_by_the_panels_id_whatever_its_type(panel: Panel) -> None:
    assert lists.item_get(panel, ItemKind.EGG, 1) == EggItem("1", "Paper", nest="1")
    assert lists.item_get(panel, ItemKind.EGG, "99") is None
    assert lists.item_get(panel, ItemKind.NODE, 1) is None


# --- age and progress -----------------------------------------------------------------------------------


def test_how_far_a_reading_is_and_how_old_the_lists_are(
    panel: Panel, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    assert (lists.snapshot_age(panel), lists.snapshot_progress(panel)) == (None, None)
    row = PanelSnapshot.objects.create(panel=panel, started_at=clock.now())
    assert lists.snapshot_age(panel) is None
    for done, total, percent in ((0, 0, 0), (1, 3, 33), (3, 3, 99)):
        row.done_pages, row.total_pages = done, total
        row.save()
        found = lists.snapshot_progress(panel)
        assert found is not None
        assert (found.percent, found.running) == (percent, True)
    row.state, row.completed_at = SnapshotState.COMPLETE, clock.now() - dt.timedelta(minutes=12)
    row.save()
    with django_assert_num_queries(1):
        found = lists.snapshot_progress(panel)
    assert found is not None
    assert found.age is not None
    assert (found.percent, found.running, found.age.total_seconds() // 60) == (100, False, 12)
    assert lists.snapshot_age(panel) is not None


# --- capacity -------------------------------------------------------------------------------------------

NODE: dict[str, Any] = {
    "location": "1",
    "memory": 8192,
    "disk": 50_000,
    "memory_used": 2048,
    "disk_used": 10_000,
    "free_allocations": 20,
}


def product_on(driver: str, target: dict[str, Any], **limits: int) -> Product:
    """A product of 1 GiB and 5 GiB in nest 1, wherever the target says."""
    made_of = {
        "target": {"nest": 1, "egg": 1, **target},
        "limits": {"memory": 1024, "disk": 5000, "cpu": 100, **limits},
    }
    return factories.product(panel=factories.panel(driver=driver), document=made_of)


@pytest.mark.parametrize(
    ("driver", "target", "node", "limits", "times", "reason"),
    [
        ("pterodactyl", {"node": 1}, {}, {}, 6, ""),
        ("pterodactyl", {"node": 1}, {}, {"memory": 6144}, 1, ""),
        ("pterodactyl", {"node": 1}, {}, {"memory": 6145}, 0, "Not enough memory is left."),
        ("pterodactyl", {"node": 1}, {}, {"disk": 40_001}, 0, "Not enough disk space is left."),
        ("pterodactyl", {"node": 1}, {"free_allocations": 0}, {}, 0, "It has no free allocation."),
        ("pterodactyl", {"node": 1}, {"free_allocations": 2}, {}, 2, ""),
        ("pterodactyl", {"node": 1}, {"free_allocations": None}, {}, 6, ""),
        ("pterodactyl", {"node": 1}, {"memory_overallocate": 25}, {}, 8, ""),
        ("pterodactyl", {"node": 1}, {"memory_overallocate": -1}, {}, 8, ""),
        ("pterodactyl", {"locations": [1]}, {"memory_overallocate": -1}, {}, 5, ""),
        ("pterodactyl", {"node": 1}, {}, {"memory": 0, "disk": 0}, 20, ""),
        ("pterodactyl", {"node": 1}, {"free_allocations": None}, {"memory": 0, "disk": 0}, None, ""),
        ("pterodactyl", {"node": 1}, {"memory_used": 9000}, {}, 0, "Not enough memory is left."),
        ("pterodactyl", {"node": 1}, {"deployable": False}, {}, 6, ""),
        (
            "pterodactyl",
            {"locations": [1]},
            {"deployable": False},
            {},
            0,
            "The panel puts no new servers there by itself.",
        ),
        ("calagopus", {"node": "1"}, {"memory": None}, {}, 8, ""),
        ("calagopus", {"node": "1"}, {"memory_used": None, "disk_used": None}, {}, 20, ""),
        ("calagopus", {"node": "1"}, {}, {"memory": 3072, "memory_overhead": 1024}, 1, ""),
        ("calagopus", {"node": "1"}, {}, {"memory": 6144, "memory_overhead": 1024}, 1, ""),
        ("calagopus", {"locations": ["1"]}, {"memory_used": 9000}, {}, 0, "Not enough memory is left."),
        ("calagopus", {"locations": ["1"], "allow_overallocation": True}, {"memory_used": 9000}, {}, 20, ""),
    ],
)
@pytest.mark.req("CAL-21")
def test_how_often_a_product_fits_on_a_node(
    driver: str,
    target: dict[str, Any],
    node: dict[str, Any],
    limits: dict[str, int],
    times: int | None,
    reason: str,
) -> None:
    product = product_on(driver, target, **limits)
    keep(product.panel, ItemKind.NODE, NodeItem("1", "node-1", **NODE | node))
    (found,) = lists.capacity(product)
    assert (found.times, found.reason) == (times, reason)


def test_capacity_names_the_products_nodes_most_room_first(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    product = product_on("pterodactyl", {"locations": [1, 2], "dedicated_ip": True})
    keep(product.panel, ItemKind.LOCATION, LocationItem("1", "eu-1"), LocationItem("2", "us-1"))
    keep(
        product.panel,
        ItemKind.NODE,
        NodeItem("1", "full", **NODE | {"memory_used": 8192}),
        NodeItem("2", "roomy", **NODE | {"location": "2", "maintenance": True}),
        NodeItem("3", "elsewhere", **NODE | {"location": "3"}),
        NodeItem("4", "unknown", **NODE | {"free_allocations": None}),
    )
    with django_assert_num_queries(2):
        found = lists.capacity(product)
    assert [(each.name, each.location, each.times) for each in found] == [
        ("roomy", "us-1", 6),
        ("unknown", "eu-1", 6),
        ("full", "eu-1", 0),
    ]
    assert found[0].note.startswith("In maintenance. At most so many")
    assert "is not known" in found[1].note
    assert (found[0].memory_left, found[0].disk_left, found[2].memory_left) == (6144, 40_000, 0)


def test_no_lists_no_capacity_and_no_flags() -> None:
    product = product_on("pterodactyl", {"node": 1})
    assert (lists.capacity(product), lists.product_flags(product)) == ([], [])
