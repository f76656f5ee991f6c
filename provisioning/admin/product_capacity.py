"""How many more servers of a product fit, by the stored lists: one line, and a table of its nodes."""

from __future__ import annotations

from dataclasses import dataclass

from provisioning.lists import NodeCapacity, capacity
from provisioning.models import Product

SHOWN = 12
NAMED = 3


@dataclass(frozen=True)
class CapacityCard:
    """What the product's page shows. `nodes` are the first ones, most room first; `more` are left out."""

    words: str
    nodes: list[NodeCapacity]
    more: int


def capacity_card(product: Product) -> CapacityCard | None:
    """The card; None where the lists know none of the product's nodes."""
    nodes = capacity(product)
    if not nodes:
        return None
    return CapacityCard(_words(nodes), nodes[:SHOWN], max(0, len(nodes) - SHOWN))


def _words(nodes: list[NodeCapacity]) -> str:
    free = [node for node in nodes if node.times != 0]
    if not free:
        return "Fits nowhere now."
    if any(node.times is None for node in free):
        return "Fits: nothing that the panel says bounds it."
    named = ", ".join(f"{node.name} {node.times}" for node in free[:NAMED])
    rest = len(free) - NAMED
    others = f" and {rest} more nodes" if rest > 1 else " and 1 more node" if rest == 1 else ""
    total = sum(node.times or 0 for node in free)
    return f"Fits {total} more time{'' if total == 1 else 's'}: {named}{others}."
