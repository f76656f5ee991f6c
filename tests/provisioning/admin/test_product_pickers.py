"""What the product form fetches while it is filled in."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from provisioning import queue
from provisioning.admin import product_pickers
from provisioning.choices import SnapshotState
from provisioning.drivers.errors import Unreachable
from provisioning.drivers.lists import EggItem
from provisioning.lib import clock
from provisioning.models import Panel, PanelItem, PanelSnapshot
from tests import factories
from tests.conftest import Jobs
from tests.provisioning.admin.listed import ident, listed, snapshot
from tests.provisioning.admin.staffing import signed_in

pytestmark = [pytest.mark.django_db, pytest.mark.slow]
DRIVERS = ("pterodactyl", "calagopus")


def address(name: str) -> str:
    """One of the form's own addresses."""
    return reverse(f"admin:provisioning_product_{name}")


def text_of(answer: Any, status: int = 200) -> str:
    """The answer's page."""
    assert answer.status_code == status
    return str(answer.content.decode())


def names(answer: Any) -> list[str]:
    """What a picker offers, in its order."""
    return re.findall(r'data-text="([^"]*)"', text_of(answer))


@pytest.fixture
def staff() -> Client:
    """Somebody who may change products."""
    return signed_in("view_product", "change_product")


def asked(staff: Client, panel: Panel, kind: str, **more: Any) -> Any:
    """A search of a list."""
    return staff.get(address("options"), {"panel": panel.pk, "kind": kind, "list": "x", **more})


# --- options --------------------------------------------------------------------------------------------


@pytest.mark.req("CAL-20")
@pytest.mark.parametrize("driver", DRIVERS)
def test_each_word_narrows_a_list(staff: Client, driver: str) -> None:
    panel = listed(factories.panel(driver=driver), nests=12)
    assert len(names(asked(staff, panel, "nest"))) == 12
    assert names(asked(staff, panel, "nest", q="NEST 11")) == ["Nest 11"]
    assert "Nothing in the list fits." in text_of(asked(staff, panel, "nest", q="elsewhere"))


@pytest.mark.req("CAL-20")
def test_eggs_are_those_of_the_nest(staff: Client) -> None:
    panel = listed(factories.panel())
    eggs = names(asked(staff, panel, "egg", doc_target_nest=ident(panel, 2)))
    assert eggs == ["Egg 2-1", "Egg 2-2", "Egg 2-3"]
    assert names(asked(staff, panel, "egg")) == []


def test_fifty_at_most_are_offered_and_it_says_that_there_are_more(staff: Client) -> None:
    panel = listed(factories.panel(), nodes=51)
    answer = asked(staff, panel, "node")
    assert len(names(answer)) == 50
    assert "The first 50 of more" in text_of(answer)
    assert "16 of 32 GiB memory free, 100 of 100 GiB disk free" in text_of(answer)


def test_images_are_the_eggs(staff: Client) -> None:
    panel = listed(factories.panel())
    chosen = {"doc_target_nest": ident(panel, 1), "doc_target_egg": ident(panel, 101)}
    text = text_of(asked(staff, panel, "image", **chosen))
    assert 'data-value="example/java:21"' in text
    assert names(asked(staff, panel, "image", q="JAVA:17", **chosen)) == ["Java 17"]
    assert names(asked(staff, panel, "image")) == []


def test_there_are_the_panels_own_lists_only(staff: Client) -> None:
    panel = listed(factories.panel())
    for kind in ("backup_configuration", "users", ""):
        text_of(asked(staff, panel, kind), 404)


@pytest.mark.parametrize("name", ["options", "document", "parts", "variable", "lists"])
def test_lists_are_for_those_who_may_change_products(name: str) -> None:
    listed(factories.panel())
    client = signed_in("view_product")
    verb = client.get if name == "options" else client.post
    assert verb(address(name), {"kind": "nest"}).status_code == 403


# --- what hangs on a choice -----------------------------------------------------------------------------


def posted(panel: Panel, nest: int = 1, egg: int = 101, **more: Any) -> dict[str, Any]:
    """The form in the browser, with a nest and an egg chosen."""
    chosen = {"doc_target_nest": ident(panel, nest), "doc_target_egg": ident(panel, egg)}
    return {"panel": panel.pk, **chosen, **more}


@pytest.mark.req("CAL-20", "CAL-25", "CAL-30")
@pytest.mark.parametrize("driver", DRIVERS)
def test_an_egg_brings_its_image_startup_and_variables(staff: Client, driver: str) -> None:
    panel = listed(factories.panel(driver=driver))
    text = text_of(staff.post(address("parts"), posted(panel)))
    assert 'placeholder="example/java:21"' in text
    assert 'placeholder="java -jar {{SERVER_JARFILE}}"' in text
    assert "required; at most 20 characters" in text
    assert 'name="doc_runtime_variables:LOGIN_TOKEN"' in text
    assert text.count('hx-swap-oob="true"') == 4


