"""The list of services and the page of one: its story, its truths, and a bounded number of queries."""

from __future__ import annotations

import datetime as dt

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from provisioning import audit
from provisioning.admin import services as service_pages
from provisioning.admin.base import CappedPaginator
from provisioning.admin.timeline import story
from provisioning.admin.truths import difference, limit_rows, server_address
from provisioning.choices import ActorKind
from provisioning.exceptions import TransitionError
from provisioning.lib import clock
from provisioning.models import Entitlement, PanelCall, Pin, Service
from provisioning.reconcile.preview import Preview
from tests import factories
from tests.provisioning.admin.staffing import OBSERVED, running, signed_in, world

pytestmark = pytest.mark.django_db
LIST = "/admin/provisioning/service/"


def page_of(service: Service) -> str:
    """The page of a service, as a superuser sees it."""
    address = reverse("admin:provisioning_service_change", args=[service.pk])
    return str(signed_in(superuser=True).get(address).content.decode())


def queries_of(client: Client, address: str) -> int:
    """How many queries a page takes."""
    client.get(address)
    with CaptureQueriesContext(connection) as queries:
        assert client.get(address).status_code == 200
    return len(queries)


def many(count: int) -> None:
    """Services in different states, each with customer, product and operation of its own."""
    for number in range(count):
        service = running(product=factories.product(billing_product_id=f"p{number}-{count}"))
        outcome = ("succeeded", "needs_staff", "waiting")[number % 3]
        operation = factories.operation(service=service, outcome=outcome)
        event = factories.event(service=service)
        with audit.acting_as(ActorKind.BILLING, "Shop", event=event):
            audit.record(service=service, operation=operation, action="x", message="Something happened.")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("address", "most"),
    [
        (LIST, 16),
        ("/admin/provisioning/operation/", 14),
        ("/admin/provisioning/event/", 14),
        ("/admin/provisioning/auditentry/", 12),
        ("/admin/", 30),
    ],
)
def test_queries_do_not_grow_with_the_rows(address: str, most: int) -> None:
    client = signed_in(superuser=True)
    many(5)
    few = queries_of(client, address)
    many(45)
    assert queries_of(client, address) == few
    assert few <= most


def test_queries_of_one_page_do_not_grow_with_its_story() -> None:
    w = world()
    client = signed_in(superuser=True)
    address = reverse("admin:provisioning_service_change", args=[w.service.pk])
    few = queries_of(client, address)
    for _ in range(20):
        operation = factories.operation(service=w.service, outcome="succeeded")
        audit.record(service=w.service, operation=operation, action="x", message="Something happened.")
        PanelCall.objects.create(operation=operation, panel=w.panel, method="GET", path="/x", at=clock.now())
        factories.event(endpoint=w.endpoint, service=w.service)
    assert queries_of(client, address) == few
    assert few <= 30


@pytest.mark.parametrize("asked", ["1001", "test-shop-77", "ADA@example", "srv-9"])
def test_search_finds_by_what_people_have_at_hand(asked: str) -> None:
    running(
        billing_id="1001",
        external_id="test-shop-77",
        server_id="srv-9",
        customer=factories.customer(email="ada@example.com"),
    )
    running(billing_id="2002", customer=factories.customer(email="linus@example.com"))
    text = signed_in(superuser=True).get(LIST, {"q": asked}).content.decode()
    assert "Server-1001" in text
    assert "Server-2002" not in text


@pytest.mark.parametrize(
    "query", ["state=suspended", "reason=overdue", "desired_state__exact=suspended", "due=suspend"]
)
def test_filters_leave_the_right_ones(query: str) -> None:
    soon = clock.now() + dt.timedelta(hours=3)
    running(
        billing_id="1001",
        desired_state="suspended",
        observed_state="suspended",
        suspend_reasons=["overdue"],
        suspend_at=soon,
    )
    running(billing_id="2002")
    text = signed_in(superuser=True).get(f"{LIST}?{query}").content.decode()
    assert "Server-1001" in text
    assert "Server-2002" not in text


def test_a_long_list_is_never_counted_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    product = factories.product()
    for _ in range(7):
        running(product=product)
    paginator = CappedPaginator(Service.objects.order_by("id"), 2)
    paginator.ceiling = 4
    with CaptureQueriesContext(connection) as queries:
        assert paginator.count == 5
    assert "LIMIT 5" in queries[0]["sql"]
    assert paginator.words == "4+"
    pages = signed_in(superuser=True).get(f"{LIST}?p=99999999")
    assert pages.status_code in (200, 302)


def test_the_page_tells_the_story_in_plain_words() -> None:
    w = world()
    text = page_of(w.service)
    for words in (
        "Running",
        "Billing, our wish and the panel agree.",
        "Paid: the server is to be made.",
        "billing (Shop hook)",
        "POST /api/servers",
        "+ create server",
        "Go to server",
    ):
        assert words in text


