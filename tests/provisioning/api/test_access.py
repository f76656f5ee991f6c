"""Who may read the API, and that nobody can write through it (bar B18)."""

from __future__ import annotations

import datetime as dt
from types import ModuleType
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from provisioning.api.permissions import CallerThrottle
from provisioning.api.tokens import READABLE, api_token_create, machine_user_create
from provisioning.lib.crypto import token_hash
from provisioning.models import ApiToken, AuditEntry
from tests import factories
from tests.provisioning.api.readers import bearing, in_days, machine, staff_session

pytestmark = pytest.mark.django_db
LISTS = [f"api:{name}-list" for name in READABLE]


@pytest.mark.parametrize("name", LISTS)
def test_each_list_needs_its_own_permission(name: str) -> None:
    model = name.removeprefix("api:").removesuffix("-list")
    url = reverse(name)
    assert machine().get(url).status_code == 200
    assert staff_session(f"view_{model}").get(url).status_code == 200
    assert staff_session("view_auditentry").get(url).status_code == 403
    assert staff_session(f"view_{model}", is_staff=False).get(url).status_code == 403
    assert bearing(factories.staff()).get(url).status_code == 403
    assert Client().get(url).status_code == 401


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
@pytest.mark.parametrize("name", LISTS)
def test_nothing_can_be_written(name: str, method: str) -> None:
    client = staff_session(is_superuser=True)
    for url in (reverse(name), reverse(name.replace("-list", "-detail"), args=[1])):
        assert getattr(client, method)(url).status_code in (403, 405)


@pytest.mark.parametrize(
    "header",
    [
        "Bearer",
        "Bearer ",
        "Bearer bb_",
        "Bearer bb_" + "A" * 43,
        "Bearer bb_" + "Ä" * 43,
        "bearer {token}",
        "Bearer  {token}",
        "Bearer {token} ",
        "Bearer {token}x",
        "Bearer {token},{token}",
        "Bearer \x00{token}",
        "Basic {token}",
        "Token {token}",
        "{token}",
    ],
)
def test_other_headers_open_nothing(header: str) -> None:
    _, plain = api_token_create(user=machine_user_create(username="m"), name="n", ends_at=in_days(1))
    reply = Client(headers={"Authorization": header.format(token=plain)}).get(reverse("api:service-list"))
    assert (reply.status_code, reply["WWW-Authenticate"]) == (401, "Bearer")
    assert set(reply.json()["error"]) == {"code", "message"}


def test_a_token_ends_with_its_time_and_with_its_user(clock: ModuleType) -> None:
    client, url = machine(), reverse("api:panel-list")
    assert client.get(url).status_code == 200
    User.objects.update(is_active=False)
    assert client.get(url).status_code == 401
    User.objects.update(is_active=True)
    clock.shift(86_401)
    assert client.get(url).status_code == 401


def last_use() -> dt.datetime:
    """When the one token was used."""
    used = ApiToken.objects.get().last_used_at
    assert used is not None
    return used


def test_the_last_use_is_noted_once_a_minute(clock: ModuleType) -> None:
    client, url = machine(), reverse("api:panel-list")
    client.get(url)
    first = last_use()
    clock.shift(50)
    with CaptureQueriesContext(connection) as queries:
        client.get(url)
    assert not any(query["sql"].startswith("UPDATE") for query in queries)
    assert last_use() == first
    clock.shift(20)
    client.get(url)
    assert last_use() >= first + dt.timedelta(seconds=70)


def test_a_caller_who_asks_too_often_is_slowed_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CallerThrottle, "rate", "2/min")
    client, url = machine(), reverse("api:panel-list")
    replies = [client.get(url) for _ in range(3)]
    assert [reply.status_code for reply in replies] == [200, 200, 429]
    assert replies[-1].json()["error"]["code"] == "throttled"
    assert int(replies[-1]["Retry-After"]) > 0
    assert machine().get(url).status_code == 200


def test_only_the_hash_of_a_token_is_kept() -> None:
    token, plain = api_token_create(user=machine_user_create(username="m"), name=" n ", ends_at=in_days(1))
    assert (token.hash, token.hint, token.name) == (token_hash(plain), plain[-4:], "n")
    assert plain not in str(ApiToken.objects.values()) + str(AuditEntry.objects.values())
    assert AuditEntry.objects.filter(action="api_token_created").exists()


@pytest.mark.parametrize(("name", "days"), [("  ", 1), ("n", 0), ("n", -1)])
def test_a_token_needs_a_name_and_a_future(name: str, days: int) -> None:
    with pytest.raises(ValidationError):
        api_token_create(user=machine_user_create(username="m"), name=name, ends_at=in_days(days))


def test_a_machine_user_cannot_sign_in_and_is_made_once() -> None:
    user = machine_user_create(username="m")
    assert not user.has_usable_password()
    assert not user.is_staff
    with pytest.raises(ValidationError, match="already"):
        machine_user_create(username="m")


def test_the_command_prints_the_token_once(capsys: Any) -> None:
    call_command("create_api_token", "metrics", "grafana", "--create", "--days", "2")
    plain = capsys.readouterr().out.strip()
    assert ApiToken.objects.get().hash == token_hash(plain)
    assert Client(headers={"Authorization": f"Bearer {plain}"}).get("/api/v1/panels/").status_code == 200


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["nobody", "n"], "no user “nobody”"),
        (["m", "n", "--create", "--days", "0"], "in the past"),
        (["m", "n", "--create", "--days", "9" * 12], "too large"),
        (["a b", "n", "--create"], "valid username"),
    ],
)
def test_the_command_says_what_is_wrong(args: list[str], words: str) -> None:
    with pytest.raises(CommandError, match=words):
        call_command("create_api_token", *args)
    assert not User.objects.exists()


def test_the_document_and_its_page_are_for_staff() -> None:
    page = staff_session().get("/api/docs/")
    assert page.status_code == 200
    assert b"http" not in page.content
    assert b"<style" not in page.content
    assert Client().get("/api/docs/")["Location"].startswith("/accounts/login/")
    assert staff_session(is_staff=False).get("/api/docs/").status_code == 403
    assert Client().get("/api/schema/").status_code == 401
    document = machine().get("/api/schema/", headers={"Accept": "application/json"}).json()
    assert "/api/v1/services/" in document["paths"]


def test_the_document_has_no_warnings(tmp_path: Any) -> None:
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", str(tmp_path / "openapi.yml"))
