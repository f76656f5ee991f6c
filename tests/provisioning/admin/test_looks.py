"""The dashboard, the look of values, the runbook's paragraphs, and what the history leaves out."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from auditlog.models import LogEntry
from auditlog.registry import auditlog
from django.apps import apps
from django.urls import reverse

from provisioning.admin import runbook
from provisioning.admin.dashboard import panel_state, sentence
from provisioning.lib import clock
from provisioning.models import Heartbeat, Installation, Panel, PanelGate
from provisioning.models.fields import EncryptedField
from provisioning.selectors import Count
from provisioning.templatetags import bb
from tests import factories
from tests.provisioning.admin.staffing import running, signed_in

pytestmark = pytest.mark.django_db


def dashboard(*rights: str) -> str:
    """The dashboard's text."""
    client = signed_in(*rights) if rights else signed_in(superuser=True)
    return str(client.get("/admin/").content.decode())


# --- the dashboard ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stuck", "waiting", "words"),
    [
        (1, 9, "1 order needs you."),
        (3, 0, "3 orders need you."),
        (0, 1, "1 order is under way; nothing needs you."),
        (0, 1001, "1000+ orders are under way; nothing needs you."),
    ],
)
def test_first_a_sentence(stuck: int, waiting: int, words: str) -> None:
    assert sentence(Count(stuck), Count(waiting)) == words


def test_all_agree_is_said_with_a_number() -> None:
    assert "No services yet" in sentence(Count(0), Count(0))
    product = factories.product()
    running(product=product)
    running(product=product)
    assert sentence(Count(0), Count(0)) == "All 2 services agree with their panels."


def tiles_of(text: str) -> dict[str, str]:
    """Tile title -> big word, read from the page."""
    found = {}
    for part in text.split("<h2>")[1:]:
        title, rest = part.split("</h2>", 1)
        found[title] = rest.split('bb-big">', 1)[1].split("</p>", 1)[0]
    return found


@pytest.mark.req("T83-45")
def test_tiles_count_what_matters() -> None:
    now = clock.now()
    product = factories.product(panel=factories.panel(name="fra-1"))
    running(product=product, suspend_at=now + dt.timedelta(hours=5))
    running(product=product, suspend_at=now + dt.timedelta(hours=30))
    running(product=product, ended_at=now, undo_until=now + dt.timedelta(hours=5))
    running(product=product, ended_at=now, undo_until=now, terminated_at=now)
    late = factories.service(product=product, desired_state="present", generation=1)
    factories.operation(service=late, outcome="needs_staff")
    factories.event(status="held")
    tiles = tiles_of(dashboard())
    assert tiles["Needs you"] == "1"
    assert tiles["Paid and waiting"] == "1"
    assert tiles["Suspending in 24 h"] == "1"
    assert tiles["Deleting in 24 h"] == "1"
    assert tiles["Heartbeats"] == "late"
    assert tiles["Panel fra-1"] == "not called yet"


def test_heartbeats_are_well_only_if_all_live() -> None:
    for name in ("tick", "sweep", "worker"):
        assert tiles_of(dashboard())["Heartbeats"] == "late"
        Heartbeat.objects.create(name=name, beat_at=clock.now())
    assert tiles_of(dashboard())["Heartbeats"] == "all well"
    Heartbeat.objects.filter(name="sweep").update(beat_at=clock.now() - dt.timedelta(hours=1))
    assert tiles_of(dashboard())["Heartbeats"] == "late"


@pytest.mark.req("T83-45")
def test_nothing_is_called_all_right_above_a_red_tile() -> None:
    for name in ("tick", "sweep", "worker"):
        Heartbeat.objects.create(name=name, beat_at=clock.now())
    assert "All right" in dashboard()
    Heartbeat.objects.filter(name="worker").update(beat_at=clock.now() - dt.timedelta(hours=1))
    text = dashboard()
    assert "All right" not in text
    assert "Heartbeats: late." in text


def test_the_banner_says_why_nothing_is_changed() -> None:
    Installation.objects.all().delete()
    Installation.objects.create(installation_id="prod")
    assert "belongs to installation “prod”" in dashboard()


def test_without_the_right_nothing_is_told() -> None:
    running(billing_id="1001")
    text = dashboard("view_panel")
    assert "no right to look at services" in text
    assert "Server-1001" not in text


@pytest.mark.parametrize(
    ("gate", "word"),
    [
        (None, "not called yet"),
        ({}, "answering"),
        ({"remaining_seen": 3, "limit_seen": 240}, "answering"),
        ({"open_until": True}, "silent"),
        ({"open_until": True, "parked_at": True}, "parked"),
    ],
)
def test_a_panel_stands_in_one_word(gate: dict[str, Any] | None, word: str) -> None:
    now = clock.now()
    columns = {name: now if value is True else value for name, value in (gate or {}).items()}
    made = None if gate is None else PanelGate(**columns)
    assert panel_state(Panel(name="fra-1"), made, now)[0] == word


