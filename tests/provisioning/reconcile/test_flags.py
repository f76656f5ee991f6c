"""Products that their panel no longer fits: flagged before the next order meets it, and orders that wait."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from provisioning.choices import LIVE_OUTCOMES, Outcome
from provisioning.lib import clock
from provisioning.models import AuditEntry, Notification, PanelCall, PanelItem, Product
from provisioning.notifications.render import render_mail
from provisioning.reconcile.flags import FLAGGED, product_flag, products_flag
from provisioning.sandbox.calagopus.rows import EggVariable as CalagopusVariable
from provisioning.sandbox.world import EggVariable
from provisioning.selectors import PEOPLE_WAITS
from tests.bridge import Bridge
from tests.provisioning.reconcile.calagopus import CalagopusBridge
from tests.provisioning.reconcile.listing import read
from tests.provisioning.reconcile.test_lists import either

pytestmark = pytest.mark.django_db
__all__ = ["either"]


def flags(bridge: Bridge) -> list[str]:
    """What the product says after another reading."""
    clock.shift(60)
    assert read(bridge).detail == ""
    bridge.product.refresh_from_db()
    found: list[str] = bridge.product.flags
    return found


def add_variable(bridge: Bridge, rules: str, default: str = "") -> Any:
    """The egg's author adds a variable."""
    egg = bridge.panel.state.eggs[bridge.product.document["target"]["egg"]]
    world = bridge.panel.world
    if isinstance(bridge, CalagopusBridge):
        row = CalagopusVariable(*world.stamp(), egg.uuid, "Licence", "LICENCE", rules.split("|"), default)  # type: ignore[call-arg, arg-type]
        world.state.egg_variables[row.uuid] = row  # type: ignore[attr-defined]
    else:
        row = EggVariable(  # type: ignore[assignment]
            *world.stamp("egg_variables"), egg.id, "Licence", "", "LICENCE", default, rules, True, True
        )
        egg.variables.append(row)  # type: ignore[arg-type]
    return row


def remove(bridge: Bridge, table: str, path: str) -> None:
    """What the product names is deleted on the panel."""
    rows = getattr(bridge.panel.state, table)
    del rows[bridge.product.document["target"][path]]


# --- what is flagged ------------------------------------------------------------------------------------


@pytest.mark.req("CAL-20", "CAL-21")
def test_a_product_that_fits_has_no_flags(either: Bridge) -> None:
    assert flags(either) == []
    assert not Notification.objects.exists()
    assert not AuditEntry.objects.filter(action="product.flagged").exists()


@pytest.mark.parametrize(
    ("table", "path", "sentence"),
    [
        ("eggs", "egg", "The egg is gone from the panel."),
        ("nodes", "node", "The node is gone from the panel."),
    ],
)
def test_what_is_gone_is_flagged(either: Bridge, table: str, path: str, sentence: str) -> None:
    remove(either, table, path)
    assert flags(either) == [sentence]


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("target.nest", "The nest is gone from the panel."),
        ("target.locations", "A location is gone from the panel."),
        ("options.backup_configuration", "The backup configuration is gone from the panel."),
    ],
)
@pytest.mark.req("CAL-29")
def test_each_field_that_is_picked_is_looked_up(either: Bridge, path: str, sentence: str) -> None:
    section, _, name = path.partition(".")
    if path == "options.backup_configuration" and either.driver == "pterodactyl":
        return
    document = either.product.document
    unknown = "00000000-0000-4000-8000-000000000000" if either.driver == "calagopus" else 999
    document[section] = {**document[section], name: [unknown] if name == "locations" else unknown}
    Product.objects.filter(pk=either.product.pk).update(document=document)
    assert sentence in flags(either)


@pytest.mark.parametrize(
    ("rules", "default", "flagged"),
    [
        ("required|string", "", True),
        ("required|string", "none", False),
        ("nullable|string", "", False),
        ("required|integer", "many", True),
    ],
)
@pytest.mark.req("CAL-30")
def test_a_new_required_variable_without_a_value_is_flagged(
    either: Bridge, rules: str, default: str, flagged: bool
) -> None:
    read(either)
    add_variable(either, rules, default)
    found = flags(either)
    assert bool(found) is flagged
    assert not flagged or found[0].startswith("LICENCE (Licence) ")


def test_a_value_of_ours_answers_a_new_variable(either: Bridge) -> None:
    add_variable(either, "required|string")
    assert flags(either)
    either.product.document["runtime"] = {"variables": {"licence": "abc"}}
    either.product.save()
    assert not product_flag(product=either.product)
    assert (either.product.flags, either.product.flagged_at) == ([], None)


