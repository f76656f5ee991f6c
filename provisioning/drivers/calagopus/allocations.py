"""Which port a new server gets: chosen by us on a fixed node, by the panel where the product says Auto.

The pinned allocation is what keeps a create single: the panel takes any number of servers of one external id,
but each allocation once (contract sections 1 and 5.4).
"""

from __future__ import annotations

from typing import Any

from provisioning.drivers.calagopus.client import Client, path
from provisioning.drivers.errors import NoCapacity
from provisioning.drivers.fields import Fields
from provisioning.drivers.types import Desired, Memory

KIND = "allocations"


def allocation_pin(client: Client, memory: Memory, desired: Desired) -> dict[str, Any]:
    """Reserves the first free allocation of a fixed node (CAL-21); {} for Auto. Raises NoCapacity."""
    node = desired.target.get("node")
    if not node:
        return {}
    free: dict[str, str] = dict(memory.recall(KIND, node) or {})
    held = memory.hold(list(free))
    if held is None:
        free = free_allocations(client, memory, node)
        held = memory.hold(list(free))
    if held is None:
        raise NoCapacity(f"Node {node} has no free allocation. Add allocations to it in the panel.")
    return {"allocation": held, "address": free[held]}


def free_allocations(client: Client, memory: Memory, node: str) -> dict[str, str]:
    """The node's free allocations as the panel has them now, id -> address:port, remembered. All pages."""
    items = client.pages(KIND, path("nodes", node, "allocations", "available"))
    rows = [Fields(item, "allocation") for item in items]
    free = {row.text("uuid", 36): f"{row.text('ip')}:{row.number('port')}" for row in rows}
    memory.store(KIND, node, free)
    return free


def allocation_give_back(memory: Memory, desired: Desired) -> None:
    """The panel says that the pinned allocation is taken: drops the list it came from."""
    memory.forget(KIND, str(desired.target.get("node")))


def allocation_taken(client: Client, desired: Desired) -> bool:
    """Whether the pinned allocation is gone, or another mark's server has it.

    Free, or held by the very mark: then an earlier create of ours came true, whatever a stale look says.
    """
    node, ours = desired.target.get("node"), desired.pinned.get("allocation")
    if not node or not ours:
        return True
    found = client.pages(KIND, path("nodes", node, "allocations"), {"search": desired.pinned["address"]})
    row = next((Fields(item, "allocation") for item in found if item.get("uuid") == ours), None)
    if row is None:
        return True
    holder = row.inner_or_none("server")
    return holder is not None and holder.text_or_empty("external_id") != desired.mark
