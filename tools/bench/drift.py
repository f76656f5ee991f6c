"""How many panel calls one drift pass over ten thousand servers makes, as the panel counts them."""

from __future__ import annotations

from provisioning.sandbox.seed import seed_servers
from provisioning.sandbox.server import PanelSandbox
from provisioning.sandbox.world import Settings, User, World, new_uuid
from tools.bench.measuring import require
from tools.bench.product import NO_LIMIT, ask, environment, ground
from tools.bench.report import Result
from tools.chaos.lives import SMALL
from tools.chaos.run import MEMORY

SERVERS, CUSTOMERS = 10_000, 10_000
"""Everybody has one server: the list of accounts is as long as that of servers."""


def measure() -> Result:
    """One pass of the product's own code, in a process of its own, over HTTP."""
    with ground("sqlite") as (made, folder):
        env = environment(made, folder / "ground")
        ask("seed", env, services=SERVERS, customers=CUSTOMERS, events=0)
        port, key = made.ports["panel"], made.keys["SANDBOX_APPLICATION_KEY"]
        settings = Settings(application_limit=NO_LIMIT)
        with PanelSandbox(port=port, settings=settings, application_key=key) as panel:
            panel_fill(panel.world)
            told = ask("drift", env)
            calls, counted = len(panel.calls), panel.calls.counter.copy()
    require(told["checked"] == SERVERS, f"The pass did not compare all of them: {told}")
    each = {f"{method} {pattern}": number for (method, pattern), number in counted.items()}
    details = {"calls": each, "customers": CUSTOMERS, "differences": told["differences"]}
    return Result({"drift.calls_10000": calls}, details)


def panel_fill(world: World, *, servers: int = SERVERS, customers: int = CUSTOMERS) -> None:
    """The same servers and users on the panel as `seed` writes into the tables."""
    for number in range(1, customers + 1):
        mail, mark = f"buyer{number}@example.com", f"flow-shop-c-{number}"
        stamp = world.stamp("users")
        user = User(*stamp, new_uuid(), f"buyer{number}", mail, "A", "B", external_id=mark)
        world.state.users[user.id] = user
    seed_servers(world, servers, owner_id=2, mark="flow-shop-{}")
    for number, server in enumerate(world.state.servers.values()):
        server.owner_id = number % customers + 2
        server.memory, server.disk, server.cpu = MEMORY[SMALL], 64, 10
        server.database_limit, server.allocation_limit, server.backup_limit = 1, 1, 2
        # Every twentieth is suspended on both sides.
        server.status = "suspended" if number % 20 == 1 else None