def test_an_egg_that_moved_to_another_nest_is_flagged(bridge: Bridge) -> None:
    bridge.panel.state.eggs[5].nest_id = 2
    assert flags(bridge) == ["The egg is in another nest now: choose it again."]


# --- what it does ---------------------------------------------------------------------------------------


@pytest.mark.req("CAL-20")
def test_an_order_of_a_flagged_product_waits_before_any_call_and_goes_on_by_itself(either: Bridge) -> None:
    rows: dict[Any, Any] = either.panel.state.eggs
    key = either.product.document["target"]["egg"]
    egg = rows.pop(key)
    assert flags(either)
    calls = PanelCall.objects.count()
    either.say("subscription.created")
    operation = either.operation()
    assert (operation.outcome, operation.reason) == (Outcome.WAITING, FLAGGED)
    assert "The egg is gone" in operation.detail
    assert PanelCall.objects.count() == calls
    assert FLAGGED in PEOPLE_WAITS
    rows[key] = egg
    assert flags(either) == []
    either.settle()
    assert either.operation().outcome == Outcome.SUCCEEDED
    assert len(either.servers()) == 1


@pytest.mark.req("CAL-20", "CAL-21")
def test_an_order_is_judged_by_the_version_that_it_was_sold(either: Bridge) -> None:
    """The product corrected without its services following: the order would still be sent as it was."""
    rows: dict[Any, Any] = either.panel.state.eggs
    key = either.product.document["target"]["egg"]
    egg = rows.pop(key)
    assert flags(either)
    either.say("subscription.created")
    either.product.document["target"]["egg"] = next(
        key for key, row in rows.items() if nest_of(row) == nest_of(egg)
    )
    either.product.save()
    calls = PanelCall.objects.count()
    assert not product_flag(product=either.product)
    either.settle(rounds=1)
    operation = either.operation()
    assert (operation.outcome, operation.reason) == (Outcome.WAITING, FLAGGED)
    assert "The egg is gone" in operation.detail
    assert PanelCall.objects.count() == calls
    rows[key] = egg
    assert flags(either) == []
    either.settle(rounds=4)
    assert either.operation().outcome == Outcome.SUCCEEDED
    assert len(either.servers()) == 1


@pytest.mark.slow
def test_flags_of_a_newer_version_hold_up_no_order_of_the_former(either: Bridge) -> None:
    read(either)
    either.panel.faults.add("error", method="GET", path="/servers/external/")
    either.say("subscription.created")
    assert either.operation().outcome in LIVE_OUTCOMES
    rows: dict[Any, Any] = either.panel.state.nodes
    node = next(key for key in rows if key != either.product.document["target"]["node"])
    either.product.document["target"]["node"] = node
    either.product.save()
    del rows[node]
    assert flags(either) == ["The node is gone from the panel."]
    either.settle(rounds=6)
    assert either.operation().outcome == Outcome.SUCCEEDED
    assert len(either.servers()) == 1


def nest_of(egg: Any) -> Any:
    """The nest of an egg on either panel."""
    return egg.nest if hasattr(egg, "nest") else egg.nest_id


def test_a_server_that_runs_is_not_touched_by_flags(either: Bridge) -> None:
    either.buy()
    Product.objects.update(flags=["The egg is gone from the panel."], flagged_at=clock.now())
    either.say("subscription.updated", status="suspended")
    either.settle()
    assert either.operation().outcome == Outcome.SUCCEEDED


def test_staff_are_told_once_for_each_new_finding(bridge: Bridge) -> None:
    said: Callable[[], int] = Notification.objects.filter(template=FLAGGED).count
    add_variable(bridge, "required|string")
    flags(bridge)
    since = bridge.product.flagged_at
    # Two products are made of this egg.
    assert said() == 2
    flags(bridge)
    assert (said(), bridge.product.flagged_at) == (2, since)
    bridge.panel.state.nodes.pop(1)
    assert len(flags(bridge)) == 2
    assert (said(), bridge.product.flagged_at) == (4, since)
    row = Notification.objects.filter(template=FLAGGED).order_by("pk")[0]
    mail = render_mail(row.template, row.context)
    assert "fire-elemental" in mail.subject
    assert "LICENCE (Licence)" in mail.text
    assert f"/admin/provisioning/product/{bridge.product.pk}/" in mail.text
    words = list(AuditEntry.objects.filter(action="product.flagged").values_list("message", flat=True))
    assert len(words) == 4


def test_all_products_of_a_panel_are_judged(bridge: Bridge) -> None:
    read(bridge)
    PanelItem.objects.filter(kind="egg", key="5").delete()
    assert products_flag(panel=bridge.row) == 2
    assert Product.objects.filter(flagged_at__isnull=False).count() == 2
