"""Calagopus's lists to choose from: whole, typed, details by calls of their own; secrets stay behind."""

from __future__ import annotations

import json

import pytest

from provisioning.drivers.calagopus.driver import CalagopusDriver
from provisioning.drivers.errors import AuthFailed, Unknown
from provisioning.drivers.lists import EggItem, Item, ListKind, LocationItem, NestItem, NodeItem
from provisioning.drivers.trouble import NotThere
from provisioning.sandbox.calagopus.seed import seed_large
from tests.provisioning.drivers.calagopus.bench import Bench, egg, made

EVERY = (
    ListKind.LOCATION,
    ListKind.NEST,
    ListKind.BACKUP_CONFIGURATION,
    ListKind.OAUTH_PROVIDER,
    ListKind.NODE,
)


def read(work: Bench, kind: ListKind, parent: str = "") -> list[Item]:
    """A list over all its pages."""
    found: list[Item] = []
    number = last = 1
    while number <= last:
        page = work.driver.list_page(kind, parent, number)
        found, last, number = [*found, *page.items], page.last, number + 1
    return found


@pytest.mark.req("CAL-20", "CAL-29")
def test_each_list_by_its_names(work: Bench) -> None:
    names = {kind: [item.name for item in read(work, kind)] for kind in EVERY}
    assert names == {
        ListKind.LOCATION: ["eu-1"],
        ListKind.NEST: ["Minecraft", "Source Engine", "Voice Servers", "Rust"],
        ListKind.BACKUP_CONFIGURATION: ["Local"],
        ListKind.OAUTH_PROVIDER: ["Billing"],
        ListKind.NODE: ["node-1", "node-2"],
    }
    assert len(work.calls()) == len(EVERY)


def test_an_egg_with_its_images_and_its_variables_when_they_are_asked_for(work: Bench) -> None:
    stored = egg(work.panel)
    found = next(item for item in read(work, ListKind.EGG, stored.nest) if item.name == "Paper")
    assert isinstance(found, EggItem)
    assert (found.id, found.parent, found.variables) == (stored.uuid, stored.nest, None)
    assert found.images[0] == ("Java 21", "games/java:21")
    assert found.startup.startswith("java ")
    work.calls()
    full = work.driver.list_details(found)
    assert work.calls() == ["GET admin/nests/{nest}/eggs/{egg}/variables"]
    assert isinstance(full, EggItem)
    assert full.variables is not None
    assert work.driver.list_details(full) is full
    by_env = {variable.env: variable for variable in full.variables}
    assert by_env["VIEW_DISTANCE"].rules == "required|integer|between:2,32"
    assert (by_env["VIEW_DISTANCE"].default, by_env["DL_PATH"].user_editable) == ("10", False)


def test_a_nodes_room_is_two_calls(work: Bench) -> None:
    made(work)
    work.server().limits["memory_overhead"] = 256
    node = work.node()
    node.disk, node.deployment_enabled, node.maintenance_enabled = 0, False, True
    (found, other) = read(work, ListKind.NODE)
    assert isinstance(found, NodeItem)
    assert (found.memory, found.disk, found.memory_used, found.free_allocations) == (65536, None, None, None)
    work.calls()
    half = work.driver.list_details(found)
    full = work.driver.list_details(half)
    assert work.driver.list_details(full) is full
    assert len(work.calls()) == 2
    assert isinstance(full, NodeItem)
    assert (full.memory_used, full.disk_used, full.free_allocations) == (1280, 5120, 19)
    assert (full.deployable, full.maintenance) == (False, True)
    assert full.location == next(iter(work.panel.state.locations))
    assert isinstance(other, NodeItem)
    assert (other.deployable, other.maintenance) == (True, False)


def test_entries_that_list_everything_have_no_details(work: Bench) -> None:
    place = LocationItem("1", "eu-1")
    assert work.driver.list_details(place) is place
    assert work.calls() == []


def test_a_long_list_has_pages_of_a_hundred(work: Bench) -> None:
    seed_large(work.panel.world, nests=1, eggs=230, nodes=0, locations=1)
    large = next(row.uuid for row in work.panel.state.nests.values() if row.name == "Nest 1")
    assert len({item.id for item in read(work, ListKind.EGG, large)}) == 230
    assert len(work.calls()) == 3


def test_what_is_gone_meanwhile_is_told_apart_from_trouble(work: Bench) -> None:
    gone = EggItem("00000000-0000-4000-8000-000000000000", "Gone", nest=egg(work.panel).nest)
    with pytest.raises(NotThere):
        work.driver.list_details(gone)


def test_no_secret_of_backups_and_providers_is_kept(work: Bench) -> None:
    state = work.panel.state
    next(iter(state.backup_configurations.values())).configs = {"s3": {"secret_key": "canary-of-s3"}}
    items = [*read(work, ListKind.BACKUP_CONFIGURATION), *read(work, ListKind.OAUTH_PROVIDER)]
    assert {key for item in items for key in item.as_json()} == {"id", "name", "description"}
    secret = next(iter(state.oauth_providers.values())).body["client_secret"]
    assert str(secret) not in json.dumps([item.as_json() for item in items])


def test_providers_may_be_hidden_from_the_key_and_nodes_may_not(work: Bench) -> None:
    key = next(iter(work.panel.state.keys.values()))
    key.admin_permissions = [
        right for right in key.admin_permissions if right not in ("oauth-providers.read", "nodes.read")
    ]
    assert work.driver.list_page(ListKind.OAUTH_PROVIDER, "", 1).items == ()
    with pytest.raises(AuthFailed):
        work.driver.list_page(ListKind.NODE, "", 1)


@pytest.mark.parametrize(
    ("kind", "old", "new"),
    [
        (ListKind.NEST, b'"total":4', b'"total":"4"'),
        (ListKind.NEST, b'"name":"Rust"', b'"name":null'),
        (ListKind.NODE, b'"deployment_enabled":true', b'"deployment_enabled":1'),
        (ListKind.NODE, b'"location":{', b'"place":{'),
        (ListKind.LOCATION, b'"locations":{', b'"places":{'),
    ],
)
def test_what_is_no_list_is_not_believed(work: Bench, kind: ListKind, old: bytes, new: bytes) -> None:
    work.wire.replace = (old, new)
    with pytest.raises(Unknown) as caught:
        work.driver.list_page(kind, "", 1)
    assert not caught.value.maybe_done


@pytest.mark.parametrize(
    ("old", "new"),
    [(b'"allocated":{', b'"promised":{'), (b'"memory_overhead":0', b'"memory_overhead":null')],
)
def test_a_capacity_of_another_form_is_not_believed(work: Bench, old: bytes, new: bytes) -> None:
    (found, _) = read(work, ListKind.NODE)
    work.wire.replace = (old, new)
    with pytest.raises(Unknown):
        work.driver.list_details(found)


@pytest.mark.parametrize(
    ("target", "room"),
    [
        ({"node": "n"}, (1000, None)),
        ({"locations": ["l"]}, (1000, None)),
        ({"locations": ["l"], "allow_overallocation": True}, (None, None)),
        ({"node": "n", "allow_overallocation": True}, (1000, None)),
    ],
)
def test_what_a_node_may_promise(target: dict[str, object], room: tuple[int | None, int | None]) -> None:
    assert CalagopusDriver.node_room(NodeItem("1", "node-1", memory=1000), {"target": target}) == room
    assert NestItem("1", "x").parent == ""
