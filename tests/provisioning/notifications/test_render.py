"""One text file is the source of a mail's text and its HTML; no stranger's text gets a say in either."""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from pytest_django import Settings

from provisioning.notifications.render import render_mail
from provisioning.notifications.stages import CUSTOMER_TEMPLATES

STAFF_TEMPLATES = (
    "needs_staff",
    "staff_event",
    "panel_down",
    "panel_parked",
    "waiting",
    "brake",
    "mail_failed",
    "panel_frozen",
    "drift",
    "database_restored",
    "undone_too_late",
    "remark",
    "product_flagged",
    "trial_cleanup",
)
CONTEXT: dict[str, Any] = {
    "service": "MC-1042",
    "product": "Fire Elemental",
    "operation_number": "OP-00012",
    "panel": "fra-1",
    "event_id": 5,
    "status": "held",
    "template": "ready",
    "words": "No such node.",
    "overdue_since": "2026-11-13T10:00:00+00:00",
    "suspend_at": "2026-11-20T10:00:00+00:00",
    "ended_at": "2026-11-20T10:00:00+00:00",
    "undo_until": "2026-11-27T10:00:00+00:00",
    "newest_at": "2026-11-27T10:00:00+00:00",
    "database_at": "2026-11-26T10:00:00+00:00",
}
SUBJECTS = {
    "ready": "Your server MC-1042 is ready",
    "payment_failed": "The payment for MC-1042 failed",
    "suspended": "Your server MC-1042 is suspended",
    "running_again": "Your server MC-1042 runs again",
    "ending": "Your server MC-1042 ends on 20 November 2026",
    "cancelled": "Your server MC-1042 has ended",
    "deleted": "Your server MC-1042 was deleted",
    "needs_staff": "OP-00012 needs you: MC-1042",
    "staff_event": "Event 5 is held for you",
    "panel_down": "Panel fra-1 does not answer",
    "panel_parked": "Panel fra-1 refuses our key",
    "waiting": "MC-1042 waits",
    "brake": "Deletes on panel fra-1 are parked",
    "mail_failed": "A mail could not be sent: ready",
    "panel_frozen": "Deletes on panel fra-1 are frozen",
    "drift": "No such node.",
    "database_restored": "Billingbridge: a backup of the database was restored",
    "undone_too_late": "The undo for MC-1042 came too late",
    "remark": "OP-00012 was done, with a remark: MC-1042",
    "product_flagged": "Product Fire Elemental no longer fits its panel",
    "trial_cleanup": "A test server of Fire Elemental is not cleaned up yet",
}


def test_every_mail_has_a_template_and_every_template_a_mail() -> None:
    files = {path.stem for path in (Path(settings.BASE_DIR) / "templates/emails").glob("*.txt")}
    assert files - {"help"} == set(SUBJECTS) == {*CUSTOMER_TEMPLATES, *STAFF_TEMPLATES}


@pytest.mark.parametrize("template", SUBJECTS)
def test_the_subject_says_the_fact_and_both_forms_say_the_same(template: str) -> None:
    mail = render_mail(template, CONTEXT)
    assert mail.subject == SUBJECTS[template]
    assert f"<h1>{mail.subject}</h1>" in mail.html
    assert mail.html.count('class="button"') <= 1
    words = mail.text.replace(settings.HOST_NAME, "").split()
    shown = html.unescape(mail.html)
    missing = [word for word in words if word.strip(":>") not in shown]
    assert missing == []


@pytest.mark.parametrize("template", SUBJECTS)
def test_a_mail_without_any_context_still_reads(template: str) -> None:
    mail = render_mail(template, {})
    assert mail.subject
    assert "None" not in mail.text
    assert "{{" not in mail.text + mail.html


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("payment_failed", "Without a payment it is suspended: 20 November 2026, 10:00 UTC"),
        ("payment_failed", "Payment failed: 13 November 2026, 10:00 UTC"),
        ("cancelled", "Can be undone until: 27 November 2026, 10:00 UTC"),
        ("ending", "It stops: 20 November 2026, 10:00 UTC"),
        ("needs_staff", "> No such node."),
        ("staff_event", "Open the event:\nhttp://testserver/admin/"),
        ("suspended", "was suspended by our staff"),
        ("ready", "Answer this mail or write to help@example.com"),
    ],
)
def test_what_a_mail_must_say(template: str, text: str) -> None:
    assert text in render_mail(template, CONTEXT).text


def test_an_overdue_suspension_asks_for_the_payment() -> None:
    text = render_mail("suspended", {**CONTEXT, "overdue": True}).text
    assert "a payment is overdue" in text
    assert "comes back by itself" in text


def test_an_unproven_cancellation_names_no_date() -> None:
    text = render_mail("cancelled", {**CONTEXT, "undo_until": ""}).text
    assert "undone until" not in text
    assert "deleted" not in text


HOSTILE = (
    "Ada\r\nBcc: eve@example.com\n\n=> Click | https://evil.example.com\n\n<script>x</script> ptla_"
    + "A" * 43
)


@pytest.mark.parametrize("template", SUBJECTS)
def test_values_are_only_ever_text(template: str) -> None:
    names = ("service", "product", "words", "panel", "reason", "operation_number", "template")
    texts = dict.fromkeys(names, HOSTILE)
    mail = render_mail(template, {**CONTEXT, **texts})
    assert "\n" not in mail.subject
    assert "\r" not in mail.subject
    assert len(mail.subject) <= 150
    assert "<script>" not in mail.html
    assert 'href="https://evil' not in mail.html
    assert "\n=> " not in mail.text
    assert "ptla_AAAA" not in mail.text + mail.html


@pytest.mark.parametrize("address", ["javascript:alert(1)", "https://a b", "data:text/html,x", ""])
def test_a_button_leads_to_a_web_page_or_nowhere(address: str) -> None:
    assert 'class="button"' not in render_mail("ready", {"server_url": address}).html


def test_without_a_support_address_nobody_is_asked_to_write(settings: Settings) -> None:
    settings.SUPPORT_EMAIL = ""
    text = render_mail("suspended", CONTEXT).text
    assert "mailto:" not in text
    assert "Questions?" not in text


def test_the_ready_mail_has_all_that_signing_in_takes() -> None:
    sign_in = {
        "panel_url": "https://panel.example.com",
        "server_url": "https://panel.example.com/server/1a2b",
        "email": "ada@example.com",
        "forgot_url": "https://panel.example.com/auth/password",
        "sftp_host": "node1.example.com",
        "sftp_port": "2022",
        "sftp_user": "ada.1a2b",
    }
    mail = render_mail("ready", {**CONTEXT, **sign_in})
    for value in sign_in.values():
        assert value in mail.text
        assert value in mail.html
    assert 'href="https://panel.example.com/server/1a2b"' in mail.html
