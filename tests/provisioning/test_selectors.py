"""A service's state in one word, and what it waits for, in a sentence."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.db import connection
from django.test import override_settings
from django.test.utils import CaptureQueriesContext

from provisioning import selectors
from provisioning.choices import AccountState
from provisioning.lib import clock
from provisioning.models import Installation, Notification, PanelAccount, PanelGate, Service
from provisioning.selectors import Word
from tests import factories

pytestmark = pytest.mark.django_db

AGREED: dict[str, Any] = {"generation": 2, "observed_generation": 2}
RUNNING: dict[str, Any] = {"desired_state": "present", "observed_state": "active", **AGREED}


def at(**offset: float) -> dt.datetime:
    """A moment from now, by the host's clock: the tables below are made before there is a database."""
    return dt.datetime.now(dt.UTC) + dt.timedelta(**offset)


def row_of(service: Service) -> Service:
    """The service as screens read it."""
    return selectors.operations_attach(selectors.services().filter(pk=service.pk))[0]


WORDS: list[tuple[Word, dict[str, Any], dict[str, Any]]] = [
    (Word.RUNNING, RUNNING, {}),
    (Word.RUNNING, RUNNING, {"outcome": "succeeded"}),
    (Word.RUNNING, RUNNING, {"outcome": "skipped"}),
    (Word.NEEDS_YOU, RUNNING, {"outcome": "needs_staff"}),
    (Word.NEEDS_YOU, RUNNING, {"outcome": "failed"}),
    (Word.NEEDS_YOU, RUNNING, {"outcome": "waiting", "reason": "product_unmapped"}),
    (Word.NEEDS_YOU, RUNNING, {"outcome": "waiting", "reason": "brake"}),
    (Word.WAITING, RUNNING, {"outcome": "waiting", "reason": "panel_unreachable"}),
    (Word.WAITING, RUNNING, {"outcome": "retrying", "reason": "panel_unknown"}),
    (Word.WAITING, {**RUNNING, "observed_generation": 1}, {}),
    (Word.WAITING, {**RUNNING, "observed_state": "installing"}, {}),
    (Word.WAITING, {"desired_state": "none"}, {}),
    (Word.SUSPENDED, {"desired_state": "suspended", "observed_state": "suspended", **AGREED}, {}),
    (Word.ENDING, {"desired_state": "suspended", "ended_at": at(days=-1), **AGREED}, {}),
    (Word.ENDING, {**RUNNING, "ended_at": at(days=3)}, {}),
    (Word.GONE, {"desired_state": "absent", "ended_at": at(days=-9), **AGREED}, {}),
    (Word.GONE, {"desired_state": "absent", "terminated_at": at(days=-1), "generation": 3}, {}),
    (Word.UNKNOWN, {**RUNNING, "observed_state": "unknown"}, {}),
]


@pytest.mark.req("T83-45")
@pytest.mark.parametrize(("word", "columns", "operation"), WORDS)
def test_word_and_its_filter_agree(word: Word, columns: dict[str, Any], operation: dict[str, Any]) -> None:
    service = factories.service(**columns)
    if operation:
        factories.operation(service=service, **operation)
    assert selectors.word_of(row_of(service)) is word
    found = [known for known in Word if selectors.services_in(selectors.services(), known).exists()]
    assert found == [word]


def test_a_newer_operation_ends_the_need_for_staff() -> None:
    service = factories.service(**RUNNING)
    factories.operation(service=service, outcome="needs_staff")
    assert selectors.operations_needing_staff().count() == 1
    factories.operation(service=service, outcome="succeeded")
    assert selectors.operations_needing_staff().count() == 0
    assert selectors.word_of(row_of(service)) is Word.RUNNING


def test_waiting_names_panel_time_and_attempt() -> None:
    panel = factories.panel(name="fra-1")
    down = dt.datetime(2026, 11, 21, 14, 2, tzinfo=dt.UTC)
    PanelGate.objects.create(panel=panel, down_since=down)
    service = factories.service(product=factories.product(panel=panel), desired_state="present", generation=1)
    factories.operation(
        service=service,
        outcome="waiting",
        reason="panel_unreachable",
        attempts=3,
        next_attempt_at=clock.now() + dt.timedelta(seconds=40.4),
    )
    row = row_of(service)
    words = selectors.situation(row, selectors.newest_of(row), clock.now())
    expected = "Waiting for panel “fra-1” (does not answer since 14:02 UTC); next try in 40 s, attempt 4."
    assert words == expected


REASONS = [
    ("product_unmapped", "Waiting for staff to map a product to billing's “fire-elemental”."),
    ("brake", "Waiting for staff to release the parked deletes of panel “fra-1”."),
    ("installing", "Waiting for the install on panel “fra-1”"),
    ("rate_budget", "the calls that it allows in a minute are used up"),
    ("no_capacity", "Waiting for panel “fra-1” (Node 3 is full);"),
]


