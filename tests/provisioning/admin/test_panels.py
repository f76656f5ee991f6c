"""Panels: the key goes in and never comes out, the brake wants a number and a fresh factor."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from provisioning.admin.panel_form import FIELDS
from provisioning.drivers.errors import Unreachable
from provisioning.drivers.types import Account, ConnectionReport, Finding
from provisioning.lib import clock
from provisioning.models import AuditEntry, CreateGrant, DeleteGrant, Operation, Panel, PanelGate, PanelItem
from provisioning.reconcile import panels as reconcile_panels
from provisioning.reconcile.panels import Proposal
from tests import factories
from tests.provisioning.admin.listed import ident, listed
from tests.provisioning.admin.staffing import PANEL_KEY, running, session_of, signed_in

pytestmark = pytest.mark.django_db
NEW_KEY = "ptla_" + "B" * 43
PROVIDER = "00000000-0000-4000-8000-000000000099"


def address(panel: Panel, page: str) -> str:
    """A page of a panel."""
    return reverse(f"admin:provisioning_panel_{page}", args=[panel.pk])


def typed(panel: Panel, **changes: Any) -> dict[str, Any]:
    """The panel's form as the browser posts it."""
    values = {name: getattr(panel, name) for name in FIELDS}
    return {name: value for name, value in {**values, **changes}.items() if value not in (None, False)}


@pytest.mark.req("CAL-10", "CAL-12")
def test_empty_key_keeps_the_stored_one_and_a_new_one_replaces_it() -> None:
    panel = factories.panel(api_key=PANEL_KEY)
    client = signed_in(superuser=True)
    text = client.get(address(panel, "change")).content.decode()
    assert PANEL_KEY not in text
    assert f"…{PANEL_KEY[-4:]}" in text
    assert client.post(address(panel, "change"), typed(panel, new_key="")).status_code == 302
    panel.refresh_from_db()
    assert panel.api_key == PANEL_KEY
    client.post(address(panel, "change"), typed(panel, new_key=NEW_KEY))
    panel.refresh_from_db()
    assert panel.api_key == NEW_KEY


def test_a_refused_form_does_not_show_the_key_again() -> None:
    panel = factories.panel()
    answer = signed_in(superuser=True).post(address(panel, "change"), typed(panel, new_key=NEW_KEY, url="x"))
    assert answer.status_code == 200
    assert NEW_KEY not in answer.content.decode()


def test_a_new_panel_needs_a_key() -> None:
    text = (
        signed_in(superuser=True)
        .post(reverse("admin:provisioning_panel_add"), typed(Panel(name="x", driver="pterodactyl")))
        .content.decode()
    )
    assert "This field is required" in text
    assert not Panel.objects.exists()


def test_a_new_key_ends_a_parking() -> None:
    panel = factories.panel()
    PanelGate.objects.create(panel=panel, parked_at=clock.now(), open_until=clock.now())
    signed_in(superuser=True).post(address(panel, "change"), typed(panel, new_key=NEW_KEY))
    assert PanelGate.objects.get().parked_at is None


def test_changes_are_recorded_by_field_names_only() -> None:
    panel = factories.panel()
    client = signed_in(superuser=True, username="ada")
    client.post(address(panel, "change"), typed(panel, new_key=NEW_KEY, version="1.11.11"))
    entry = AuditEntry.objects.get(action="config.panel.changed")
    assert entry.actor == "ada"
    assert "new_key" in entry.message
    assert NEW_KEY not in str(list(AuditEntry.objects.values()))


def test_a_panel_with_services_is_retired_never_deleted() -> None:
    panel = factories.panel()
    service = running(panel=panel)
    client = signed_in(superuser=True)
    answer = client.post(address(panel, "delete"), {"post": "yes"}, follow=True)
    assert "has services. Tick “retired” instead" in answer.content.decode()
    service.delete()
    assert Panel.objects.filter(pk=panel.pk).exists()


def test_an_unused_panel_can_be_deleted() -> None:
    panel = factories.panel()
    signed_in(superuser=True).post(address(panel, "delete"), {"post": "yes"})
    assert not Panel.objects.exists()


