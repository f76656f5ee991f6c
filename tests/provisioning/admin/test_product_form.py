"""The product form once a panel's lists are known: what is shown, what is stored, what is refused where."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from provisioning.admin.product_capacity import _words
from provisioning.admin.product_lists import PanelLists
from provisioning.admin.product_variables import GONE, VariableRow, variable_rows
from provisioning.lists import NodeCapacity
from provisioning.models import Panel, Product
from provisioning.reconcile import panels as reconcile_panels
from tests import factories
from tests.provisioning.admin.listed import JAR, MOTD, TOKEN, VARIABLES, ident, listed
from tests.provisioning.admin.staffing import signed_in

ADD = "/admin/provisioning/product/add/"
TABLE = {
    "doc_runtime_variables__table": "1",
    "doc_runtime_variables:SERVER_JARFILE": "",
    "doc_runtime_variables:MOTD": "Hello",
    "doc_runtime_variables:LOGIN_TOKEN": "abc",
}


@pytest.fixture(autouse=True)
def _content_panel(monkeypatch: pytest.MonkeyPatch) -> None:
    """The panel finds nothing wrong."""
    monkeypatch.setattr(reconcile_panels, "check_product", lambda product: {})


@pytest.fixture
def staff() -> Client:
    """Somebody who may do everything."""
    return signed_in(superuser=True)


def typed(panel: Panel, **changes: Any) -> dict[str, Any]:
    """The form as a browser with scripts posts it."""
    values: dict[str, Any] = {
        "connection": factories.connection().pk,
        "billing_product_id": "fire-elemental",
        "name": "Fire Elemental",
        "kind": "recurring",
        "grace_policy": factories.policy().pk,
        "name_prefix": "Server-",
        "panel": panel.pk,
        "doc_target_place": "node",
        "doc_target_nest": ident(panel, 1),
        "doc_target_egg": ident(panel, 101),
        "doc_target_node": ident(panel, 2),
        "doc_limits_memory": "2048",
        "doc_limits_disk": "5120",
        "doc_limits_cpu": "100",
        **TABLE,
    }
    return {name: value for name, value in {**values, **changes}.items() if value is not None}


def stored(staff: Client, data: dict[str, Any]) -> dict[str, Any]:
    """Saves, and returns the document."""
    answer = staff.post(ADD, data)
    assert answer.status_code == 302, answer.context["adminform"].form.errors
    document: dict[str, Any] = Product.objects.get().document
    return document


def errors(staff: Client, data: dict[str, Any]) -> dict[str, list[str]]:
    """What is refused, by field."""
    answer = staff.post(ADD, data)
    assert answer.status_code == 200
    assert not Product.objects.exists()
    return dict(answer.context["adminform"].form.errors)


def page(staff: Client, product: Product) -> str:
    """The form of a stored product."""
    where = reverse("admin:provisioning_product_change", args=[product.pk])
    return " ".join(staff.get(where).content.decode().split())


# --- what is stored -------------------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.req("CAL-20", "CAL-30")
@pytest.mark.parametrize("driver", ["pterodactyl", "calagopus"])
def test_what_was_picked_and_the_table_are_stored(staff: Client, driver: str) -> None:
    panel = listed(factories.panel(driver=driver))
    document = stored(staff, typed(panel, **{"doc_runtime_customer_variables:MOTD": "on"}))
    kind = int if driver == "pterodactyl" else str
    assert document["target"]["egg"] == kind(ident(panel, 101))
    assert document["target"]["node"] == kind(ident(panel, 2))
    assert document["runtime"]["variables"] == {"MOTD": "Hello", "LOGIN_TOKEN": "abc"}
    assert document["runtime"]["customer_variables"] == ["MOTD"]


@pytest.mark.django_db
@pytest.mark.req("CAL-30")
def test_a_blank_value_is_sent_only_if_that_was_said(staff: Client) -> None:
    panel = listed(factories.panel())
    data = {"doc_runtime_variables:MOTD": "", "doc_runtime_variables_blank:MOTD": "on"}
    assert stored(staff, typed(panel, **data))["runtime"]["variables"] == {"MOTD": "", "LOGIN_TOKEN": "abc"}
    assert re.search(
        r'name="doc_runtime_variables_blank:MOTD"[^>]* checked', page(staff, Product.objects.get())
    )


@pytest.mark.django_db
@pytest.mark.req("CAL-21")
@pytest.mark.parametrize("driver", ["pterodactyl", "calagopus"])
def test_what_belongs_to_the_other_place_is_left_out(staff: Client, driver: str) -> None:
    panel = listed(factories.panel(driver=driver))
    both = {"doc_target_locations": [ident(panel, 1), ident(panel, 2)], "doc_target_dedicated_ip": "on"}
    on_node = stored(staff, typed(panel, **both))["target"]
    assert (on_node["locations"], on_node["dedicated_ip"], bool(on_node["node"])) == ([], False, True)
    Product.objects.all().delete()
    auto = stored(staff, typed(panel, **both, doc_target_place="auto"))["target"]
    assert (len(auto["locations"]), auto["dedicated_ip"], bool(auto["node"])) == (2, True, False)


@pytest.mark.django_db
@pytest.mark.req("CAL-21")
def test_a_missing_place_is_said_at_the_field_that_is_shown(staff: Client) -> None:
    panel = listed(factories.panel())
    said = errors(staff, typed(panel, doc_target_place="auto"))
    assert list(said) == ["doc_target_locations"]
    assert list(errors(staff, typed(panel, doc_target_node=""))) == ["doc_target_node"]


@pytest.mark.django_db
@pytest.mark.req("CAL-30")
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"doc_runtime_variables:SERVER_JARFILE": "x" * 21},
            "SERVER_JARFILE: Must be at most 20 characters.",
        ),
        ({"doc_runtime_variables:LOGIN_TOKEN": ""}, "LOGIN_TOKEN: Must not be blank."),
        ({"doc_runtime_variables:OLD": "1"}, f"OLD: {GONE}"),
    ],
)
def test_a_wrong_value_is_refused_and_shown_in_its_row(
    staff: Client, changes: dict[str, str], words: str
) -> None:
    panel = listed(factories.panel())
    assert errors(staff, typed(panel, **changes))["doc_runtime_variables"] == [words]
    text = staff.post(ADD, typed(panel, **changes)).content.decode()
    assert f'<span class="bb-error">{words.partition(": ")[2]}</span>' in text


@pytest.mark.django_db
def test_what_customers_choose_may_be_blank(staff: Client) -> None:
    panel = listed(factories.panel())
    changes = {"doc_runtime_variables:LOGIN_TOKEN": "", "doc_runtime_customer_variables:LOGIN_TOKEN": "on"}
    assert stored(staff, typed(panel, **changes))["runtime"]["customer_variables"] == ["LOGIN_TOKEN"]


@pytest.mark.django_db
def test_saving_without_scripts_works(staff: Client) -> None:
    panel = listed(factories.panel())
    lines = {"doc_runtime_variables": "LOGIN_TOKEN=abc", "doc_runtime_customer_variables": "MOTD"}
    plain = typed(panel, **dict.fromkeys(TABLE), doc_target_place=None, **lines)
    assert stored(staff, plain)["runtime"]["variables"] == {"LOGIN_TOKEN": "abc"}


@pytest.mark.django_db
@pytest.mark.parametrize("driver", ["pterodactyl", "calagopus"])
def test_a_save_that_changes_nothing_says_so(staff: Client, driver: str) -> None:
    panel = listed(factories.panel(driver=driver))
    auto = {"doc_target_place": "auto", "doc_target_locations": [ident(panel, 2)], "doc_target_node": None}
    data = typed(panel, **auto)
    stored(staff, data)
    where = reverse("admin:provisioning_product_change", args=[Product.objects.get().pk])
    form = staff.get(where).context["adminform"].form
    again = {name: form[name].value() for name in form.fields}
    kept = {name: value for name, value in again.items() if value is not None and value is not False}
    judged = type(form)({**kept, **data}, instance=Product.objects.get())
    assert judged.is_valid(), judged.errors
    assert [name for name in judged.changed_data if name.startswith("doc_")] == []


# --- what is shown --------------------------------------------------------------------------------------


def document(panel: Panel, **sections: Any) -> dict[str, Any]:
    """A stored document that chooses from the lists."""
    target = {"nest": ident(panel, 1), "egg": ident(panel, 101), "node": ident(panel, 1)}
    return {**factories.DOCUMENT, "target": target, **sections}


@pytest.mark.django_db
@pytest.mark.req("CAL-20")
def test_a_stored_product_shows_names_and_keeps_what_is_gone(staff: Client) -> None:
    panel = listed(factories.panel())
    target = {"nest": 1, "egg": 101, "node": 77}
    text = page(staff, factories.product(panel=panel, document=document(panel, target=target)))
    assert '<option value="1" selected>Nest 1</option>' in text
    assert '<option value="101" selected>Egg 1-1</option>' in text
    assert "77 (not in the panel&#x27;s lists)" in text
    assert "Egg 2-1" not in text


@pytest.mark.django_db
@pytest.mark.req("CAL-21", "CAL-22", "CAL-28")
@pytest.mark.parametrize(
    ("driver", "there", "absent"),
    [
        (
            "pterodactyl",
            ("doc_options_threads", "doc_target_port_range"),
            ("kvm", "schedules", "feature_limits"),
        ),
        (
            "calagopus",
            ("doc_options_kvm", "doc_limits_schedules", "doc_target_ports"),
            ("threads", "oom_killer"),
        ),
    ],
)
def test_a_form_has_its_panels_own_fields(
    staff: Client, driver: str, there: tuple[str, ...], absent: tuple[str, ...]
) -> None:
    panel = listed(factories.panel(driver=driver))
    text = page(staff, factories.product(panel=panel, document=document(panel)))
    assert [name for name in there if f'name="{name}"' not in text] == []
    assert [name for name in absent if f"_{name}" in text] == []


@pytest.mark.django_db
@pytest.mark.req("CAL-22")
def test_fields_say_their_unit_their_default_and_whether_they_are_needed(staff: Client) -> None:
    listed(factories.panel())
    text = " ".join(staff.get(ADD).content.decode().split())
    for label in ("Nest", "Egg", r"Memory \(MiB\)", r"Disk \(MiB\)", r"CPU \(%\)"):
        assert re.search(rf'>{label}<span class="bb-star"', text), label
    assert not re.search(r'>Node<span class="bb-star"', text)
    assert re.search(r'name="doc_limits_io"[^>]*placeholder="500"', text)
    assert re.search(r'name="doc_limits_memory"[^>]* required', text)
    assert re.search(r'name="doc_options_threads"[^>]*placeholder="none"', text)
    assert 'id="id_doc_limits_io_helptext"' in text
    assert re.search(r'name="doc_target_place" value="node"[^>]* checked', text)


@pytest.mark.django_db
def test_without_lists_ids_are_typed(staff: Client) -> None:
    panel = factories.panel(name="fra-1")
    text = page(staff, factories.product(panel=panel))
    assert re.search(r'<input type="number" name="doc_target_nest" value="1"', text)
    assert "The lists of “fra-1” were never read" in text
    assert '<textarea name="doc_runtime_variables"' in text


@pytest.mark.django_db
@pytest.mark.req("CAL-30")
def test_an_egg_whose_variables_are_unread_has_them_asked_for(staff: Client) -> None:
    panel = listed(factories.panel(), known=False)
    text = page(staff, factories.product(panel=panel, document=document(panel)))
    assert "are being read" in text
    assert re.search(r'id="product-variables"[^>]*hx-trigger="load"', text)


@pytest.mark.django_db
def test_who_may_only_look_sees_the_facts() -> None:
    panel = listed(factories.panel())
    text = page(signed_in("view_product"), factories.product(panel=panel, document=document(panel)))
    assert "<dt>Memory</dt><dd>1024 MiB</dd>" in text
    assert "<select" not in text.partition('id="product-document"')[2].partition("</section>")[0]
    assert "Refresh" not in text


@pytest.mark.django_db
@pytest.mark.req("CAL-20")
def test_the_page_says_where_a_product_fits(staff: Client) -> None:
    panel = listed(factories.panel(), nodes=3, locations=1)
    target = {"nest": 1, "egg": 101, "locations": [1]}
    text = page(staff, factories.product(panel=panel, document=document(panel, target=target)))
    assert "Fits 15 more times: node-1 5, node-2 5, node-3 5." in text
    assert "16 GiB" in text


@pytest.mark.django_db
@pytest.mark.req("CAL-41")
def test_a_panel_is_given_a_place_to_sign_in_by_name(staff: Client) -> None:
    row = listed(factories.panel(driver="calagopus"))
    where = reverse("admin:provisioning_panel_change", args=[row.pk])
    assert f'<option value="{ident(row, 1)}">Billing</option>' in " ".join(
        staff.get(where).content.decode().split()
    )
    other = factories.panel()
    where = reverse("admin:provisioning_panel_change", args=[other.pk])
    assert "identity_provider" not in staff.get(where).content.decode()


# --- pure parts -----------------------------------------------------------------------------------------


def by_env(rows: list[VariableRow]) -> dict[str, VariableRow]:
    """The table's rows by variable."""
    return {row.env: row for row in rows}