@pytest.mark.parametrize(
    ("seconds", "words"), [(5, "23 of 240 calls left"), (61, "240 calls a minute allowed")]
)
def test_calls_left_are_those_of_this_minute(seconds: int, words: str) -> None:
    now = clock.now()
    gate = PanelGate(limit_seen=240, remaining_seen=23, last_ok_at=now - dt.timedelta(seconds=seconds))
    assert panel_state(Panel(name="fra-1"), gate, now)[:2] == ("answering", words)


# --- the look of values ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (1024, "MiB", "1 GiB"),
        (1536, "MiB", "1536 MiB"),
        (100, "%", "100 %"),
        (0, "MiB", "0 MiB"),
        (None, "", "-"),
    ],
)
def test_amounts_carry_their_unit(value: object, unit: str, shown: str) -> None:
    assert bb.amount(value, unit) == shown


def test_times_say_both_how_long_ago_and_when() -> None:
    clock_now = clock.now()
    shown = bb.when(clock_now - dt.timedelta(minutes=5, seconds=1))
    assert "5 min ago" in shown
    assert f"{clock_now.year}" in shown
    assert "in 3 h" in bb.when(clock_now + dt.timedelta(hours=3, minutes=1))
    assert bb.when(None, "not yet") == "not yet"


def test_a_payload_is_pretty_escaped_and_masked() -> None:
    shown = bb.payload(b'{"api_key": "abcdefgh-1", "name": "<b>"}')
    assert '"name": "<b>"' in shown
    assert "abcdefgh-1" not in shown
    assert "abcdefgh-1" not in bb.payload(b'broken {"password": "abcdefgh-1"')
    assert bb.payload(b"\xff\x00") != ""
    assert "<b>" not in bb.code({"name": "<b>"})
    assert "<b>" not in bb.badge("running", "<b>")


def test_hostile_names_do_not_become_markup() -> None:
    hostile = "<script>alert(1)</script>"
    service = running(billing_id="1", customer=factories.customer(email=f"{hostile}@example.com"))
    factories.event(service=service, body=hostile.encode(), result=hostile, type=hostile[:80])
    factories.operation(service=service, outcome="needs_staff", detail=hostile)
    client = signed_in(superuser=True)
    for address in (
        "/admin/",
        reverse("admin:provisioning_service_changelist"),
        reverse("admin:provisioning_service_change", args=[service.pk]),
        reverse("admin:provisioning_event_changelist"),
    ):
        assert hostile not in client.get(address).content.decode()


# --- the runbook -----------------------------------------------------------------------------------------


def test_the_paragraph_of_a_reason_is_read_from_the_runbook(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = tmp_path / "runbook.md"
    book.write_text(
        "# Runbook\n\n## brake\nFirst *do* this.\n\nThen `that`.\n\n## other\nNo.\n\n# End\nNo.\n"
    )
    monkeypatch.setattr(runbook, "runbook_path", lambda: book)
    assert runbook.paragraphs_for("brake") == ["First do this.", "Then that."]
    assert runbook.paragraphs_for("other") == ["No."]
    assert runbook.paragraphs_for("unknown") == []
    monkeypatch.setattr(runbook, "runbook_path", lambda: tmp_path / "missing.md")
    assert runbook.paragraphs_for("brake") == []


@pytest.mark.req("CAL-42")
def test_the_advice_stands_on_the_operation_s_page() -> None:
    operation = factories.operation(service=running(), outcome="needs_staff", reason="server_exists")
    advice = runbook.paragraphs_for("server_exists")
    assert advice
    address = reverse("admin:provisioning_operation_change", args=[operation.pk])
    assert "What to do: server_exists" in signed_in(superuser=True).get(address).content.decode()


# --- the history of fields -------------------------------------------------------------------------------


@pytest.mark.req("CAL-12")
def test_no_encrypted_field_enters_the_history() -> None:
    followed = 0
    for model in apps.get_models():
        hidden = {field.name for field in model._meta.get_fields() if isinstance(field, EncryptedField)}
        if hidden and auditlog.contains(model):
            followed += 1
            assert hidden <= set(auditlog.get_model_fields(model)["exclude_fields"])
    assert followed == 2


def test_a_changed_panel_leaves_a_history_without_its_key() -> None:
    panel = factories.panel()
    panel.api_key, panel.version = "ptla_" + "C" * 43, "1.11.11"
    panel.save()
    entries = str([entry.changes for entry in LogEntry.objects.all()])
    assert "1.11.11" in entries
    assert "ptla_" not in entries
    assert "k1:" not in entries
