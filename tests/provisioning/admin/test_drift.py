"""Drift in the admin: what is shown, who may press what, and what a press does."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.urls import reverse

from provisioning import queue
from provisioning.lib import clock
from provisioning.models import AuditEntry, Drift, DriftPass, Operation, Service
from tests import factories
from tests.conftest import Jobs
from tests.provisioning.admin.staffing import drift, running, signed_in, world

pytestmark = pytest.mark.django_db
LIST = "/admin/provisioning/drift/"


def action(row: Drift, slug: str) -> str:
    """The page of one action."""
    return reverse("admin:provisioning_drift_action", args=[row.pk, slug])


def panel_action(service: Service, slug: str) -> str:
    """The page of an action of the service's panel."""
    return reverse("admin:provisioning_panel_action", args=[service.panel_id, slug])


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({}, ""),
        ({"kind": "foreign"}, "foreign"),
        ({"ignored_until": dt.datetime(2999, 1, 1, tzinfo=dt.UTC)}, "ignored"),
        ({"resolved_at": dt.datetime(2026, 1, 1, tzinfo=dt.UTC)}, "gone"),
    ],
    ids=["standing", "foreign", "ignored", "gone"],
)
def test_each_difference_stands_on_its_own_list(fields: dict[str, Any], shown: str) -> None:
    drift(running(), **fields, words="memory 8192")
    client = signed_in("view_drift")
    for name in ("", "foreign", "ignored", "gone"):
        text = client.get(LIST, {"shown": name} if name else {}).content.decode()
        assert ("memory 8192" in text) == (name == shown), name
    assert "memory 8192" in client.get(LIST, {"shown": "all"}).content.decode()


def test_the_list_says_how_each_panel_was_checked() -> None:
    service = running()
    drift(service)
    DriftPass.objects.update(outcome="unknown", words="The panel does not answer.", checked=0, unknown=7)
    text = signed_in("view_drift").get(LIST).content.decode()
    assert "The panel does not answer." in text
    assert "0 services checked, 1 differ, 7 unknown" in text
    assert panel_action(service, "check-drift") not in text
    assert (
        panel_action(service, "check-drift")
        in signed_in("view_drift", "act_drift").get(LIST).content.decode()
    )


@pytest.mark.req("T83-43")
@pytest.mark.parametrize(
    ("kind", "offered"),
    [
        ("limits", {"fix", "ignore"}),
        ("state", {"fix", "ignore"}),
        ("orphan", {"adopt", "ignore"}),
        ("double", {"adopt", "ignore"}),
        ("foreign", {"adopt", "ignore"}),
        ("missing", {"ignore"}),
        ("owner", {"ignore"}),
        ("account", {"ignore"}),
    ],
)
def test_only_what_helps_is_offered(kind: str, offered: set[str]) -> None:
    row = drift(running(), kind=kind)
    text = signed_in(superuser=True).get(reverse("admin:provisioning_drift_change", args=[row.pk]))
    slugs = {
        slug for slug in ("fix", "adopt", "ignore", "delete") if action(row, slug) in text.content.decode()
    }
    assert slugs == offered


@pytest.mark.parametrize("slug", ["fix", "adopt", "ignore"])
def test_each_action_has_a_right_of_its_own(slug: str) -> None:
    row = drift(running(), kind="limits")
    for method in ("get", "post"):
        assert getattr(signed_in("view_drift"), method)(action(row, slug)).status_code == 403


def test_a_fix_reconciles_the_service() -> None:
    service = running()
    row = drift(service)
    signed_in("view_drift", "act_retry", username="ada").post(action(row, "fix"))
    service.refresh_from_db()
    assert service.generation == 2
    assert AuditEntry.objects.get(action="drift.fix").actor == "ada"


@pytest.mark.req("CAL-07")
@pytest.mark.parametrize(("typed", "linked"), [("1001", "99"), ("nope", "12"), ("elsewhere", "12")])
def test_a_server_is_adopted_by_a_service_of_its_panel(typed: str, linked: str) -> None:
    service = running(billing_id="1001")
    running(billing_id="elsewhere")
    row = drift(service, kind="orphan", server_id="99")
    answer = signed_in("view_drift", "act_relink").post(action(row, "adopt"), {"billing_id": typed})
    assert (answer.status_code == 302) == (linked == "99")
    service.refresh_from_db()
    assert service.server_id == linked


@pytest.mark.parametrize(("days", "kept"), [(7, True), (-1, False), (500, False)])
def test_a_difference_is_ignored_until_a_day(days: int, kept: bool) -> None:
    row = drift(running())
    day = (clock.now() + dt.timedelta(days=days)).date()
    values = {"until": day.isoformat(), "because": "A test."}
    answer = signed_in("view_drift", "act_drift", username="ada").post(action(row, "ignore"), values)
    assert (answer.status_code == 302) == kept
    row.refresh_from_db()
    assert (row.ignored_until is not None) == kept
    if kept:
        text = signed_in("view_drift").get(reverse("admin:provisioning_drift_change", args=[row.pk]))
        assert "by ada: A test." in text.content.decode()


def test_check_now_wakes_a_worker(jobs: Jobs) -> None:
    service = running()
    jobs.clear()
    signed_in("view_panel", "act_drift").post(panel_action(service, "check-drift"))
    assert jobs.sent == [(queue.CHECK_DRIFT, DriftPass.objects.get().pk)]
    assert signed_in("view_panel").post(panel_action(service, "check-drift")).status_code == 403


@pytest.mark.req("CAL-04")
@pytest.mark.parametrize(("typed", "frozen"), [("4", False), ("3", True), ("", True)])
def test_unfreezing_wants_the_number_that_is_missing(typed: str, frozen: bool) -> None:
    service = running()
    page = reverse("admin:provisioning_panel_change", args=[service.panel_id])
    client = signed_in("view_panel", "act_brake")
    assert panel_action(service, "unfreeze") not in client.get(page).content.decode()
    assert service.panel is not None
    DriftPass.objects.create(panel=service.panel, missing=4, frozen_at=clock.now())
    waiting = factories.operation(service=service, outcome="waiting", reason="panel_frozen")
    text = client.get(page).content.decode()
    assert panel_action(service, "unfreeze") in text
    assert "4 servers are missing at once" in text
    client.post(panel_action(service, "unfreeze"), {"count": typed})
    row = DriftPass.objects.get()
    assert (row.frozen_at is not None, row.missing_accepted) == (frozen, 0 if frozen else 4)
    assert (Operation.objects.get(pk=waiting.pk).next_attempt_at is None) == frozen


def test_the_dashboard_counts_differences_and_warns_of_a_freeze() -> None:
    w = world()
    client = signed_in(superuser=True)
    text = client.get("/admin/").content.decode()
    assert LIST in text
    assert "differences between panels and what was sold" in text
    DriftPass.objects.update(outcome="unknown")
    assert "1 panel could not be read" in client.get("/admin/").content.decode()
    DriftPass.objects.update(outcome="never")
    assert "no panel was compared yet" in client.get("/admin/").content.decode()
    DriftPass.objects.filter(panel=w.panel).update(frozen_at=clock.now())
    assert "deletes frozen on 1 panel" in client.get("/admin/").content.decode()
