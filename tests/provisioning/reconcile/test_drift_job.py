"""The drift pass as a job: killed and resumed, held up, scheduled; what missing servers stop."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.conf import settings
from pytest_django import Settings

from provisioning import queue
from provisioning.choices import DriftKind, DriftOutcome, DriftStage, Outcome
from provisioning.drivers.pterodactyl import driver as pterodactyl
from provisioning.drivers.types import ListPage
from provisioning.exceptions import TransitionError
from provisioning.lib import clock
from provisioning.models import AuditEntry, Drift, DriftPage, DriftPass, Notification, PanelCall, Service
from provisioning.reconcile import drift
from provisioning.reconcile.brake import BRAKE_WAIT
from provisioning.reconcile.drift import drift_check
from provisioning.reconcile.drift_lease import DriftLease
from provisioning.reconcile.drift_staff import drift_mail, drift_pass_ensure, panel_unfreeze
from provisioning.reconcile.passes import LONGEST_PASS
from provisioning.reconcile.schedules import prune_old, sweep_all
from provisioning.reconcile.transport import PanelTransport
from tests import factories
from tests.bridge import Bridge
from tests.conftest import Jobs
from tests.provisioning.reconcile.drifting import check, fleet, standing
from tests.provisioning.reconcile.trouble import Killed, outlast, pass_time

pytestmark = pytest.mark.slow

WEEK = 7 * 86400.0


@pytest.fixture
def short_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists of several pages with a few servers."""
    monkeypatch.setattr(pterodactyl, "LONG_PAGE", 2)


# --- killed, out of time, frozen ------------------------------------------------------------------------


@pytest.mark.usefixtures("short_pages")
@pytest.mark.parametrize(
    ("owner", "name"), [(PanelTransport, "_call"), (DriftLease, "write")], ids=["calls", "writes"]
)
def test_a_killed_pass_goes_on_where_it_was(
    bridge: Bridge, monkeypatch: pytest.MonkeyPatch, owner: type, name: str
) -> None:
    servers = fleet(bridge, 5)
    servers[4].memory = 4096
    PanelCall.objects.all().delete()
    real: Callable[..., object] = getattr(owner, name)
    steps: list[int] = []

    def mortal(*args: object, **kwargs: object) -> object:
        steps.append(1)
        if len(steps) % 2 == 0:
            raise Killed(name)
        return real(*args, **kwargs)

    monkeypatch.setattr(owner, name, mortal)
    for _ in range(20):
        try:
            row = check(bridge)
        except Killed:
            clock.shift(settings.LEASE_SECONDS + 1)
            continue
        if row.outcome == DriftOutcome.COMPARED:
            break
        clock.shift(settings.LEASE_SECONDS + 1)
    monkeypatch.setattr(owner, name, real)
    if name == "_call":
        assert PanelCall.objects.count() == 4, "three pages of servers and one of users, each read once"
        assert standing() == [(DriftKind.LIMITS, str(servers[4].id))]
    else:
        assert check(bridge).outcome == DriftOutcome.COMPARED
        assert standing() == [(DriftKind.LIMITS, str(servers[4].id))]
    assert not DriftPage.objects.exists()


