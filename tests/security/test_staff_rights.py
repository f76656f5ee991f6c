"""What a member of staff with few rights can't get, however the request is made (ASVS 8.2, 15.3.3)."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, Permission, User
from django.test import Client

from provisioning.admin.actions import ActionsAdmin, StaffAction
from provisioning.models import ApiToken, AuditEntry, Panel, WebhookEndpoint
from tests import factories
from tests.provisioning.admin.staffing import PANEL_KEY, session_of, signed_in, world

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("jobs")]

ALL_RIGHTS = ("view_", "add_", "change_", "delete_", "act_")


def actions() -> list[tuple[str, StaffAction]]:
    """Every action of every model, as (model, action)."""
    found = [(model._meta.model_name, site) for model, site in admin.site._registry.items()]
    return [
        (str(name), action)
        for name, site in found
        if isinstance(site, ActionsAdmin)
        for action in site.staff_actions
    ]


def all_but(right: str) -> Client:
    """Staff with every right of ours but this one."""
    codename = right.partition(".")[2]
    rows = Permission.objects.filter(content_type__app_label="provisioning").exclude(codename=codename)
    user = factories.staff()
    user.user_permissions.set(rows)
    return session_of(user)


def records() -> tuple[int, int]:
    """What any action leaves behind."""
    return AuditEntry.objects.count(), ApiToken.objects.count()


@pytest.mark.req("T83-43")
@pytest.mark.parametrize(("model", "action"), actions(), ids=lambda item: getattr(item, "slug", item))
def test_an_action_needs_its_own_right_even_with_all_others(model: str, action: StaffAction) -> None:
    w = world()
    row = getattr(w, model, None) or _first(model)
    before = records()
    client = all_but(action.permission)
    address = f"/admin/provisioning/{model}/{row.pk}/do/{action.slug}/"
    assert (client.get(address).status_code, client.post(address, {"name": str(row)}).status_code) == (
        403,
        403,
    )
    assert records() == before


def _first(model: str) -> Any:
    return next(
        kind for kind in admin.site._registry if kind._meta.model_name == model
    )._default_manager.all()[0]


@pytest.mark.parametrize(
    "page", ["service/{0.service.pk}/do/retry/", "webhookendpoint/{0.endpoint.pk}/secret/"]
)
def test_a_form_from_another_site_is_refused(page: str) -> None:
    w = world()
    client = signed_in(superuser=True)
    client.handler.enforce_csrf_checks = True
    before = records()
    assert client.post(f"/admin/provisioning/{page.format(w)}", {}).status_code == 403
    assert records() == before


@pytest.mark.parametrize("page", ["service", "operation", "event", "panel", "webhookendpoint"])
def test_another_models_number_is_not_found(page: str) -> None:
    w = world()
    stranger = Panel.objects.order_by("-pk")[0].pk + w.service.pk + 4_000
    client = signed_in(superuser=True)
    for address in ("change/", "do/retry/", "history/"):
        assert client.get(f"/admin/provisioning/{page}/{stranger}/{address}").status_code in (302, 404)


@pytest.mark.parametrize(
    "elsewhere", ["//evil.example", "https://evil.example/", "/\\evil.example", "javascript:1"]
)
@pytest.mark.parametrize(
    "page", ["/accounts/login/", "/admin/login/", "/accounts/2fa/reauthenticate/", "/accounts/logout/"]
)
def test_no_way_back_leads_off_the_site(page: str, elsewhere: str) -> None:
    client = signed_in(superuser=True)
    for answer in (client.get(page, {"next": elsewhere}), client.post(page, {"next": elsewhere})):
        place = answer.headers.get("Location", "/")
        assert place.startswith("/")
        assert not place.startswith(("//", "/\\"))
        assert 'href="' + elsewhere not in answer.content.decode()


# --- nobody gives themselves, or takes, a right that they do not hold --------------------------------------


def user_form(user: User, **changed: Any) -> dict[str, Any]:
    """What the form of a person posts, with something smuggled in."""
    return {
        "username": user.username,
        "is_active": "on",
        "is_staff": "on",
        "date_joined_0": "2026-01-01",
        "date_joined_1": "00:00:00",
        **changed,
    }


def manager() -> tuple[User, Client]:
    """A colleague who may look after people, and do nothing else."""
    user = factories.staff(username="grace")
    user.user_permissions.set(Permission.objects.filter(content_type__app_label="auth"))
    return user, session_of(user)


def test_who_manages_people_cannot_make_themselves_superuser() -> None:
    user, client = manager()
    right = Permission.objects.get(codename="act_terminate")
    group = Group.objects.create(name="all")
    data = user_form(
        user, is_superuser="on", user_permissions=[right.pk], groups=[group.pk], first_name="Grace"
    )
    assert client.post(f"/admin/auth/user/{user.pk}/change/", data).status_code == 302
    user.refresh_from_db()
    assert (user.first_name, user.is_superuser, list(user.groups.all())) == ("Grace", False, [])
    assert not user.has_perm("provisioning.act_terminate")


@pytest.mark.parametrize("strength", ["superuser", "right", "group", "sleeping"])
def test_who_may_do_more_is_out_of_reach(strength: str) -> None:
    _, client = manager()
    strong = factories.staff(is_superuser=strength == "superuser", is_active=strength != "sleeping")
    right = Permission.objects.get(codename="act_terminate")
    if strength in ("right", "sleeping"):
        strong.user_permissions.add(right)
    if strength == "group":
        strong.groups.add(Group.objects.create(name="strong"))
        Group.objects.get().permissions.add(right)
    password = strong.password
    new = {"password1": "correct-horse-7", "password2": "correct-horse-7", "usable_password": "true"}
    assert client.post(f"/admin/auth/user/{strong.pk}/password/", new).status_code == 403
    assert client.post(f"/admin/auth/user/{strong.pk}/change/", user_form(strong)).status_code == 403
    strong.refresh_from_db()
    assert strong.password == password


def test_an_equal_colleague_can_be_managed_and_a_superuser_manages_all() -> None:
    _, client = manager()
    equal = factories.staff()
    assert (
        client.post(f"/admin/auth/user/{equal.pk}/change/", user_form(equal, last_name="L")).status_code
        == 302
    )
    assert User.objects.get(pk=equal.pk).last_name == "L"
    strong = factories.staff(is_superuser=True)
    answer = signed_in(superuser=True).get(f"/admin/auth/user/{strong.pk}/password/")
    assert answer.status_code == 200


def test_groups_are_made_by_superusers_alone() -> None:
    _, client = manager()
    group = Group.objects.create(name="readers")
    right = Permission.objects.get(codename="act_terminate")
    for address in ("add/", f"{group.pk}/change/", f"{group.pk}/delete/"):
        data = {"name": "x", "permissions": [right.pk], "post": "yes"}
        assert client.post(f"/admin/auth/group/{address}", data).status_code == 403
    assert [(row.name, row.permissions.count()) for row in Group.objects.all()] == [("readers", 0)]


def test_no_token_of_somebody_who_may_read_more() -> None:
    strong, equal = factories.staff(is_superuser=True), factories.staff()
    client = signed_in("add_apitoken", "view_apitoken")
    for user, made in ((strong, 0), (equal, 1)):
        client.post("/admin/provisioning/apitoken/make/", {"user": user.pk, "name": "mine", "days": "5"})
        assert ApiToken.objects.filter(user=user).count() == made


# --- the key of a panel goes where it was typed for, and nowhere else --------------------------------------


def panel_form(panel: Panel, **changed: Any) -> dict[str, Any]:
    """What the form of a panel posts."""
    kinds = ("hour_floor", "hour_percent", "day_floor", "day_percent")
    numbers = [f"{brake}_{kind}" for brake in ("deletes", "creates") for kind in kinds]
    data = {name: getattr(panel, name) for name in ("name", "driver", "url", "language", *numbers)}
    return {**data, "new_key": "", **changed}


MOVES = {
    "another host": {"url": "https://evil.example.net"},
    "another port": {"url": "https://panel.example.com:8443"},
    "a path": {"url": "https://panel.example.com/x"},
    "plain HTTP": {"url": "http://panel.example.com", "allow_plain_http": "on"},
    "the tick alone": {"allow_plain_http": "on"},
}


@pytest.mark.req("CAL-12")
@pytest.mark.parametrize("changed", MOVES.values(), ids=MOVES.keys())
def test_the_stored_key_is_not_carried_to_another_address(changed: dict[str, str]) -> None:
    panel = factories.panel(api_key=PANEL_KEY)
    client = signed_in("view_panel", "change_panel")
    address = f"/admin/provisioning/panel/{panel.pk}/change/"
    answer = client.post(address, panel_form(panel, **changed))
    assert answer.status_code == 200
    assert "Type the key again" in answer.content.decode()
    assert Panel.objects.get().url == "https://panel.example.com"
    assert client.post(address, panel_form(panel, **changed, new_key="ptla_" + "N" * 43)).status_code == 302
    assert Panel.objects.get().api_key == "ptla_" + "N" * 43


def test_other_changes_of_a_panel_keep_its_key() -> None:
    panel = factories.panel(api_key=PANEL_KEY)
    data = panel_form(panel, url="https://panel.example.com/", observe_only="on", api_key="smuggled")
    client = signed_in("view_panel", "change_panel")
    assert client.post(f"/admin/provisioning/panel/{panel.pk}/change/", data).status_code == 302
    stored = Panel.objects.get()
    assert (stored.observe_only, stored.api_key) == (True, PANEL_KEY)


# --- fields that no form shows -----------------------------------------------------------------------------


def test_an_endpoints_address_and_secrets_cannot_be_posted() -> None:
    w = world()
    before = w.endpoint.address
    data = {
        "connection": w.endpoint.connection_id,
        "name": "renamed",
        "scheme": "standard",
        "hmac_header": "X-Signature",
        "address": "00000000-0000-0000-0000-000000000001",
        "secrets-TOTAL_FORMS": "1",
        "secrets-INITIAL_FORMS": "0",
        "secrets-0-value": "whsec_c211Z2dsZWQtc211Z2dsZWQtc211Z2dsZWQ=",
    }
    client = signed_in("view_webhookendpoint", "change_webhookendpoint")
    assert (
        client.post(f"/admin/provisioning/webhookendpoint/{w.endpoint.pk}/change/", data).status_code == 302
    )
    stored = WebhookEndpoint.objects.get()
    assert (stored.name, stored.address, stored.secrets.count()) == ("renamed", before, 1)


@pytest.mark.parametrize(
    "query", ["?panel__api_key__startswith=p", "?secrets__value__startswith=w", "?user__password__contains=a"]
)
@pytest.mark.parametrize("page", ["webhookendpoint", "product", "apitoken", "service"])
def test_no_list_can_be_asked_letter_by_letter_for_a_secret(page: str, query: str) -> None:
    world()
    answer = signed_in(superuser=True).get(f"/admin/provisioning/{page}/{query}")
    assert answer.status_code in (302, 400)
