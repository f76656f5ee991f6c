"""Desired limits and variables come from our own rows; a payload only chooses among what we list."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from provisioning import desired
from provisioning.choices import Resource
from provisioning.drivers.types import Wanted
from provisioning.exceptions import PanelWaiting
from provisioning.lib import clock
from provisioning.models import Entitlement, PanelAccount, Pin, Product, Service
from tests import factories

BASE = {"memory": 1024, "swap": 0, "disk": 5120, "cpu": 100, "backups": 0}


@pytest.mark.req("CAL-22", "CAL-23")
@pytest.mark.parametrize(
    ("base", "grants", "pins", "expected"),
    [
        ({}, [], {}, {}),
        ({}, [("memory", 1024), ("memory", 512)], {}, {"memory": 2560}),
        ({}, [("backups", 2)], {}, {"backups": 2}),
        ({}, [("memory", -9999)], {}, {"memory": 0}),
        ({"memory": 0}, [("memory", 1024)], {}, {}),
        ({"swap": -1}, [("swap", 512)], {}, {}),
        ({"swap": 0}, [("swap", 512)], {}, {"swap": 512}),
        ({"databases": 0}, [("databases", 1)], {}, {"databases": 1}),
        ({}, [("databases", 1)], {"io": 10}, {}),
        ({}, [("memory", 1024)], {"memory": 512}, {"memory": 512}),
        ({}, [], {"disk": 0}, {"disk": 0}),
    ],
)
def test_limits_are_base_plus_grants_and_a_pin_wins(
    base: dict[str, int], grants: list[tuple[str, int]], pins: dict[str, int], expected: dict[str, int]
) -> None:
    start = {**BASE, **base}
    assert desired.limits_total(start, grants, pins) == {**start, **expected}


def made(document: dict[str, Any] | None = None, **fields: Any) -> Service:
    """A service whose product has these parts of the document."""
    product = factories.product(document={**factories.DOCUMENT, **(document or {})})
    return factories.service(product=product, **{"desired_state": "present", **fields})


@pytest.mark.django_db
def test_only_entitlements_in_force_count() -> None:
    service, now = made(), clock.now()
    hour = dt.timedelta(hours=1)
    spans = [(now - hour, None), (now - hour, now + hour), (now - hour, now), (now + hour, None)]
    for number, (starts_at, ends_at) in enumerate(spans):
        Entitlement.objects.create(
            service=service,
            resource="memory",
            amount=10**number,
            source=str(number),
            starts_at=starts_at,
            ends_at=ends_at,
        )
    assert desired.active_grants(service, now) == [("memory", 1), ("memory", 10)]
    Pin.objects.create(service=service, resource=Resource.CPU, value=50)
    product = Product.objects.get()
    limits = desired.service_limits(service, product)
    assert (limits["memory"], limits["cpu"], limits["disk"]) == (1035, 50, 5120)


@pytest.mark.django_db
@pytest.mark.req("CAL-30")
def test_only_listed_variables_reach_the_panel() -> None:
    runtime = {
        "variables": {"VERSION": "1.20", "JAR": "server.jar"},
        "customer_variables": ["version", "MOTD"],
    }
    chosen = {"version": "1.21", "Motd": "Hi", "JAR": "evil.jar", "memory": "99999", "EULA": "x"}
    service = made({"runtime": runtime}, properties=chosen)
    assert desired.build(service, None).runtime.variables == {
        "VERSION": "1.21",
        "JAR": "server.jar",
        "MOTD": "Hi",
    }
    assert desired.build(service, None).limits == factories.DOCUMENT["limits"]


@pytest.mark.django_db
@pytest.mark.req("CAL-26", "CAL-30")
@pytest.mark.parametrize(
    ("prefix", "own", "name"),
    [
        ("Server-", "", "Server-1042"),
        ("", "", "Server-1042"),
        ("MC-", "", "MC-1042"),
        ("MC-", "Ada's 🏰", "Ada's 🏰"),
        ("MC-", "\u200b\u202e", "MC-1042"),
        ("MC-", "x" * 60, "x" * 48),
        ("MC-", "two\nlines", "two lines"),
    ],
)
def test_a_server_has_a_printable_name(prefix: str, own: str, name: str) -> None:
    product = factories.product(name_prefix=prefix)
    service = factories.service(product=product, billing_id="1042", properties={"server_name": own})
    assert desired.server_name(service) == name


@pytest.mark.django_db
def test_all_parts_of_a_build() -> None:
    service = made(
        {"options": {"oom_killer": True}}, pinned={"allocation": "7"}, runtime_applied={"image": "a"}
    )
    account = PanelAccount(panel=service.panel, customer=service.customer, panel_user_id="12")
    built = desired.build(service, account)
    assert (built.state, built.mark, built.owner) == (Wanted.PRESENT, service.external_id, "12")
    assert (built.target, built.options) == ({"nest": 1, "egg": 1, "node": 1}, {"oom_killer": True})
    assert (built.pinned, built.runtime_applied) == ({"allocation": "7"}, {"image": "a"})
    assert not built.set_mark


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("adopted", "mark", "expected"), [(False, "", False), (True, "", True), (True, "12345", False)]
)
def test_an_adopted_server_without_a_mark_gets_ours(adopted: bool, mark: str, expected: bool) -> None:
    service = made(adopted_at=clock.now() if adopted else None, observed={"mark": mark})
    assert desired.build(service, None).set_mark is expected


@pytest.mark.django_db
@pytest.mark.parametrize("state", ["present", "suspended", "absent"])
def test_the_state_is_handed_on(state: str) -> None:
    assert desired.build(made(desired_state=state), None).state.value == state


@pytest.mark.django_db
def test_an_unmapped_product_is_waited_for() -> None:
    service = made()
    service.product = None
    with pytest.raises(PanelWaiting, match="fire-elemental") as waiting:
        desired.build(service, None)
    assert waiting.value.reason == "product_unmapped"