@pytest.mark.req("CAL-11")
def test_connection_is_tested_by_a_press_and_told_in_plain_words(monkeypatch: pytest.MonkeyPatch) -> None:
    panel = factories.panel()
    asked: list[int] = []

    def answer(row: Panel) -> ConnectionReport:
        asked.append(row.pk)
        found = (
            Finding(True, "The panel answers."),
            Finding(False, "No right to write.", "Give the key it."),
        )
        return ConnectionReport(found, "1.11.7")

    monkeypatch.setattr(reconcile_panels, "test_connection", answer)
    client = signed_in("view_panel", "act_connect")
    client.get(address(panel, "test"))
    assert asked == []
    text = client.post(address(panel, "test")).content.decode()
    assert asked == [panel.pk]
    for words in ("The panel answers.", "No right to write.", "Give the key it.", "1.11.7"):
        assert words in text
    assert AuditEntry.objects.get(action="config.panel.tested").message.endswith("1 findings.")


def test_connection_trouble_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(row: Panel) -> ConnectionReport:
        raise Unreachable("The panel does not answer.")

    monkeypatch.setattr(reconcile_panels, "test_connection", fail)
    text = signed_in(superuser=True).post(address(factories.panel(), "test")).content.decode()
    assert "The panel does not answer." in text


def test_unpark_is_offered_only_while_parked() -> None:
    panel = factories.panel()
    gate = PanelGate.objects.create(panel=panel, parked_at=clock.now(), open_until=clock.now())
    client = signed_in("view_panel", "act_connect")
    unpark = reverse("admin:provisioning_panel_action", args=[panel.pk, "unpark"])
    assert unpark in client.get(address(panel, "change")).content.decode()
    client.post(unpark)
    gate.refresh_from_db()
    assert gate.parked_at is None
    assert unpark not in client.get(address(panel, "change")).content.decode()


# --- the place to sign in ---------------------------------------------------------------------------------


def shared() -> Panel:
    """A panel on which two shops sell."""
    panel = factories.panel(driver="calagopus")
    factories.product(panel=panel)
    factories.product(panel=panel)
    return panel


@pytest.mark.req("CAL-41")
def test_a_provider_for_two_shops_is_refused() -> None:
    panel = shared()
    answer = signed_in(superuser=True).post(
        address(panel, "change"), typed(panel, identity_provider=PROVIDER)
    )
    assert "Several billing connections sell on this panel" in answer.content.decode()
    panel.refresh_from_db()
    assert panel.identity_provider is None


@pytest.mark.req("CAL-41")
def test_a_provider_from_before_the_second_shop_stops_no_other_change() -> None:
    panel = shared()
    Panel.objects.update(identity_provider=PROVIDER)
    panel.refresh_from_db()
    client = signed_in(superuser=True)
    answer = client.post(address(panel, "change"), typed(panel, name="fra-2"), follow=True)
    assert "New accounts are not linked to the identity provider." in answer.content.decode()
    panel.refresh_from_db()
    assert (panel.name, str(panel.identity_provider)) == ("fra-2", PROVIDER)


@pytest.mark.req("CAL-41")
def test_every_provider_of_the_panel_can_be_chosen() -> None:
    panel = listed(factories.panel(driver="calagopus"))
    (row,) = PanelItem.objects.filter(panel=panel, kind="oauth_provider")
    for number in range(2, 61):
        row.pk, row.key, row.name = None, ident(panel, number), f"Place {number:02}"
        row.save()
    text = signed_in(superuser=True).get(address(panel, "change")).content.decode()
    missing = [n for n in range(1, 61) if f'<option value="{ident(panel, n)}"' not in text]
    assert missing == []


@pytest.mark.req("CAL-41", "CAL-42")
def test_an_id_can_be_typed_where_the_key_may_not_list_providers() -> None:
    panel = listed(factories.panel(driver="calagopus"))
    PanelItem.objects.filter(kind="oauth_provider").delete()
    client = signed_in(superuser=True)
    text = client.get(address(panel, "change")).content.decode()
    assert 'type="text" name="identity_provider"' in text
    assert "give the key the right to read OAuth providers, then press Refresh lists" in text
    assert client.post(address(panel, "change"), typed(panel, identity_provider=PROVIDER)).status_code == 302
    panel.refresh_from_db()
    assert str(panel.identity_provider) == PROVIDER


# --- the mass brake --------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", ["brake", "creates"])
def test_nothing_parked_is_said_so(page: str) -> None:
    text = signed_in(superuser=True).get(address(factories.panel(), page)).content.decode()
    assert "are parked." in text
    assert "because" not in text
    assert "Release" not in text


