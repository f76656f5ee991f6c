"""Which mail a customer is owed follows from the service's state alone, once per stage."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from provisioning.lib import clock
from provisioning.models import Notification, Service
from provisioning.notifications import service_notify_due
from provisioning.notifications.stages import SIGN_IN, Stage, Told, stages_due
from tests import factories

NOW = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
RUNNING: dict[str, Any] = {"desired_state": "present", "observed_state": "active", "ready_at": NOW - 30 * DAY}
SUSPENDED: dict[str, Any] = {**RUNNING, "desired_state": "suspended", "observed_state": "suspended"}
OVERDUE: dict[str, Any] = {"overdue_since": NOW - 8 * DAY, "warn_at": NOW - 8 * DAY, "suspend_at": NOW - DAY}
ENDED: dict[str, Any] = {
    **SUSPENDED,
    "suspend_reasons": ["cancelled"],
    "ended_at": NOW - DAY,
    "undo_until": NOW + 6 * DAY,
}


def due(row: dict[str, Any], *told: Told | Stage, now: dt.datetime = NOW) -> list[Stage]:
    """What a service with these columns is owed. `told` is what was written before, newest first."""
    history = [Told(entry.template, entry.key, entry.context) for entry in told]
    return stages_due(Service(pk=7, **row), history, now)


def names(stages: list[Stage]) -> list[str]:
    """The templates."""
    return [stage.template for stage in stages]


GONE = {
    **ENDED,
    "desired_state": "absent",
    "terminated_at": NOW,
    "ready_at": None,
    "observed_state": "absent",
}
TABLE: list[tuple[str, dict[str, Any], list[str]]] = [
    ("runs for the first time", RUNNING, ["ready"]),
    ("made, but its state is not confirmed", {**RUNNING, "observed_state": "unknown"}, []),
    ("still installing", {**RUNNING, "ready_at": None, "observed_state": "installing"}, []),
    ("never present", {**ENDED, "ready_at": None}, []),
    ("never present, unpaid", {**OVERDUE, "desired_state": "present"}, []),
    ("unpaid, before the warning", {**RUNNING, **OVERDUE, "warn_at": NOW + DAY}, ["ready"]),
    ("unpaid", {**RUNNING, **OVERDUE}, ["payment_failed", "ready"]),
    ("suspended as overdue", {**SUSPENDED, **OVERDUE, "suspend_reasons": ["overdue"]}, ["suspended"]),
    ("not yet confirmed", {**SUSPENDED, "suspend_reasons": ["abuse"], "observed_state": "active"}, []),
    ("suspended by staff", {**SUSPENDED, "suspend_reasons": ["abuse"]}, ["suspended"]),
    ("ends later", {**RUNNING, "ended_at": NOW + DAY}, ["ending", "ready"]),
    ("ended", ENDED, ["cancelled"]),
    ("ended while suspended by staff", {**ENDED, "suspend_reasons": ["abuse", "cancelled"]}, ["cancelled"]),
    ("undo window over, not deleted yet", {**ENDED, "desired_state": "absent"}, []),
    ("ended before it was made", GONE, []),
    ("ordered again after its deletion", {**RUNNING, "terminated_at": NOW - DAY}, ["ready"]),
    ("ordered again, not made yet", {"desired_state": "present", "terminated_at": NOW - DAY}, []),
    ("a server that staff adopted", {"adopted_at": NOW, **ENDED, "ready_at": None}, ["cancelled"]),
]


@pytest.mark.parametrize(
    ("row", "expected"), [entry[1:] for entry in TABLE], ids=[entry[0] for entry in TABLE]
)
def test_the_state_decides(row: dict[str, Any], expected: list[str]) -> None:
    found = due(row)
    assert names(found) == expected
    assert due(row, *found) == []


def test_a_deletion_is_told_to_whom_the_server_was() -> None:
    told = [due(ENDED)[0], due(RUNNING)[0]]
    gone = due(GONE, *told)
    assert names(gone) == ["deleted"]
    assert due(GONE, *gone, *told) == []


@pytest.mark.req("T83-02")
def test_each_unpaid_time_is_told_once() -> None:
    row = {**RUNNING, **OVERDUE}
    ready, first = due(RUNNING)[0], due(row)[0]
    older = {**row, "overdue_since": NOW - 9 * DAY}
    assert due(older, ready, first) == [], "an older failure came to light: the same unpaid time"
    again = {**row, "paid_at": NOW - 5 * DAY, "overdue_since": NOW - DAY}
    assert names(due(again, ready, first)) == ["payment_failed"]
    assert first.context["suspend_at"] == (NOW - DAY).isoformat()


@pytest.mark.req("T83-03")
def test_a_suspension_is_told_once_and_answered_once() -> None:
    ready = due(RUNNING)[0]
    suspended = {**SUSPENDED, **OVERDUE, "suspend_reasons": ["overdue"]}
    told: list[Stage] = [ready]
    for number, (row, template) in enumerate([(suspended, "suspended"), (RUNNING, "running_again")] * 3):
        new = due(row, *told)
        assert names(new) == [template], number
        told = [*new, *told]
        assert due(row, *told) == []
    assert len({stage.key for stage in told}) == 7
    changed = {**suspended, "suspend_reasons": ["abuse", "overdue"], "suspend_at": NOW}
    assert due(changed, *told[1:]) == [], "more reasons are no new suspension"


@pytest.mark.req("T83-05")
def test_coming_back_from_a_cancellation_is_told() -> None:
    told = [due(ENDED)[0], due(RUNNING)[0]]
    assert names(due(RUNNING, *told)) == ["running_again"]


def test_a_new_server_after_an_end_is_ready_and_not_again() -> None:
    told = [due(ENDED)[0], due(RUNNING)[0]]
    assert names(due({**RUNNING, "ready_at": NOW}, *told)) == ["ready"]


@pytest.mark.parametrize(
    ("until", "expected"),
    [(NOW + 9 * DAY, []), (NOW + 2 * DAY, ["cancelled"]), (None, [])],
    ids=["more time", "less time", "no date any more"],
)
def test_a_repeated_cancellation_is_told_only_if_time_gets_shorter(
    until: dt.datetime | None, expected: list[str]
) -> None:
    told = due(ENDED)[0]
    assert names(due({**ENDED, "undo_until": until, "ended_at": NOW}, told)) == expected


def test_an_unproven_cancellation_promises_no_date() -> None:
    unproven = due({**ENDED, "undo_until": None})[0]
    assert unproven.context["undo_until"] == ""
    assert names(due(ENDED, unproven)) == ["cancelled"], "a date appears: the customer must know it"


@pytest.mark.req("T83-07")
def test_the_ready_mail_takes_no_secret_along() -> None:
    sign_in = {name: name.upper() for name in SIGN_IN} | {"password": "hunter2", "token": "ptlc_x"}
    stage = due({**RUNNING, "observed": {"sign_in": sign_in}})[0]
    assert stage.context == {name: name.upper() for name in SIGN_IN}


@pytest.mark.django_db
def test_written_once_and_cheap_afterwards() -> None:
    grace = factories.customer(email="grace@example.com")
    product = factories.product(connection=grace.connection)
    made = factories.service(product=product, customer=grace, **{**RUNNING, "ready_at": clock.now()})
    service = Service.objects.get(pk=made.pk)
    assert [service_notify_due(service=service) for _ in range(2)] == [1, 0]
    mail = Notification.objects.get()
    assert (mail.recipients, mail.context["product"], mail.service) == (
        ["grace@example.com"],
        "Fire Elemental",
        service,
    )
    with CaptureQueriesContext(
        connection,
    ) as queries:
        service_notify_due(service=Service.objects.get(pk=made.pk))
    assert len(queries) == 2, "the service itself, and what was written before"


@pytest.mark.django_db
def test_a_ready_mail_without_help_from_the_panel_still_names_it() -> None:
    service = factories.service(**{**RUNNING, "ready_at": clock.now()})
    assert service_notify_due(service=service) == 1
    assert Notification.objects.get().context["panel_url"] == "https://panel.example.com"


@pytest.mark.django_db
def test_another_services_mails_do_not_count() -> None:
    product = factories.product()
    ada = factories.customer(connection=product.connection)
    for _ in range(2):
        service = factories.service(product=product, customer=ada, **{**RUNNING, "ready_at": clock.now()})
        assert service_notify_due(service=service) == 1
