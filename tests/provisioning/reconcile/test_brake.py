"""The brake on creates (B14): what goes beyond it is parked, seen and released. For deletes: test_guard."""

from __future__ import annotations

import threading

import pytest
from django.db import connection

from provisioning.choices import Outcome
from provisioning.exceptions import TransitionError
from provisioning.lib import clock
from provisioning.models import CreateGrant, DeleteGrant, Notification, Operation, Panel, Service
from provisioning.reconcile.brake import (
    BRAKE_WAIT,
    CREATES,
    brake_release,
    brake_status,
    parked,
    room_take,
)
from provisioning.selectors import operations_needing_staff
from tests import factories
from tests.bridge import Bridge
from tests.provisioning.reconcile.trouble import new_worker, outlast, pass_time, work_until_killed


def small_allowance(bridge: Bridge, *, hour: int = 2, day: int = 3) -> None:
    Panel.objects.update(
        creates_hour_floor=hour, creates_hour_percent=0, creates_day_floor=day, creates_day_percent=0
    )
    bridge.row.refresh_from_db()


def orders(bridge: Bridge, number: int) -> None:
    for count in range(number):
        bridge.store(
            "subscription.created", subscription_id=f"9{count}", customer_email=f"a{count}@example.com"
        )
    bridge.jobs.drain()
    bridge.settle(rounds=3, seconds=30)


@pytest.mark.slow
@pytest.mark.req("CAL-01", "T83-40")
def test_a_mass_of_orders_makes_no_more_than_its_allowance(bridge: Bridge) -> None:
    small_allowance(bridge)
    users = len(bridge.panel.state.users)
    orders(bridge, 6)
    assert len(bridge.servers()) == 2
    assert len(bridge.panel.state.users) == users + 2, "no account is made for what is parked"
    status = brake_status(bridge.row, CREATES)
    assert (status.hour_used, status.hour_limit, status.room, status.parked) == (2, 2, False, 4)
    waiting = Operation.objects.filter(reason="create_brake")[0]
    assert "2 of 2 servers allowed in an hour" in waiting.detail
    assert Notification.objects.filter(key__startswith="create_brake:").count() == 1
    assert operations_needing_staff().count() == 4, "the dashboard shows them"
    bridge.panel.calls.clear()
    pass_time(bridge, BRAKE_WAIT + 1)
    assert len(bridge.panel.calls) == 0, "who is parked asks the panel nothing"
    pass_time(bridge, 3601)
    pass_time(bridge, 60)
    assert len(bridge.servers()) == 3, "an hour later there is room, but the day allows three"


@pytest.mark.slow
def test_staff_release_what_is_parked_and_nothing_else(bridge: Bridge) -> None:
    small_allowance(bridge)
    orders(bridge, 5)
    with pytest.raises(TransitionError, match="3 creates are parked now, not 5"):
        brake_release(panel=bridge.row, count=5, user=factories.staff(), brake=CREATES)
    brake_release(panel=bridge.row, count=3, user=factories.staff(username="ada"), brake=CREATES)
    assert not parked(bridge.row, CREATES).exists()
    outlast(bridge)
    assert len(bridge.servers()) == 5
    assert DeleteGrant.objects.count() == 0
    bridge.say("subscription.created", subscription_id="99", customer_email="linus@example.com")
    assert Operation.objects.filter(reason="create_brake").count() == 1, "the next one meets the brake again"


def test_the_two_brakes_do_not_share_their_room(bridge: Bridge) -> None:
    small_allowance(bridge)
    service = bridge.buy()
    factories.operation(service=service, generation=99, outcome=Outcome.WAITING, reason="brake")
    assert (brake_status(bridge.row).parked, brake_status(bridge.row, CREATES).parked) == (1, 0)
    with pytest.raises(TransitionError, match="0 creates are parked"):
        brake_release(panel=bridge.row, count=1, user=factories.staff(), brake=CREATES)
    brake_release(panel=bridge.row, count=1, user=factories.staff())
    assert CreateGrant.objects.filter(service=None).count() == 0


def test_an_order_takes_its_room_once_whatever_goes_wrong(bridge: Bridge) -> None:
    small_allowance(bridge, hour=1, day=1)
    bridge.panel.faults.add("error", method="POST", path=r"/servers$", count=2)
    bridge.store("subscription.created")
    work_until_killed(bridge, 6)
    new_worker(bridge)
    outlast(bridge)
    assert len(bridge.servers()) == 1
    assert CreateGrant.objects.count() == 1


@pytest.mark.parametrize(("servers", "limits"), [(0, (100, 300)), (400, (100, 300)), (1000, (200, 500))])
def test_the_allowance_grows_with_the_panel(bridge: Bridge, servers: int, limits: tuple[int, int]) -> None:
    assert CREATES.limits(bridge.row, servers) == limits


def test_room_comes_back_with_time(bridge: Bridge) -> None:
    small_allowance(bridge, hour=1, day=2)
    bridge.buy()
    assert not brake_status(bridge.row, CREATES).room
    clock.shift(3601)
    assert brake_status(bridge.row, CREATES).room


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif("connection.vendor == 'sqlite'", reason="threads share no in-memory database")
def test_of_eight_at_the_same_moment_one_gets_the_last_place() -> None:
    panel = factories.panel(creates_hour_floor=1, creates_hour_percent=0)
    product = factories.product(panel=panel)
    services = [factories.service(product=product) for _ in range(8)]
    got, ready = [], threading.Barrier(8)

    def run(service: Service) -> None:
        ready.wait()
        got.append(room_take(service, panel, CREATES)[0])
        connection.close()

    threads = [threading.Thread(target=run, args=(service,)) for service in services]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == [False] * 7 + [True]
    assert CreateGrant.objects.count() == 1