@pytest.mark.req("CAL-20")
def test_another_nest_brings_its_eggs_and_forgets_the_egg(staff: Client) -> None:
    panel = listed(factories.panel())
    text = text_of(staff.post(address("parts"), posted(panel, nest=2, egg=101)))
    assert "Egg 2-1" in text
    assert "Egg 1-1" not in text
    assert "Choose an egg" in text


def test_values_of_variables_are_kept_over_a_change(staff: Client) -> None:
    panel = listed(factories.panel())
    table = {"doc_runtime_variables__table": "1", "doc_runtime_variables:MOTD": "Hello"}
    without = text_of(staff.post(address("parts"), {**posted(panel, nest=2), **table}))
    assert "MOTD=Hello" in without
    again = text_of(staff.post(address("parts"), posted(panel, doc_runtime_variables="motd=Hello")))
    assert 'name="doc_runtime_variables:MOTD" value="Hello"' in again


@pytest.mark.req("CAL-30")
def test_variables_that_a_list_leaves_out_are_asked_for(
    staff: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel = listed(factories.panel(driver="calagopus"), known=False)

    def load(panel: Panel, key: object) -> EggItem | None:
        row = PanelItem.objects.get(panel=panel, kind="egg", key=str(key))
        row.data["variables"] = [{"env": "WORLD", "name": "World", "rules": "required"}]
        row.save()
        return None

    monkeypatch.setattr(product_pickers, "egg_details_load", load)
    assert 'name="doc_runtime_variables:WORLD"' in text_of(staff.post(address("parts"), posted(panel)))


def test_a_silent_panel_leaves_variables_to_be_typed(staff: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    panel = listed(factories.panel(driver="calagopus"), known=False)

    def silent(panel: Panel, key: object) -> None:
        raise Unreachable("fra-1 does not answer.")

    monkeypatch.setattr(product_pickers, "egg_details_load", silent)
    text = text_of(staff.post(address("parts"), posted(panel)))
    assert "could not be read: fra-1 does not answer." in text
    assert '<textarea name="doc_runtime_variables"' in text


@pytest.mark.req("CAL-20", "CAL-28")
def test_another_panel_brings_its_own_fields_and_no_foreign_ids(staff: Client) -> None:
    listed(factories.panel())
    other = listed(factories.panel(driver="calagopus"))
    data = posted(other, doc_target_nest="1", doc_target_node="1", doc_limits_memory="2048")
    answer = staff.post(address("document"), data, headers={"HX-Trigger-Name": "panel"})
    text = text_of(answer)
    assert "doc_options_kvm" in text
    assert "doc_options_threads" not in text
    assert 'name="doc_limits_memory" value="2048"' in text
    assert "not in the panel" not in text


# --- one variable ---------------------------------------------------------------------------------------


@pytest.mark.req("CAL-30")
@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"doc_runtime_variables:SERVER_JARFILE": "x" * 21}, "Must be at most 20 characters."),
        ({"doc_runtime_variables:SERVER_JARFILE": "a.jar"}, ""),
        ({"doc_runtime_variables:SERVER_JARFILE": ""}, ""),
        ({"doc_runtime_variables_blank:SERVER_JARFILE": "on"}, "Must not be blank."),
        (
            {
                "doc_runtime_variables_blank:SERVER_JARFILE": "on",
                "doc_runtime_customer_variables:SERVER_JARFILE": "on",
            },
            "",
        ),
    ],
)
def test_a_value_is_judged_while_it_is_typed(staff: Client, more: dict[str, str], words: str) -> None:
    panel = listed(factories.panel())
    headers = {"HX-Trigger-Name": "doc_runtime_variables:SERVER_JARFILE"}
    text = text_of(staff.post(address("variable"), {**posted(panel), **more}, headers=headers))
    assert re.sub("<[^>]*>", "", text).strip() == words


@pytest.mark.parametrize("name", ["doc_runtime_variables:NONE", "MOTD", ""])
def test_a_variable_that_nobody_knows_says_nothing(staff: Client, name: str) -> None:
    panel = listed(factories.panel())
    answer = staff.post(address("variable"), posted(panel), headers={"HX-Trigger-Name": name})
    assert text_of(answer).strip() == ""


# --- the lists' age -------------------------------------------------------------------------------------


