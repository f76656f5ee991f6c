"""Reading a panel's lists: whole or not at all, resumed, in few calls, on both panels (CAL-20)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.conf import settings as configured
from pytest_django import Settings

from provisioning import lists
from provisioning.choices import ItemKind, SnapshotState
from provisioning.drivers.calagopus import lists as calagopus
from provisioning.drivers.lists import EggItem, Item, ListKind, NodeItem
from provisioning.drivers.pterodactyl import lists as pterodactyl
from provisioning.drivers.types import ListPage
from provisioning.lib import clock
from provisioning.models import PanelCall, PanelItem, PanelListPage, PanelSnapshot
from provisioning.reconcile.lists import (
    AGAIN_AFTER,
    Reading,
    SnapshotLease,
    egg_details_load,
    lists_read,
    snapshot_ensure,
    snapshot_start,
    snapshots_due,
)
from provisioning.reconcile.passes import LONGEST_PASS
from provisioning.reconcile.schedules import sweep_all
from provisioning.reconcile.transport import PanelTransport
from provisioning.sandbox.calagopus.seed import seed_large as seed_calagopus
from provisioning.sandbox.calagopus.server import CalagopusSandbox
from provisioning.sandbox.calagopus.world import Settings as CalagopusSettings
from provisioning.sandbox.faults import Kind
from provisioning.sandbox.seed import seed_large as seed_pterodactyl
from provisioning.sandbox.server import PanelSandbox
from provisioning.sandbox.world import Settings as PterodactylSettings
from tests import factories
from tests.bridge import Bridge
from tests.conftest import Jobs
from tests.provisioning.reconcile.calagopus import CalagopusBridge
from tests.provisioning.reconcile.listing import go_on, progress, read
from tests.provisioning.reconcile.trouble import Killed

pytestmark = pytest.mark.django_db
STOCK = {"pterodactyl": 3, "calagopus": 14}
"""Calls of a panel with four nests, one location, two nodes; and one egg that a product is made of."""


@pytest.fixture(params=["pterodactyl", "calagopus"])
def either(request: pytest.FixtureRequest, jobs: Jobs, db: None) -> Iterator[Bridge]:
    """The cast on each of the panels."""
    if request.param == "pterodactyl":
        with PanelSandbox(settings=PterodactylSettings(application_limit=240)) as stock:
            yield Bridge(stock, jobs)
    else:
        with CalagopusSandbox(settings=CalagopusSettings(rate_limit=360)) as other:
            yield CalagopusBridge(other, jobs)


def names(bridge: Bridge, kind: ItemKind, parent: str = "") -> list[str]:
    """What a picker would offer."""
    return [item.name for item in lists.items_search(bridge.row, kind, parent)]


# --- whole ----------------------------------------------------------------------------------------------


@pytest.mark.req("CAL-20")
def test_everything_that_is_picked_from_is_there_after_one_reading(either: Bridge) -> None:
    found = read(either)
    assert (found.state, found.detail, found.percent) == (SnapshotState.COMPLETE, "", 100)
    assert (found.calls, found.done, found.total) == (
        STOCK[either.driver],
        found.total,
        found.done,
    )
    assert PanelCall.objects.count() == STOCK[either.driver]
    assert names(either, ItemKind.NEST) == ["Minecraft", "Rust", "Source Engine", "Voice Servers"]
    assert names(either, ItemKind.NODE) == ["node-1", "node-2"]
    egg = lists.item_get(either.row, ItemKind.EGG, either.product.document["target"]["egg"])
    assert isinstance(egg, EggItem)
    assert egg.variables is not None
    assert names(either, ItemKind.EGG, egg.nest)[0] == "Bungeecord"
    node = lists.item_get(either.row, ItemKind.NODE, either.product.document["target"]["node"])
    assert isinstance(node, NodeItem)
    assert (node.memory_used, node.free_allocations) == (0, 20)
    assert not PanelListPage.objects.exists()


def test_a_second_reading_takes_what_is_gone_and_changed(either: Bridge) -> None:
    read(either)
    state = either.panel.state
    first = next(iter(state.eggs.values()))
    next(iter(state.nodes.values())).name = "renamed"
    state.eggs.pop(next(key for key, egg in state.eggs.items() if egg is first))
    clock.shift(60)
    assert read(either).state == SnapshotState.COMPLETE
    assert names(either, ItemKind.NODE) == ["node-2", "renamed"]
    assert first.name not in names(either, ItemKind.EGG)
    assert PanelSnapshot.objects.get().number == 2


@pytest.mark.req("CAL-20")
def test_after_a_reading_an_order_gets_the_eggs_new_defaults(either: Bridge) -> None:
    either.buy()
    rows: dict[Any, Any] = either.panel.state.eggs
    rows[either.product.document["target"]["egg"]].docker_images = {"Java 25": "ghcr.io/example/java:25"}
    either.buy(subscription_id="2")
    read(either)
    either.buy(subscription_id="3")
    images = [server.image for server in either.servers()]
    assert images[0] == images[1] != "ghcr.io/example/java:25", "remembered"
    assert images[2] == "ghcr.io/example/java:25"


@pytest.mark.parametrize("fault", ["error", "error_in_ok", "wrong_types", "rate_limited"])
def test_an_answer_that_is_none_replaces_nothing(either: Bridge, fault: Kind) -> None:
    read(either)
    before = list(PanelItem.objects.order_by("pk").values_list("pk", "reading"))
    next(iter(either.panel.state.nodes.values())).name = "renamed"
    clock.shift(60)
    either.panel.faults.add(fault, path="/nodes$", seconds=1)
    snapshot_start(either.row)
    either.jobs.drain()
    assert list(PanelItem.objects.order_by("pk").values_list("pk", "reading")) == before
    go_on(either)
    found = progress(either.row)
    if fault == "rate_limited":
        assert found.state == SnapshotState.COMPLETE, "silence is waited for"
        return
    assert found.state == SnapshotState.FAILED
    assert found.detail
    assert found.age is not None
    assert found.age >= dt.timedelta(seconds=60)
    assert names(either, ItemKind.NODE) == ["node-1", "node-2"]


def test_a_panel_that_is_down_keeps_its_last_lists(either: Bridge) -> None:
    read(either)
    either.panel.stop()
    clock.shift(3601)
    assert snapshot_ensure(either.row)
    either.jobs.drain()
    found = progress(either.row)
    assert (found.state, found.running) == (SnapshotState.FAILED, False)
    assert names(either, ItemKind.NODE) == ["node-1", "node-2"]
    assert not snapshot_ensure(either.row), "not again at once"
    clock.shift(AGAIN_AFTER.total_seconds() + 1)
    assert snapshot_ensure(either.row)


def test_a_list_that_does_not_add_up_is_refused(bridge: Bridge, monkeypatch: pytest.MonkeyPatch) -> None:
    seed_pterodactyl(bridge.panel.world, nests=8, eggs=8, nodes=0, locations=1)
    real = pterodactyl.list_page

    def shrinking(client: object, kind: object, number: int) -> object:
        page = real(client, kind, number)  # type: ignore[arg-type]
        if kind is ListKind.NEST and number == 1:
            del bridge.panel.state.nests[1]
        return page

    monkeypatch.setattr(pterodactyl, "list_page", shrinking)
    assert "became shorter" in read(bridge).detail
    monkeypatch.undo()
    assert read(bridge).state == SnapshotState.COMPLETE


def test_a_list_that_shows_less_than_it_counts_is_refused(
    either: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    read(either)
    clock.shift(60)
    module = calagopus if either.driver == "calagopus" else pterodactyl
    real = module.list_page

    def cut(*args: object) -> ListPage[Item]:
        page = real(*args)
        return ListPage(page.items[:1], page.total, page.last) if ListKind.NODE in args else page

    monkeypatch.setattr(module, "list_page", cut)
    found = read(either)
    assert (found.state, "counts 2 entries of the kind node" in found.detail) == (SnapshotState.FAILED, True)
    assert names(either, ItemKind.NODE) == ["node-1", "node-2"]


# --- resumed --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("owner", "name"), [(PanelTransport, "_call"), (SnapshotLease, "write")], ids=["calls", "writes"]
)
@pytest.mark.req("CAL-20")
def test_a_killed_worker_loses_one_page(
    either: Bridge, monkeypatch: pytest.MonkeyPatch, settings: Settings, owner: type, name: str
) -> None:
    settings.LEASE_SECONDS = 20
    real: Callable[..., object] = getattr(owner, name)
    steps: list[int] = []

    def mortal(*args: object, **kwargs: object) -> object:
        steps.append(1)
        if len(steps) % 2 == 0:
            raise Killed(name)
        return real(*args, **kwargs)

    row = snapshot_start(either.row)
    monkeypatch.setattr(owner, name, mortal)
    for _ in range(60):
        try:
            lists_read(row.pk)
        except Killed:
            clock.shift(settings.LEASE_SECONDS)
        clock.shift(2)
        row.refresh_from_db()
        if not row.under_way:
            break
    assert row.state == SnapshotState.COMPLETE
    assert names(either, ItemKind.NODE) == ["node-1", "node-2"]
    once = STOCK[either.driver]
    if name == "_call":
        assert PanelCall.objects.count() == once, "each page was read once"
    assert not PanelListPage.objects.exists()


def test_a_worker_that_was_frozen_past_its_lease_writes_nothing(
    bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = snapshot_start(bridge.row)
    real = pterodactyl.list_page

    def frozen(client: object, kind: object, number: int) -> object:
        page = real(client, kind, number)  # type: ignore[arg-type]
        clock.shift(configured.LEASE_SECONDS + 1)
        monkeypatch.setattr(pterodactyl, "list_page", real)
        lists_read(row.pk)
        return page

    monkeypatch.setattr(pterodactyl, "list_page", frozen)
    lists_read(row.pk)
    row.refresh_from_db()
    assert (row.state, row.number, PanelListPage.objects.count()) == (SnapshotState.COMPLETE, 1, 0)
    assert PanelCall.objects.count() == 1 + STOCK["pterodactyl"], "the frozen one made no further call"


def test_two_workers_do_not_read_at_once(bridge: Bridge) -> None:
    row = snapshot_start(bridge.row)
    PanelSnapshot.objects.filter(pk=row.pk).update(lease_until=clock.now() + dt.timedelta(seconds=60))
    lists_read(row.pk)
    assert not PanelCall.objects.exists()
    lists_read(row.pk + 1)


def test_a_reading_of_more_than_an_hour_ends(bridge: Bridge) -> None:
    snapshot_start(bridge.row)
    clock.shift(LONGEST_PASS.total_seconds() + 1)
    bridge.jobs.drain()
    assert "within an hour" in progress(bridge.row).detail


def test_an_error_of_ours_ends_a_reading_with_a_word(bridge: Bridge, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Reading) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Reading, "run", broken)
    assert "ZeroDivisionError" in read(bridge).detail


# --- when -----------------------------------------------------------------------------------------------


def test_opening_a_form_reads_only_what_is_older_than_an_hour(bridge: Bridge) -> None:
    assert snapshot_ensure(bridge.row)
    assert snapshot_ensure(bridge.row), "still under way"
    bridge.jobs.drain()
    assert not snapshot_ensure(bridge.row)
    clock.shift(3601)
    assert snapshot_ensure(bridge.row)
    assert PanelSnapshot.objects.get().number == 2


def test_the_button_does_not_begin_a_reading_anew_that_is_under_way(bridge: Bridge) -> None:
    snapshot_start(bridge.row)
    snapshot_start(bridge.row)
    assert PanelSnapshot.objects.get().number == 1
    bridge.jobs.drain()
    assert PanelCall.objects.count() == STOCK["pterodactyl"]


def test_lists_are_read_by_themselves_where_products_are_made(bridge: Bridge, settings: Settings) -> None:
    unused = factories.panel()
    snapshots_due()
    assert not PanelSnapshot.objects.exists(), "LISTS_SECONDS is 0"
    settings.LISTS_SECONDS = 21_600
    sweep_all()
    assert len(bridge.jobs.sent) == 1
    bridge.jobs.drain()
    assert progress(bridge.row).state == SnapshotState.COMPLETE
    assert not PanelSnapshot.objects.filter(panel=unused).exists()
    clock.shift(21_601)
    sweep_all()
    bridge.jobs.drain()
    assert PanelSnapshot.objects.get().number == 2


def test_a_lost_queue_costs_one_sweep(bridge: Bridge) -> None:
    snapshot_start(bridge.row)
    bridge.jobs.clear()
    clock.shift(configured.SWEEP_SECONDS + 1)
    sweep_all()
    bridge.jobs.drain()
    assert progress(bridge.row).state == SnapshotState.COMPLETE


# --- few calls ------------------------------------------------------------------------------------------


def test_variables_of_an_egg_that_nobody_sells_are_read_when_it_is_chosen(jobs: Jobs, db: None) -> None:
    with CalagopusSandbox() as panel:
        bridge = CalagopusBridge(panel, jobs)
        read(bridge)
        (item, *_) = lists.items_search(bridge.row, ItemKind.EGG, text="vanilla")
        listed = lists.item_get(bridge.row, ItemKind.EGG, item.key)
        assert isinstance(listed, EggItem)
        assert listed.variables is None
        calls = PanelCall.objects.count()
        for _ in range(2):
            loaded = egg_details_load(bridge.row, item.key)
            assert loaded is not None
            assert [variable.env for variable in loaded.variables or ()] == [
                "SERVER_JARFILE",
                "VANILLA_VERSION",
            ]
        assert PanelCall.objects.count() == calls + 1, "kept with the lists"
        assert egg_details_load(bridge.row, "unknown") is None
        panel.state.eggs.pop(lists.items_search(bridge.row, ItemKind.EGG, text="sponge")[0].key)
        gone = lists.items_search(bridge.row, ItemKind.EGG, text="sponge")[0].key
        assert egg_details_load(bridge.row, gone) is None


@pytest.mark.parametrize(
    "size",
    [(6, 60, 30, 4), pytest.param((60, 1500, 300, 40), marks=pytest.mark.slow)],
    ids=["tenth", "whole"],
)
@pytest.mark.req("CAL-20")
def test_a_large_panel_is_read_within_its_rate_limit_with_progress(
    either: Bridge, size: tuple[int, int, int, int]
) -> None:
    nests, eggs, nodes, places = size
    other = either.driver == "calagopus"
    seed = seed_calagopus if other else seed_pterodactyl
    seed(either.panel.world, nests=nests, eggs=eggs, nodes=nodes, locations=places)  # type: ignore[arg-type]
    seen: list[tuple[int, int]] = []
    snapshot_start(either.row)
    either.jobs.drain()
    seconds = go_on(either, each=lambda now: seen.append((now.percent, now.done)))
    found = progress(either.row)
    assert (found.state, found.detail) == (SnapshotState.COMPLETE, "")
    assert found.calls == PanelCall.objects.count()
    assert not PanelCall.objects.filter(status=429).exists()
    pages = -(-(nests + 4) // 5) + -(-(nodes + 2) // 5) + 1
    pages_calagopus = 2 + nests + 4 + 1 + 2 + -(-(nodes + 2) // 100) + 2 * (nodes + 2)
    assert found.calls == (pages_calagopus if other else pages)
    assert seconds <= 10 + found.calls / 3, "its jobs follow each other as the budget lets them"
    assert [done for _, done in seen] == sorted(done for _, done in seen)
    assert PanelItem.objects.filter(kind=ItemKind.EGG).count() == eggs + 5
    assert PanelItem.objects.filter(kind=ItemKind.NODE).count() == nodes + 2