@pytest.mark.usefixtures("short_pages")
def test_a_job_without_time_or_budget_hands_over_to_the_next(
    bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet(bridge, 5)
    bridge.panel.faults.add("rate_limited", path="/servers$", skip=1, seconds=30)
    row = check(bridge)
    assert (row.stage, row.next_page, row.outcome) == (DriftStage.SERVERS, 2, DriftOutcome.NEVER)
    assert row.next_check_at is not None
    assert 25 < (row.next_check_at - clock.now()).total_seconds() <= 30
    clock.shift(31)
    monkeypatch.setattr(drift, "SECONDS_TO_COMPARE", 10_000)
    row = check(bridge)
    assert (row.stage, row.lease_until) == (DriftStage.COMPARING, None)
    calls = PanelCall.objects.count()
    monkeypatch.undo()
    assert check(bridge).outcome == DriftOutcome.COMPARED
    assert PanelCall.objects.count() == calls, "what was read is not read again"


@pytest.mark.usefixtures("short_pages")
def test_a_pass_that_took_too_long_is_unknown_and_the_next_begins_anew(bridge: Bridge) -> None:
    fleet(bridge, 3)
    bridge.panel.faults.add("rate_limited", path="/servers$", skip=1, seconds=1)
    assert check(bridge).under_way
    clock.shift(LONGEST_PASS.total_seconds())
    row = check(bridge)
    assert (row.outcome, row.under_way, "within an hour" in row.words) == (DriftOutcome.UNKNOWN, False, True)
    assert check(bridge).outcome == DriftOutcome.COMPARED


def test_a_worker_that_was_frozen_past_its_lease_writes_nothing(
    bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    bridge.buy()
    bridge.server().memory = 4096
    real = pterodactyl.PterodactylDriver.account_page
    frozen: list[int] = []

    def freezing(self: pterodactyl.PterodactylDriver, number: int) -> object:
        page = real(self, number)
        if not frozen:
            frozen.append(1)
            clock.shift(settings.LEASE_SECONDS + 1)
            check(bridge)
            Drift.objects.all().delete()
        return page

    monkeypatch.setattr(pterodactyl.PterodactylDriver, "account_page", freezing)
    check(bridge)
    assert standing() == []


def test_an_error_of_ours_is_unknown_and_named(bridge: Bridge, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> object:
        raise RuntimeError("secret words")

    monkeypatch.setattr(drift, "compare", broken)
    row = check(bridge)
    assert row.outcome == DriftOutcome.UNKNOWN
    assert "RuntimeError" in row.words
    assert "secret words" not in row.words


def test_a_panel_without_pages_is_read_at_once(bridge: Bridge, monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver that knows no pages shows all on the first."""
    bridge.buy()
    base = pterodactyl.PterodactylDriver.__mro__[1]
    for name in ("server_page", "account_page"):
        monkeypatch.setattr(pterodactyl.PterodactylDriver, name, getattr(base, name))
    assert (check(bridge).outcome, check(bridge).checked) == (DriftOutcome.COMPARED, 1)
    assert ListPage((), 0).last == 1


# --- a mass of missing servers --------------------------------------------------------------------------


def due_delete(bridge: Bridge) -> Service:
    """Ada's first service, whose delete is due; the fleet around it stays."""
    bridge.say("subscription.cancelled", status="cancelled")
    clock.shift(WEEK + 1)
    bridge.panel.advance(WEEK + 1)
    return bridge.service()


@pytest.mark.req("CAL-04")
def test_a_mass_of_missing_servers_freezes_deletes_until_staff_say_so(bridge: Bridge) -> None:
    servers = fleet(bridge, 9)
    for server in servers[:3]:
        del bridge.panel.state.servers[server.id]
    row = check(bridge)
    assert (row.missing, row.frozen_at is not None) == (3, True)
    assert [kind for kind, _ in standing()] == [DriftKind.MISSING] * 3
    alert = Notification.objects.get(template="panel_frozen")
    assert "3 of 10 servers are missing" in alert.context["words"]
    due_delete(bridge)
    sweep_all()
    bridge.jobs.drain()
    operation = bridge.operation()
    assert (operation.outcome, operation.reason) == (Outcome.WAITING, "panel_frozen")
    bridge.panel.calls.clear()
    pass_time(bridge, BRAKE_WAIT + 1)
    assert len(bridge.panel.calls) == 0, "who is frozen asks the panel nothing"
    check(bridge)
    pass_time(bridge, 3600)
    assert bridge.panel.calls.count("DELETE") == 0
    assert Notification.objects.filter(template="panel_frozen").count() == 1, "told once"
    with pytest.raises(TransitionError, match="3 servers are missing now, not 4"):
        panel_unfreeze(panel=bridge.row, count=4)
    panel_unfreeze(panel=bridge.row, count=3)
    outlast(bridge)
    assert bridge.panel.calls.count("DELETE") == 1
    assert check(bridge).frozen_at is None, "what was accepted freezes nothing again"
    del bridge.panel.state.servers[servers[4].id]
    assert check(bridge).frozen_at is not None, "one more does"
    assert AuditEntry.objects.filter(action="drift.unfreeze").count() == 1


@pytest.mark.parametrize(("number", "lost", "frozen"), [(9, 2, False), (39, 4, False), (39, 5, True)])
def test_a_few_missing_servers_freeze_nothing(bridge: Bridge, number: int, lost: int, frozen: bool) -> None:
    for server in fleet(bridge, number)[:lost]:
        del bridge.panel.state.servers[server.id]
    row = check(bridge)
    assert (row.missing, row.frozen_at is not None) == (lost, frozen)


@pytest.mark.req("CAL-04")
def test_an_empty_list_freezes_and_misses_nothing(bridge: Bridge, monkeypatch: pytest.MonkeyPatch) -> None:
    """The list says that there are none; the servers answer when they are asked for by their numbers."""
    fleet(bridge, 5)
    monkeypatch.setattr(pterodactyl.PterodactylDriver, "server_page", lambda *_: ListPage((), 0))
    row = check(bridge)
    assert (row.outcome, row.frozen_at is not None, standing()) == (DriftOutcome.UNKNOWN, True, [])
    assert "leaves out server" in row.words


def test_an_emptied_panel_costs_a_bounded_number_of_looks(bridge: Bridge) -> None:
    fleet(bridge, 30)
    bridge.panel.state.servers.clear()
    PanelCall.objects.all().delete()
    while (row := check(bridge)).outcome == DriftOutcome.NEVER:
        # The looks go on when the panel's budget has room again; none is made twice.
        clock.shift(30)
    assert (row.outcome, row.missing, len(standing())) == (DriftOutcome.COMPARED, 31, 31)
    # A look whose second question found no room is asked once more.
    assert PanelCall.objects.count() <= 2 + 3 * drift.MOST_LOOKS


def test_nothing_is_unfrozen_that_is_not_frozen(bridge: Bridge) -> None:
    with pytest.raises(TransitionError, match="not frozen"):
        panel_unfreeze(panel=bridge.row, count=0)


# --- schedule and mail ----------------------------------------------------------------------------------


def test_each_panel_is_checked_once_an_hour(db: None, jobs: Jobs, settings: Settings) -> None:
    settings.DRIFT_SECONDS = 3600
    panel, retired = factories.panel(), factories.panel(retired=True)
    sweep_all()
    row = DriftPass.objects.get(panel=panel)
    assert not DriftPass.objects.filter(panel=retired).exists()
    assert jobs.sent.count((queue.CHECK_DRIFT, row.pk)) == 1
    # No driver is asked here: the pass ends as unknown, and the next one is due in an hour.
    DriftPass.objects.update(next_check_at=clock.now())
    factories.service(product=factories.product(panel=retired))
    sweep_all()
    assert DriftPass.objects.filter(panel=retired).exists()


def test_the_next_pass_is_due_an_hour_after_the_last(bridge: Bridge, settings: Settings) -> None:
    bridge.buy()
    assert check(bridge).next_check_at is None
    settings.DRIFT_SECONDS = 3600
    row = check(bridge)
    assert row.next_check_at is not None
    assert row.finished_at is not None
    assert (row.next_check_at - row.finished_at).total_seconds() == 3600
    bridge.jobs.clear()
    sweep_all()
    assert (queue.CHECK_DRIFT, row.pk) not in bridge.jobs.sent
    pass_time(bridge, 3601)
    finished = row.finished_at
    row.refresh_from_db()
    assert row.finished_at != finished


def test_no_pass_is_scheduled_where_none_is_wanted(db: None, jobs: Jobs) -> None:
    factories.panel()
    drift_pass_ensure()
    assert not DriftPass.objects.exists()


def test_counts_are_mailed_once_a_day(bridge: Bridge) -> None:
    fleet(bridge, 3)[0].memory = 4096
    assert not drift_mail(), "nothing was checked yet"
    check(bridge)
    assert drift_mail()
    assert not drift_mail()
    mail = Notification.objects.get(template="drift")
    assert mail.context["words"] == "4 services checked, 1 differ, 0 unknown"
    clock.shift(86400)
    assert not drift_mail(), "not before a pass of that day"
    bridge.panel.faults.add("error")
    check(bridge)
    assert drift_mail()
    latest = Notification.objects.filter(template="drift").latest("id")
    assert latest.context["words"] == "0 services checked, 1 differ, 4 unknown"
    assert latest.context["unread"] == str(bridge.row)


def test_a_pass_with_nothing_to_compare_mails_nobody(bridge: Bridge) -> None:
    factories.panel(name="Empty")
    check(bridge)
    assert not drift_mail()
    fleet(bridge, 1)
    check(bridge)
    assert drift_mail(), "the day's first pass that compared something"


def test_differences_that_are_long_gone_are_removed(bridge: Bridge) -> None:
    bridge.buy()
    bridge.server().memory = 4096
    check(bridge)
    bridge.server().memory = 1024
    check(bridge)
    prune_old()
    assert Drift.objects.count() == 1
    clock.shift(91 * 86400)
    prune_old()
    assert Drift.objects.count() == 0


def test_a_pass_is_found_again_if_its_job_is_lost(bridge: Bridge, settings: Settings) -> None:
    settings.DRIFT_SECONDS = 3600
    sweep_all()
    bridge.jobs.clear()
    pass_time(bridge, settings.SWEEP_SECONDS + 1)
    row = DriftPass.objects.get()
    assert row.outcome == DriftOutcome.COMPARED
    drift_check(row.pk)
