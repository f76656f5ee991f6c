"""The delete guard: each proof failing alone stops the delete, says why, and keeps the data."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest

from provisioning.choices import DesiredState, OperationKind, Outcome
from provisioning.drivers.types import Observed
from provisioning.exceptions import TransitionError
from provisioning.lib import clock
from provisioning.lifecycle.staff import service_retry, service_undo
from provisioning.models import (
    AuditEntry,
    DeleteGrant,
    Event,
    Notification,
    Operation,
    Panel,
    PanelAccount,
    Service,
)
from provisioning.reconcile import guard
from provisioning.reconcile.brake import BRAKE_WAIT, brake_release, brake_status, parked
from provisioning.reconcile.schedules import sweep_all
from provisioning.sandbox.seed import seed_servers
from provisioning.sandbox.server import PanelSandbox
from tests import factories
from tests.bridge import Bridge
from tests.provisioning.reconcile.trouble import begin_a_day, freezing, outlast, pass_time

WEEK = 7 * 86400.0


def cancelled(bridge: Bridge) -> Service:
    bridge.buy()
    bridge.say("subscription.cancelled", status="cancelled")
    return bridge.service()


def never_confirmed(bridge: Bridge) -> None:
    Service.objects.update(created_confirmed_at=None)


def another_mark(bridge: Bridge) -> None:
    bridge.server().external_id = "somebody-else"


def another_owner(bridge: Bridge) -> None:
    bridge.server().owner_id = 1


def another_uuid(bridge: Bridge) -> None:
    bridge.server().uuid = "00000000-0000-4000-8000-000000000000"


def no_account(bridge: Bridge) -> None:
    PanelAccount.objects.all().delete()


def no_end(bridge: Bridge) -> None:
    Service.objects.update(desired_state=DesiredState.ABSENT, undo_until=None)


REFUSALS: tuple[tuple[Callable[[Bridge], None], str], ...] = (
    (never_confirmed, "No create of ours was ever confirmed"),
    (another_mark, "external id is somebody-else"),
    (another_owner, "owner is 1, expected 2"),
    (another_uuid, "uuid is 00000000"),
    (no_account, "owner is 2, expected unknown"),
)


@pytest.mark.req("CAL-04")
@pytest.mark.parametrize(("spoil", "words"), REFUSALS, ids=[spoil.__name__ for spoil, _ in REFUSALS])
def test_each_proof_alone_stops_the_delete(
    bridge: Bridge, spoil: Callable[[Bridge], None], words: str
) -> None:
    cancelled(bridge)
    spoil(bridge)
    pass_time(bridge, WEEK + 1)
    outlast(bridge)
    operation = bridge.operation()
    assert (operation.outcome, operation.reason) == (Outcome.NEEDS_STAFF, "delete_refused")
    assert words in operation.detail
    assert [proof["ok"] for proof in operation.proofs].count(False) == 1
    assert bridge.panel.calls.count("DELETE") == 0
    assert Notification.objects.filter(key=f"needs_staff:{operation.pk}").count() == 1
    service = bridge.service()
    assert service.server_id
    assert service.terminated_at is None
    bridge.wait(days=3)
    assert bridge.panel.calls.count("DELETE") == 0


def look(bridge: Bridge, service: Service) -> list[bool]:
    seen = Observed.from_json(service.observed)
    return [proof.ok for proof in guard.proofs_of(service, seen, PanelAccount.objects.get())]


def test_the_window_is_a_proof_of_its_own(bridge: Bridge) -> None:
    service = cancelled(bridge)
    assert look(bridge, service) == [True, True, False]
    service.desired_state = DesiredState.ABSENT
    assert look(bridge, service) == [True, True, False], "the window is still open"
    service.undo_until = clock.now() - dt.timedelta(seconds=1)
    assert look(bridge, service) == [True, True, True]
    service.desired_state = DesiredState.SUSPENDED
    assert look(bridge, service) == [True, True, False], "nobody wants it gone"
    service.desired_state, service.undo_until = DesiredState.ABSENT, None
    assert look(bridge, service) == [True, True, False], "nobody said that it ended"


def test_an_undo_between_the_look_and_the_delete_wins(bridge: Bridge) -> None:
    cancelled(bridge)
    clock.shift(WEEK + 1)
    with freezing("GET", lambda: service_undo(service=bridge.service()), after=True, seconds=1):
        sweep_all()
        bridge.jobs.drain()
    outlast(bridge)
    assert bridge.panel.calls.count("DELETE") == 0
    assert bridge.server().status is None
    assert not Operation.objects.filter(outcome=Outcome.NEEDS_STAFF).exists()


@pytest.mark.parametrize("after", [False, True], ids=["before it is sent", "before its answer"])
def test_an_undo_that_comes_during_the_delete_is_told_that_it_was_too_late(
    bridge: Bridge, after: bool
) -> None:
    """Nothing brings the data back; everybody reads so, and the service gets a new server."""
    cancelled(bridge)
    old = bridge.server().uuid
    clock.shift(WEEK + 1)
    with freezing("DELETE", lambda: service_undo(service=bridge.service()), after=after, seconds=1):
        sweep_all()
        bridge.jobs.drain()
    outlast(bridge)
    told = list(AuditEntry.objects.order_by("pk").values_list("action", "public"))
    late = told.index(("server.undone_too_late", True))
    assert told.index(("staff.undo", False)) < late < told.index(("server.created", True), late)
    words = AuditEntry.objects.get(action="server.undone_too_late").message
    assert "its data is gone" in words
    assert Notification.objects.filter(key__startswith="undone_too_late:").count() == 1
    assert bridge.server().uuid != old
    assert bridge.service().converged


@pytest.mark.req("CAL-04", "T83-05")
def test_a_cancellation_that_comes_a_month_late_still_leaves_its_days(bridge: Bridge) -> None:
    bridge.buy()
    bridge.wait(days=40)
    old = (clock.now() - dt.timedelta(days=30)).isoformat()
    bridge.say("subscription.cancelled", status="cancelled", occurred_at=old)
    bridge.settle()
    assert bridge.server().status == "suspended"
    bridge.wait(days=6)
    # The same news once more, by another way, begins no new window.
    bridge.say("subscription.cancelled", status="cancelled", occurred_at=old)
    assert len(bridge.servers()) == 1
    bridge.wait(days=2)
    assert bridge.servers() == []


@pytest.mark.req("T83-12")
def test_a_cancellation_that_is_proven_late_leaves_its_days_from_then(bridge: Bridge) -> None:
    bridge.buy()
    old = clock.now().isoformat()
    unproven = bridge.store("subscription.cancelled", status="cancelled", occurred_at=old)
    Event.objects.filter(pk=unproven.pk).update(fresh=False)
    bridge.jobs.drain()
    bridge.wait(days=30)
    assert bridge.server().status == "suspended"
    bridge.say("subscription.cancelled", status="cancelled", occurred_at=old)
    bridge.wait(days=6)
    assert len(bridge.servers()) == 1
    bridge.wait(days=2)
    assert bridge.servers() == []


def test_a_delete_that_failed_uses_its_grant_again(bridge: Bridge) -> None:
    cancelled(bridge)
    bridge.panel.faults.add("error", method="DELETE", count=2)
    pass_time(bridge, WEEK + 1)
    outlast(bridge)
    assert bridge.servers() == []
    assert bridge.panel.calls.count("DELETE") == 3
    assert DeleteGrant.objects.count() == 1


def test_a_panel_row_that_leads_to_another_panel_touches_no_stranger(bridge: Bridge) -> None:
    """Staff typed a wrong address: there, the same number is somebody else's server."""
    bridge.buy()
    with PanelSandbox() as other:
        seed_servers(other.world, 3, owner_id=1, mark="theirs-{}")
        other.world.state.servers[bridge.server().id] = other.world.state.servers.pop(3)
        other.world.state.servers[bridge.server().id].id = bridge.server().id
        Panel.objects.update(url=other.url, api_key=other.application_key)
        bridge.say("subscription.updated", status="suspended")
        outlast(bridge)
        assert other.calls.count("POST") == 0
    assert bridge.operation().outcome == Outcome.NEEDS_STAFF
    Panel.objects.update(url=bridge.panel.url, api_key=bridge.panel.application_key)
    service_retry(service=bridge.service())
    outlast(bridge)
    assert bridge.server().status == "suspended"


