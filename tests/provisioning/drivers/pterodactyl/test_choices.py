"""Pterodactyl's lists to choose from: whole, typed, in few calls, and what is no list raises."""

from __future__ import annotations

from functools import partial

import pytest

from provisioning.drivers.base import PanelDriver
from provisioning.drivers.errors import Unknown, Unsupported
from provisioning.drivers.lists import EggItem, Item, ListKind, LocationItem, NestItem, NodeItem
from provisioning.drivers.pterodactyl.driver import PterodactylDriver
from provisioning.lib.http import HttpClient
from provisioning.sandbox.seed import seed_large
from tests.provisioning.drivers.pterodactyl.bench import Bench, made


def read(work: Bench, kind: ListKind) -> list[Item]:
    """A list over all its pages."""
    found: list[Item] = []
    number = last = 1
    while number <= last:
        page = work.driver.list_page(kind, "", number)
        found, last, number = [*found, *page.items], page.last, number + 1
    return found


@pytest.mark.req("CAL-20")
def test_nests_bring_their_eggs_with_images_and_variables(work: Bench) -> None:
    items = read(work, ListKind.NEST)
    assert [item.name for item in items if isinstance(item, NestItem)] == [
        "Minecraft",
        "Source Engine",
        "Voice Servers",
        "Rust",
    ]
    paper = next(item for item in items if item.name == "Paper")
    assert isinstance(paper, EggItem)
    assert (paper.id, paper.nest, paper.images[0][0]) == ("5", "1", "Java 21")
    assert paper.startup.endswith("{{SERVER_JARFILE}}")
    assert paper.variables is not None
    by_env = {variable.env: variable for variable in paper.variables}
    assert by_env["BUILD_NUMBER"].rules == "required|string|max:20"
    assert (by_env["BUILD_NUMBER"].default, by_env["DL_PATH"].user_editable) == ("latest", False)
    assert work.calls() == 1


@pytest.mark.req("CAL-20")
def test_a_large_panel_is_read_whole_in_the_calls_that_were_computed(work: Bench) -> None:
    seed_large(work.panel.world, nests=20, eggs=60, nodes=23, locations=12)
    state = work.panel.state
    assert len(read(work, ListKind.LOCATION)) == len(state.locations) == 13
    assert work.calls() == 1
    items = read(work, ListKind.NEST)
    assert len([item for item in items if isinstance(item, EggItem)]) == len(state.eggs) == 65
    assert work.calls() == 5, "24 nests, five a page"
    assert len(read(work, ListKind.NODE)) == len(state.nodes) == 25
    assert work.calls() == 5, "25 nodes, five a page"


def test_a_node_tells_what_is_promised_and_which_ports_are_free(work: Bench) -> None:
    made(work)
    node = work.panel.state.nodes[1]
    node.memory_overallocate, node.maintenance_mode, node.public = 20, True, False
    (found, other) = read(work, ListKind.NODE)
    assert isinstance(found, NodeItem)
    assert isinstance(other, NodeItem)
    assert (found.memory, found.memory_used, found.disk, found.disk_used) == (65536, 1024, 512000, 5120)
    assert (found.free_allocations, other.free_allocations) == (19, 20)
    assert (found.memory_overallocate, found.maintenance, found.deployable) == (20, True, False)
    assert (other.maintenance, other.deployable, other.location) == (False, True, "1")


def test_a_location_by_its_short_name(work: Bench) -> None:
    assert read(work, ListKind.LOCATION) == [LocationItem("1", "eu-1", "Europe 1")]


@pytest.mark.parametrize(
    ("kind", "old", "new"),
    [
        (ListKind.NEST, b'"env_variable":"DL_PATH"', b'"env_variable":7'),
        (ListKind.NEST, b'"object":"egg_variable"', b'"object":"egg"'),
        (ListKind.NEST, b'"eggs":{"object":"list"', b'"eggs":{"object":"null_resource"'),
        (ListKind.NEST, b'"docker_images"', b'"docker_pictures"'),
        (ListKind.NODE, b'"memory":65536', b'"memory":"65536"'),
        (ListKind.NODE, b'"assigned":false', b'"assigned":0'),
        (ListKind.LOCATION, b'"short":"eu-1"', b'"short":null'),
    ],
)
def test_what_is_no_list_is_not_believed(work: Bench, kind: ListKind, old: bytes, new: bytes) -> None:
    work.wire.replace = (old, new)
    with pytest.raises(Unknown) as caught:
        work.driver.list_page(kind, "", 1)
    assert not caught.value.maybe_done


def test_a_kind_without_a_list_is_refused(work: Bench) -> None:
    assert ListKind.OAUTH_PROVIDER not in PterodactylDriver.list_kinds()
    for ask in (work.driver.list_page, partial(PanelDriver.list_page, work.driver)):
        with pytest.raises(Unsupported, match="oauth_provider"):
            ask(ListKind.OAUTH_PROVIDER, "", 1)
    assert work.calls() == 0


def test_ports_that_the_key_may_not_read_are_unknown(work: Bench) -> None:
    work.wire.replace = (b'"allocations":{"object":"list"', b'"allocations":{"object":"null_resource"')
    (found, _) = work.driver.list_page(ListKind.NODE, "", 1).items
    assert isinstance(found, NodeItem)
    assert found.free_allocations is None


def test_nodes_with_too_many_ports_are_read_without_them(work: Bench) -> None:
    seed_large(work.panel.world, nests=1, eggs=1, nodes=1, locations=1, ports=4000)
    headers = PterodactylDriver.auth_headers(work.panel.application_key)
    work.wire.client = HttpClient(
        work.panel.url, headers=headers, allow_private=True, allow_plain_http=True, max_bytes=200_000
    )
    nodes = [item for item in read(work, ListKind.NODE) if isinstance(item, NodeItem)]
    assert [node.free_allocations for node in nodes] == [None, None, None]
    assert work.calls() == 2


@pytest.mark.parametrize(
    ("percent", "auto", "room"),
    [(0, False, 1000), (20, True, 1200), (-1, False, None), (-1, True, 990)],
)
def test_what_a_node_may_promise(percent: int, auto: bool, room: int | None) -> None:
    node = NodeItem("1", "node-1", memory=1000, disk=1000, memory_overallocate=percent)
    target = {"locations": [1]} if auto else {"node": 1}
    assert PterodactylDriver.node_room(node, {"target": target}) == (room, 1000)
