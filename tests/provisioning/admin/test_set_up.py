"""Connections, endpoints, grace policies, tokens, the installation: what staff set up once."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.test import override_settings
from django.urls import reverse

from provisioning.admin.endpoints import valid_secrets
from provisioning.admin.spans import span_parse, span_text
from provisioning.lib import clock
from provisioning.lib.crypto import token_hash
from provisioning.models import (
    ApiToken,
    AuditEntry,
    BillingConnection,
    EndpointSecret,
    GracePolicy,
    Installation,
    WebhookEndpoint,
)
from tests import factories
from tests.provisioning.admin.staffing import running, session_of, signed_in

pytestmark = pytest.mark.django_db


def change(row: Any) -> str:
    """The page of a row."""
    return reverse(f"admin:provisioning_{row._meta.model_name}_change", args=[row.pk])


def delete(row: Any) -> str:
    """The page that deletes a row, pressed; returns what it says."""
    address = reverse(f"admin:provisioning_{row._meta.model_name}_delete", args=[row.pk])
    return str(signed_in(superuser=True).post(address, {"post": "yes"}, follow=True).content.decode())


# --- billing connections ---------------------------------------------------------------------------------


def test_the_key_of_a_connection_is_final() -> None:
    connection = factories.connection(name="Shop", key="shop")
    client = signed_in(superuser=True)
    client.post(change(connection), {"name": "Store", "key": "other"})
    connection.refresh_from_db()
    assert (connection.name, connection.key) == ("Store", "shop")


@pytest.mark.parametrize("key", ["Shop", "1shop", "a", "with-dash", "k" * 13])
def test_a_key_that_cannot_be_part_of_an_id_is_refused(key: str) -> None:
    signed_in(superuser=True).post("/admin/provisioning/billingconnection/add/", {"name": "x", "key": key})
    assert not BillingConnection.objects.exists()


@pytest.mark.parametrize("kind", ["connection", "endpoint", "policy"])
def test_what_is_in_use_is_kept_and_says_why(kind: str) -> None:
    service = running()
    endpoint = factories.endpoint(connection=service.connection)
    factories.event(endpoint=endpoint)
    assert service.product is not None
    row = {
        "connection": service.connection,
        "endpoint": endpoint,
        "policy": service.product.grace_policy,
    }[kind]
    words = {"connection": "Disable its endpoints", "endpoint": "Untick", "policy": "another policy"}[kind]
    assert words in delete(row)
    assert type(row)._default_manager.filter(pk=row.pk).exists()


# --- endpoints and their secrets -------------------------------------------------------------------------


def make_secret(endpoint: WebhookEndpoint, **data: str) -> str:
    """Presses *Make the secret*; returns the page."""
    address = reverse("admin:provisioning_webhookendpoint_secret", args=[endpoint.pk])
    client = signed_in("view_webhookendpoint", "change_webhookendpoint", username=data.pop("username", ""))
    return str(client.post(address, data).content.decode())


@pytest.mark.req("T83-12", "CAL-12")
def test_a_secret_is_shown_in_one_answer_and_never_again() -> None:
    endpoint = factories.endpoint()
    text = make_secret(endpoint, old_ends="1 day", username="ada")
    made = EndpointSecret.objects.latest("pk").value
    assert made.startswith("whsec_")
    assert made in text
    assert made not in signed_in(superuser=True).get(change(endpoint)).content.decode()
    entry = AuditEntry.objects.get(action="endpoint.secret")
    assert entry.actor == "ada"
    assert made not in entry.message


@pytest.mark.req("T83-12")
def test_a_rotation_keeps_two_secrets_for_a_while() -> None:
    endpoint = factories.endpoint()
    make_secret(endpoint, old_ends="36 hours")
    old = EndpointSecret.objects.earliest("pk")
    assert old.ends_at is not None
    assert abs(old.ends_at - clock.now() - dt.timedelta(hours=36)) < dt.timedelta(minutes=1)
    make_secret(endpoint, old_ends="1 day")
    assert valid_secrets(endpoint).count() == 2
    assert EndpointSecret.objects.count() == 3


def test_old_secrets_can_be_ended_by_hand() -> None:
    endpoint = factories.endpoint()
    make_secret(endpoint, old_ends="1 day")
    address = reverse("admin:provisioning_webhookendpoint_action", args=[endpoint.pk, "end-old"])
    signed_in("view_webhookendpoint", "change_webhookendpoint").post(address)
    assert valid_secrets(endpoint).get() == EndpointSecret.objects.latest("pk")


def test_the_sender_s_own_secret_is_taken_and_not_shown() -> None:
    own = "whsec_" + "QUJD" * 10
    endpoint = factories.endpoint()
    text = make_secret(endpoint, own=own, old_ends="0 s")
    assert own not in text
    assert valid_secrets(endpoint).get().value == own


@pytest.mark.parametrize(("scheme", "own"), [("standard", "whsec_short"), ("hmac_hex", "too-short")])
def test_a_weak_secret_is_refused_without_being_shown(scheme: str, own: str) -> None:
    endpoint = factories.endpoint(scheme=scheme)
    text = make_secret(endpoint, own=own, old_ends="1 day")
    assert own not in text
    assert EndpointSecret.objects.count() == 1


def test_the_address_to_copy_is_the_real_one() -> None:
    endpoint = factories.endpoint()
    address = f"http://testserver{reverse('webhook', args=[endpoint.address])}"
    assert address in signed_in(superuser=True).get(change(endpoint)).content.decode()


@pytest.mark.parametrize(
    ("networks", "kept"), [("192.0.2.0/24\n2001:db8::/32", True), ("192.0.2.7/24", False)]
)
def test_networks_are_read_when_saved(networks: str, kept: bool) -> None:
    endpoint = factories.endpoint()
    data = {"connection": endpoint.connection_id, "name": "Hook", "scheme": "standard", "hmac_header": "X-S"}
    blank = {"secrets-TOTAL_FORMS": "0", "secrets-INITIAL_FORMS": "0"}
    text = signed_in(superuser=True).post(
        change(endpoint), {**data, **blank, "networks": networks}, follow=True
    )
    endpoint.refresh_from_db()
    assert (endpoint.networks != "") is kept
    assert ("did you mean 192.0.2.0/24" in text.content.decode()) is not kept


# --- grace policies --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7 days", 604_800),
        ("36 hours", 129_600),
        ("1 day 12 h", 129_600),
        ("90s", 90),
        ("0 s", 0),
        ("2 min", 120),
    ],
)
def test_lengths_are_read_as_people_write_them(text: str, seconds: int) -> None:
    assert span_parse(text) == dt.timedelta(seconds=seconds)
    assert span_parse(span_text(span_parse(text))) == dt.timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "seven days", "7", "-1 day", "7 days please", "1.5 days"])
def test_other_lengths_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="for example 7 days"):
        span_parse(text)


def save_policy(policy: GracePolicy, **changes: str) -> str:
    """Saves the form of a policy; returns the page that follows."""
    data = {
        "name": policy.name,
        "warn_after": "0 seconds",
        "suspend_after": "7 days",
        "undo_window": "7 days",
        "versions-TOTAL_FORMS": "0",
        "versions-INITIAL_FORMS": "0",
        **changes,
    }
    return str(signed_in(superuser=True).post(change(policy), data, follow=True).content.decode())


@pytest.mark.req("T83-02")
def test_a_changed_window_is_a_new_version_and_says_whom_it_hits() -> None:
    service = running()
    assert service.product is not None
    policy = service.product.grace_policy
    text = save_policy(policy, suspend_after="3 days")
    assert "1 services use this policy" in text
    numbers = list(policy.versions.order_by("number").values_list("number", "suspend_after"))
    assert numbers == [(1, dt.timedelta(days=7)), (2, dt.timedelta(days=3))]
    assert policy.current().number == 2


def test_a_changed_name_is_no_new_version() -> None:
    policy = factories.policy()
    save_policy(policy, name="Gentle")
    policy.refresh_from_db()
    assert policy.name == "Gentle"
    assert policy.versions.count() == 1


def test_a_warning_comes_before_what_it_warns_of() -> None:
    policy = factories.policy()
    assert "must come before" in save_policy(policy, warn_after="9 days")
    assert policy.versions.count() == 1


def test_a_new_policy_begins_with_its_first_version() -> None:
    data = {"name": "Strict", "warn_after": "0 s", "suspend_after": "1 day", "undo_window": "2 days"}
    signed_in(superuser=True).post("/admin/provisioning/gracepolicy/add/", data)
    assert GracePolicy.objects.get().current().undo_window == dt.timedelta(days=2)
    assert GracePolicy.objects.get().versions.count() == 1


# --- tokens, installation --------------------------------------------------------------------------------


@pytest.mark.req("CAL-12")
def test_a_token_is_shown_once_and_kept_as_a_hash() -> None:
    user = factories.staff()
    client = signed_in("view_apitoken", "add_apitoken", username="ada")
    answer = client.post(
        "/admin/provisioning/apitoken/make/", {"user": user.pk, "name": "Grafana", "days": "30"}
    )
    plain = answer.context["secret"]
    token = ApiToken.objects.get()
    assert plain in answer.content.decode()
    assert "no-store" in answer.headers["Cache-Control"]
    assert token.hash == token_hash(plain)
    assert plain not in client.get("/admin/provisioning/apitoken/").content.decode()
    assert AuditEntry.objects.get(action="api_token_created").actor == "ada"


def test_making_a_token_needs_its_right() -> None:
    answer = signed_in("view_apitoken").post("/admin/provisioning/apitoken/make/", {"name": "x"})
    assert answer.status_code == 403


def test_a_token_can_be_ended() -> None:
    ends = clock.now() + dt.timedelta(days=9)
    token = ApiToken.objects.create(user=factories.staff(), name="x", hash="h", hint="abcd", ends_at=ends)
    address = reverse("admin:provisioning_apitoken_action", args=[token.pk, "end"])
    signed_in("view_apitoken", "change_apitoken").post(address)
    token.refresh_from_db()
    assert token.ends_at <= clock.now()


def act_on_installation(row: Installation, slug: str, **data: str) -> tuple[str, bool]:
    """Presses one of the installation's buttons; returns its id and whether it only looks on."""
    address = reverse("admin:provisioning_installation_action", args=[row.pk, slug])
    signed_in("view_installation", "change_installation").post(address, data)
    row.refresh_from_db()
    return row.installation_id, row.observe_only


