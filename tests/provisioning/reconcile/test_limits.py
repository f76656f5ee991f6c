"""What a server gets: product, entitlements and pins through the engine, and how few calls it takes."""

from __future__ import annotations

import datetime as dt

import pytest

from provisioning.choices import OperationKind, Outcome, Resource
from provisioning.lib import clock
from provisioning.lifecycle.entitlements import entitlement_grant, entitlement_revoke
from provisioning.lifecycle.staff import service_pin, service_unpin
from provisioning.models import Product
from tests import factories
from tests.bridge import Bridge, document
from tests.provisioning.reconcile.trouble import outlast, pass_time

GIB = 1024


def product(bridge: Bridge, name: str, **changes: object) -> Product:
    return factories.product(
        connection=bridge.endpoint.connection,
        panel=bridge.row,
        billing_product_id=name,
        document=document() | changes,
    )


def bought(bridge: Bridge, memory: int) -> None:
    product(bridge, f"plan{memory}", limits=document(memory=memory)["limits"])
    bridge.buy(product_id=f"plan{memory}")


@pytest.mark.req("CAL-03")
def test_a_product_change_keeps_bought_extras(bridge: Bridge) -> None:
    bought(bridge, 4 * GIB)
    entitlement_grant(service=bridge.service(), resource=Resource.MEMORY, amount=2 * GIB, source="purchase:1")
    outlast(bridge)
    assert bridge.server().memory == 6 * GIB
    product(bridge, "plan8", limits=document(memory=8 * GIB)["limits"])
    bridge.say("subscription.updated", product_id="plan8")
    outlast(bridge)
    assert bridge.server().memory == 10 * GIB


def test_extras_end_by_time_or_by_hand(bridge: Bridge) -> None:
    bought(bridge, 4 * GIB)
    service = bridge.service()
    month = clock.now() + dt.timedelta(days=30)
    entitlement_grant(service=service, resource=Resource.MEMORY, amount=GIB, source="a", ends_at=month)
    extra = entitlement_grant(service=service, resource=Resource.DISK, amount=GIB, source="b")
    outlast(bridge)
    assert (bridge.server().memory, bridge.server().disk) == (5 * GIB, 6 * GIB)
    entitlement_revoke(entitlement=extra)
    outlast(bridge)
    assert (bridge.server().memory, bridge.server().disk) == (5 * GIB, 5 * GIB)
    pass_time(bridge, 30 * 86400 + 1)
    assert bridge.server().memory == 4 * GIB


def test_a_pin_wins_over_a_product_change_until_it_is_removed(bridge: Bridge) -> None:
    bridge.buy()
    service_pin(service=bridge.service(), resource=Resource.CPU, value=350)
    outlast(bridge)
    bridge.say("subscription.updated", product_id="frost-knight")
    assert (bridge.server().memory, bridge.server().cpu) == (4096, 350)
    service_unpin(service=bridge.service(), resource=Resource.CPU)
    outlast(bridge)
    assert bridge.server().cpu == 200


def test_a_resize_leaves_everything_else_alone(bridge: Bridge) -> None:
    """Field row 28: egg, image, startup and variables are the customer's once the server stands."""
    bridge.buy()
    server = bridge.server()
    server.image, server.startup = "ghcr.io/ada/own:java21", "java -jar own.jar"
    server.variables["SERVER_JARFILE"] = "own.jar"
    server.name, server.description, server.threads = "Ada's world", "mine", "0-1"
    kept = (server.egg_id, server.image, server.startup, dict(server.variables), server.name)
    bridge.say("subscription.updated", product_id="frost-knight")
    server = bridge.server()
    assert server.memory == 4096
    assert (server.egg_id, server.image, server.startup, dict(server.variables), server.name) == kept
    assert (server.description, server.threads) == ("mine", "0-1")


