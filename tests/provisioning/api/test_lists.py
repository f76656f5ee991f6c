"""What the six lists show: filters, pages, details, a fixed number of queries, and no secret anywhere."""

from __future__ import annotations

import datetime as dt
import json
from types import ModuleType
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from provisioning.choices import ActorKind, DriftKind, EventStatus, Outcome
from provisioning.lib import clock
from provisioning.models import (
    AuditEntry,
    Drift,
    Entitlement,
    Operation,
    PanelCall,
    PanelGate,
    Pin,
    Service,
    Suspension,
)
from tests import factories
from tests.provisioning.api.readers import machine, staff_session

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("jobs")]
CANARY = "canary-7b1f90aa41"
LOOK = {
    "server_id": "12",
    "uuid": "u",
    "identifier": "abcd1234",
    "mark": "m",
    "owner": "7",
    "name": "Server-1",
    "state": "active",
    "limits": {"memory": 1024},
    "extra": {"environment": {"RCON_PASSWORD": CANARY}},
}


def full_service(**fields: Any) -> Service:
    """A service with one of everything."""
    product = factories.product(
        panel=factories.panel(api_key="ptla_" + CANARY),
        billing_product_id=f"p{Service.objects.count()}",
        document={**factories.DOCUMENT, "runtime": {"variables": {"API_TOKEN": CANARY}}},
    )
    service = factories.service(product=product, observed=LOOK, observed_state="active", **fields)
    PanelGate.objects.create(panel=product.panel, last_error=f"Authorization: Bearer {CANARY}")
    operation = factories.operation(service=service, outcome=Outcome.WAITING, reason="panel_unreachable")
    Operation.objects.filter(pk=operation.pk).update(
        waiting_since=clock.now(), next_attempt_at=clock.now(), plan={"env": {"DB_PASSWORD": CANARY}}
    )
    for path in ("/a", f"/b?token={CANARY}"):
        PanelCall.objects.create(
            operation=operation,
            panel=product.panel,
            method="GET",
            path=path,
            at=clock.now(),
            words="api_key=" + CANARY,
        )
    secret = "whsec_" + "QUJD" * 10
    event = factories.event(
        endpoint=factories.endpoint(connection=product.connection, secret=secret),
        service=service,
        status=EventStatus.PROCESSED,
        type="subscription.created",
        body=json.dumps({"password": CANARY, "tier": "elemental", "sign": secret}).encode(),
    )
    for number in range(3):
        AuditEntry.objects.create(
            service=service,
            event=event,
            actor_kind=ActorKind.BRIDGE,
            action="note",
            message=f"Step {number}; password={CANARY}",
            data={"secret": CANARY},
            at=clock.now() + dt.timedelta(seconds=number),
        )
    Suspension.objects.create(service=service, reason="abuse", since=clock.now())
    Entitlement.objects.create(
        service=service, resource="memory", amount=512, source="s", starts_at=clock.now()
    )
    Pin.objects.create(service=service, resource="cpu", value=250)
    Drift.objects.create(
        panel=product.panel,
        kind=DriftKind.LIMITS,
        subject=f"service:{service.pk}",
        service=service,
        server_id="12",
        words=f"memory 512 where 1024 was sold; password={CANARY}",
        since=clock.now(),
        last_seen_at=clock.now(),
    )
    return service


def rows(client: Client, path: str, **params: Any) -> list[Any]:
    """The rows of one page."""
    reply = client.get(f"/api/v1/{path}/", params)
    assert reply.status_code == 200, reply.content
    found: list[Any] = reply.json()["results"]
    return found


def test_no_answer_holds_a_secret() -> None:
    service, client = full_service(), machine()
    texts = []
    for name in ("services", "operations", "events", "panels", "products", "drifts"):
        listed = rows(client, name)
        assert listed
        texts += [json.dumps(listed)]
        texts += [client.get(f"/api/v1/{name}/{row['id']}/").content.decode() for row in listed]
    text = "".join(texts)
    assert service.external_id in text
    assert "elemental" in text
    for secret in (CANARY, "whsec_QUJD", "ptla_c", 'api_key":'):
        assert secret not in text


def test_a_service_shows_the_three_truths_and_what_it_waits_for() -> None:
    service = full_service(
        suspend_reasons=["abuse"], suspend_at=clock.now(), generation=3, observed_generation=2
    )
    shown = machine().get(f"/api/v1/services/{service.pk}/").json()
    assert shown["billing"]["status"] == "active"
    assert (shown["desired"]["generation"], shown["observed"]["generation"]) == (3, 2)
    assert shown["desired"]["reasons"] == ["abuse"]
    assert shown["desired"]["limits"]["memory"] == 1024 + 512
    assert shown["desired"]["limits"]["cpu"] == 250
    assert shown["observed"]["look"]["limits"] == {"memory": 1024}
    assert shown["dates"]["suspend_at"] == shown["suspend_at"]
    assert "does not answer" in shown["waiting"]["words"]
    assert shown["waiting"]["since"]
    assert shown["waiting"]["next_try"]
    assert [entry["message"][:6] for entry in shown["timeline"]] == ["Step 2", "Step 1", "Step 0"]
    assert shown["server_url"] == "https://panel.example.com/server/abcd1234"
    assert (shown["word"], shown["converged"]) == ("waiting", False)


