"""*Refresh lists* on a panel's page, and flagged products in theirs."""

from __future__ import annotations

import datetime as dt

import pytest
from django.urls import reverse

from provisioning import queue
from provisioning.admin.lists import lists_words
from provisioning.choices import SnapshotState
from provisioning.lib import clock
from provisioning.models import AuditEntry, Panel, PanelItem, PanelSnapshot, Product
from tests import factories
from tests.conftest import Jobs
from tests.provisioning.admin.staffing import signed_in
from tests.provisioning.admin.test_panels import NEW_KEY, typed

pytestmark = pytest.mark.django_db


def refresh_url(panel: Panel) -> str:
    """Where lists are asked for."""
    return reverse("admin:provisioning_panel_action", args=[panel.pk, "refresh-lists"])


@pytest.mark.req("CAL-20")
def test_a_press_has_the_lists_read(jobs: Jobs) -> None:
    panel = factories.panel()
    client = signed_in("view_panel", "act_connect", username="grace")
    assert "Refresh lists" in client.get(refresh_url(panel)).content.decode()
    assert not PanelSnapshot.objects.exists(), "asking changes nothing"
    answer = client.post(refresh_url(panel), follow=True)
    row = PanelSnapshot.objects.get(panel=panel)
    assert jobs.sent == [(queue.READ_LISTS, row.pk)]
    assert "Being read: 0 of 0 pages." in answer.content.decode()
    assert AuditEntry.objects.get(action="lists.read").actor == "grace"


def test_lists_are_not_read_for_those_who_may_only_look(jobs: Jobs) -> None:
    panel = factories.panel()
    client = signed_in("view_panel")
    assert client.post(refresh_url(panel)).status_code == 403
    assert jobs.sent == []


@pytest.mark.parametrize(
    ("field", "value", "read"), [("url", "https://other.example.com", 1), ("version", "1.11.7", 0)]
)
def test_another_address_has_the_lists_read_again(jobs: Jobs, field: str, value: str, read: int) -> None:
    panel = factories.panel()
    address = reverse("admin:provisioning_panel_change", args=[panel.pk])
    signed_in(superuser=True).post(address, typed(panel, new_key=NEW_KEY, **{field: value}))
    panel.refresh_from_db()
    assert getattr(panel, field) == value
    assert PanelSnapshot.objects.count() == len(jobs.sent) == read


@pytest.mark.parametrize(
    ("state", "minutes", "columns", "words"),
    [
        ("running", None, {"done_pages": 3, "total_pages": 7}, "Being read: 3 of 7 pages."),
        ("running", 5, {"done_pages": 3, "total_pages": 7}, "Read 5 min ago, being read: 3 of 7 pages."),
        ("complete", 125, {"calls": 73}, "Read 2 h ago, with 73 calls."),
        ("failed", 5, {"detail": "Down."}, "Read 5 min ago. The last reading failed: Down."),
        ("failed", None, {"detail": "Down."}, "Never read whole. The last reading failed: Down."),
    ],
)
def test_how_the_lists_stand(state: str, minutes: int | None, columns: dict[str, object], words: str) -> None:
    at = clock.now() - dt.timedelta(minutes=minutes, seconds=5) if minutes else None
    row = PanelSnapshot(state=SnapshotState(state), started_at=clock.now(), completed_at=at, **columns)
    assert lists_words(row) == words
    assert lists_words(None) == "Never read."


@pytest.fixture
def flagged() -> Product:
    """A product whose egg is gone; another one fits."""
    factories.product(name="Frost Knight", billing_product_id="frost")
    why = ["The egg <b>is</b> gone from the panel."]
    return factories.product(flags=why, flagged_at=clock.now() - dt.timedelta(hours=3))


def test_flagged_products_are_marked_and_found(flagged: Product) -> None:
    client = signed_in(superuser=True)
    address = reverse("admin:provisioning_product_changelist")
    text = client.get(address).content.decode()
    assert text.count("The egg &lt;b&gt;is&lt;/b&gt; gone from the panel.") == 1
    for value, here, elsewhere in (
        ("yes", "Fire Elemental", "Frost Knight"),
        ("no", "Frost Knight", "Fire Elemental"),
    ):
        text = client.get(address, {"flagged": value}).content.decode()
        assert here in text
        assert elsewhere not in text


def test_a_products_page_says_why_its_orders_wait(flagged: Product) -> None:
    address = reverse("admin:provisioning_product_change", args=[flagged.pk])
    text = signed_in(superuser=True).get(address).content.decode()
    assert "The egg &lt;b&gt;is&lt;/b&gt; gone from the panel." in text
    assert "3 h ago" in text


def test_a_panel_with_lists_can_be_deleted() -> None:
    panel = factories.panel()
    PanelSnapshot.objects.create(panel=panel, started_at=clock.now())
    PanelItem.objects.create(panel=panel, kind="nest", key="1", name="Minecraft", data={}, reading=1)
    address = reverse("admin:provisioning_panel_delete", args=[panel.pk])
    signed_in(superuser=True).post(address, {"post": "yes"})
    assert not PanelItem.objects.exists()