@pytest.mark.req("CAL-30")
def test_rows_match_names_without_regard_to_case() -> None:
    rows = by_env(variable_rows(VARIABLES, {"server_jarfile": "a.jar"}, ["motd"], judged=False))
    assert list(rows) == [JAR.env, MOTD.env, TOKEN.env]
    assert (rows["SERVER_JARFILE"].value, rows["MOTD"].asked, rows["MOTD"].value) == ("a.jar", True, "")


@pytest.mark.req("CAL-30")
def test_rows_are_judged_where_there_is_something_to_judge() -> None:
    plain = by_env(variable_rows(VARIABLES, {"MOTD": "x" * 21}, [], judged=False))
    assert (plain["MOTD"].problem, plain["LOGIN_TOKEN"].problem) == ("Must be at most 20 characters.", "")
    assert (
        by_env(variable_rows(VARIABLES, {}, [], judged=True))["LOGIN_TOKEN"].problem == "Must not be blank."
    )
    assert by_env(variable_rows(VARIABLES, {}, ["LOGIN_TOKEN"], judged=True))["LOGIN_TOKEN"].problem == ""


@pytest.mark.req("CAL-30")
def test_true_for_a_boolean_is_left_to_a_panel_that_may_take_it() -> None:
    online = dataclasses.replace(MOTD, env="ONLINE", rules="required|boolean")
    for words, problem in ((True, ""), (False, "Must be 1 or 0.")):
        (row,) = variable_rows([online], {"online": "true"}, [], judged=True, boolean_words=words)
        assert row.problem == problem
    assert [PanelLists(Panel(driver=name)).boolean_words for name in ("calagopus", "pterodactyl")] == [
        True,
        False,
    ]


