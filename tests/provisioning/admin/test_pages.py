"""Every staff page: shown to those who may see it, refused to others, without any secret."""

from __future__ import annotations

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import NoReverseMatch, reverse

from tests.provisioning.admin.staffing import CANARIES, signed_in, world

pytestmark = pytest.mark.django_db


def models() -> list[str]:
    """The admin names of every registered model of ours."""
    known = [model._meta for model in admin.site._registry]
    return sorted(f"{meta.app_label}_{meta.model_name}" for meta in known)


def first_pk(name: str) -> int | None:
    """The key of any row of that model."""
    model = next(m for m in admin.site._registry if f"{m._meta.app_label}_{m._meta.model_name}" == name)
    row = model._default_manager.first()
    return row.pk if row else None


def assert_shown(client: Client, address: str) -> str:
    """The page is there and holds no secret; returns its text."""
    answer = client.get(address)
    assert answer.status_code == 200, (address, answer.status_code)
    text = answer.content.decode()
    assert not [canary for canary in CANARIES if canary in text], address
    return text


@pytest.mark.req("CAL-12")
@pytest.mark.parametrize("name", models())
def test_every_list_and_row_is_shown_without_secrets(name: str) -> None:
    world()
    client = signed_in(superuser=True)
    assert_shown(client, reverse(f"admin:{name}_changelist"))
    pk = first_pk(name)
    if pk is not None:
        assert_shown(client, reverse(f"admin:{name}_change", args=[pk]))


@pytest.mark.parametrize("name", models())
def test_every_list_and_row_needs_its_right(name: str) -> None:
    world()
    client = signed_in()
    assert client.get(reverse(f"admin:{name}_changelist")).status_code == 403
    pk = first_pk(name)
    if pk is not None:
        assert client.get(reverse(f"admin:{name}_change", args=[pk])).status_code == 403


SPECIAL = (
    ("provisioning_service_preview", "view_service"),
    ("provisioning_panel_test", "view_panel"),
    ("provisioning_panel_brake", "view_panel"),
    ("provisioning_panel_creates", "view_panel"),
    ("provisioning_panel_accounts", "view_panel"),
    ("provisioning_webhookendpoint_secret", "view_webhookendpoint"),
)


@pytest.mark.parametrize(("name", "view_right"), SPECIAL)
def test_to_look_is_not_to_act(name: str, view_right: str) -> None:
    w = world()
    rows = {"service": w.service, "panel": w.panel, "webhookendpoint": w.endpoint}
    row = rows[name.split("_")[1]]
    client = signed_in(view_right)
    for method in (client.get, client.post):
        assert method(reverse(f"admin:{name}", args=[row.pk])).status_code == 403


@pytest.mark.parametrize("name", ["service", "operation", "event", "auditentry", "notification", "customer"])
def test_records_cannot_be_added_changed_or_deleted(name: str) -> None:
    world()
    client = signed_in(superuser=True)
    pk = first_pk(f"provisioning_{name}")
    assert client.post(reverse(f"admin:provisioning_{name}_add"), {}).status_code == 403
    assert (
        client.post(reverse(f"admin:provisioning_{name}_delete", args=[pk]), {"post": "yes"}).status_code
        == 403
    )
    assert first_pk(f"provisioning_{name}") == pk


@pytest.mark.parametrize("pk", ["999999", "abc", "9" * 30, "1'--"])
def test_unknown_rows_are_not_found(pk: str) -> None:
    client = signed_in(superuser=True)
    assert client.get(f"/admin/provisioning/service/{pk}/change/").status_code == 404
    assert client.get(f"/admin/provisioning/service/{pk}/do/suspend/").status_code == 404


def test_unknown_actions_are_not_found() -> None:
    w = world()
    answer = signed_in(superuser=True).get(f"/admin/provisioning/service/{w.service.pk}/do/explode/")
    assert answer.status_code == 404


def test_libraries_that_leak_have_no_pages() -> None:
    for name in ("django_q_schedule", "account_emailaddress", "mfa_authenticator", "axes_accesslog"):
        with pytest.raises(NoReverseMatch):
            reverse(f"admin:{name}_changelist")


def test_sidebar_offers_only_what_may_be_seen() -> None:
    text = signed_in("view_service").get("/admin/").content.decode()
    assert reverse("admin:provisioning_service_changelist") in text
    assert reverse("admin:provisioning_panel_changelist") not in text


def test_pages_hold_no_script_of_their_own() -> None:
    w = world()
    client = signed_in(superuser=True)
    for address in ("/admin/", f"/admin/provisioning/service/{w.service.pk}/change/"):
        text = client.get(address).content.decode()
        assert "<script>" not in text
        assert "onclick" not in text
