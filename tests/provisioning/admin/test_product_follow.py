"""A sold product is changed: nothing is saved before staff chose; what they see; how a follow is shown."""

from __future__ import annotations

from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from provisioning.choices import FollowItemState, FollowState, Outcome
from provisioning.lifecycle.product_versions import product_follow_start, product_version_store
from provisioning.models import AuditEntry, PanelCall, Product, ProductFollow, ProductFollowItem, Service
from provisioning.reconcile import panels as reconcile_panels
from tests import factories
from tests.provisioning.admin.staffing import running, signed_in
from tests.provisioning.admin.test_products import typed

pytestmark = [pytest.mark.django_db, pytest.mark.slow]
EXTRA = {"node": 1, "egg": 5, "nest": 1, "allocation": 1, "environment": {}, "image": "", "startup": ""}


@pytest.fixture(autouse=True)
def _silent_panel(monkeypatch: pytest.MonkeyPatch) -> None:
    """The panel finds nothing wrong, unless a test says otherwise."""
    monkeypatch.setattr(reconcile_panels, "check_product", lambda product: {})


def made(client: Client, **changes: Any) -> tuple[Product, dict[str, Any]]:
    """A product saved through its form, and what the form posted."""
    data = typed(**changes)
    client.post(reverse("admin:provisioning_product_add"), data)
    return Product.objects.get(billing_product_id="fire-elemental"), data


def sold(product: Product, **fields: Any) -> Service:
    """A running service of that product, seen with its limits."""
    limits = {"memory": 2048, "swap": 0, "disk": 5120, "cpu": 100, "io": 500}
    number = Service.objects.count() + 1
    seen = {
        "server_id": str(number),
        "uuid": "",
        "identifier": "a1",
        "mark": "",
        "owner": "7",
        "name": "",
        "state": "active",
        "limits": {**limits, "databases": 0, "allocations": 0, "backups": 0},
        "extra": EXTRA,
    }
    version = product_version_store(product=product)
    defaults = {"observed": seen, "server_id": str(number), "product_version": version}
    return running(product=product, **{**defaults, **fields})


def change_url(product: Product) -> str:
    return reverse("admin:provisioning_product_change", args=[product.pk])


def text_of(answer: Any) -> str:
    return unescape(answer.content.decode())


def hidden(answer: Any) -> dict[str, Any]:
    """What the page that asks posts back, without a choice."""
    return {**dict(answer.context["kept"]), "follow_seen": answer.context["checksum"]}


def ask(client: Client, product: Product, data: dict[str, Any], **changes: Any) -> Any:
    """Posts the form; the page that asks."""
    answer = client.post(change_url(product), {**data, **changes, "_save": "Save"})
    assert answer.status_code == 200
    return answer


def test_a_change_is_shown_with_its_plan_and_nothing_is_saved() -> None:
    client = signed_in(superuser=True)
    product, data = made(client)
    sold(product)
    sold(product)
    factories.service(product=product, panel=None, desired_state="present")
    text = text_of(ask(client, product, data, doc_limits_memory="4096", doc_limits_disk="2048"))
    for words in (
        "Nothing is saved yet. 3 services were sold before",
        "Memory: 2048 MiB → 4096 MiB",
        "Disk: 5120 MiB → 2048 MiB",
        "2 services: new limits.",
        "1 service: no server yet",
        "2 servers get less disk than now. Nothing is deleted",
        "About 4 panel calls",
        "memory 2048 → 4096 MiB, disk 5120 → 2048 MiB",
        "Save for new orders only",
        "Save, and 3 services follow",
    ):
        assert words in text, words
    product.refresh_from_db()
    assert product.document["limits"]["memory"] == 2048
    assert product.versions.count() == 1
    assert not ProductFollow.objects.exists()
    assert not PanelCall.objects.exists()


def test_for_new_orders_only(client: Client) -> None:
    client = signed_in(superuser=True, username="ada")
    product, data = made(client)
    service = sold(product)
    asked = hidden(ask(client, product, data, doc_limits_memory="4096"))
    answer = client.post(
        change_url(product), {**asked, "follow_choice": "none", "follow_note": "New prices"}, follow=True
    )
    assert "for new orders only: what was sold stays as it was" in text_of(answer)
    product.refresh_from_db()
    service.refresh_from_db()
    newest = product.versions.latest("number")
    assert (newest.number, newest.created_by, newest.note) == (2, "ada", "New prices")
    assert (product.document["limits"]["memory"], service.generation) == (4096, 1)
    assert service.product_version is not None
    assert service.product_version.document["limits"]["memory"] == 2048
    entry = AuditEntry.objects.get(action="product.version")
    assert (entry.actor, entry.message) == (
        "ada",
        "“Fire Elemental”: version 2 is what new orders get. New prices",
    )
    assert not ProductFollow.objects.exists()