def parked(count: int = 2, **fields: Any) -> Panel:
    """A panel with deletes that wait under the brake."""
    panel = factories.panel(**fields)
    product = factories.product(panel=panel)
    for _ in range(count):
        service = running(product=product, desired_state="absent")
        factories.operation(service=service, outcome="waiting", reason="brake")
    return panel


def released() -> int:
    """How many releases there are."""
    return DeleteGrant.objects.filter(service=None).count()


@pytest.mark.req("CAL-04")
@pytest.mark.parametrize(("count", "done"), [("2", 1), ("1", 0), ("3", 0), ("", 0), ("two", 0)])
def test_exactly_the_parked_number_releases(count: str, done: int) -> None:
    panel = parked(2)
    signed_in("view_panel", "act_brake").post(address(panel, "brake"), {"count": count})
    assert released() == done


def test_release_wants_a_fresh_second_factor() -> None:
    panel = parked()
    user = factories.staff(is_superuser=True)
    stale: Client = session_of(user, factor_age=3_600)
    answer = stale.post(address(panel, "brake"), {"count": "2"})
    assert answer.status_code == 302
    assert "2fa" in answer.headers["Location"]
    assert released() == 0


def test_release_wants_a_second_person_where_the_panel_says_so() -> None:
    panel = parked(second_person=True)
    user = factories.staff(is_superuser=True)
    DeleteGrant.objects.create(panel=panel, released_by=user, count=1, at=clock.now() - dt.timedelta(1))
    text = session_of(user).post(address(panel, "brake"), {"count": "2"}).content.decode()
    assert "second person" in text
    assert released() == 1
    session_of(factories.staff(is_superuser=True)).post(address(panel, "brake"), {"count": "2"})
    assert released() == 2


def test_release_names_what_would_be_deleted() -> None:
    panel = parked(1)
    text = signed_in(superuser=True).get(address(panel, "brake")).content.decode()
    assert str(Operation.objects.get().service) in text


def test_parked_creates_are_shown_and_released_apart_from_deletes() -> None:
    panel = parked(1)
    order = running(product=factories.product(panel=panel, billing_product_id="frost"))
    factories.operation(service=order, outcome="waiting", reason="create_brake")
    client = signed_in("view_panel", "act_brake")
    assert reverse("admin:provisioning_panel_creates", args=[panel.pk]) in (
        client.get(address(panel, "change")).content.decode()
    )
    text = client.get(address(panel, "creates")).content.decode()
    assert str(order) in text
    assert "do not come back" not in text
    client.post(address(panel, "creates"), {"count": "1"})
    assert CreateGrant.objects.get().count == 1
    assert released() == 0, "no delete was released with them"


# --- linking accounts that exist -------------------------------------------------------------------------


def proposal(ident: str, *, ok: bool, email: str) -> Proposal:
    """One proposal, as reading the panel's users makes it."""
    account = Account(ident, "uuid", "", email, "ada", False)
    return Proposal(factories.customer(email=email), account, ok, "Same e-mail address.")


def test_only_what_is_ticked_and_still_fits_is_linked(monkeypatch: pytest.MonkeyPatch) -> None:
    panel = factories.panel()
    fits = proposal("1", ok=True, email="ada@example.com")
    other = proposal("2", ok=True, email="grace@example.com")
    admin = proposal("3", ok=False, email="linus@example.com")
    linked: list[str] = []

    def link(chosen: list[Proposal], *, panel: Panel) -> int:
        linked.extend(item.account_id for item in chosen)
        return len(linked)

    monkeypatch.setattr(reconcile_panels, "propose_links", lambda row: [fits, other, admin])
    monkeypatch.setattr(reconcile_panels, "accounts_link", link)
    client = signed_in("view_panel", "act_connect")
    text = client.post(address(panel, "accounts"), {"look": "1"}).content.decode()
    assert "grace@example.com" in text
    assert linked == []
    chosen = [f"{item.customer.pk}-{item.account_id}" for item in (fits, admin)]
    client.post(address(panel, "accounts"), {"link": "1", "chosen": [*chosen, "9-9"]})
    assert linked == ["1"]


def test_reading_users_is_a_press_not_a_visit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconcile_panels, "propose_links", lambda row: pytest.fail("asked the panel"))
    assert signed_in(superuser=True).get(address(factories.panel(), "accounts")).status_code == 200