def test_only_a_default_can_be_replaced_by_nothing() -> None:
    rows = by_env(variable_rows(VARIABLES, {"MOTD": ""}, [], judged=False))
    assert [row.may_be_blank for row in rows.values()] == [False, True, False]
    assert rows["MOTD"].blank


def test_what_the_egg_does_not_have_stands_below() -> None:
    rows = variable_rows([MOTD], {"old": "1"}, ["GONE"], judged=False)
    assert [(row.env, row.value, row.known, row.problem) for row in rows[1:]] == [
        ("GONE", "", False, GONE),
        ("OLD", "1", False, GONE),
    ]


def room(name: str, times: int | None) -> NodeCapacity:
    """A node with room for so many."""
    return NodeCapacity(name, name, "eu-1", times, "", None, None, None)


@pytest.mark.parametrize(
    ("nodes", "words"),
    [
        ([room("a", 0)], "Fits nowhere now."),
        ([room("a", 1), room("b", 0)], "Fits 1 more time: a 1."),
        ([room(name, 2) for name in "abcd"], "Fits 8 more times: a 2, b 2, c 2 and 1 more node."),
        ([room(name, 2) for name in "abcde"], "Fits 10 more times: a 2, b 2, c 2 and 2 more nodes."),
        ([room("a", None), room("b", 3)], "Fits: nothing that the panel says bounds it."),
    ],
)
def test_room_in_words(nodes: list[NodeCapacity], words: str) -> None:
    assert _words(nodes) == words