def test_all_follow_and_the_page_shows_how_it_goes() -> None:
    client = signed_in(superuser=True, username="ada")
    product, data = made(client)
    service = sold(product)
    asked = hidden(ask(client, product, data, doc_limits_memory="4096"))
    answer = client.post(change_url(product), {**asked, "follow_choice": "all"})
    follow = ProductFollow.objects.get()
    assert answer.headers["Location"] == reverse(
        "admin:provisioning_product_follow", args=[product.pk, follow.pk]
    )
    assert (follow.created_by, follow.items.get().service) == ("ada", service)
    text = text_of(client.get(answer.headers["Location"]))
    assert "0 of 1 service has version 2" in text
    assert "every 2s" in text


@pytest.mark.parametrize("rights", [(), ("act_follow",)])
def test_following_needs_its_own_right(rights: tuple[str, ...]) -> None:
    product, data = made(signed_in(superuser=True))
    sold(product)
    client = signed_in("view_product", "change_product", *rights)
    answer = ask(client, product, data, doc_limits_memory="4096")
    assert ("1 service follows" in text_of(answer)) == bool(rights)
    posted = client.post(change_url(product), {**hidden(answer), "follow_choice": "all"})
    assert posted.status_code == (302 if rights else 403)
    assert ProductFollow.objects.exists() == bool(rights)
    product.refresh_from_db()
    assert product.document["limits"]["memory"] == (4096 if rights else 2048)


def test_back_to_the_form_keeps_what_was_typed() -> None:
    client = signed_in(superuser=True)
    product, data = made(client)
    sold(product)
    asked = hidden(ask(client, product, data, doc_limits_memory="4096"))
    answer = client.post(change_url(product), {**asked, "follow_choice": "edit"})
    text = text_of(answer)
    assert "Nothing is saved yet" in text
    assert 'value="4096"' in text
    product.refresh_from_db()
    assert product.document["limits"]["memory"] == 2048


def test_what_changed_meanwhile_is_asked_again() -> None:
    client = signed_in(superuser=True)
    product, data = made(client)
    sold(product)
    asked = hidden(ask(client, product, data, doc_limits_memory="4096"))
    product.document["limits"]["disk"] = 1
    product.save()
    answer = client.post(change_url(product), {**asked, "follow_choice": "all"})
    assert "changed meanwhile. Look again" in text_of(answer)
    assert "Disk: 1 MiB → 5120 MiB" in text_of(answer)
    assert not ProductFollow.objects.exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": "Fire Elemental 2"}, "changed successfully"),
        ({"doc_limits_memory": "0"}, "would mean unlimited"),
    ],
)
def test_nothing_is_asked_without_a_change_that_reaches_a_panel(changes: dict[str, str], words: str) -> None:
    client = signed_in(superuser=True)
    product, data = made(client)
    sold(product)
    answer = client.post(change_url(product), {**data, **changes}, follow=True)
    assert words in text_of(answer)
    assert product.versions.count() == 1


def test_nothing_is_asked_where_nothing_was_sold() -> None:
    client = signed_in(superuser=True)
    product, data = made(client)
    sold(product, terminated_at="2026-01-01T00:00:00Z", desired_state="absent")
    assert client.post(change_url(product), {**data, "doc_limits_memory": "4096"}).status_code == 302
    assert product.versions.count() == 2