@pytest.mark.req("CAL-20")
@pytest.mark.parametrize(
    ("fields", "words", "button"),
    [
        ({}, "read 12 min ago.", "Refresh"),
        ({"state": SnapshotState.RUNNING, "done_pages": 3, "total_pages": 9}, "3 of 9 pages.", ""),
        (
            {"state": SnapshotState.FAILED, "detail": "No answer."},
            "No answer. The lists of 12 min",
            "Try again",
        ),
        ({"state": SnapshotState.FAILED, "completed_at": None}, "There are no lists yet", "Try again"),
        ({"state": SnapshotState.RUNNING, "completed_at": None}, "Until then ids have to be typed", ""),
    ],
)
def test_the_lists_say_their_age(staff: Client, fields: dict[str, Any], words: str, button: str) -> None:
    panel = factories.panel(name="fra-1")
    row = snapshot(panel, **fields)
    if row.completed_at:
        PanelSnapshot.objects.update(completed_at=clock.now() - dt.timedelta(minutes=12))
    text = " ".join(text_of(staff.get(address("lists"), {"panel": panel.pk})).split())
    assert words in text
    assert (button in text) if button else ("<progress" in text)
    assert ('hx-trigger="every 2s"' in text) is not bool(button)


@pytest.mark.req("CAL-20")
@pytest.mark.parametrize(
    ("minutes", "begins"), [(None, True), (61, True), (59, False)], ids=["never", "old", "fresh"]
)
def test_old_lists_are_read_anew_when_the_form_opens(
    staff: Client, jobs: Jobs, minutes: int | None, begins: bool
) -> None:
    panel = factories.panel()
    if minutes is not None:
        snapshot(panel, completed_at=clock.now() - dt.timedelta(minutes=minutes))
    product = factories.product(panel=panel)
    text = text_of(staff.get(reverse("admin:provisioning_product_change", args=[product.pk])))
    assert ('hx-trigger="load"' in text) is begins
    staff.post(address("lists"), {"panel": panel.pk, "opened": "1"})
    assert [path for path, _ in jobs.sent] == [queue.READ_LISTS] * begins


def test_a_reading_that_is_put_off_is_not_asked_for_again_and_again(staff: Client, jobs: Jobs) -> None:
    panel = factories.panel()
    ended = clock.now() - dt.timedelta(minutes=1)
    snapshot(panel, state=SnapshotState.FAILED, completed_at=None, ended_at=ended, detail="No answer.")
    text = text_of(staff.post(address("lists"), {"panel": panel.pk, "opened": "1"}))
    assert "No answer." in text
    assert 'hx-trigger="load"' not in text
    assert jobs.sent == []


def test_a_press_reads_them_whatever_their_age(staff: Client, jobs: Jobs) -> None:
    panel = listed(factories.panel())
    text = text_of(staff.post(address("lists"), {"panel": panel.pk}))
    assert "Reading the lists" in text
    assert [path for path, _ in jobs.sent] == [queue.READ_LISTS]


def test_a_form_without_lists_hears_that_they_have_come(staff: Client) -> None:
    panel = listed(factories.panel())
    poll: dict[str, Any] = {"panel": panel.pk, "had": "no"}
    assert staff.get(address("lists"), poll)["HX-Trigger"] == product_pickers.READY
    assert "HX-Trigger" not in staff.get(address("lists"), {**poll, "had": "yes"})


# --- size -----------------------------------------------------------------------------------------------


@pytest.mark.req("CAL-20")
@pytest.mark.parametrize("driver", DRIVERS)
def test_a_large_panel_costs_no_more_queries(driver: str) -> None:
    client = signed_in(superuser=True)
    counts = []
    sizes: list[dict[str, Any]] = [{}, {"nests": 20, "eggs": 25, "nodes": 100, "locations": 20}]
    for size in sizes:
        panel = listed(factories.panel(driver=driver), **size)
        product = factories.product(panel=panel, billing_product_id=str(panel.pk), document=placed(panel))
        counts.append([_queries(client, panel, product.pk), _parts(client, panel)])
    assert counts[0] == counts[1]


def placed(panel: Panel) -> dict[str, Any]:
    """A document that chooses from these lists."""
    target = {"nest": ident(panel, 1), "egg": ident(panel, 101), "node": ident(panel, 1)}
    return {**factories.DOCUMENT, "target": target}


def _queries(client: Client, panel: Panel, pk: int) -> int:
    where = reverse("admin:provisioning_product_change", args=[pk])
    text_of(client.get(where))
    with CaptureQueriesContext(connection) as asked_for:
        text_of(client.get(where))
    return len(asked_for)


def _parts(client: Client, panel: Panel) -> int:
    with CaptureQueriesContext(connection) as asked_for:
        text_of(client.post(address("parts"), posted(panel, nest=2)))
    return len(asked_for)
