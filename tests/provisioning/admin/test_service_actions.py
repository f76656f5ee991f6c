"""Staff's verbs: asked first, done once by their writer, recorded under staff's name (T83-43)."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from provisioning.admin import service_actions
from provisioning.lib import clock
from provisioning.models import AuditEntry, Operation, Pin, Service
from tests import factories
from tests.provisioning.admin.staffing import running, signed_in

pytestmark = pytest.mark.django_db


def address(row: Any, slug: str) -> str:
    """The page of an action."""
    return reverse(f"admin:provisioning_{row._meta.model_name}_action", args=[row.pk, slug])


def press(client: Client, row: Any, slug: str, **data: Any) -> str:
    """Presses the button and returns the page that follows, as text."""
    return client.post(address(row, slug), data, follow=True).content.decode()


def ended(**fields: Any) -> Service:
    """A service inside its undo window."""
    past = clock.now() - dt.timedelta(days=1)
    return running(
        billing_status="cancelled",
        cancel_at=past,
        desired_state="suspended",
        suspend_reasons=["cancelled"],
        ended_at=past,
        undo_until=past + dt.timedelta(days=7),
        **fields,
    )


CASES: list[tuple[str, str, dict[str, Any], str]] = [
    ("suspend", "act_suspend", {"reason": "abuse", "note": "spam"}, "staff.suspend"),
    ("retry", "act_retry", {}, "staff.retry"),
    ("hold", "act_suspend", {"until": "2030-01-01"}, "staff.hold"),
    ("pin", "act_limits", {"resource": "memory", "value": "4096"}, "staff.pin"),
    ("relink", "act_relink", {"server_id": "99", "name": "Server-77"}, "staff.relink"),
    ("recreate", "act_relink", {"name": "Server-77"}, "staff.recreate"),
    ("terminate", "act_terminate", {"name": "Server-77"}, "staff.terminate"),
]


@pytest.mark.req("T83-43")
@pytest.mark.parametrize(("slug", "right", "data", "action"), CASES)
def test_action_is_done_and_recorded_under_the_name(
    slug: str, right: str, data: dict[str, Any], action: str
) -> None:
    service = running(billing_id="77")
    client = signed_in("view_service", right, username="ada")
    assert client.get(address(service, slug)).status_code == 200
    assert not AuditEntry.objects.filter(action=action).exists()
    press(client, service, slug, **data)
    entry = AuditEntry.objects.get(action=action)
    assert (entry.actor_kind, entry.actor, entry.service) == ("staff", "ada", service)


@pytest.mark.parametrize(("slug", "right", "data", "action"), CASES)
def test_action_needs_its_own_right(slug: str, right: str, data: dict[str, Any], action: str) -> None:
    service = running(billing_id="77")
    others = {case[1] for case in CASES} - {right}
    client = signed_in("view_service", "change_service", *others)
    assert client.get(address(service, slug)).status_code == 403
    assert client.post(address(service, slug), data).status_code == 403
    assert not AuditEntry.objects.exists()
    page = client.get(reverse("admin:provisioning_service_change", args=[service.pk])).content.decode()
    assert address(service, slug) not in page


@pytest.mark.parametrize("slug", ["terminate", "recreate", "relink"])
def test_what_destroys_wants_the_name(slug: str) -> None:
    service = running(billing_id="77")
    page = press(signed_in(superuser=True), service, slug, name="Server-78", server_id="1")
    assert "That is not the name. It is Server-77." in page
    assert not AuditEntry.objects.exists()


def test_suspension_stops_and_lifting_it_starts_again() -> None:
    service = running()
    client = signed_in(superuser=True)
    assert "is to be suspended" in press(client, service, "suspend", reason="manual", note="")
    service.refresh_from_db()
    assert (service.desired_state, service.suspend_reasons) == ("suspended", ["manual"])
    assert "is to run again" in press(client, service, "unsuspend")
    service.refresh_from_db()
    assert service.desired_state == "present"


def test_lifting_says_if_billing_still_demands_it() -> None:
    service = running(billing_status="suspended", desired_state="suspended", suspend_reasons=["manual"])
    service.suspensions.create(reason="manual", since=clock.now())
    assert "billing demands it" in press(signed_in(superuser=True), service, "unsuspend")


def test_the_writer_s_refusal_is_shown_in_its_own_words() -> None:
    service = running()
    page = press(signed_in(superuser=True), service, "undo")
    assert "This service has not ended." in page
    assert not AuditEntry.objects.exists()


def test_undo_brings_an_ended_service_back() -> None:
    service = ended()
    page = press(signed_in(superuser=True), service, "undo")
    assert "is undone" in page
    service.refresh_from_db()
    assert service.desired_state == "present"


def test_terminating_says_until_when_it_can_be_undone() -> None:
    service = running(billing_id="77")
    page = press(signed_in(superuser=True), service, "terminate", name="Server-77")
    service.refresh_from_db()
    assert service.undo_until is not None
    assert f"kept until {service.undo_until:%d %b %Y}" in page


def test_the_page_that_asks_says_until_when(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before it is pressed, and by the policy of this very service."""
    policy = factories.policy(undo_window=dt.timedelta(days=30))
    service = running(billing_id="77", product=factories.product(policy=policy))
    now = dt.datetime(2026, 3, 1, 12, 0, tzinfo=dt.UTC)
    monkeypatch.setattr(clock, "now", lambda: now)
    shown = service_actions.ACTIONS[-1].outlook(service)
    assert shown == "If you press it now, it can be undone until 31 Mar 2026 12:00 UTC."
    monkeypatch.undo()
    page = signed_in(superuser=True).get(address(service, "terminate")).content.decode()
    assert "it can be undone until" in page
    assert "undone until" not in signed_in(superuser=True).get(address(service, "hold")).content.decode()


