"""A drift pass: each kind of difference, what it leaves alone, and lists that are not to be believed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from provisioning.choices import DriftKind, DriftOutcome, Outcome, Resource, SuspendReason
from provisioning.drivers.pterodactyl import driver as pterodactyl
from provisioning.lib import clock
from provisioning.lifecycle.staff import service_pin, service_suspend
from provisioning.models import Drift, DriftPage, DriftPass, PanelAccount, PanelCall, Service
from provisioning.reconcile.drift_lease import drift_claim
from provisioning.sandbox.seed import seed_servers
from tests import factories
from tests.bridge import Bridge
from tests.provisioning.reconcile.drifting import check, fleet, standing
from tests.provisioning.reconcile.trouble import outlast

Spoil = Callable[[Bridge], None]


def gone(bridge: Bridge) -> None:
    bridge.panel.state.servers.clear()


def another_owner(bridge: Bridge) -> None:
    bridge.server().owner_id = 1


def another_mark(bridge: Bridge) -> None:
    bridge.server().external_id = "theirs-1"


def no_mark(bridge: Bridge) -> None:
    bridge.server().external_id = None


def bigger(bridge: Bridge) -> None:
    bridge.server().memory = 8192


def stopped(bridge: Bridge) -> None:
    bridge.server().status = "suspended"


def running(bridge: Bridge) -> None:
    service_suspend(service=bridge.service(), reason=SuspendReason.ABUSE)
    outlast(bridge)
    bridge.server().status = None


def user_of(bridge: Bridge) -> object:
    return bridge.panel.state.users[int(PanelAccount.objects.get().panel_user_id)]


def other_user_mark(bridge: Bridge) -> None:
    user_of(bridge).external_id = "99"  # type: ignore[attr-defined]


def other_user_mail(bridge: Bridge) -> None:
    user_of(bridge).email = "linus@example.com"  # type: ignore[attr-defined]


def promoted(bridge: Bridge) -> None:
    user_of(bridge).root_admin = True  # type: ignore[attr-defined]


def user_gone(bridge: Bridge) -> None:
    del bridge.panel.state.users[int(PanelAccount.objects.get().panel_user_id)]


SPOILT: tuple[tuple[Spoil, DriftKind, str], ...] = (
    (gone, DriftKind.MISSING, "complete list does not show it"),
    (another_owner, DriftKind.OWNER, "belongs to panel user 1, not to 2"),
    (another_mark, DriftKind.MARK, "should have the external id “test-shop-12345”, but has “theirs-1”"),
    (no_mark, DriftKind.MARK, "but has none"),
    (bigger, DriftKind.LIMITS, "memory 8192 → 1024"),
    (stopped, DriftKind.STATE, "Billing says active, it should be present, and the panel shows suspended"),
    (running, DriftKind.STATE, "it should be suspended, and the panel shows active"),
    (other_user_mark, DriftKind.ACCOUNT, "has the external id 99"),
    (other_user_mail, DriftKind.ACCOUNT, "has the e-mail address linus@example.com"),
    (promoted, DriftKind.ACCOUNT, "is an administrator"),
    (user_gone, DriftKind.ACCOUNT, "is gone from the panel"),
)


@pytest.mark.req("CAL-07", "T83-40")
@pytest.mark.parametrize(("spoil", "kind", "words"), SPOILT, ids=[item[0].__name__ for item in SPOILT])
def test_each_difference_is_found_and_gone_when_it_is_gone(
    bridge: Bridge, spoil: Spoil, kind: DriftKind, words: str
) -> None:
    bridge.buy()
    assert (check(bridge).outcome, standing()) == (DriftOutcome.COMPARED, [])
    before = bridge.panel.world.snapshot()
    spoil(bridge)
    calls = [bridge.panel.calls.count(verb) for verb in ("POST", "PATCH", "DELETE")]
    check(bridge)
    found = Drift.objects.get()
    assert (found.kind, words in found.words, found.resolved_at) == (kind, True, None)
    if kind is not DriftKind.ACCOUNT:
        assert found.service == bridge.service()
    since = found.since
    check(bridge)
    found.refresh_from_db()
    assert (found.since, found.last_seen_at > since) == (since, True)
    assert [bridge.panel.calls.count(verb) for verb in ("POST", "PATCH", "DELETE")] == calls, "it only reads"
    if spoil is not running:
        bridge.panel.world.state = before
        check(bridge)
        assert standing() == []
        found.refresh_from_db()
        assert found.resolved_at is not None


def stray(bridge: Bridge, mark: str | None) -> str:
    """One more server on the panel, with that mark."""
    seed_servers(bridge.panel.world, 1, owner_id=2, mark="new")
    server = bridge.servers()[-1]
    server.external_id = mark
    return str(server.id)


@pytest.mark.req("CAL-07")
@pytest.mark.parametrize(
    ("mark", "kind", "words"),
    [
        (None, DriftKind.ORPHAN, "has no external id"),
        ("test-shop-777", DriftKind.ORPHAN, "no service has that mark"),
        ("777", DriftKind.FOREIGN, "no mark of ours"),
        ("testing-1", DriftKind.FOREIGN, "no mark of ours"),
        ("test-shop-12345", DriftKind.DOUBLE, "carries the mark of Server-12345, whose server is"),
    ],
)
def test_servers_that_nobody_sells(bridge: Bridge, mark: str | None, kind: DriftKind, words: str) -> None:
    bridge.buy()
    ident = stray(bridge, mark)
    check(bridge)
    found = Drift.objects.get()
    assert (found.kind, found.server_id, found.subject) == (kind, ident, f"server:{ident}")
    assert words in found.words
    assert (found.service == bridge.service()) == (kind is DriftKind.DOUBLE)


def test_a_server_that_outlived_its_service_is_an_orphan(bridge: Bridge) -> None:
    bridge.buy()
    Service.objects.update(server_id="", desired_state="absent", terminated_at=clock.now())
    check(bridge)
    found = Drift.objects.get()
    assert (found.kind, found.service) == (DriftKind.ORPHAN, bridge.service())
    assert "has no server here" in found.words


# --- what is no drift -----------------------------------------------------------------------------------


def test_work_in_progress_is_no_drift_and_leaves_what_was_known(bridge: Bridge) -> None:
    service = bridge.buy()
    bigger(bridge)
    check(bridge)
    service_pin(service=service, resource=Resource.MEMORY, value=512)
    row = check(bridge)
    assert (row.checked, row.unknown) == (0, 1)
    assert standing() == [(DriftKind.LIMITS, service.server_id)], "neither confirmed nor refuted"
    outlast(bridge)
    row = check(bridge)
    assert (row.checked, row.unknown, standing()) == (1, 0, [])


def test_a_service_that_changed_while_the_lists_were_read_is_not_judged(
    bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = bridge.buy()
    real = pterodactyl.PterodactylDriver.account_page

    def meanwhile(self: pterodactyl.PterodactylDriver, number: int) -> object:
        service_pin(service=service, resource=Resource.MEMORY, value=2048)
        bridge.jobs.drain()
        assert bridge.service().converged
        return real(self, number)

    monkeypatch.setattr(pterodactyl.PterodactylDriver, "account_page", meanwhile)
    row = check(bridge)
    assert (row.outcome, row.unknown, standing()) == (DriftOutcome.COMPARED, 1, [])


def test_a_service_with_a_live_operation_is_not_judged(bridge: Bridge) -> None:
    service = bridge.buy()
    bigger(bridge)
    factories.operation(service=service, generation=service.generation, outcome=Outcome.WAITING)
    row = check(bridge)
    assert (row.checked, row.unknown, standing()) == (0, 1, [])


def test_what_a_pin_or_an_entitlement_makes_of_the_limits_is_no_drift(bridge: Bridge) -> None:
    service = bridge.buy()
    service_pin(service=service, resource=Resource.MEMORY, value=2048)
    outlast(bridge)
    check(bridge)
    assert (bridge.server().memory, standing()) == (2048, [])


# --- lists that are not to be believed ------------------------------------------------------------------


@pytest.mark.req("T83-40")
@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("down", "/servers"),
        ("error", "/servers"),
        ("cut", "/servers"),
        ("wrong_types", "/servers"),
        ("error_in_ok", "/users"),
        ("forbidden", "/users"),
    ],
)
def test_a_list_that_fails_on_page_two_is_unknown_and_changes_nothing(
    bridge: Bridge, monkeypatch: pytest.MonkeyPatch, kind: str, path: str
) -> None:
    monkeypatch.setattr(pterodactyl, "LONG_PAGE", 2)
    servers = fleet(bridge, 4)
    servers[0].memory = 4096
    check(bridge)
    before = list(Drift.objects.values())
    assert [row["kind"] for row in before] == [DriftKind.LIMITS]
    servers[0].memory, servers[1].memory = 1024, 4096
    bridge.panel.faults.add(kind, path=f"{path}$", skip=0 if path == "/users" else 1)  # type: ignore[arg-type]
    row = check(bridge)
    assert (row.outcome, row.checked, row.unknown) == (DriftOutcome.UNKNOWN, 0, 5)
    assert row.words
    assert list(Drift.objects.values()) == before
    assert not DriftPage.objects.exists()
    assert check(bridge).outcome == DriftOutcome.COMPARED
    assert standing() == [(DriftKind.LIMITS, str(servers[1].id))]


@pytest.mark.parametrize(("served", "words"), [(3, "became shorter"), (None, "leaves out server")])
def test_a_list_that_moves_while_it_is_read_is_unknown(
    bridge: Bridge, monkeypatch: pytest.MonkeyPatch, served: int | None, words: str
) -> None:
    """A server that goes between two pages moves another onto a page that was read already."""
    monkeypatch.setattr(pterodactyl, "LONG_PAGE", 2)
    servers = fleet(bridge, 5)
    real = pterodactyl.PterodactylDriver.server_page

    def moving(self: pterodactyl.PterodactylDriver, number: int) -> object:
        if number == 2:
            # The first goes; where the count stays the same, a stranger's comes.
            bridge.panel.state.servers.pop(servers[0].id)
            if served is None:
                stray(bridge, "777")
        return real(self, number)

    monkeypatch.setattr(pterodactyl.PterodactylDriver, "server_page", moving)
    row = check(bridge)
    assert (row.outcome, words in row.words, standing()) == (DriftOutcome.UNKNOWN, True, [])


def test_a_list_that_shows_an_entry_twice_is_unknown(bridge: Bridge, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ada's user is on page two; the panel shows page one again."""
    bridge.buy()
    monkeypatch.setattr(pterodactyl, "LONG_PAGE", 1)
    real = pterodactyl.PterodactylDriver.account_page
    monkeypatch.setattr(pterodactyl.PterodactylDriver, "account_page", lambda self, _: real(self, 1))
    row = check(bridge)
    assert (row.outcome, standing()) == (DriftOutcome.UNKNOWN, [])
    assert "counts 2 accounts but showed 1" in row.words