def only_installation(**fields: Any) -> Installation:
    """The one row."""
    Installation.objects.all().delete()
    return Installation.objects.create(**{"installation_id": "test", **fields})


def test_observe_only_is_one_press_and_its_end_wants_the_name() -> None:
    row = only_installation()
    assert act_on_installation(row, "observe") == ("test", True)
    assert act_on_installation(row, "work", name="wrong") == ("test", True)
    assert act_on_installation(row, "work", name="test") == ("test", False)
    assert AuditEntry.objects.filter(action="installation.observe").count() == 2


def test_going_on_after_a_restore_wants_name_right_and_a_fresh_second_factor() -> None:
    row = only_installation(restored_at=clock.now(), marked_at=clock.now())
    address = reverse("admin:provisioning_installation_action", args=[row.pk, "restored"])
    assert signed_in("view_installation").post(address, {"name": "test"}).status_code == 403
    stale = session_of(factories.staff(username="linus", is_superuser=True), factor_age=3600)
    away = stale.post(address, {"name": "test"})
    assert (away.status_code, "provisioning/installation" in away["Location"].split("?")[0]) == (302, False)
    act_on_installation(row, "restored", name="wrong")
    assert Installation.objects.filter(restored_at=None).count() == 0
    act_on_installation(row, "restored", name="test")
    assert Installation.objects.filter(restored_at=None).count() == 1
    assert AuditEntry.objects.get(action="installation.restored").actor_kind == "staff"


@override_settings(INSTALLATION_ID="staging")
def test_a_copied_database_is_adopted_by_name_only() -> None:
    row = only_installation(installation_id="prod")
    assert act_on_installation(row, "adopt", name="prod") == ("prod", False)
    assert act_on_installation(row, "adopt", name="staging") == ("staging", False)


def test_people_are_deactivated_never_deleted() -> None:
    user = factories.staff()
    address = reverse("admin:auth_user_delete", args=[user.pk])
    signed_in(superuser=True).post(address, {"post": "yes"})
    user.refresh_from_db()
    assert user.is_active