@pytest.mark.req("T83-45", "T83-40")
def test_chapters_gather_what_belongs_together() -> None:
    w = world()
    audit.record(service=w.service, operation=w.operation, action="ready", message="The server runs.")
    with audit.acting_as(ActorKind.STAFF, "grace"):
        audit.record(service=w.service, action="note", message="Looked at by hand.")
    chapters = story(w.service)
    by_operation = next(item for item in chapters if item.operation)
    by_event = next(item for item in chapters if item.event)
    alone = next(item for item in chapters if not item.operation and not item.event)
    assert [entry.message for entry in by_operation.entries] == ["The server runs."]
    assert [call.path for call in by_operation.calls] == ["/api/servers"]
    assert [entry.message for entry in by_event.entries] == ["Paid: the server is to be made."]
    assert alone.actor == "staff grace"
    assert "[hidden]" in by_event.payload


def test_limits_add_up_and_differences_show() -> None:
    service = running()
    Entitlement.objects.create(
        service=service, resource="disk", amount=1024, source="a", starts_at=clock.now()
    )
    Pin.objects.create(service=service, resource="memory", value=2048)
    rows = {row.label: row for row in limit_rows(service)}
    disk, memory = rows["Disk"], rows["Memory"]
    assert (disk.plan, disk.added, disk.wanted, disk.shown) == (5120, 1024, 6144, 5120)
    assert (memory.pinned, memory.wanted) == (2048, 2048)
    assert disk.differs
    assert not rows["CPU"].differs


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({}, ""),
        ({"observed_state": "suspended"}, "The panel is expected to move"),
        ({"generation": 2}, "The panel is expected to move"),
        ({"desired_state": "none", "observed_state": "active"}, "Billing is expected to move"),
        ({"desired_state": "suspended", "server_id": "", "observed_state": "never"}, ""),
    ],
)
def test_the_page_says_who_is_expected_to_move(columns: dict[str, object], words: str) -> None:
    said = difference(running(**columns))
    assert words in said
    assert bool(said) == bool(words)


@pytest.mark.req("CAL-40")
@pytest.mark.parametrize(
    ("observed", "address"),
    [
        (OBSERVED, "https://panel.example.com/server/a1b2c3d4"),
        ({**OBSERVED, "sign_in": {"server_url": "https://go.example.com/1"}}, "https://go.example.com/1"),
        ({**OBSERVED, "sign_in": {"server_url": "javascript:alert(1)"}}, ""),
        ({}, ""),
    ],
)
def test_go_to_server_leads_to_the_panel_only(observed: dict[str, object], address: str) -> None:
    assert server_address(running(observed=observed)) == address


@pytest.mark.req("T83-45")
@pytest.mark.parametrize(("outcome", "live"), [("waiting", True), ("succeeded", False)])
def test_the_page_looks_again_by_itself_only_while_something_moves(outcome: str, live: bool) -> None:
    service = running()
    factories.operation(service=service, outcome=outcome, reason="panel_unreachable")
    assert ('hx-select="#live"' in page_of(service)) is live


def preview_address(service: Service) -> str:
    """The page of the plan."""
    return reverse("admin:provisioning_service_preview", args=[service.pk])


def test_preview_shows_the_plan_and_posts_its_checksum(monkeypatch: pytest.MonkeyPatch) -> None:
    service = running()
    applied: list[tuple[int, str]] = []

    def apply(row: Service, checksum: str) -> str:
        applied.append((row.pk, checksum))
        return "Plan abc123 is being carried out."

    monkeypatch.setattr(
        service_pages, "preview", lambda row: Preview(["~ memory 1 → 2"], "abc123", ["Note."])
    )
    monkeypatch.setattr(service_pages, "apply_reviewed", apply)
    client = signed_in("view_service", "act_retry")
    text = client.get(preview_address(service)).content.decode()
    assert "~ memory 1 → 2" in text
    assert 'value="abc123"' in text
    assert applied == []
    done = client.post(preview_address(service), {"checksum": "abc123"}, follow=True).content.decode()
    assert applied == [(service.pk, "abc123")]
    assert "is being carried out" in done


def test_apply_says_if_the_world_has_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(row: Service, checksum: str) -> str:
        raise TransitionError("The plan has changed since you looked at it.")

    monkeypatch.setattr(service_pages, "preview", lambda row: Preview())
    monkeypatch.setattr(service_pages, "apply_reviewed", refuse)
    client = signed_in(superuser=True)
    text = client.post(preview_address(running()), {"checksum": "abc123"}).content.decode()
    assert "The plan has changed since you looked at it." in text


@pytest.mark.parametrize("checksum", ["", "x'; drop", "Z" * 12])
def test_apply_without_a_checksum_does_nothing(checksum: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_pages, "preview", lambda row: Preview())
    monkeypatch.setattr(service_pages, "apply_reviewed", lambda *args: pytest.fail("applied"))
    answer = signed_in(superuser=True).post(preview_address(running()), {"checksum": checksum})
    assert "no checksum" in answer.content.decode()