def test_a_panel_that_is_parked_or_silent_is_unknown(bridge: Bridge) -> None:
    bridge.buy()
    bridge.panel.faults.add("down", count=None)
    for _ in range(4):
        row = check(bridge)
    assert (row.outcome, row.unknown) == (DriftOutcome.UNKNOWN, 1)
    assert "does not answer" in row.words
    assert standing() == []


# --- how much it costs ----------------------------------------------------------------------------------


def calls_for(entries: int) -> int:
    """Pages of servers and of users, for so many of each, and the looks at what seems to be missing."""
    return 2 * -(-entries // pterodactyl.LONG_PAGE) + 2 * 10


def test_ten_thousand_servers_and_customers_take_a_hundred_calls() -> None:
    assert calls_for(10_000) <= 110


def test_a_pass_reads_pages_and_never_single_servers(bridge: Bridge) -> None:
    fleet(bridge, 600)
    PanelCall.objects.all().delete()
    row = check(bridge)
    assert (row.checked, row.unknown, standing()) == (601, 0, [])
    assert [call.path.rpartition("/")[2] for call in PanelCall.objects.order_by("id")] == ["servers"] * 3 + [
        "users"
    ]


def queries(bridge: Bridge) -> int:
    with CaptureQueriesContext(connection) as asked:
        check(bridge)
    return len(asked)


def test_queries_grow_with_pages_not_with_servers(bridge: Bridge) -> None:
    fleet(bridge, 10)
    check(bridge)
    few = queries(bridge)
    fleet(bridge, 60)
    assert queries(bridge) <= few
    for server in bridge.servers():
        server.memory = 4096
    assert queries(bridge) <= few + 1
    assert queries(bridge) <= few + 1
    assert len(standing()) == 71


def test_two_passes_of_a_panel_never_run_at_once(bridge: Bridge) -> None:
    bridge.buy()
    row = check(bridge)
    lease = drift_claim(row.pk)
    assert lease is not None
    finished = row.finished_at
    assert check(bridge).finished_at == finished
    lease.pause(seconds=0)
    assert check(bridge).finished_at != finished
    assert drift_claim(row.pk + 1) is None


def test_a_pass_of_a_panel_that_is_gone_is_none(bridge: Bridge) -> None:
    assert drift_claim(DriftPass.objects.count() + 1) is None
