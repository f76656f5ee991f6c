"""A changed product: new orders get it, sold services keep theirs, or follow one by one; both panels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from provisioning.choices import FollowItemState, FollowState, Outcome, Resource, SuspendReason
from provisioning.lib import clock
from provisioning.lifecycle.product_versions import follow_item_begin, product_follow_stop, service_follow
from provisioning.lifecycle.staff import service_pin, service_suspend, service_unsuspend
from provisioning.models import AuditEntry, Operation, PanelCall, ProductFollow, ProductFollowItem, Service
from provisioning.reconcile import converge, later
from provisioning.reconcile import follow as job
from provisioning.reconcile.follow import follow_progress
from provisioning.reconcile.lease import lease_claim
from provisioning.reconcile.schedules import sweep_all
from provisioning.reconcile.transport import PanelTransport
from provisioning.sandbox.calagopus.server import CalagopusSandbox
from provisioning.sandbox.server import PanelSandbox
from tests import factories
from tests.bridge import Bridge
from tests.conftest import Jobs
from tests.provisioning.reconcile import calagopus, trouble
from tests.provisioning.reconcile.drifting import check, standing
from tests.provisioning.reconcile.following import change, followed, sold, versions

pytestmark = pytest.mark.slow


@pytest.fixture(params=["pterodactyl", pytest.param("calagopus", marks=pytest.mark.slow)])
def both(request: pytest.FixtureRequest, jobs: Jobs, db: None) -> Iterator[Bridge]:
    """A bridge with either panel behind it."""
    if request.param == "pterodactyl":
        with PanelSandbox() as panel:
            yield Bridge(panel, jobs)
    else:
        with CalagopusSandbox() as other:
            yield calagopus.CalagopusBridge(other, jobs)


def memory(bridge: Bridge, billing_id: str = "12345") -> int:
    """What the panel itself has for that service, in MiB."""
    mark = bridge.service(billing_id).external_id
    (server,) = [row for row in bridge.panel.state.servers.values() if row.external_id == mark]
    limits: Any = getattr(server, "limits", None)
    return int(limits["memory"] if limits else server.memory)


def calls_of(service: Service) -> int:
    """Panel calls of the newest operation."""
    newest = Operation.objects.filter(service=service).latest("pk")
    return PanelCall.objects.filter(operation=newest).count()


# --- none ---------------------------------------------------------------------------------------------------


def test_for_new_orders_only_changes_nothing_that_was_sold(both: Bridge) -> None:
    both.buy()
    change(both, follow=False, memory=2048)
    both.jobs.drain()
    both.settle()
    assert (memory(both), sold(both), versions(both)) == (1024, 1, [1, 2])
    check(both)
    assert standing() == []
    both.buy(subscription_id="2", customer_email="grace@example.com")
    assert (memory(both, "2"), sold(both, "2")) == (2048, 2)


def test_no_later_event_brings_the_change_in_quietly(both: Bridge) -> None:
    service = both.buy()
    change(both, follow=False, memory=2048)
    for step in ("subscription.updated", "payment.succeeded"):
        both.say(step)
        both.settle()
    service_suspend(service=service, reason=SuspendReason.ABUSE)
    both.wait(days=1)
    service_unsuspend(service=both.service())
    both.wait(days=1)
    assert (memory(both), sold(both), both.service().converged) == (1024, 1, True)


def test_an_upgrade_takes_the_newest_version_also_on_the_way_back(both: Bridge) -> None:
    both.buy()
    change(both, follow=False, memory=2048)
    both.say("subscription.updated", product_id="frost-knight")
    both.wait(days=1)
    assert memory(both) == 4096
    both.say("subscription.updated", product_id="fire-elemental")
    both.wait(days=1)
    assert (memory(both), sold(both)) == (2048, 2)


# --- all ----------------------------------------------------------------------------------------------------


def test_all_follow_in_two_calls_each_and_the_timeline_says_who_asked(both: Bridge) -> None:
    service = both.buy()
    both.wait(days=1)
    follow = followed(both, memory=2048)
    assert (memory(both), sold(both), follow.state) == (2048, 2, FollowState.DONE)
    assert calls_of(service) <= 2 + Operation.objects.latest("pk").polls
    told = {entry.action: entry for entry in AuditEntry.objects.filter(service=service)}
    assert told["product.followed"].actor == "ada"
    assert "to version 2 (it had version 1)" in told["product.followed"].message
    assert "memory 1024 → 2048" in told["operation.change_package"].message
    assert Operation.objects.filter(service=service).exclude(kind="check").latest("pk").actor == "ada"
    done = AuditEntry.objects.filter(service=None).values_list("action", flat=True)
    assert {"product.version", "product.follow", "product.follow_done"} <= set(done)


def test_a_suspended_server_follows_and_stays_suspended(both: Bridge) -> None:
    service = both.buy()
    service_suspend(service=service, reason=SuspendReason.MANUAL)
    both.wait(days=1)
    followed(both, memory=2048)
    assert (memory(both), both.service().observed_state) == (2048, "suspended")
    assert calls_of(service) <= 2


def test_a_server_that_is_being_made_is_left_alone_until_it_is_there(both: Bridge) -> None:
    both.say("subscription.created")
    follow = change(both, follow=True, memory=2048)
    both.jobs.drain()
    assert (sold(both), follow_progress(follow).waiting) == (1, 1)
    made = Operation.objects.get(kind="create")
    both.settle()
    made.refresh_from_db()
    assert made.outcome == Outcome.SUCCEEDED
    assert (memory(both), sold(both)) == (2048, 2)


def test_an_order_without_a_server_is_made_from_the_version_it_follows_to(bridge: Bridge) -> None:
    bridge.panel.state.allocations.clear()
    bridge.say("subscription.created")
    assert bridge.operation().reason == "no_capacity"
    change(bridge, follow=True, memory=2048)
    trouble.more_ports(bridge.panel, 5)
    trouble.outlast(bridge)
    assert (memory(bridge), sold(bridge)) == (2048, 2)


def test_pins_win_over_what_follows(bridge: Bridge) -> None:
    service = bridge.buy()
    service_pin(service=service, resource=Resource.MEMORY, value=512)
    bridge.settle()
    followed(bridge, memory=2048)
    assert (memory(bridge), sold(bridge)) == (512, 2)


# --- a few at a time, stopped, killed -----------------------------------------------------------------------


def many(bridge: Bridge, number: int) -> None:
    """So many running services."""
    trouble.more_ports(bridge.panel, number)
    for name in range(number):
        bridge.store(
            "subscription.created", subscription_id=f"m{name}", customer_email=f"m{name}@example.com"
        )
    bridge.jobs.drain()
    bridge.settle()


@pytest.mark.slow
def test_few_at_a_time_and_stop_leaves_the_others(bridge: Bridge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "AT_ONCE", 2)
    many(bridge, 5)
    follow = change(bridge, follow=True, memory=2048)
    bridge.jobs.drain()
    stands = follow_progress(follow)
    assert (stands.waiting, stands.done, stands.percent) == (3, 2, 40)
    assert product_follow_stop(follow=follow) == 3
    assert product_follow_stop(follow=follow) == 0
    bridge.settle()
    numbers = [
        service.product_version.number
        for service in Service.objects.order_by("pk")
        if service.product_version
    ]
    assert sorted(numbers) == [1, 1, 1, 2, 2]
    assert sorted(server.memory for server in bridge.servers()) == [1024] * 3 + [2048] * 2
    assert follow_progress(follow).left == 3
    assert AuditEntry.objects.get(action="product.follow_stop").message.startswith("Stopped: 3 services")


def test_what_is_stopped_between_choice_and_begin_is_not_begun(bridge: Bridge) -> None:
    bridge.buy()
    follow = change(bridge, follow=True, memory=2048)
    item = ProductFollowItem.objects.select_related("follow__version__product").get()
    product_follow_stop(follow=follow)
    # Taken in by a worker that had not seen the stop yet.
    ProductFollowItem.objects.update(state=FollowItemState.WAITING)
    assert not follow_item_begin(item=item)
    bridge.settle()
    assert sold(bridge) == 1


@pytest.mark.parametrize(
    "step", [pytest.param(step, marks=[] if step in (2, 6) else pytest.mark.slow) for step in range(1, 12)]
)
def test_a_killed_worker_loses_nothing(bridge: Bridge, step: int) -> None:
    bridge.buy()
    follow = change(bridge, follow=True, memory=2048)
    trouble.work_until_killed(bridge, before=step)
    trouble.new_worker(bridge)
    follow.refresh_from_db()
    assert (memory(bridge), sold(bridge), follow.state) == (2048, 2, FollowState.DONE)
    assert len(bridge.servers()) == 1


def test_the_queue_may_be_lost(bridge: Bridge) -> None:
    bridge.buy()
    follow = change(bridge, follow=True, memory=2048)
    bridge.jobs.clear()
    bridge.settle()
    follow.refresh_from_db()
    assert (memory(bridge), follow.state) == (2048, FollowState.DONE)


def test_a_newer_follow_takes_the_place_of_a_running_one(
    bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "AT_ONCE", 0)
    bridge.buy()
    older = change(bridge, follow=True, memory=2048)
    bridge.jobs.drain()
    monkeypatch.setattr(job, "AT_ONCE", 6)
    followed(bridge, memory=3072)
    older.refresh_from_db()
    assert (older.state, memory(bridge), sold(bridge)) == (FollowState.STOPPED, 3072, 3)


def test_an_order_that_was_stored_at_that_moment_is_taken_in(
    bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    bridge.buy()
    first = bridge.service().product_version
    follow = change(bridge, follow=True, memory=2048)
    bridge.buy(subscription_id="2", customer_email="grace@example.com")
    Service.objects.filter(billing_id="2").update(product_version=first)
    ProductFollow.objects.filter(pk=follow.pk).update(state=FollowState.RUNNING, next_check_at=clock.now())
    bridge.settle()
    assert sold(bridge, "2") == 2


# --- what fails, what cannot --------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_service_that_fails_is_shown_and_holds_nobody_up(
    bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "AT_ONCE", 1)
    many(bridge, 3)
    lost = Service.objects.order_by("pk").first()
    assert lost is not None
    del bridge.panel.state.servers[int(lost.server_id)]
    follow = followed(bridge, memory=2048)
    stands = follow_progress(follow)
    assert (stands.failed, stands.done, follow.state) == (1, 2, FollowState.DONE)
    assert [item.service for item in job.follow_failed(follow)] == [lost]


def test_a_server_on_another_panel_is_not_moved(bridge: Bridge) -> None:
    service = bridge.buy()
    bridge.product.refresh_from_db()
    bridge.product.panel = factories.panel(name="fra-2")
    bridge.product.save()
    follow = change(bridge, follow=True)
    bridge.settle()
    item = ProductFollowItem.objects.get(follow=follow)
    assert (item.state, sold(bridge)) == (FollowItemState.LEFT, 1)
    assert "no server is moved" in item.words
    service_suspend(service=service, reason=SuspendReason.ABUSE)
    bridge.wait(days=1)
    service_unsuspend(service=bridge.service())
    bridge.wait(days=1)
    assert bridge.service().converged, bridge.operation().detail


def watched(monkeypatch: pytest.MonkeyPatch, module: Any) -> list[tuple[bool, bool]]:
    """How urgent the calls of that module are from now on: (urgent, express) for each piece of work."""
    seen: list[tuple[bool, bool]] = []

    class Watched(PanelTransport):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            seen.append((kwargs.get("urgent", True), kwargs.get("express", False)))
            super().__init__(*args, **kwargs)

    monkeypatch.setattr(module, "PanelTransport", Watched)
    return seen


def test_orders_pass_what_follows(bridge: Bridge, monkeypatch: pytest.MonkeyPatch) -> None:
    service = bridge.buy()
    seen = watched(monkeypatch, converge)
    change(bridge, follow=True, memory=2048)
    bridge.jobs.drain()
    assert seen == [(False, False)]
    service_suspend(service=service, reason=SuspendReason.ABUSE)
    bridge.jobs.drain()
    assert seen[1:] == [(True, True)]


@pytest.mark.slow
def test_looks_that_follow_later_are_in_no_hurry_either(
    jobs: Jobs, db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with CalagopusSandbox() as panel:
        bridge = calagopus.CalagopusBridge(panel, jobs)
        bridge.buy()
        seen = watched(monkeypatch, later)
        followed(bridge, memory=2048)
        bridge.wait(days=1)
        assert seen == [(False, False)]


def test_a_service_that_a_worker_holds_is_begun_later(bridge: Bridge) -> None:
    service = bridge.buy()
    lease = lease_claim(service.pk)
    assert lease is not None
    follow = change(bridge, follow=True, memory=2048)
    bridge.jobs.drain()
    item = follow.items.select_related("follow__version__product").get()
    assert not follow_item_begin(item=item)
    assert (sold(bridge), follow_progress(follow).waiting) == (1, 1)
    lease.give_up()
    bridge.settle()
    assert sold(bridge) == 2


@pytest.mark.slow
def test_what_waits_for_its_own_server_does_not_hold_the_others_up(
    bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "AT_ONCE", 1)
    bridge.panel.state.allocations.clear()
    bridge.say("subscription.created", subscription_id="stuck")
    trouble.more_ports(bridge.panel, 2)
    for name in ("a", "b"):
        bridge.say("subscription.created", subscription_id=name, customer_email=f"{name}@example.com")
    bridge.jobs.drain()
    bridge.panel.advance(60)
    clock.shift(20)
    sweep_all()
    bridge.jobs.drain()
    follow = followed(bridge, memory=2048)
    assert (follow_progress(follow).done, follow_progress(follow).moving) == (2, 1)
    assert [str(item.service) for item in job.follow_waiting(follow)] == ["Server-stuck"]
    assert follow.state == FollowState.RUNNING


def test_one_service_alone_can_follow(bridge: Bridge) -> None:
    bridge.buy()
    change(bridge, follow=False, memory=2048)
    service_follow(service=bridge.service())
    bridge.settle()
    assert (memory(bridge), sold(bridge)) == (2048, 2)