def test_a_service_without_product_or_server_is_shown_too() -> None:
    service = factories.service(product=factories.product())
    Service.objects.filter(pk=service.pk).update(product=None, panel=None)
    shown = machine().get(f"/api/v1/services/{service.pk}/").json()
    assert (shown["product"], shown["panel"], shown["server_url"]) == (None, None, "")
    assert shown["desired"]["limits"] == {}


def test_the_timeline_is_cut() -> None:
    service = factories.service()
    AuditEntry.objects.bulk_create(
        AuditEntry(service=service, actor_kind="bridge", action="a", message=str(number), at=clock.now())
        for number in range(60)
    )
    timeline = machine().get(f"/api/v1/services/{service.pk}/").json()["timeline"]
    assert [len(timeline), timeline[0]["message"]] == [50, "59"]


def test_an_operation_shows_its_calls_and_an_event_its_entries() -> None:
    full_service()
    client = machine()
    operation = client.get(f"/api/v1/operations/{rows(client, 'operations')[0]['id']}/").json()
    assert [call["path"] for call in operation["panel_calls"]] == ["/a", "/b?token=[hidden]"]
    assert operation["number"].startswith("OP-")
    event = client.get(f"/api/v1/events/{rows(client, 'events')[0]['id']}/").json()
    assert event["payload"]["tier"] == "elemental"
    assert len(event["entries"]) == 3


def test_a_difference_says_what_staff_said_of_it(clock: ModuleType) -> None:
    service, client = full_service(billing_id="7000"), machine()
    ada = factories.staff(username="ada")
    Drift.objects.update(
        ignored_until=clock.now() + dt.timedelta(days=1), ignored_because="moved", ignored_by=ada
    )
    shown = rows(client, "drifts", ignored="true", service=service.pk)[0]
    assert shown == client.get(f"/api/v1/drifts/{shown['id']}/").json()
    assert (shown["billing_id"], shown["panel"]["name"]) == ("7000", str(service.panel))
    assert shown["words"].startswith("memory 512 where 1024 was sold")
    assert (shown["ignored_because"], shown["ignored_by"]) == ("moved", "ada")
    clock.shift(86_401)
    assert rows(machine(), "drifts", ignored="true") == []


def test_an_unreadable_payload_is_shown_as_text() -> None:
    event = factories.event(body=b'{"a": \xff password=' + CANARY.encode())
    payload = machine().get(f"/api/v1/events/{event.pk}/").json()["payload"]
    assert payload.startswith('{"a": \N{REPLACEMENT CHARACTER}')
    assert CANARY not in payload


SERVICE_FILTERS: list[tuple[dict[str, Any], bool]] = [
    ({"billing_status": "active"}, True),
    ({"billing_status": ["pending", "active"]}, True),
    ({"billing_status": "cancelled"}, False),
    ({"observed_state": "active"}, True),
    ({"desired_state": "absent"}, False),
    ({"connection": "filtered"}, True),
    ({"customer_email": " ADA@example.com"}, True),
    ({"customer_email": "ada"}, False),
    ({"billing_id": "7000"}, True),
    ({"search": "da@exam"}, True),
    ({"search": "7000"}, True),
    ({"search": "700"}, False),
    ({"converged": "true"}, True),
    ({"converged": "false"}, False),
    ({"created_after": "2020-01-01T00:00:00Z"}, True),
    ({"created_before": "2020-01-01T00:00:00Z"}, False),
    ({"unknown": "dropped"}, True),
]


@pytest.mark.parametrize(("params", "found"), SERVICE_FILTERS)
def test_services_are_filtered(params: dict[str, Any], found: bool) -> None:
    product = factories.product(connection=factories.connection(key="filtered"))
    factories.service(product=product, billing_id="7000", observed_state="active")
    assert bool(rows(machine(), "services", **params)) is found


