"""What staff may do with a service: each checks, changes, audits, and says why not."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest

from provisioning import audit
from provisioning.choices import ActorKind, Resource, SuspendReason
from provisioning.exceptions import TransitionError
from provisioning.lib import clock
from provisioning.lifecycle import staff
from provisioning.models import AuditEntry, Panel, Pin, Service
from tests import factories
from tests.provisioning.lifecycle.cast import Shop, ago

pytestmark = pytest.mark.django_db
ABUSE, MANUAL = SuspendReason.ABUSE, SuspendReason.MANUAL


@pytest.fixture
def shop() -> Shop:
    """A shop in which Ada has ordered and paid."""
    made = Shop()
    made.orders()
    return made


def state(shop: Shop) -> str:
    """Desired state and reasons, in one line."""
    service = shop.service()
    return " ".join([service.desired_state, *service.suspend_reasons])


@pytest.mark.req("CAL-02", "T83-03")
def test_a_payment_lifts_no_reason_of_staff(shop: Shop) -> None:
    staff.service_suspend(service=shop.service(), reason=ABUSE, note="Mined coins.")
    shop.says("payment.failed", occurred_at=ago(20))
    assert state(shop) == "suspended abuse overdue"
    shop.says("payment.succeeded", status="active", occurred_at=ago(1))
    assert state(shop) == "suspended abuse"
    staff.service_unsuspend(service=shop.service())
    assert state(shop) == "present"


def test_staff_lift_no_reason_of_billing(shop: Shop) -> None:
    shop.says("payment.failed", occurred_at=ago(20))
    with pytest.raises(TransitionError):
        staff.service_unsuspend(service=shop.service())
    staff.service_suspend(service=shop.service(), reason=MANUAL)
    staff.service_unsuspend(service=shop.service())
    assert state(shop) == "suspended overdue"


@pytest.mark.parametrize("reason", [SuspendReason.OVERDUE, SuspendReason.CANCELLED])
def test_billings_reasons_are_not_for_staff(shop: Shop, reason: SuspendReason) -> None:
    with pytest.raises(TransitionError):
        staff.service_suspend(service=shop.service(), reason=reason)
    assert state(shop) == "present"


def test_one_reason_is_lifted_and_the_other_stays(shop: Shop) -> None:
    for reason in (ABUSE, MANUAL, ABUSE):
        staff.service_suspend(service=shop.service(), reason=reason)
    assert AuditEntry.objects.filter(action="staff.suspend").count() == 2
    staff.service_unsuspend(service=shop.service(), reason=ABUSE)
    assert state(shop) == "suspended manual"
    staff.service_suspend(service=shop.service(), reason=ABUSE)
    assert state(shop) == "suspended manual abuse", "lifted and set again"


@pytest.mark.req("T83-42", "T83-43")
def test_ended_by_staff_and_undone(shop: Shop) -> None:
    for _ in range(2):
        staff.service_terminate(service=shop.service())
    service = shop.service()
    assert (state(shop), service.generation) == ("suspended cancelled", 2)
    assert service.undo_until is not None
    shop.says("payment.succeeded", status="active", occurred_at=ago(-0.001))
    assert state(shop) == "suspended cancelled", "staff's word stands against a payment"
    staff.service_undo(service=shop.service())
    assert state(shop) == "present"


def test_billings_end_is_undone_until_billing_says_so_anew(shop: Shop) -> None:
    shop.says("subscription.cancelled", occurred_at=ago(1))
    staff.service_undo(service=shop.service())
    assert state(shop) == "present"
    shop.says("subscription.cancelled", occurred_at=ago(0.9))
    assert state(shop) == "present", "said before the undo"
    shop.says("subscription.cancelled", occurred_at=ago(-0.001))
    assert shop.service().ended_at is not None


def test_undo_says_why_not(shop: Shop) -> None:
    with pytest.raises(TransitionError, match="not ended"):
        staff.service_undo(service=shop.service())
    staff.service_terminate(service=shop.service())
    Service.objects.update(terminated_at=clock.now())
    with pytest.raises(TransitionError, match="deleted already"):
        staff.service_undo(service=shop.service())


def test_a_hold_keeps_an_unpaid_service_running(shop: Shop) -> None:
    shop.says("payment.failed", occurred_at=ago(20))
    until = clock.now() + dt.timedelta(days=2)
    staff.service_hold(service=shop.service(), until=until)
    assert (state(shop), shop.service().suspend_at) == ("present", until)
    staff.service_hold(service=shop.service(), until=None)
    assert state(shop) == "suspended overdue"


def test_a_pin_is_kept_once_per_resource(shop: Shop) -> None:
    before = shop.service().generation
    for value in (2048, 4096):
        staff.service_pin(service=shop.service(), resource=Resource.MEMORY, value=value, note="Asked by Ada.")
    assert Pin.objects.get().value == 4096
    for _ in range(2):
        staff.service_unpin(service=shop.service(), resource=Resource.MEMORY)
    assert (Pin.objects.exists(), shop.service().generation) == (False, before + 3)


@pytest.mark.parametrize(
    ("resource", "value", "allowed"),
    [
        (Resource.SWAP, -1, True),
        (Resource.SWAP, -2, False),
        (Resource.MEMORY, -1, False),
        (Resource.DISK, 0, True),
        (Resource.DISK, 2**31 - 1, True),
        (Resource.DISK, 2**31, False),
    ],
)
def test_a_pin_has_a_sane_value(shop: Shop, resource: Resource, value: int, allowed: bool) -> None:
    if allowed:
        staff.service_pin(service=shop.service(), resource=resource, value=value)
    else:
        with pytest.raises(TransitionError):
            staff.service_pin(service=shop.service(), resource=resource, value=value)
    assert Pin.objects.exists() is allowed


@pytest.mark.req("CAL-07")
def test_relinking_forgets_the_last_look(shop: Shop) -> None:
    Service.objects.update(create_sent_at=clock.now(), observed={"mark": "x"}, terminated_at=clock.now())
    before = shop.service()
    staff.service_relink(service=before, server_id="77")
    service = shop.service()
    assert (service.server_id, service.panel, service.generation) == (
        "77",
        shop.small.panel,
        before.generation + 1,
    )
    assert service.adopted_at is not None
    assert (service.observed, service.create_sent_at, service.terminated_at) == ({}, None, None)


@pytest.mark.req("CAL-07")
@pytest.mark.parametrize(
    ("driver", "server_id", "words"),
    [
        ("calagopus", "8f14e45f", "the whole uuid"),
        ("calagopus", "77", "the whole uuid"),
        ("calagopus", "8f14e45f-0000-4000-8000-000000000001", ""),
        ("pterodactyl", "8f14e45f", "enter the number"),
        ("pterodactyl", "77", ""),
    ],
)
def test_relinking_takes_only_what_can_be_a_servers_id(
    shop: Shop, driver: str, server_id: str, words: str
) -> None:
    Panel.objects.update(driver=driver)
    if words:
        with pytest.raises(TransitionError, match=words):
            staff.service_relink(service=shop.service(), server_id=server_id)
    else:
        staff.service_relink(service=shop.service(), server_id=server_id)
    assert shop.service().server_id == ("" if words else server_id)


def test_relinking_needs_to_know_the_panel(shop: Shop) -> None:
    Service.objects.update(product=None)
    with pytest.raises(TransitionError, match="Map the product"):
        staff.service_relink(service=shop.service(), server_id="77")


def test_a_new_server_is_made_only_for_what_should_run(shop: Shop) -> None:
    Service.objects.update(server_id="77", created_confirmed_at=clock.now(), ready_at=clock.now())
    staff.service_recreate(service=shop.service())
    service = shop.service()
    assert (service.server_id, service.created_confirmed_at, service.ready_at) == ("", None, None)
    assert service.generation == 2
    staff.service_suspend(service=service, reason=ABUSE)
    with pytest.raises(TransitionError):
        staff.service_recreate(service=shop.service())


def test_forgetting_a_server_leaves_nothing_of_it(shop: Shop) -> None:
    fresh = {name: getattr(shop.service(), name) for name in staff.FORGOTTEN}
    now = clock.now()
    Service.objects.update(
        server_id="7",
        server_uuid="u",
        server_identifier="i",
        observed={"a": 1},
        pinned={"a": 1},
        runtime_applied={},
        create_looks=2,
        **dict.fromkeys(("create_sent_at", "created_confirmed_at", "adopted_at", "ready_at"), now),
    )
    staff.server_forget(shop.service())
    assert {name: getattr(shop.service(), name) for name in staff.FORGOTTEN} == fresh


@pytest.mark.parametrize(
    ("outcome", "raised"), [("waiting", 0), ("retrying", 0), ("needs_staff", 1), ("succeeded", 1)]
)
def test_retry_wakes_what_waits_or_begins_anew(shop: Shop, outcome: str, raised: int) -> None:
    later = clock.now() + dt.timedelta(hours=1)
    operation = factories.operation(
        service=shop.service(), outcome=outcome, attempts=4, next_attempt_at=later
    )
    before = shop.service().generation
    staff.service_retry(service=shop.service())
    operation.refresh_from_db()
    assert shop.service().generation == before + raised
    due, woken = shop.service().next_check_at, operation.next_attempt_at
    assert due is not None
    assert due <= clock.now()
    assert woken is not None
    assert (woken < later, operation.attempts) == ((False, 4) if raised else (True, 0))


@pytest.mark.parametrize(
    ("outcome", "finished", "allowed"),
    [
        ("waiting", False, True),
        ("needs_staff", True, True),
        ("needs_staff", False, True),
        ("succeeded", True, False),
    ],
)
def test_skip_closes_without_a_call(shop: Shop, outcome: str, finished: bool, allowed: bool) -> None:
    service = shop.service()
    ended = clock.now() if finished else None
    operation = factories.operation(
        service=service, outcome=outcome, finished_at=ended, generation=service.generation
    )
    if not allowed:
        with pytest.raises(TransitionError):
            staff.operation_skip(operation=operation, note="Done by hand.")
        return
    staff.operation_skip(operation=operation, note="Done by hand.")
    operation.refresh_from_db()
    assert (operation.outcome, shop.service().converged) == ("skipped", True)
    assert AuditEntry.objects.filter(operation=operation, message__contains="Done by hand.").exists()


def test_an_old_operation_skipped_does_not_hide_new_work(shop: Shop) -> None:
    operation = factories.operation(service=shop.service(), outcome="needs_staff", generation=0)
    staff.operation_skip(operation=operation, note="Old.")
    assert not shop.service().converged


ACTIONS: list[tuple[str, Callable[[Service], Any]]] = [
    ("staff.suspend", lambda service: staff.service_suspend(service=service, reason=ABUSE)),
    ("staff.terminate", lambda service: staff.service_terminate(service=service)),
    ("staff.hold", lambda service: staff.service_hold(service=service, until=None)),
    ("staff.pin", lambda service: staff.service_pin(service=service, resource=Resource.CPU, value=200)),
    ("staff.relink", lambda service: staff.service_relink(service=service, server_id="1")),
    ("staff.recreate", lambda service: staff.service_recreate(service=service)),
    ("staff.retry", lambda service: staff.service_retry(service=service)),
]


@pytest.mark.req("T83-43")
@pytest.mark.parametrize(("action", "act"), ACTIONS, ids=[name for name, _ in ACTIONS])
def test_every_action_is_on_the_record(shop: Shop, action: str, act: Callable[[Service], Any]) -> None:
    with audit.acting_as(ActorKind.STAFF, "grace"):
        act(shop.service())
    entry = AuditEntry.objects.get(action=action)
    assert (entry.actor_kind, entry.actor, entry.service) == ("staff", "grace", shop.service())
    assert audit.current_actor().kind is ActorKind.BRIDGE


def test_a_retry_of_work_under_way_is_on_the_record_too(shop: Shop) -> None:
    factories.operation(service=shop.service(), outcome="waiting")
    staff.service_retry(service=shop.service())
    assert AuditEntry.objects.filter(action="staff.retry").exists()
