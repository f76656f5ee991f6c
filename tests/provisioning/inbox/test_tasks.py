"""An event is worked on once, its end is said in words, and nothing is ever dropped."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import ModuleType
from typing import Any

import pytest
from pytest_django import Settings

from provisioning import audit, queue
from provisioning.billing.events import BillingEvent
from provisioning.choices import EventStatus
from provisioning.inbox import early, tasks
from provisioning.inbox.early import event_came_early
from provisioning.inbox.registry import Handled, handles
from provisioning.inbox.store import Origin, event_store
from provisioning.inbox.tasks import event_replay, process_event, process_events
from provisioning.lib import clock as project_clock
from provisioning.models import AuditEntry, Customer, Event, Notification, Product, Service, WebhookEndpoint
from tests import factories

pytestmark = pytest.mark.django_db
ORDER = {
    "event": "subscription.created",
    "subscription_id": "12345",
    "customer_email": "ada@example.com",
    "product_id": "fire-elemental",
    "status": "active",
}


@pytest.fixture
def endpoint() -> WebhookEndpoint:
    """An endpoint of a shop that sells one product."""
    return factories.endpoint(connection=factories.product().connection)


def stored(endpoint: WebhookEndpoint, body: bytes | None = None, **payload: Any) -> Event:
    """A message as the webhook edge keeps it."""
    content = json.dumps({**ORDER, **payload}).encode() if body is None else body
    ident = f"msg_{Event.objects.count()}"
    return event_store(endpoint=endpoint, sender_id=ident, body=content, origin=Origin("test")).event


def worked(event: Event) -> Event:
    """That event after its job has run."""
    process_event(event.pk)
    event.refresh_from_db()
    return event


def mails(event: Event) -> list[str]:
    """What staff were told of it."""
    rows = Notification.objects.filter(template="staff_event", context__event_id=event.pk)
    return list(rows.values_list("context__status", flat=True))


@pytest.mark.req("T83-01", "T83-41")
def test_an_order_is_processed_and_told(endpoint: WebhookEndpoint) -> None:
    event = worked(stored(endpoint))
    assert (event.status, event.type, event.subject) == ("processed", "subscription.created", "12345")
    assert (event.service, event.next_attempt_at) == (Service.objects.get(), None)
    assert event.processed_at is not None
    assert event.result == "Billing status: pending → active."
    entry = AuditEntry.objects.get(event=event)
    assert (entry.actor_kind, entry.actor, entry.service) == ("billing", endpoint.name, event.service)
    assert mails(event) == []


def test_a_second_job_finds_nothing_to_do(endpoint: WebhookEndpoint) -> None:
    event = worked(stored(endpoint))
    assert worked(event).attempts == 1


def test_two_jobs_at_once_work_once(endpoint: WebhookEndpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    event, calls = stored(endpoint), []
    real = tasks._work

    def meanwhile(claimed: Event) -> None:
        calls.append(claimed.pk)
        process_event(event.pk)
        real(claimed)

    monkeypatch.setattr(tasks, "_work", meanwhile)
    assert worked(event).status == "processed"
    assert calls == [event.pk]


def test_a_job_for_no_event_is_nothing() -> None:
    process_event(999_999)


@pytest.mark.req("T83-40")
@pytest.mark.parametrize(
    ("body", "reason", "words"),
    [
        (b"\xff", "unreadable", "not UTF-8"),
        (b"[]", "unreadable", "not a JSON object"),
        (b'{"event":NaN}', "unreadable", "number"),
        (b"{}", "invalid", "“event” is missing. “subscription_id” is missing."),
        (b'{"event":"payment.failed"}', "invalid", "“subscription_id” is missing."),
        (
            b'{"event":"subscription.created","subscription_id":"1","status":"on"}',
            "invalid",
            "must be one of",
        ),
        (b'{"event":"subscription.created","subscription_id":"1"}', "invalid", "“status” is missing"),
    ],
)
def test_what_cannot_be_understood_is_kept_with_a_sentence(
    endpoint: WebhookEndpoint, body: bytes, reason: str, words: str
) -> None:
    event = worked(stored(endpoint, body))
    assert (event.status, event.reason, event.next_attempt_at) == ("rejected", reason, None)
    assert words in event.result
    assert mails(event) == ["rejected"]
    assert not Service.objects.exists()


@pytest.mark.req("T83-10")
@pytest.mark.parametrize("body", [{"subscription_id": "1"}, {}, {"status": "odd", "subscription_id": None}])
def test_an_unknown_type_is_kept_as_ignored(endpoint: WebhookEndpoint, body: dict[str, Any]) -> None:
    event = worked(stored(endpoint, json.dumps({"event": "invoice.sent", **body}).encode()))
    assert (event.status, event.type) == ("ignored", "invoice.sent")
    assert "invoice.sent" in event.result
    assert mails(event) == []


@pytest.mark.parametrize(("ahead", "status"), [(299, "processed"), (301, "rejected")])
def test_a_time_ahead_of_ours_is_refused(endpoint: WebhookEndpoint, ahead: int, status: str) -> None:
    at = project_clock.now() + timedelta(seconds=ahead)
    event = stored(endpoint, occurred_at=at.isoformat())
    Event.objects.filter(pk=event.pk).update(received_at=at - timedelta(seconds=ahead))
    event = worked(event)
    assert (event.status, event.reason) == (status, "" if status == "processed" else "future")


def test_old_news_is_stale(endpoint: WebhookEndpoint) -> None:
    worked(stored(endpoint))
    event = worked(stored(endpoint, occurred_at="2020-01-01T00:00:00Z", status="cancelled"))
    assert (event.status, event.service) == ("stale", Service.objects.get())
    assert Service.objects.get().billing_status == "active"


def test_another_customer_is_held_once(endpoint: WebhookEndpoint) -> None:
    worked(stored(endpoint))
    event = worked(stored(endpoint, customer_email="eve@example.com", status="cancelled"))
    assert (event.status, event.reason) == ("held", "other_email")
    assert Service.objects.get().desired_state == "present"
    event_replay(event=event)
    assert worked(event).status == "held"
    assert mails(event) == ["held"]


@pytest.mark.parametrize(
    "payload", [{"product_id": ""}, {"customer_email": ""}], ids=["no product", "no customer"]
)
def test_an_early_event_is_applied_once_its_subscription_is_known(
    endpoint: WebhookEndpoint, payload: dict[str, Any]
) -> None:
    late: dict[str, Any] = {
        "event": "subscription.updated",
        "tier": "knight",
        "occurred_at": "2026-01-02T00:00:00Z",
    }
    event = worked(stored(endpoint, **late, **payload))
    assert event.status == "held"
    worked(stored(endpoint, tier="elemental", occurred_at="2026-01-01T00:00:00Z"))
    event.refresh_from_db()
    assert (event.status, event.attempts, event.claimed_until) == ("received", 0, None)
    assert worked(event).status == "processed"
    assert Service.objects.get().tier == "knight"


def test_an_event_held_while_its_subscription_became_known(
    endpoint: WebhookEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = tasks.event_close

    def meanwhile(**closing: Any) -> None:
        factories.service(product=Product.objects.get(), billing_id="12345")
        real(**closing)

    monkeypatch.setattr(tasks, "event_close", meanwhile)
    assert worked(stored(endpoint, event="payment.failed", product_id="")).status == "received"


def test_an_event_held_for_another_reason_stays_held(endpoint: WebhookEndpoint) -> None:
    worked(stored(endpoint))
    event = worked(stored(endpoint, customer_email="eve@example.com"))
    event_came_early(event=event, reason=event.reason)
    assert Event.objects.get(pk=event.pk).status == "held"


def test_early_events_of_others_stay_held(endpoint: WebhookEndpoint) -> None:
    mine, other = (worked(stored(endpoint, subscription_id=ident, product_id="")) for ident in ("1", "2"))
    assert early.early_events_wake(connection=endpoint.connection, billing_id="1") == 1
    statuses = (
        Event.objects.filter(pk__in=[mine.pk, other.pk]).order_by("pk").values_list("status", flat=True)
    )
    assert list(statuses) == ["received", "held"]


@pytest.fixture
def crashing(monkeypatch: pytest.MonkeyPatch) -> dict[str, bool]:
    """A handler of *test.crash* that breaks, having changed something, as long as `on` is true."""
    monkeypatch.setattr("provisioning.inbox.registry._handlers", {})
    switch = {"on": True}

    @handles("test.crash")
    def crash(event: Event, fact: BillingEvent) -> Handled:
        factories.customer(connection=event.connection)
        if switch["on"]:
            raise RuntimeError("password=hunter2secret")
        return Handled(EventStatus.PROCESSED, "Done.")

    return switch


@pytest.mark.req("T83-40")
def test_a_crash_is_retried_and_leaves_nothing_behind(
    endpoint: WebhookEndpoint, crashing: dict[str, bool], clock: ModuleType, settings: Settings
) -> None:
    event = worked(stored(endpoint, event="test.crash"))
    assert (event.status, event.attempts, Customer.objects.count()) == ("received", 1, 0)
    assert event.next_attempt_at is not None
    assert event.next_attempt_at <= project_clock.now() + timedelta(seconds=settings.BACKOFF_BASE)
    assert "RuntimeError" in event.result
    assert "hunter2secret" not in event.result
    crashing["on"] = False
    clock.shift(settings.BACKOFF_CAP)
    assert worked(event).status == "processed"
    assert Customer.objects.count() == 1


def test_after_the_last_attempt_staff_are_told(
    endpoint: WebhookEndpoint, crashing: dict[str, bool], clock: ModuleType, settings: Settings
) -> None:
    event = stored(endpoint, event="test.crash")
    for _ in range(settings.MAX_ATTEMPTS + 2):
        worked(event)
        clock.shift(settings.BACKOFF_CAP)
    assert (event.status, event.attempts, event.next_attempt_at) == ("failed", settings.MAX_ATTEMPTS, None)
    assert mails(event) == ["failed"]
    crashing["on"] = False
    event_replay(event=event)
    assert worked(event).status == "processed"
    assert AuditEntry.objects.filter(action="event.replay").count() == 1


def test_an_event_that_kills_its_worker_is_given_up(
    endpoint: WebhookEndpoint, monkeypatch: pytest.MonkeyPatch, clock: ModuleType, settings: Settings
) -> None:
    def dies(event: Event) -> None:
        raise SystemExit

    monkeypatch.setattr(tasks, "_work", dies)
    event = stored(endpoint)
    for _ in range(settings.MAX_ATTEMPTS):
        with pytest.raises(SystemExit):
            process_event(event.pk)
        process_event(event.pk)  # its lease still runs: nobody else takes it
        clock.shift(settings.LEASE_SECONDS + 1)
    assert worked(event).status == "failed"
    assert mails(event) == ["failed"]


@pytest.mark.req("CAL-06")
@pytest.mark.parametrize(
    ("believed", "said", "expected"),
    [
        (True, None, True),
        (True, True, True),
        (True, False, False),
        (False, None, False),
        (False, True, False),
    ],
)
def test_only_a_marked_sender_is_believed_about_an_address(
    endpoint: WebhookEndpoint, believed: bool, said: bool | None, expected: bool
) -> None:
    WebhookEndpoint.objects.update(verifies_email=believed)
    worked(stored(endpoint, email_verified=said))
    assert Customer.objects.get().email_verified is expected


def test_the_request_id_joins_event_and_timeline(endpoint: WebhookEndpoint) -> None:
    event = stored(endpoint)
    Event.objects.filter(pk=event.pk).update(request_id="req-7")
    worked(event)
    assert AuditEntry.objects.get(event=event).request_id == "req-7"
    assert audit.request_id() == ""


def test_the_job_wakes_the_engine(endpoint: WebhookEndpoint, jobs: Any) -> None:
    event = stored(endpoint)
    assert jobs.sent == [("provisioning.inbox.tasks.process_events", event.pk)]
    jobs.clear()
    worked(event)
    assert jobs.sent == [("provisioning.reconcile.tasks.reconcile_service", Service.objects.get().pk)]


@contextmanager
def queue_runs() -> Iterator[None]:
    """On-commit callbacks run at once, as they do outside of a test's transaction."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("django.db.transaction.on_commit", lambda callback: callback())
        yield


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The events that were worked on, in order; none of them wakes a service."""
    seen: list[int] = []

    def works(event: Event) -> None:
        seen.append(event.pk)
        Event.objects.filter(pk=event.pk).update(status=EventStatus.PROCESSED)

    monkeypatch.setattr(tasks, "_work", works)
    return seen


def test_one_wake_up_takes_all_that_wait_in_order(
    endpoint: WebhookEndpoint, jobs: Any, tried: list[int]
) -> None:
    first, begun, second, third = (stored(endpoint).pk for _ in range(4))
    Event.objects.filter(pk=begun).update(attempts=1)
    jobs.clear()
    process_events(second)
    assert tried == [second, first, third]
    # The others are not left to one worker: what is slow for one event keeps nobody else waiting.
    assert jobs.sent == [(queue.PROCESS_EVENTS, first)]
    process_events(first)
    assert len(tried) == 3


def test_a_lone_event_wakes_one_worker_only(endpoint: WebhookEndpoint, jobs: Any, tried: list[int]) -> None:
    event = stored(endpoint)
    jobs.clear()
    process_events(event.pk)
    assert (tried, jobs.sent) == ([event.pk], [])


def test_what_does_not_fit_into_the_job_goes_to_the_next(
    endpoint: WebhookEndpoint, jobs: Any, tried: list[int], settings: Settings
) -> None:
    settings.JOB_TIMEOUT_SECONDS = settings.JOB_DEADLINE_SECONDS
    event = stored(endpoint)
    jobs.clear()
    process_events(event.pk)
    assert (tried, jobs.sent) == ([], [(queue.PROCESS_EVENTS, event.pk)])


def test_what_an_event_wakes_carries_its_request_id(
    endpoint: WebhookEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    target = "provisioning.reconcile.tasks.reconcile_service"
    monkeypatch.setattr(target, lambda _: seen.append(audit.request_id()))
    event = stored(endpoint)
    Event.objects.filter(pk=event.pk).update(request_id="req-7")
    with queue_runs():
        process_events(event.pk)
    assert seen == ["req-7"]
