"""What a change would mean for sold services: counted from stored looks, and no panel is called."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries

from provisioning.choices import Resource, SuspendReason
from provisioning.drivers import registry
from provisioning.drivers.types import Change, ChangeKind, Plan
from provisioning.lifecycle.staff import service_pin, service_suspend
from provisioning.models import Operation, PanelCall, PanelGate, Product, ProductVersion, Service
from provisioning.reconcile import follow_plans
from provisioning.reconcile.follow_plans import FollowPlan, follow_plan, seconds_for
from provisioning.reconcile.transport import driver_for
from provisioning.sandbox.calagopus.server import CalagopusSandbox
from provisioning.sandbox.server import PanelSandbox
from tests import factories
from tests.bridge import Bridge
from tests.conftest import Jobs
from tests.provisioning.reconcile import calagopus
from tests.provisioning.reconcile.following import change

pytestmark = pytest.mark.slow


@pytest.fixture(params=["pterodactyl", pytest.param("calagopus", marks=pytest.mark.slow)])
def both(request: pytest.FixtureRequest, jobs: Jobs, db: None) -> Iterator[Bridge]:
    """A bridge with either panel behind it."""
    if request.param == "pterodactyl":
        with PanelSandbox() as panel:
            yield Bridge(panel, jobs)
    else:
        with CalagopusSandbox() as other:
            yield calagopus.CalagopusBridge(other, jobs)


def planned(bridge: Bridge, **limits: int) -> FollowPlan:
    """The plan of a version that nobody stored."""
    product = Product.objects.select_related("panel").get(pk=bridge.product.pk)
    document = {**product.document, "limits": {**product.document["limits"], **limits}}
    calls = PanelCall.objects.count()
    plan = follow_plan(ProductVersion(product=product, panel=product.panel, document=document))
    assert PanelCall.objects.count() == calls
    return plan


def test_what_is_planned_is_what_is_done_and_what_it_costs(both: Bridge) -> None:
    service = both.buy()
    both.wait(days=1)
    plan = planned(both, memory=2048, disk=1024)
    assert (plan.services, plan.kinds, plan.less) == (
        1,
        {follow_plans.KINDS[ChangeKind.RESIZE]: 1},
        {"disk": 1},
    )
    ((shown, lines),) = plan.sample
    assert shown == service
    before = PanelCall.objects.count()
    change(both, follow=True, memory=2048, disk=1024)
    both.jobs.drain()
    done = Operation.objects.filter(service=service, kind="change_package").get()
    assert done.plan["lines"] == lines
    both.wait(days=1)
    assert PanelCall.objects.count() - before <= plan.calls


def test_each_kind_of_service_is_counted(bridge: Bridge) -> None:
    pinned = bridge.buy(subscription_id="1")
    service_pin(service=pinned, resource=Resource.MEMORY, value=1024)
    suspended = bridge.buy(subscription_id="2", customer_email="grace@example.com")
    service_suspend(service=suspended, reason=SuspendReason.ABUSE)
    bridge.settle()
    factories.service(product=bridge.product, panel=None)
    factories.service(
        product=bridge.product, server_id="77", observed={"sign_in": {}}, desired_state="present"
    )
    factories.service(product=bridge.product, server_id="78", panel=factories.panel(name="fra-2"))
    factories.service(product=bridge.product, terminated_at="2026-01-01T00:00:00Z")
    plan = planned(bridge, memory=2048)
    assert plan.services == 4
    assert plan.kinds == {
        follow_plans.NOTHING: 1,
        follow_plans.KINDS[ChangeKind.RESIZE]: 1,
        follow_plans.UNMADE: 1,
        follow_plans.UNSEEN: 1,
    }
    assert plan.left == {"Its server is on panel “fra-2”, and no server is moved.": 1}
    assert plan.calls == 1 + 2 + 2


def test_another_egg_and_node_are_named_and_leave_servers_alone(bridge: Bridge) -> None:
    bridge.buy()
    product = bridge.product
    product.document["target"] = {"nest": 1, "egg": 4, "node": 2}
    version = ProductVersion(product=product, panel=bridge.row, document=product.document)
    plan = follow_plan(version)
    assert plan.kinds == {follow_plans.NOTHING: 1}
    assert sorted(words.split("; ")[-1] for words in plan.notes) == [
        "this server keeps its own, with its variables.",
        "this server stays where it is.",
    ]


def test_thousands_cost_a_few_queries_for_each_five_hundred(
    bridge: Bridge, django_assert_max_num_queries: DjangoAssertNumQueries, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = bridge.buy()
    rows = [
        Service(
            connection=first.connection,
            customer=first.customer,
            product=first.product,
            panel=first.panel,
            billing_id=f"many{number}",
            external_id=f"many{number}",
            server_id=str(1000 + number),
            observed=first.observed,
            desired_state="present" if number else "none",
        )
        for number in range(60)
    ]
    Service.objects.bulk_create(rows)
    with django_assert_max_num_queries(8):
        plan = planned(bridge, memory=2048)
    assert (plan.services, len(plan.sample), plan.calls) == (61, follow_plans.SHOWN, 120)
    assert plan.kinds[follow_plans.UNPAID] == 1


def plan_of(*kinds: ChangeKind, before: Any = None, after: Any = None) -> Plan:
    return Plan(tuple(Change(kind, "words", before or {}, after or {}) for kind in kinds))


@pytest.mark.parametrize(
    ("driver", "kinds", "calls"),
    [
        ("pterodactyl", [ChangeKind.RESIZE], 2),
        ("pterodactyl", [ChangeKind.RESIZE, ChangeKind.STARTUP], 3),
        ("calagopus", [ChangeKind.STARTUP], 3),
        ("calagopus", [ChangeKind.RESIZE], 3),
        ("calagopus", [ChangeKind.RESIZE, ChangeKind.STARTUP], 4),
    ],
)
@pytest.mark.django_db
def test_calls_of_a_plan(driver: str, kinds: list[ChangeKind], calls: int) -> None:
    """On Calagopus one of them is the look at the machine that comes later."""
    assert driver_for(factories.panel(driver=driver)).calls_of(plan_of(*kinds)) == calls


@pytest.mark.parametrize(
    ("before", "after", "less"),
    [
        ({"disk": 2}, {"disk": 1}, ["disk"]),
        ({"disk": 1}, {"disk": 2}, []),
        ({"memory": 0}, {"memory": 512}, ["memory"]),
        ({"memory": 512}, {"memory": 0}, []),
        ({"cpu": None}, {"cpu": 100}, []),
        ({"backups": 2}, {"backups": 1}, []),
    ],
)
def test_less(before: dict[str, Any], after: dict[str, Any], less: list[str]) -> None:
    plan = plan_of(ChangeKind.RESIZE, before=before, after=after)
    assert list(follow_plans._less(plan)) == less


@pytest.mark.parametrize(
    ("driver", "limit", "seconds"),
    [("pterodactyl", 240, 60.0), ("pterodactyl", 480, 29.0), ("calagopus", None, 23.0)],
)
@pytest.mark.django_db
def test_seconds_fit_the_panels_budget(driver: str, limit: int | None, seconds: float) -> None:
    panel = factories.panel(driver=driver)
    if limit:
        PanelGate.objects.create(panel=panel, limit_seen=limit)
    assert registry.get(driver)
    assert seconds_for(219, panel, driver_for(panel)) == pytest.approx(seconds, abs=2)
