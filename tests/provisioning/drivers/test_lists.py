"""Entries of lists as data, what a document picks of them, kinds that every layer calls the same."""

from __future__ import annotations

import json

import pytest

from provisioning.choices import ItemKind
from provisioning.drivers import registry
from provisioning.drivers.lists import (
    ITEM_TYPES,
    PICKS,
    EggItem,
    EggVariable,
    Item,
    ListKind,
    ListStep,
    LocationItem,
    NamedItem,
    NestItem,
    NodeItem,
    kind_of,
    picked,
)

EGG = EggItem(
    "5",
    "Paper",
    nest="1",
    images=(("Java 21", "games/java:21"), ("Java 17", "games/java:17")),
    startup="java -jar server.jar",
    variables=(EggVariable("DL_PATH", "Download Path", rules="nullable|string", user_editable=False),),
)
NODE = NodeItem("7", "node-1", location="2", memory=1024, memory_used=512, free_allocations=3)


@pytest.mark.parametrize(
    ("kind", "item"),
    [
        (ListKind.EGG, EGG),
        (ListKind.EGG, EggItem("5", "Paper")),
        (ListKind.NODE, NODE),
        (ListKind.NEST, NestItem("1", "Minecraft", "Games")),
        (ListKind.LOCATION, LocationItem("2", "eu-1", "Europe 1")),
        (ListKind.OAUTH_PROVIDER, NamedItem("x", "Billing")),
    ],
)
def test_an_entry_comes_back_from_its_json_as_it_was(kind: ListKind, item: Item) -> None:
    stored = json.loads(json.dumps(item.as_json()))
    assert ITEM_TYPES[kind].from_json(stored | {"of": "a later release"}) == item


def test_what_a_search_looks_in_and_what_narrows_it() -> None:
    assert (EGG.parent, NODE.parent, NestItem("1", "Minecraft").parent) == ("1", "2", "")
    assert LocationItem("2", "eu-1", "Europe 1").hint == "Europe 1"


def test_the_kinds_are_those_of_the_models() -> None:
    assert {kind.value for kind in ListKind} == set(ItemKind.values)
    assert set(ITEM_TYPES) == set(ListKind)


@pytest.mark.parametrize("name", ["pterodactyl", "calagopus"])
@pytest.mark.req("CAL-20", "CAL-29")
def test_each_field_that_is_picked_has_a_list_on_the_panels_that_know_the_field(name: str) -> None:
    driver = registry.get(name)
    fields = {field.path for field in driver.spec.fields}
    assert {kind for path, kind in PICKS.items() if path in fields} <= set(driver.list_kinds())
    before: set[ListKind] = set()
    for step in driver.lists:
        assert step.per is None or step.per in before
        before |= {step.kind, *step.brings}


def test_the_kind_of_an_entry_that_came_along_with_another() -> None:
    step = ListStep(ListKind.NEST, brings=(ListKind.EGG,))
    assert kind_of(EGG, step) is ListKind.EGG
    assert kind_of(NestItem("1", "Minecraft"), step) is ListKind.NEST
    assert kind_of(NamedItem("x", "Local"), ListStep(ListKind.BACKUP_CONFIGURATION)) == "backup_configuration"


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("target.egg", ["5"]),
        ("target.locations", ["1", "2"]),
        ("target.node", []),
        ("options.backup_configuration", []),
    ],
)
def test_what_a_document_picks(path: str, found: list[str]) -> None:
    assert picked({"target": {"egg": 5, "locations": [1, 2], "node": None}}, path) == found