# --- the mass brake -------------------------------------------------------------------------------------


def fleet(bridge: Bridge, number: int) -> None:
    """So many services of one customer, with servers, all ended by staff a while ago."""
    first = cancelled(bridge)
    seed_servers(bridge.panel.world, number - 1, owner_id=bridge.server().owner_id, mark="fleet-{}")
    ended = clock.now() - dt.timedelta(seconds=WEEK)
    Service.objects.bulk_create(
        Service(
            connection=first.connection,
            customer=first.customer,
            product=first.product,
            panel=first.panel,
            billing_id=str(server.external_id),
            external_id=str(server.external_id),
            server_id=str(server.id),
            server_uuid=server.uuid,
            created_confirmed_at=ended,
            terminated_by_staff_at=ended,
            next_check_at=clock.now(),
        )
        for server in bridge.servers()[1:]
    )
    pass_time(bridge, WEEK + 1)


@pytest.mark.slow
@pytest.mark.req("CAL-04")
def test_a_mass_termination_deletes_no_more_than_its_allowance(bridge: Bridge) -> None:
    begin_a_day(bridge)
    fleet(bridge, 30)
    assert len(bridge.servers()) == 27, "three in the first hour"
    for _ in range(5):  # some have to wait for the rate budget before they meet the brake
        if brake_status(bridge.row).parked < 27:
            pass_time(bridge, 60)
    bridge.panel.calls.clear()
    pass_time(bridge, BRAKE_WAIT)
    assert len(bridge.panel.calls) == 0, "who is parked asks the panel nothing"
    status = brake_status(bridge.row)
    assert (status.hour_used, status.hour_limit, status.room, status.parked) == (3, 3, False, 27)
    waiting = Operation.objects.filter(reason="brake").order_by("id")[0]
    assert waiting.outcome == Outcome.WAITING
    assert "3 of 3 servers allowed in an hour" in waiting.detail
    alert = Notification.objects.get(template="brake")
    assert alert.context["panel_id"] == bridge.row.pk
    for _ in range(4):
        pass_time(bridge, 3601)
    assert len(bridge.servers()) == 20, "ten in the first day"
    with pytest.raises(TransitionError, match="20 deletes are parked now, not 30"):
        brake_release(panel=bridge.row, count=30, user=factories.staff())
    ada = factories.staff(username="ada")
    brake_release(panel=bridge.row, count=20, user=ada)
    with pytest.raises(TransitionError, match="0 deletes are parked"):
        brake_release(panel=bridge.row, count=20, user=ada)
    outlast(bridge)
    assert bridge.servers() == []
    assert AuditEntry.objects.filter(action="brake.release").count() == 1
    assert not brake_status(bridge.row).room


