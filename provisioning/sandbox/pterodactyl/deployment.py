"""Choosing a node and an allocation, as automatic deployment does (contract sections 5 and 6.3)."""

import random
from collections.abc import Sequence

from provisioning.sandbox.pterodactyl.errors import display
from provisioning.sandbox.pterodactyl.serializers import used
from provisioning.sandbox.world import Allocation, Node, State


def _room(size: int, overallocate: int) -> float:
    """What may be given out; -1 is one percent less, not "unlimited" (section 0, trap 16)."""
    return size * (1 + overallocate / 100)


def suitable_nodes(state: State, memory: int, disk: int, locations: Sequence[int]) -> list[Node]:
    """The public nodes of these locations (none: of all) with room for so many MiB. Raises 400."""
    found = [
        node
        for node in state.nodes.values()
        if node.public
        and (not locations or node.location_id in locations)
        and used(state, node)["memory"] + memory <= _room(node.memory, node.memory_overallocate)
        and used(state, node)["disk"] + disk <= _room(node.disk, node.disk_overallocate)
    ]
    if not found:
        raise display(
            "No nodes satisfying the requirements specified for automatic deployment could be found.",
            "NoViableNodeException",
        )
    return found


def free_allocation(
    state: State, nodes: Sequence[Node], ports: Sequence[int], dedicated: bool, chooser: random.Random
) -> Allocation:
    """A random free allocation of these nodes (``ports`` empty: of any port). Raises 400."""
    ids = {node.id for node in nodes}
    taken = {(a.node_id, a.ip) for a in state.allocations.values() if a.server_id is not None}
    found = [
        a
        for a in state.allocations.values()
        if a.node_id in ids
        and a.server_id is None
        and (not ports or a.port in ports)
        and not (dedicated and (a.node_id, a.ip) in taken)
    ]
    if not found:
        raise display(
            "No allocations satisfying the requirements for automatic deployment were found.",
            "NoViableAllocationException",
        )
    return chooser.choice(found)