@pytest.mark.parametrize(
    ("path", "right", "wrong"),
    [
        ("operations", {"outcome": "waiting"}, {"outcome": "failed"}),
        ("operations", {"kind": "check"}, {"kind": "terminate"}),
        ("operations", {"reason": "panel_unreachable"}, {"reason": "brake"}),
        ("events", {"status": "processed"}, {"status": "failed"}),
        ("events", {"type": "subscription.created"}, {"type": "payment.failed"}),
        ("events", {"received_after": "2020-01-01T00:00:00Z"}, {"received_before": "2020-01-01T00:00:00Z"}),
        ("panels", {"driver": "pterodactyl"}, {"driver": "other"}),
        ("panels", {"retired": "false"}, {"retired": "true"}),
        ("products", {"search": "elem"}, {"search": "water"}),
        ("products", {"kind": "recurring"}, {"kind": "one_time"}),
        ("drifts", {"kind": "limits"}, {"kind": "missing"}),
        ("drifts", {"server_id": "12"}, {"server_id": "1"}),
        ("drifts", {"resolved": "false"}, {"resolved": "true"}),
        ("drifts", {"ignored": "false"}, {"ignored": "true"}),
        ("drifts", {"since_after": "2020-01-01T00:00:00Z"}, {"since_before": "2020-01-01T00:00:00Z"}),
    ],
)
def test_the_other_lists_are_filtered(path: str, right: dict[str, str], wrong: dict[str, str]) -> None:
    full_service()
    client = machine()
    assert (len(rows(client, path, **right)), rows(client, path, **wrong)) == (1, [])


@pytest.mark.parametrize(
    "params",
    [
        {"billing_status": "bogus"},
        {"panel": "x"},
        {"panel": "9" * 40},
        {"search": "a\x00b"},
        {"created_after": "yesterday"},
        {"connection": "\x00"},
    ],
)
def test_wrong_filters_are_named(params: dict[str, str]) -> None:
    reply = machine().get("/api/v1/services/", params)
    assert reply.status_code == 400
    assert reply.json()["error"]["code"] == "invalid"
    assert reply.json()["error"]["fields"]


@pytest.mark.parametrize("path", ["operations", "events", "drifts"])
def test_a_number_too_long_for_the_database_is_refused(path: str) -> None:
    assert machine().get(f"/api/v1/{path}/", {"service": "9" * 30}).status_code == 400


@pytest.mark.parametrize("path", ["services/999999/", "services/?cursor=%FF", "events/?cursor=bogus"])
def test_what_is_not_there_is_a_404_in_our_form(path: str) -> None:
    reply = machine().get(f"/api/v1/{path}")
    assert (reply.status_code, reply.json()["error"]["code"]) == (404, "not_found")


@pytest.mark.parametrize("path", ["/api/", "/api/v1/nothing/", "/api/v1/services/x/", "/api/v2/services/"])
def test_an_unknown_address_is_a_404_in_our_form(path: str) -> None:
    for client in (Client(), machine()):
        reply = client.get(path)
        assert (reply.status_code, reply["Content-Type"]) == (404, "application/json")
        assert reply.json()["error"]["code"] == "not_found"
    assert Client().get("/nothing/")["Content-Type"].startswith("text/html")


def test_a_failure_is_a_500_in_our_form(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("provisioning.selectors.services", lambda: 1 / 0)
    client = machine()
    client.raise_request_exception = False
    reply = client.get("/api/v1/services/")
    assert (reply.status_code, reply.json()["error"]["code"]) == (500, "error")
    assert "division" not in reply.content.decode()


def test_pages_follow_each_other_and_have_an_end() -> None:
    factories.service()
    product = factories.product()
    for _ in range(4):
        factories.service(product=product)
    client, seen, url = machine(), [], "/api/v1/services/?page_size=2"
    while url:
        page = client.get(url).json()
        seen += [row["id"] for row in page["results"]]
        url = page["next"]
    assert seen == list(Service.objects.order_by("-id").values_list("id", flat=True))
    assert [row["id"] for row in rows(client, "services", ordering="id")] == seen[::-1]


def test_a_page_has_at_most_200_rows() -> None:
    endpoint = factories.endpoint()
    for _ in range(201):
        factories.event(endpoint=endpoint)
    assert len(rows(machine(), "events", page_size=5000)) == 200


@pytest.mark.parametrize("path", ["services", "operations", "events", "panels", "products", "drifts"])
def test_more_rows_cost_no_more_queries(path: str) -> None:
    client, counts = machine(), []
    for _ in range(2):
        full_service()
        client.get(f"/api/v1/{path}/")
        with CaptureQueriesContext(connection) as queries:
            rows(client, path)
        counts.append(len(queries))
        assert not any("api_key" in query["sql"] for query in queries if path != "services")
    assert counts[0] == counts[1] <= 7


def test_staff_may_browse_with_their_session() -> None:
    service = full_service()
    assert rows(staff_session("view_service"), "services")[0]["id"] == service.pk


def test_test_servers_are_listed_only_if_asked_for() -> None:
    sold, trial = factories.service(billing_id="1"), factories.service(billing_id="try-1", is_trial=True)
    client = machine()

    def listed(**params: str) -> set[int]:
        return {row["id"] for row in client.get("/api/v1/services/", params).json()["results"]}

    assert listed() == listed(trial="false") == {sold.pk}
    assert listed(trial="true") == {trial.pk}
    assert client.get(f"/api/v1/services/{trial.pk}/").json()["is_trial"] is True
