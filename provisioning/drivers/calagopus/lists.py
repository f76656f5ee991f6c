"""Calagopus's lists to choose from: nests, eggs nest by nest, nodes with what is left on them, and the rest.

60 nests, 1,500 eggs and 300 nodes in 40 locations are 667 calls, two of them for each node: its list tells
neither what is promised nor which ports are free. The panel would show its whole catalogue of eggs in one
answer, but with each egg's scripts and texts, and we read 8 MiB: so nest by nest. Variables are one call an
egg and would be 1,500 more. They are read for the eggs that products are made of, and for any other when
it is chosen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from provisioning.drivers.calagopus.client import Client, path
from provisioning.drivers.calagopus.reading import LONGEST_ID
from provisioning.drivers.errors import AuthFailed
from provisioning.drivers.fields import LONGEST_TEXT, Fields
from provisioning.drivers.lists import (
    Details,
    EggItem,
    EggVariable,
    Item,
    ListKind,
    ListStep,
    LocationItem,
    NamedItem,
    NestItem,
    NodeItem,
)
from provisioning.drivers.trouble import only_reading
from provisioning.drivers.types import ListPage

STEPS = (
    ListStep(ListKind.LOCATION),
    ListStep(ListKind.NEST),
    ListStep(ListKind.EGG, per=ListKind.NEST, details=Details.USED),
    ListStep(ListKind.BACKUP_CONFIGURATION),
    ListStep(ListKind.OAUTH_PROVIDER),
    ListStep(ListKind.NODE, details=Details.ALL),
)


def _nest(fields: Fields, _parent: str) -> Item:
    return NestItem(**_named(fields))


def _location(fields: Fields, _parent: str) -> Item:
    return LocationItem(**_named(fields))


def _plain(fields: Fields, _parent: str) -> Item:
    # Backup configurations and providers come with keys in clear: nothing else of them is read or kept.
    return NamedItem(**_named(fields))


def _named(fields: Fields) -> dict[str, str]:
    return {
        "id": fields.text("uuid", LONGEST_ID),
        "name": fields.text("name"),
        "description": fields.text_or_empty("description", LONGEST_TEXT),
    }


def _egg(fields: Fields, nest: str) -> Item:
    images, startups = fields.texts("docker_images"), fields.texts("startup_commands")
    return EggItem(
        id=fields.text("uuid", LONGEST_ID),
        name=fields.text("name"),
        nest=nest,
        description=fields.text_or_empty("description", LONGEST_TEXT),
        images=tuple(images.items()),
        startup=next(iter(startups.values()), ""),
    )


def _node(fields: Fields, _parent: str) -> Item:
    return NodeItem(
        id=fields.text("uuid", LONGEST_ID),
        name=fields.text("name"),
        location=fields.inner("location").text("uuid", LONGEST_ID),
        # 0 is no limit here (contract section 3).
        memory=fields.number("memory") or None,
        disk=fields.number("disk") or None,
        deployable=fields.flag("deployment_enabled"),
        maintenance=fields.flag("maintenance_enabled"),
    )


@dataclass(frozen=True)
class _Source:
    """Where a list is: its path, with the id of which it is read one by one, its envelope, its reader."""

    parts: tuple[str, ...]
    envelope: str
    read: Callable[[Fields, str], Item]


_SOURCES: Mapping[ListKind, _Source] = {
    ListKind.LOCATION: _Source(("locations",), "locations", _location),
    ListKind.NEST: _Source(("nests",), "nests", _nest),
    ListKind.EGG: _Source(("nests", "{}", "eggs"), "eggs", _egg),
    ListKind.BACKUP_CONFIGURATION: _Source(("backup-configurations",), "backup_configurations", _plain),
    ListKind.OAUTH_PROVIDER: _Source(("oauth-providers",), "oauth_providers", _plain),
    ListKind.NODE: _Source(("nodes",), "nodes", _node),
}


def list_page(client: Client, kind: ListKind, parent: str, number: int) -> ListPage[Item]:
    """One page of a hundred. Raises Unknown for what is no list, AuthFailed where a needed right lacks."""
    source = _SOURCES[kind]
    where = path(*(part.format(parent) for part in source.parts))
    try:
        page = client.page(source.envelope, where, number)
    except AuthFailed:
        if kind is not ListKind.OAUTH_PROVIDER:
            raise
        # Asked of a key only where customers sign in with billing (CAL-41).
        return ListPage((), 0)
    with only_reading():
        items = tuple(source.read(Fields(row, kind.value.replace("_", " ")), parent) for row in page.items)
    return ListPage(items, page.total, page.last)


def list_details(client: Client, item: Item) -> Item:
    """An egg's variables, or what a node has promised, or else its free ports: one call.

    None, and the very same, if all is known. Raises NotThere for what is gone.
    """
    if isinstance(item, EggItem) and item.variables is None:
        found = client.every("variables", path("nests", item.nest, "eggs", item.id, "variables"))
        with only_reading():
            return replace(item, variables=tuple(map(_variable, found)))
    if isinstance(item, NodeItem) and item.memory_used is None:
        with only_reading():
            used = Fields(client.get("allocated", path("nodes", item.id, "capacity")), "node's capacity")
            memory = used.number("memory") + used.number("memory_overhead")
            return replace(item, memory_used=memory, disk_used=used.number("disk"))
    if isinstance(item, NodeItem) and item.free_allocations is None:
        free = client.count("allocations", path("nodes", item.id, "allocations", "available"))
        return replace(item, free_allocations=free)
    return item


def _variable(data: object) -> EggVariable:
    fields = Fields(data, "egg variable")
    return EggVariable(
        env=fields.text("env_variable"),
        name=fields.text("name"),
        description=fields.text_or_empty("description", LONGEST_TEXT),
        default=fields.text_or_empty("default_value", LONGEST_TEXT),
        rules="|".join(rule for rule in fields.items("rules") if isinstance(rule, str)),
        user_viewable=fields.flag("user_viewable"),
        user_editable=fields.flag("user_editable"),
    )


def room(node: NodeItem, document: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """MiB that a node may promise: *Auto* with over-allocation takes any (contract section 5.3)."""
    target = document.get("target") or {}
    if target.get("locations") and target.get("allow_overallocation"):
        return None, None
    return node.memory, node.disk