def park(bridge: Bridge) -> None:
    service = bridge.service()
    factories.operation(
        service=service,
        generation=99,
        kind=OperationKind.TERMINATE,
        outcome=Outcome.WAITING,
        reason="brake",
    )


def test_a_second_person_releases_where_the_panel_wants_one(bridge: Bridge) -> None:
    bridge.row.second_person = True
    bridge.row.save()
    bridge.buy()
    ada, grace = factories.staff(username="ada"), factories.staff(username="grace")
    park(bridge)
    brake_release(panel=bridge.row, count=1, user=ada)
    Operation.objects.filter(reason="brake_released").update(reason="brake")
    with pytest.raises(TransitionError, match="second person"):
        brake_release(panel=bridge.row, count=1, user=ada)
    brake_release(panel=bridge.row, count=1, user=grace)
    assert not parked(bridge.row).exists()


@pytest.mark.parametrize(("servers", "hour", "day"), [(0, 3, 10), (59, 3, 10), (100, 5, 10), (1000, 50, 100)])
def test_the_allowance_grows_with_the_panel(bridge: Bridge, servers: int, hour: int, day: int) -> None:
    customer = factories.customer(connection=bridge.endpoint.connection)
    Service.objects.bulk_create(
        Service(
            connection=bridge.endpoint.connection,
            billing_id=f"x{number}",
            external_id=f"x{number}",
            customer=customer,
            panel=bridge.row,
            server_id=str(number + 1),
        )
        for number in range(servers)
    )
    status = brake_status(bridge.row)
    assert (status.hour_limit, status.day_limit) == (hour, day)