def test_empty_date_takes_the_hold_away() -> None:
    service = running(hold_until=clock.now())
    press(signed_in(superuser=True), service, "hold", until="")
    service.refresh_from_db()
    assert service.hold_until is None


def test_pins_come_and_go() -> None:
    service = running()
    client = signed_in(superuser=True)
    press(client, service, "pin", resource="disk", value="9000", note="promised")
    assert Pin.objects.get().value == 9000
    assert "disk = 9000" in client.get(address(service, "unpin")).content.decode()
    press(client, service, "unpin", resource="disk")
    assert not Pin.objects.exists()


@pytest.mark.parametrize("value", ["-5", "four", ""])
def test_a_bad_limit_is_refused(value: str) -> None:
    service = running()
    press(signed_in(superuser=True), service, "pin", resource="memory", value=value)
    assert not Pin.objects.exists()


@pytest.mark.parametrize("on", ["service", "operation"])
def test_skipping_closes_the_operation(on: str) -> None:
    service = running()
    operation = factories.operation(service=service, outcome="waiting")
    row = service if on == "service" else operation
    press(signed_in(superuser=True), row, "skip", note="done by hand")
    assert Operation.objects.get().outcome == "skipped"
    assert "done by hand" in AuditEntry.objects.get(action="staff.skip").message


def test_an_operation_that_ended_offers_no_skip() -> None:
    operation = factories.operation(service=running(), outcome="succeeded")
    page = signed_in(superuser=True).get(reverse("admin:provisioning_operation_change", args=[operation.pk]))
    assert address(operation, "skip") not in page.content.decode()


@pytest.mark.req("T83-43")
def test_replay_works_an_event_again_under_staff_s_name() -> None:
    event = factories.event(status="held", reason="other_email", next_attempt_at=None)
    press(signed_in("view_event", "act_replay", username="ada"), event, "replay")
    event.refresh_from_db()
    assert (event.status, event.reason) == ("received", "")
    assert AuditEntry.objects.get(action="event.replay").actor == "ada"


def test_a_gone_service_offers_nothing_that_destroys() -> None:
    service = running(terminated_at=clock.now(), desired_state="absent")
    page = signed_in(superuser=True).get(reverse("admin:provisioning_service_change", args=[service.pk]))
    text = page.content.decode()
    assert address(service, "terminate") not in text
    assert address(service, "suspend") not in text