def test_the_panel_is_asked_once_for_each_post(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def check(row: Product) -> dict[str, str]:
        asked.append(row.name)
        return {}

    monkeypatch.setattr(reconcile_panels, "check_product", check)
    client = signed_in(superuser=True)
    product, data = made(client)
    sold(product)
    asked.clear()
    posted = hidden(ask(client, product, data, doc_limits_memory="4096"))
    assert len(asked) == 1
    client.post(change_url(product), {**posted, "follow_choice": "none"})
    assert len(asked) == 2


def test_another_panel_moves_no_server() -> None:
    client = signed_in(superuser=True)
    product, data = made(client)
    sold(product)
    other = factories.panel(name="fra-2")
    text = text_of(ask(client, product, data, panel=other.pk))
    assert f"Panel: {product.panel} → fra-2" in text
    assert "1 service stays as it is: Its server is on panel" in text
    assert "service follows<" not in text


def test_orders_that_wait_for_the_change_are_named() -> None:
    client = signed_in(superuser=True)
    product, data = made(client)
    waiting = factories.service(product=product, panel=None, desired_state="present", generation=1)
    factories.operation(service=waiting, outcome=Outcome.WAITING, reason="no_capacity")
    text = text_of(ask(client, product, data, doc_target_node="2"))
    assert "1 order waits for a change of the product" in text
    assert "it goes on only if it follows" in text


# --- the product's page, and a follow's --------------------------------------------------------------------


def test_versions_stand_on_the_product_with_their_services(
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    client = signed_in(superuser=True, username="ada")
    product, data = made(client)
    for _ in range(3):
        sold(product)
    for memory in ("4096", "8192"):
        asked = hidden(ask(client, product, data, doc_limits_memory=memory))
        client.post(change_url(product), {**asked, "follow_choice": "none", "follow_note": f"to {memory}"})
    with django_assert_max_num_queries(45):
        answer = client.get(change_url(product))
    rows = answer.context["versions"]
    assert [(row.version.number, row.services, row.lines) for row in rows] == [
        (3, 0, ["Memory: 4096 MiB → 8192 MiB"]),
        (2, 0, ["Memory: 2048 MiB → 4096 MiB"]),
        (1, 3, []),
    ]
    assert "Have 3 services follow" in text_of(answer)
    assert "to 8192" in text_of(answer)


def test_services_can_follow_later() -> None:
    client = signed_in("view_product", "act_follow", username="ada")
    product, _ = made(signed_in(superuser=True))
    service = sold(product)
    product.document["limits"]["memory"] = 4096
    product.save()
    product_version_store(product=product)
    address = reverse("admin:provisioning_product_follow_new", args=[product.pk])
    text = text_of(client.get(address))
    assert "1 service: new limits." in text
    assert "Save" not in text.split("<h2>")[1]
    client.post(address)
    follow = ProductFollow.objects.get()
    assert (follow.version.number, follow.items.get().service, follow.created_by) == (2, service, "ada")


def follow_of(number: int) -> ProductFollow:
    """A follow of so many services, none begun."""
    product = factories.product()
    for _ in range(number):
        sold(product)
    product.document = {**product.document, "limits": {**product.document["limits"], "memory": 4096}}
    product.save()
    return product_follow_start(version=product_version_store(product=product))


def follow_url(follow: ProductFollow) -> str:
    return reverse("admin:provisioning_product_follow", args=[follow.version.product_id, follow.pk])


def test_stop_needs_the_right_and_leaves_the_rest() -> None:
    follow = follow_of(3)
    assert signed_in("view_product").post(follow_url(follow)).status_code == 403
    client = signed_in("view_product", "act_follow", username="ada")
    assert ">Stop<" in text_of(client.get(follow_url(follow)))
    text = text_of(client.post(follow_url(follow), follow=True))
    assert "Stopped. 3 services stay as they were sold." in text
    assert "3: Stopped before it was begun." in text
    assert ">Stop<" not in text
    assert "every 2s" not in text
    follow.refresh_from_db()
    assert follow.state == FollowState.STOPPED
    assert AuditEntry.objects.get(action="product.follow_stop").actor == "ada"


def test_failed_ones_are_listed_with_their_words() -> None:
    follow = follow_of(2)
    item = follow.items.order_by("pk")[0]
    Service.objects.filter(pk=item.service_id).update(generation=2)
    ProductFollowItem.objects.filter(pk=item.pk).update(state=FollowItemState.BEGUN, generation=2)
    factories.operation(
        service=item.service, generation=2, outcome=Outcome.NEEDS_STAFF, detail="The node is full of wasps."
    )
    text = text_of(signed_in(superuser=True).get(follow_url(follow)))
    assert "full of wasps" in text
    assert "<dt>Failed</dt><dd>1</dd>" in text
    assert "<dt>Waiting</dt><dd>1</dd>" in text


@pytest.mark.parametrize("number", ["abc", "999999", "9" * 40])
def test_a_strange_follow_is_not_there(number: str) -> None:
    product = factories.product()
    address = reverse("admin:provisioning_product_follow", args=[product.pk, number])
    assert signed_in(superuser=True).get(address).status_code == 404


def test_secrets_in_variables_are_not_shown_in_lines() -> None:
    client = signed_in(superuser=True)
    product, data = made(client, doc_runtime_variables="RCON_PASSWORD=old-very-secret")
    sold(product)
    answer = ask(client, product, data, doc_runtime_variables="RCON_PASSWORD=new-very-secret")
    assert answer.context["lines"] == ["Egg variables, RCON_PASSWORD: [hidden] → [hidden]"]


def test_one_service_follows_from_its_own_page() -> None:
    product, _ = made(signed_in(superuser=True))
    service = sold(product)
    client = signed_in("view_service", "act_limits", username="ada")
    page = reverse("admin:provisioning_service_change", args=[service.pk])
    address = reverse("admin:provisioning_service_action", args=[service.pk, "follow"])
    assert "version 1" in text_of(client.get(page))
    assert address not in text_of(client.get(page))
    product.document["limits"]["memory"] = 4096
    product.save()
    assert address in text_of(client.get(page))
    assert "Memory: 2048 MiB → 4096 MiB." in text_of(client.get(address))
    assert "follows its product to version 2" in text_of(client.post(address, follow=True))
    service.refresh_from_db()
    assert (service.product_version and service.product_version.number, service.generation) == (2, 2)
    assert AuditEntry.objects.get(action="product.followed").actor == "ada"
    assert "has version 2 already" in text_of(client.post(address))
    Service.objects.update(terminated_at="2026-01-01T00:00:00Z")
    assert "nothing left to change" in text_of(client.post(address))
