"""Mails are sent once, retried while the mail server is away, and given up visibly."""

from __future__ import annotations

import datetime as dt
import smtplib
from types import ModuleType
from typing import Any

import pytest
from django.core.mail import EmailMessage, EmailMultiAlternatives
from pytest_django import Settings

from provisioning.lib import clock as project_clock
from provisioning.models import Installation, Notification
from provisioning.notifications import staff_notify, tasks
from provisioning.notifications.tasks import notification_sweep, passing_trouble, send_notification
from provisioning.notifications.writers import notification_write

pytestmark = pytest.mark.django_db


def written(**fields: Any) -> Notification:
    """A mail to Ada that waits to be sent."""
    key = fields.pop("key", "ready:1")
    defaults = {"template": "ready", "recipients": ["ada@example.com"], "context": {"service": "MC-1042"}}
    notification_write(key=key, **{**defaults, **fields})
    return Notification.objects.get(key=key)


def refuse(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """The mail server fails with this error from now on."""

    def fails(self: EmailMessage, fail_silently: bool = False) -> int:
        raise error

    monkeypatch.setattr(EmailMultiAlternatives, "send", fails)


@pytest.mark.req("T83-07")
def test_a_mail_is_sent_once(mailoutbox: list[EmailMultiAlternatives]) -> None:
    row = written()
    for _ in range(3):
        send_notification(row.pk)
    (mail,) = mailoutbox
    row.refresh_from_db()
    assert row.sent_at is not None
    assert (row.next_attempt_at, row.error, row.attempts) == (None, "", 1)
    assert mail.to == ["ada@example.com"]
    assert mail.reply_to == ["help@example.com"]
    assert mail.from_email == "Billingbridge <help@example.com>"
    assert mail.subject == "Your server MC-1042 is ready"
    assert mail.alternatives[0][1] == "text/html"
    assert mail.extra_headers["Auto-Submitted"] == "auto-generated"


def test_a_key_is_written_once() -> None:
    assert [staff_notify(key="x", template="brake", context={}) for _ in range(2)] == [True, False]
    assert Notification.objects.get().recipients == ["staff@example.com"]


def test_a_mail_in_another_workers_hands_is_left_alone(
    mailoutbox: list[EmailMultiAlternatives], settings: Settings, clock: ModuleType
) -> None:
    row = written()
    until = project_clock.now() + dt.timedelta(seconds=settings.LEASE_SECONDS)
    Notification.objects.update(next_attempt_at=until)
    send_notification(row.pk)
    assert (notification_sweep(), mailoutbox) == ([], [])
    clock.shift(settings.LEASE_SECONDS + 1)
    assert notification_sweep() == [row.pk], "that worker died: the lease has run out"
    send_notification(row.pk)
    assert len(mailoutbox) == 1


@pytest.mark.parametrize("moment", ["_held", "_deliver"], ids=["before the claim", "after the claim"])
def test_two_workers_at_once_send_one(
    monkeypatch: pytest.MonkeyPatch, mailoutbox: list[EmailMultiAlternatives], moment: str
) -> None:
    row, real = written(), getattr(tasks, moment)

    def meanwhile(mine: Notification) -> Any:
        monkeypatch.setattr(tasks, moment, real)
        send_notification(row.pk)
        return real(mine)

    monkeypatch.setattr(tasks, moment, meanwhile)
    send_notification(row.pk)
    assert len(mailoutbox) == 1


def test_the_sweep_wakes_only_what_is_due(jobs: Any, clock: ModuleType) -> None:
    due, sent, later = (written(key=key) for key in ("a", "b", "c"))
    send_notification(sent.pk)
    Notification.objects.filter(pk=later.pk).update(
        next_attempt_at=project_clock.now() + dt.timedelta(hours=1)
    )
    jobs.clear()
    assert notification_sweep() == [due.pk]
    assert [ident for _, ident in jobs.sent] == [due.pk]
    clock.shift(3601)
    assert notification_sweep() == [due.pk, later.pk]


TROUBLES: list[tuple[Exception, bool]] = [
    (ConnectionRefusedError("refused"), True),
    (TimeoutError("timed out"), True),
    (smtplib.SMTPServerDisconnected("gone"), True),
    (smtplib.SMTPConnectError(421, b"busy"), True),
    (smtplib.SMTPRecipientsRefused({"ada@example.com": (450, b"later")}), True),
    (smtplib.SMTPRecipientsRefused({"ada@example.com": (550, b"no such user")}), False),
    (smtplib.SMTPDataError(554, b"spam"), False),
    (smtplib.SMTPAuthenticationError(535, b"bad password"), False),
    (smtplib.SMTPNotSupportedError("no TLS"), False),
    (ValueError("a bug"), False),
]


@pytest.mark.parametrize(("error", "passing"), TROUBLES, ids=lambda item: type(item).__name__)
def test_what_passes_is_waited_for_and_the_rest_given_up(
    monkeypatch: pytest.MonkeyPatch,
    clock: ModuleType,
    settings: Settings,
    error: Exception,
    passing: bool,
) -> None:
    assert passing_trouble(error) is passing
    row = written()
    refuse(monkeypatch, error)
    for _ in range(settings.MAX_ATTEMPTS + 3):
        send_notification(row.pk)
        clock.shift(settings.BACKOFF_CAP + 1)
    row.refresh_from_db()
    assert (row.sent_at, row.next_attempt_at is not None) == (None, passing)
    assert type(error).__name__ in row.error
    assert Notification.objects.filter(template="mail_failed").count() == (0 if passing else 1)
    assert passing or row.attempts == settings.MAX_ATTEMPTS


def test_an_outage_of_days_ends_in_an_alert(monkeypatch: pytest.MonkeyPatch, clock: ModuleType) -> None:
    row = written()
    refuse(monkeypatch, ConnectionRefusedError("refused"))
    clock.shift(3 * 86_400 + 1)
    send_notification(row.pk)
    alert = Notification.objects.get(template="mail_failed")
    assert alert.context["recipients"] == "ada@example.com"
    clock.shift(3 * 86_400 + 1)
    send_notification(alert.pk)
    assert Notification.objects.count() == 2, "no alert about an alert"


def test_a_retry_after_an_outage_delivers(
    monkeypatch: pytest.MonkeyPatch, clock: ModuleType, mailoutbox: list[EmailMultiAlternatives]
) -> None:
    row = written()
    with monkeypatch.context() as patch:
        refuse(patch, TimeoutError("timed out"))
        send_notification(row.pk)
    clock.shift(60)
    send_notification(row.pk)
    row.refresh_from_db()
    assert (len(mailoutbox), row.error) == (1, "")


def test_a_secret_in_an_error_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    row = written()
    refuse(monkeypatch, ValueError("password=hunter2secret\nnext line"))
    send_notification(row.pk)
    row.refresh_from_db()
    assert "hunter2secret" not in row.error
    assert "\n" not in row.error


def test_without_staff_addresses_the_row_says_so(
    settings: Settings, mailoutbox: list[EmailMultiAlternatives]
) -> None:
    settings.STAFF_EMAILS = []
    staff_notify(key="x", template="panel_down", context={"panel": "fra-1"})
    row = Notification.objects.get()
    send_notification(row.pk)
    row.refresh_from_db()
    assert row.sent_at is not None
    assert "STAFF_EMAILS" in row.error
    assert mailoutbox == []


@pytest.mark.parametrize(
    ("ident", "observe_only", "count"), [("test", False, 2), ("prod", False, 1), ("test", True, 1)]
)
def test_a_copy_of_production_writes_to_staff_only(
    mailoutbox: list[EmailMultiAlternatives], ident: str, observe_only: bool, count: int
) -> None:
    Installation.objects.all().delete()
    Installation.objects.create(installation_id=ident, observe_only=observe_only)
    for row in (written(), written(key="p", template="panel_down", recipients=["staff@example.com"])):
        send_notification(row.pk)
    assert len(mailoutbox) == count
    held = Notification.objects.filter(sent_at=None)
    assert all("Observe only" in row.error and row.attempts == 0 for row in held)


def test_every_try_carries_the_same_message_id(
    mailoutbox: list[EmailMultiAlternatives],
) -> None:
    first, second = written(), written(key="ready:2")
    send_notification(first.pk)
    Notification.objects.filter(pk=first.pk).update(sent_at=None, next_attempt_at=project_clock.now())
    send_notification(first.pk)
    send_notification(second.pk)
    idents = [mail.extra_headers["Message-ID"] for mail in mailoutbox]
    assert idents[0] == idents[1] != idents[2]
    assert idents[0].endswith("@example.com>")
