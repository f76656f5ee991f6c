"""Each list under the sidebar's name, rows by their own name, and empty lists that say what will come."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest
from django.contrib import admin
from django.urls import reverse

from provisioning.admin.navigation import NAMES
from provisioning.templatetags.names import way_back
from tests import factories
from tests.provisioning.admin.staffing import signed_in

pytestmark = pytest.mark.django_db


def page(address: str) -> str:
    """A page as a superuser reads it."""
    return unescape(signed_in(superuser=True).get(address).content.decode())


def heading(text: str) -> str:
    """The words of the page's first line, one space between them; icons are no words."""
    found = re.search(r"<h1[^>]*>(.*?)</h1>", text, re.DOTALL)
    assert found
    plain = re.sub(r"<span[^>]*aria-hidden[^>]*>.*?</span>", "›", found[1])
    return " ".join(re.sub(r"<[^>]+>", " ", plain).split())


@pytest.mark.parametrize("model", NAMES)
def test_a_list_is_called_what_the_sidebar_calls_it(model: str) -> None:
    app = {"user": "auth", "logentry": "auditlog"}.get(model, "provisioning")
    text = page(reverse(f"admin:{app}_{model}_changelist"))
    assert heading(text) == NAMES[model]
    assert re.search(r"<title>\s*(.*?) \|", text, re.DOTALL)[1] == NAMES[model]  # type: ignore[index]


def test_a_row_keeps_its_own_name() -> None:
    panel = factories.panel(name="fra-1")
    assert heading(page(reverse("admin:provisioning_panel_change", args=[panel.pk]))) == "Panels › fra-1"


def test_a_row_named_like_a_list_keeps_its_name_too() -> None:
    parts = [{"title": "Provisioning"}, {"title": "notifications"}, {"title": "notifications"}]
    assert [part["title"] for part in way_back(parts)] == ["Mails", "notifications"]
    assert way_back(parts[:1]) == parts[:1]


def test_history_leads_to_the_changes_of_that_row_alone() -> None:
    factories.panel(name="fra-2")
    panel = factories.panel(name="fra-1")
    panel.name = "fra-one"
    panel.save()
    history = reverse("admin:provisioning_panel_history", args=[panel.pk])
    client = signed_in(superuser=True)
    text = unescape(client.get(history, follow=True).content.decode())
    assert heading(text) == "Changes"
    assert text.count("fra-one") >= 1
    assert "fra-1" in text
    assert "fra-2" not in text
    assert client.get(reverse("admin:provisioning_panel_history", args=[999])).status_code == 404
    assert signed_in("view_product").get(history).status_code == 403
    assert signed_in("view_panel").get(history, follow=True).status_code == 403
    assert signed_in("view_panel", "view_auditentry").get(history, follow=True).status_code == 200


def test_changes_stand_in_the_sidebar_of_those_who_may_read_the_audit() -> None:
    changes = reverse("admin:auditlog_logentry_changelist")
    assert changes in signed_in("view_service", "view_auditentry").get("/admin/").content.decode()
    assert changes not in signed_in("view_service").get("/admin/").content.decode()


def test_every_list_says_what_will_stand_in_it() -> None:
    pages: dict[Any, Any] = {
        row: admin.site._registry[row] for row in admin.site._registry if row._meta.model_name in NAMES
    }
    silent = {row.__name__ for row, shown in pages.items() if not shown.empty}
    assert silent == {"User", "Installation"}, "these two are never empty"
    text = page(reverse("admin:provisioning_event_changelist"))
    assert "Every verified message of billing stands here." in text
    assert "Show all" not in text


def test_a_search_without_result_offers_to_show_all() -> None:
    text = page(reverse("admin:provisioning_panel_changelist") + "?q=zzz")
    assert "No row fits this search" in text
    assert "Show all" in text


def test_the_brakes_fields_have_words() -> None:
    text = page(reverse("admin:provisioning_panel_add"))
    assert "Deletes an hour" in text
    assert "floor" not in re.sub(r"<[^>]+>", "", text)