@pytest.mark.parametrize(("reason", "words"), REASONS)
def test_each_wait_has_words(reason: str, words: str) -> None:
    product = factories.product(panel=factories.panel(name="fra-1"))
    service = factories.service(product=product, desired_state="present", generation=1)
    factories.operation(
        service=service,
        outcome="waiting",
        reason=reason,
        detail="Node 3 is full.",
        next_attempt_at=at(minutes=5),
    )
    row = row_of(service)
    waits = selectors.waiting(row, selectors.newest_of(row))
    assert waits is not None
    assert words in waits.sentence(clock.now())


SITUATIONS: list[tuple[dict[str, Any], str]] = [
    (RUNNING, "Billing, our wish and the panel agree."),
    ({**RUNNING, "suspend_at": at(days=2)}, "Running, but unpaid: suspended on"),
    ({**RUNNING, "ended_at": at(days=2)}, "Running; billing ends it on"),
    (
        {"desired_state": "suspended", "suspend_reasons": ["overdue", "abuse"], **AGREED},
        "Suspended: overdue, abuse.",
    ),
    (
        {"desired_state": "suspended", "ended_at": at(days=-1), "undo_until": at(days=6), **AGREED},
        "Ended and suspended. Can be undone until",
    ),
    ({"desired_state": "suspended", "ended_at": at(days=-1), **AGREED}, "Deleting it waits for your word."),
    ({"desired_state": "absent", "terminated_at": at(days=-1), **AGREED}, "The server was deleted on"),
    ({"desired_state": "absent", **AGREED}, "Ended; there is no server."),
    ({"desired_state": "none"}, "it calls this service pending"),
    ({"desired_state": "present", "generation": 1}, "Waiting for a free worker."),
]


@pytest.mark.parametrize(("columns", "words"), SITUATIONS)
def test_situation_says_what_is_up(columns: dict[str, Any], words: str) -> None:
    row = row_of(factories.service(**columns))
    assert words in selectors.situation(row, selectors.newest_of(row), clock.now())


def test_situation_quotes_what_staff_must_mend() -> None:
    service = factories.service(**RUNNING)
    made = factories.operation(service=service, outcome="needs_staff", detail="Two servers carry our mark.")
    row = row_of(service)
    words = selectors.situation(row, selectors.newest_of(row), clock.now())
    assert words == f"{made.number} needs you: Two servers carry our mark."


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(40, "40 s"), (60, "1 min"), (3_599, "59 min"), (3_600, "1 h"), (200_000, "2 days")],
)
def test_lengths_of_time(seconds: int, words: str) -> None:
    assert selectors.span(seconds) == words


def test_next_date_is_the_first_that_lies_ahead() -> None:
    service = factories.service(
        **RUNNING, paid_until=at(days=9), suspend_at=at(days=2), ended_at=at(days=-1), undo_until=at(days=5)
    )
    assert selectors.next_date(service) == ("Suspended", service.suspend_at)
    service.terminated_at = clock.now()
    assert selectors.next_date(service) is None


def test_steps_show_how_far_an_order_is() -> None:
    fresh = factories.service(desired_state="none")
    done = factories.service(**RUNNING, server_id="5", ready_at=clock.now())
    assert done.panel is not None
    PanelAccount.objects.create(
        panel=done.panel, customer=done.customer, state=AccountState.LINKED, mark="m", panel_user_id="7"
    )
    Notification.objects.create(
        key="r", service=done, template="ready", created_at=clock.now(), sent_at=clock.now()
    )
    steps = selectors.steps_of([fresh, done])
    assert [step.done for step in steps[fresh.pk]] == [False] * 5
    assert [step.name for step in steps[done.pk]] == ["paid", "account", "server", "ready", "mail"]
    assert [step.done for step in steps[done.pk]] == [True] * 5


def test_counts_stop_at_the_cap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selectors, "CAP", 2)
    product = factories.product()
    for _ in range(2):
        factories.service(product=product)
    assert str(selectors.capped(Service.objects.all())) == "2"
    factories.service(product=product)
    factories.service(product=product)
    assert str(selectors.capped(Service.objects.all())) == "2+"


def test_attaching_is_one_query_for_any_number() -> None:
    product = factories.product()
    for _ in range(8):
        factories.operation(service=factories.service(product=product))
    with CaptureQueriesContext(
        connection,
    ) as queries:
        rows = selectors.operations_attach(selectors.services())
    assert len(rows) == 8
    assert all(selectors.newest_of(row) for row in rows)
    assert len(queries) == 2


@pytest.mark.parametrize(
    ("row", "setting", "words"),
    [
        ({"installation_id": "test"}, False, ""),
        ({"installation_id": "test"}, True, "OBSERVE_ONLY is set"),
        ({"installation_id": "test", "observe_only": True}, False, "set to observe only"),
        ({"installation_id": "prod"}, False, "belongs to installation “prod”"),
    ],
)
def test_observe_only_has_its_reason(row: dict[str, Any], setting: bool, words: str) -> None:
    Installation.objects.all().delete()
    Installation.objects.create(**row)
    with override_settings(OBSERVE_ONLY=setting):
        said = selectors.observe_only_words()
    assert words in said
    assert bool(said) == bool(words)