def test_another_egg_is_not_installed_over_a_world(bridge: Bridge) -> None:
    bridge.buy()
    before = (bridge.server().egg_id, dict(bridge.server().variables))
    product(
        bridge,
        "forge",
        target={"nest": 1, "egg": 1, "node": 1},
        limits=document(memory=2048)["limits"],
        runtime={"variables": {"SERVER_JARFILE": "forge.jar"}},
    )
    bridge.say("subscription.updated", product_id="forge")
    outlast(bridge)
    assert (bridge.server().egg_id, dict(bridge.server().variables)) == before
    assert bridge.server().memory == 2048
    assert "keeps its own" in " ".join(bridge.operation().plan["notes"])


@pytest.mark.req("CAL-25", "CAL-30")
@pytest.mark.parametrize(("memory", "most"), [(1024, 2), (2048, 3)], ids=["startup", "resize and startup"])
def test_a_product_that_changes_variables_keeps_the_customers_own(
    bridge: Bridge, memory: int, most: int
) -> None:
    bridge.buy()
    bridge.server().variables["MINECRAFT_VERSION"] = "1.8.8"
    changed = {"variables": {"SERVER_JARFILE": "custom.jar"}}
    product(bridge, "custom", limits=document(memory=memory)["limits"], runtime=changed)
    bridge.say("subscription.updated", product_id="custom")
    outlast(bridge)
    server = bridge.server()
    assert (server.memory, server.variables["SERVER_JARFILE"]) == (memory, "custom.jar")
    assert server.variables["MINECRAFT_VERSION"] == "1.8.8"
    assert bridge.operation().calls <= most


def test_a_resize_keeps_the_default_port_that_the_customer_chose(bridge: Bridge) -> None:
    bridge.buy()
    server, state = bridge.server(), bridge.panel.state
    own = next(row for row in state.allocations.values() if row.server_id is None)
    own.server_id, server.allocation_id = server.id, own.id
    bridge.say("subscription.updated", product_id="frost-knight")
    outlast(bridge)
    assert (bridge.server().memory, bridge.server().allocation_id) == (4096, own.id)


@pytest.mark.req("CAL-30")
def test_a_payloads_own_keys_reach_no_limit_and_no_variable(bridge: Bridge) -> None:
    """CVE-2026-47198: what a checkout form sends is the customer's word."""
    hostile = {
        "memory": "999999",
        "cpu": 0,
        "disk": 0,
        "node": 2,
        "egg_id": 1,
        "owner": 1,
        "SERVER_JARFILE": "evil.jar",
        "server_name": "  Ada\u202e's 🎮\n world ",
    }
    bridge.buy(properties=hostile)
    server = bridge.server()
    assert (server.memory, server.cpu, server.disk) == (1024, 100, 5120)
    assert (server.node_id, server.egg_id, server.owner_id) == (1, 5, 2)
    assert server.variables["SERVER_JARFILE"] != "evil.jar"
    assert "\u202e" not in server.name
    assert "\n" not in server.name


@pytest.mark.req("CAL-30")
def test_a_listed_variable_is_the_customers_choice(bridge: Bridge) -> None:
    product(bridge, "open", runtime={"customer_variables": ["MINECRAFT_VERSION"]})
    bridge.buy(product_id="open", properties={"minecraft_version": "1.20.4"})
    assert bridge.server().variables["MINECRAFT_VERSION"] == "1.20.4"


CHANGES: tuple[tuple[dict[str, str], OperationKind], ...] = (
    ({"product_id": "frost-knight"}, OperationKind.CHANGE_PACKAGE),
    ({"status": "suspended"}, OperationKind.SUSPEND),
)


@pytest.mark.parametrize(("change", "kind"), CHANGES, ids=[str(kind) for _, kind in CHANGES])
def test_a_change_takes_two_calls_at_most(
    bridge: Bridge, change: dict[str, str], kind: OperationKind
) -> None:
    bridge.buy()
    bridge.say("subscription.updated", **change)
    operation = bridge.operation()
    assert (operation.kind, operation.outcome) == (kind, Outcome.SUCCEEDED)
    assert 1 <= operation.calls <= 2
