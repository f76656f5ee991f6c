"""What tests of drift share: a whole pass, a fleet of services that agree with their servers."""

from __future__ import annotations

from typing import Any

from provisioning.choices import DesiredState, ObservedState
from provisioning.lib import clock
from provisioning.lifecycle.product_versions import product_version_store
from provisioning.models import Drift, DriftPass, Service
from provisioning.reconcile.drift import drift_check
from provisioning.sandbox.seed import seed_servers
from provisioning.sandbox.world import Server
from tests.bridge import Bridge

LIMITS = {
    "memory": 1024,
    "swap": 0,
    "disk": 2048,
    "io": 500,
    "cpu": 100,
    "databases": 0,
    "allocations": 0,
    "backups": 0,
}
"""Those of the servers that `seed_servers` makes."""


def check(bridge: Bridge) -> DriftPass:
    """One whole pass, a moment after whatever happened before it."""
    clock.shift(1)
    row, _ = DriftPass.objects.get_or_create(panel=bridge.row)
    drift_check(row.pk)
    row.refresh_from_db()
    return row


def standing() -> list[tuple[str, str]]:
    """(kind, server id) of every difference that stands."""
    return list(Drift.objects.filter(resolved_at=None).order_by("pk").values_list("kind", "server_id"))


def fleet(bridge: Bridge, number: int) -> list[Server]:
    """So many more services of Ada, at rest, each with its server; returns the servers."""
    first = bridge.service() if Service.objects.exists() else bridge.buy()
    bridge.product.document["limits"] = LIMITS
    bridge.product.save()
    # The first one was sold them, too.
    first.product_version = product_version_store(product=bridge.product)
    first.save(update_fields=["product_version"])
    known = set(bridge.panel.state.servers)
    owner = next(user.id for user in bridge.panel.state.users.values() if not user.root_admin)
    seed_servers(bridge.panel.world, number, owner_id=owner, mark=f"test-shop-fleet{len(known)}x{{}}")
    made = [server for server in bridge.servers() if server.id not in known]
    Service.objects.bulk_create(_service(first, server) for server in made)
    bought = bridge.panel.state.servers[int(first.server_id)]
    bought.disk, bought.database_limit, bought.allocation_limit, bought.backup_limit = 2048, 0, 0, 0
    return made


def _service(first: Service, server: Server) -> Service:
    fields: dict[str, Any] = {
        "desired_state": DesiredState.PRESENT,
        "observed_state": ObservedState.ACTIVE,
        "generation": 1,
        "observed_generation": 1,
        "observed_at": clock.now(),
        "created_confirmed_at": clock.now(),
    }
    return Service(
        connection=first.connection,
        customer=first.customer,
        product=first.product,
        product_version=first.product_version,
        panel=first.panel,
        billing_id=str(server.external_id).rpartition("-")[2],
        external_id=str(server.external_id),
        server_id=str(server.id),
        server_uuid=server.uuid,
        billing_status="active",
        **fields,
    )
