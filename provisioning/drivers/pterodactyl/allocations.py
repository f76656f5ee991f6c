"""Which port a new server gets: chosen by us on a fixed node, by the panel where the product says Auto."""

from __future__ import annotations

from typing import Any

from provisioning.drivers.errors import NoCapacity
from provisioning.drivers.fields import Fields
from provisioning.drivers.pterodactyl.client import Client, path
from provisioning.drivers.types import Desired, Memory

PAGE = 500
KIND = "allocations"


def allocation_pin(client: Client, memory: Memory, desired: Desired) -> dict[str, Any]:
    """Reserves the first free allocation of a fixed node (CAL-21); {} for Auto. Raises NoCapacity."""
    node = desired.target.get("node")
    if not node:
        return {}
    remembered = memory.recall(KIND, str(node))
    held = memory.hold([str(number) for number in remembered or ()])
    if held is None:
        held = memory.hold([str(number) for number in free_allocations(client, memory, int(node))])
    if held is None:
        raise NoCapacity(f"Node {node} has no free allocation. Add allocations to it in the panel.")
    return {"allocation": int(held)}


def free_allocations(client: Client, memory: Memory, node: int) -> list[int]:
    """The ids of the node's free allocations as the panel has them now, remembered. All pages."""
    # `server_id` 0 asks for the unassigned ones (contract section 5).
    items = client.pages("allocation", path("nodes", node, KIND), {"filter[server_id]": 0}, size=PAGE)
    rows = [Fields(item, "allocation") for item in items]
    free = [row.number("id") for row in rows if not row.flag("assigned")]
    memory.store(KIND, str(node), free)
    return free


def allocation_give_back(memory: Memory, desired: Desired) -> None:
    """The panel says that the pinned allocation is taken: drops it and the list it came from."""
    if "allocation" in desired.pinned:
        memory.release(str(desired.pinned["allocation"]))
    memory.forget(KIND, str(desired.target.get("node")))
