"""The job that sends one mail: claim, render, hand over to the mail server, close.

A mail server that can't be reached is waited for; what it refuses for good, or what can't be rendered, is
given up after MAX_ATTEMPTS, visibly: the row keeps its error and staff are told.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import smtplib
from email.utils import formataddr, parseaddr

import structlog
from django.conf import settings
from django.core.mail import EmailMultiAlternatives

from provisioning import queue
from provisioning.lib import clock
from provisioning.lib.ratelimit import backoff
from provisioning.lib.redact import clean_line
from provisioning.models import Installation, Notification
from provisioning.notifications.render import render_mail
from provisioning.notifications.stages import CUSTOMER_TEMPLATES
from provisioning.notifications.writers import staff_notify

MAIL_FAILED = "mail_failed"
LONGEST_WAIT = dt.timedelta(days=3)
"""How long an unreachable mail server is waited for: a mail that is older says nothing useful any more."""

MOST_AT_ONCE = 200
NO_RECIPIENTS = "Nobody to send it to: STAFF_EMAILS is not set."

log = structlog.get_logger(__name__)


def notification_sweep() -> list[int]:
    """Wakes a worker for every mail that is due. Returns their ids."""
    rows = Notification.objects.filter(sent_at=None, next_attempt_at__lte=clock.now())
    due = list(rows.order_by("next_attempt_at").values_list("pk", flat=True)[:MOST_AT_ONCE])
    for pk in due:
        queue.enqueue(queue.SEND_NOTIFICATION, pk)
    return due


def send_notification(notification_id: int) -> None:
    """Sends one written mail. A second job for the same mail finds nothing to claim."""
    row = _claim(notification_id)
    if row is None:
        return
    try:
        note = _deliver(row)
    except Exception as error:  # noqa: BLE001 - the job boundary: kept, retried, shown
        log.warning("mail_not_sent", notification=row.pk, template=row.template, error=type(error).__name__)
        notification_retry(notification=row, error=error)
    else:
        _update(row, sent_at=clock.now(), next_attempt_at=None, error=note)


def _claim(notification_id: int) -> Notification | None:
    """Takes the mail for the length of a lease; the attempt counts before the work."""
    now = clock.now()
    due = Notification.objects.filter(pk=notification_id, sent_at=None, next_attempt_at__lte=now)
    row = due.select_related("service__customer").first()
    if row is None or _held(row):
        return None
    until = now + dt.timedelta(seconds=settings.LEASE_SECONDS)
    claimed = due.filter(next_attempt_at=row.next_attempt_at).update(
        next_attempt_at=until, attempts=row.attempts + 1
    )
    row.attempts, row.next_attempt_at = row.attempts + 1, until
    return row if claimed else None


def _update(row: Notification, **fields: object) -> None:
    # Only while the claim is ours: a worker that came back late changes nothing.
    Notification.objects.filter(pk=row.pk, next_attempt_at=row.next_attempt_at).update(**fields)


def _held(row: Notification) -> bool:
    """A copy of production, or a restored past, must not write to customers: staff confirm first."""
    installation = Installation.objects.first()
    copy = installation is not None and (
        installation.observe_only
        or installation.restored_at is not None
        or installation.installation_id != settings.INSTALLATION_ID
    )
    held = row.template in CUSTOMER_TEMPLATES and (copy or settings.OBSERVE_ONLY)
    if held:
        later = clock.now() + dt.timedelta(seconds=settings.BACKOFF_CAP)
        _update(row, next_attempt_at=later, error="Observe only: no mail is sent to customers.")
    return held


def _deliver(row: Notification) -> str:
    """Sends the mail. Returns a note to keep with it. Raises what the template or the mail server raises."""
    recipients = [str(address) for address in row.recipients if address]
    if not recipients:
        return NO_RECIPIENTS
    mail = render_mail(row.template, row.context)
    message = EmailMultiAlternatives(
        subject=mail.subject,
        body=mail.text,
        from_email=_sender(),
        to=recipients,
        reply_to=[settings.SUPPORT_EMAIL] if settings.SUPPORT_EMAIL else None,
        headers={"Message-ID": _message_id(row), "Auto-Submitted": "auto-generated"},
    )
    message.attach_alternative(mail.html, "text/html")
    message.send()
    return ""


def _sender() -> str:
    name, address = parseaddr(settings.DEFAULT_FROM_EMAIL)
    return formataddr((clean_line(name or settings.HOST_NAME), address))


def _message_id(row: Notification) -> str:
    """The same for every try, so that a mail sent twice around a crash is one mail to its reader."""
    digest = hashlib.sha256(f"{settings.INSTALLATION_ID}:{row.key}".encode()).hexdigest()[:32]
    domain = parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2] or "localhost"
    return f"<{digest}@{domain}>"


def passing_trouble(error: Exception) -> bool:
    """Whether the mail server could not be reached or asked for patience: no fault of the mail."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return all(code // 100 == 4 for code, _ in error.recipients.values())
    if isinstance(error, smtplib.SMTPResponseException):
        return error.smtp_code // 100 == 4
    if isinstance(error, smtplib.SMTPException):
        return isinstance(error, smtplib.SMTPServerDisconnected)
    return isinstance(error, OSError)


def notification_retry(*, notification: Notification, error: Exception) -> None:
    """Puts a mail that failed off, or gives it up: passing trouble after three days, any other soon."""
    row, now = notification, clock.now()
    words = f"{type(error).__name__}: {clean_line(str(error), limit=250)}"[:300]
    hopeless = row.attempts >= settings.MAX_ATTEMPTS and not passing_trouble(error)
    if hopeless or now - row.created_at > LONGEST_WAIT:
        _give_up(row, words)
        return
    wait = backoff(row.attempts, base=settings.BACKOFF_BASE, cap=settings.BACKOFF_CAP)
    _update(row, next_attempt_at=now + dt.timedelta(seconds=wait), error=words)


def _give_up(row: Notification, words: str) -> None:
    log.error("mail_given_up", notification=row.pk, template=row.template, error=words)
    _update(row, next_attempt_at=None, error=words)
    if row.template == MAIL_FAILED:
        return
    staff_notify(
        key=f"{MAIL_FAILED}:{row.pk}",
        template=MAIL_FAILED,
        service=row.service,
        context={
            "notification_id": row.pk,
            "template": row.template,
            "recipients": ", ".join(row.recipients),
            "service": str(row.service or ""),
            "words": words,
        },
    )
