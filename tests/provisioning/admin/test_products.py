"""The product form: the driver's typed document, checked here and by the panel."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from provisioning.drivers import registry
from provisioning.drivers.errors import Unreachable
from provisioning.models import AuditEntry, Product, Service
from provisioning.reconcile import panels as reconcile_panels
from tests import factories
from tests.provisioning.admin.staffing import running, signed_in

pytestmark = pytest.mark.django_db
ADD = "/admin/provisioning/product/add/"


@pytest.fixture(autouse=True)
def _silent_panel(monkeypatch: pytest.MonkeyPatch) -> None:
    """The panel finds nothing wrong, unless a test says otherwise."""
    monkeypatch.setattr(reconcile_panels, "check_product", lambda product: {})


def typed(**changes: Any) -> dict[str, Any]:
    """The form of a small game server, as the browser posts it."""
    connection, panel = factories.connection(), factories.panel()
    values = {
        "connection": connection.pk,
        "billing_product_id": "fire-elemental",
        "name": "Fire Elemental",
        "kind": "recurring",
        "grace_policy": factories.policy().pk,
        "name_prefix": "Server-",
        "panel": panel.pk,
        "doc_target_nest": "1",
        "doc_target_egg": "5",
        "doc_target_node": "1",
        "doc_limits_memory": "2048",
        "doc_limits_disk": "5120",
        "doc_limits_cpu": "100",
        "doc_limits_swap": "0",
        "doc_limits_io": "500",
        "doc_runtime_variables": "SERVER_JARFILE=server.jar\nMOTD=a=b",
        "doc_runtime_customer_variables": "MOTD, LEVEL",
    }
    return {name: value for name, value in {**values, **changes}.items() if value is not None}


def post(data: dict[str, Any], client: Client | None = None) -> str:
    """Posts the form and returns the page that follows."""
    made = client or signed_in(superuser=True)
    return str(made.post(ADD, data, follow=True).content.decode())


@pytest.mark.req("CAL-22", "CAL-25")
def test_the_document_is_stored_typed_and_comes_back_the_same() -> None:
    client = signed_in(superuser=True)
    post(typed(), client)
    made = Product.objects.get()
    assert made.document["limits"]["memory"] == 2048
    assert made.document["target"]["node"] == 1
    assert made.document["runtime"]["variables"] == {"SERVER_JARFILE": "server.jar", "MOTD": "a=b"}
    assert made.document["runtime"]["customer_variables"] == ["MOTD", "LEVEL"]
    text = client.get(reverse("admin:provisioning_product_change", args=[made.pk])).content.decode()
    assert "SERVER_JARFILE=server.jar" in text
    assert "MOTD, LEVEL" in text
    assert 'value="2048"' in text
    stored = registry.get("pterodactyl").spec.clean(made.document)
    assert stored == made.document


@pytest.mark.req("CAL-21", "CAL-22")
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"doc_limits_memory": "0"}, "0 or blank would mean unlimited"),
        ({"doc_limits_memory": ""}, "0 or blank would mean unlimited"),
        ({"doc_limits_memory_unlimited": "on"}, "not both"),
        ({"doc_target_node": ""}, "Choose a node, or at least one location"),
        ({"doc_target_locations": "1, 2"}, "not both"),
        ({"doc_target_locations": "one"}, "is not a whole number"),
        ({"doc_runtime_variables": "no equals sign"}, "is no NAME=value"),
        ({"doc_limits_io": "5"}, "Must be at least 10"),
        ({"doc_options_threads": "abc"}, "List CPU numbers"),
    ],
)
def test_what_cannot_be_is_refused_in_words(changes: dict[str, Any], words: str) -> None:
    assert words in post(typed(**changes))
    assert not Product.objects.exists()


def test_unlimited_is_said_by_a_tick() -> None:
    post(typed(doc_limits_memory="", doc_limits_memory_unlimited="on"))
    limits = Product.objects.get().document["limits"]
    assert (limits["memory"], limits["memory_unlimited"]) == (0, True)


def test_what_the_panel_says_stands_at_its_field(monkeypatch: pytest.MonkeyPatch) -> None:
    said = {"target.egg": "This nest has no egg 5.", "elsewhere": "The panel is odd."}
    monkeypatch.setattr(reconcile_panels, "check_product", lambda product: said)
    answer = signed_in(superuser=True).post(ADD, typed())
    errors = answer.context["adminform"].form.errors
    assert errors["doc_target_egg"] == ["This nest has no egg 5."]
    assert errors["__all__"] == ["elsewhere: The panel is odd."]
    assert not Product.objects.exists()


def test_a_silent_panel_warns_and_does_not_block(monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(product: Product) -> dict[str, str]:
        raise Unreachable("fra-1 does not answer.")

    monkeypatch.setattr(reconcile_panels, "check_product", silent)
    text = post(typed())
    assert "saved unchecked: fra-1 does not answer." in text
    assert Product.objects.count() == 1


def test_orders_that_waited_for_the_product_go_on() -> None:
    data = typed()
    waiting = factories.service(desired_state="present", generation=1)
    Service.objects.update(product=None, connection=data["connection"], billing_product_id="fire-elemental")
    assert "1 waiting order goes on now." in post(data, signed_in(superuser=True, username="ada"))
    waiting.refresh_from_db()
    assert waiting.product is not None
    assert waiting.generation == 2
    assert AuditEntry.objects.get(action="product.mapped").actor == "ada"


def test_preview_shows_the_exact_payload_without_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    product = factories.product()
    payload = {"name": "Server-12345", "limits": {"memory": 1024}, "token": "very-secret-value"}
    monkeypatch.setattr(reconcile_panels, "preview_payload", lambda row: payload)
    address = reverse("admin:provisioning_product_preview", args=[product.pk])
    text = signed_in("view_product").get(address).content.decode()
    assert "Server-12345" in text
    assert "very-secret-value" not in text


def test_preview_says_if_the_panel_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(product: Product) -> dict[str, Any]:
        raise Unreachable("fra-1 does not answer.")

    monkeypatch.setattr(reconcile_panels, "preview_payload", silent)
    address = reverse("admin:provisioning_product_preview", args=[factories.product().pk])
    assert "fra-1 does not answer." in signed_in("view_product").get(address).content.decode()


def test_a_copy_is_a_product_of_its_own() -> None:
    product = factories.product()
    address = reverse("admin:provisioning_product_action", args=[product.pk, "copy"])
    client = signed_in("view_product", "add_product", username="ada")
    client.post(address, {"billing_product_id": "ice", "name": "Ice Giant"})
    made = Product.objects.get(billing_product_id="ice")
    assert (made.name, made.document, made.panel) == ("Ice Giant", product.document, product.panel)
    assert AuditEntry.objects.get(action="product.copy").actor == "ada"
    again = client.post(address, {"billing_product_id": "ice", "name": "Twice"})
    assert "is mapped already" in again.content.decode()
    assert Product.objects.count() == 2


def test_a_product_that_was_sold_is_kept() -> None:
    service = running()
    address = reverse("admin:provisioning_product_delete", args=[service.product_id])
    text = signed_in(superuser=True).post(address, {"post": "yes"}, follow=True).content.decode()
    assert "was sold" in text
    assert Product.objects.exists()


@pytest.mark.parametrize("panel", ["abc", "999999", "9" * 40])
def test_a_strange_panel_in_the_address_breaks_nothing(panel: str) -> None:
    factories.panel()
    assert signed_in(superuser=True).get(ADD, {"panel": panel}).status_code == 200
