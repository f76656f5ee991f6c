"""Pterodactyl's lists to choose from: nests with eggs and variables, nodes with their ports, locations.

60 nests, 1,500 eggs and 300 nodes in 40 locations are 73 calls: 1 of locations, 12 of nests, 60 of nodes.
Larger pages would be fewer, but an egg carries its install script and a node each of its ports: an answer
has to stay within the 8 MiB that we read, and within what the panel can build in one go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from provisioning.drivers.errors import Unknown, Unsupported
from provisioning.drivers.fields import LONGEST_TEXT, Fields
from provisioning.drivers.lists import (
    EggItem,
    EggVariable,
    Item,
    ListKind,
    ListStep,
    LocationItem,
    NestItem,
    NodeItem,
)
from provisioning.drivers.pterodactyl.client import Attributes, Client, attributes_of, path
from provisioning.drivers.trouble import only_reading
from provisioning.drivers.types import ListPage
from provisioning.lib.http import HttpError

STEPS = (
    ListStep(ListKind.LOCATION),
    ListStep(ListKind.NEST, brings=(ListKind.EGG,)),
    ListStep(ListKind.NODE),
)
LOCATIONS_PAGE, NESTS_PAGE, NODES_PAGE = 500, 5, 5
"""Entries a page. The Application API puts no limit to its size."""


def list_page(client: Client, kind: ListKind, number: int) -> ListPage[Item]:
    """One page; that of nests brings their eggs, too. Raises Unknown for what is no list, Unsupported."""
    match kind:
        case ListKind.NEST:
            return _nests(client, number)
        case ListKind.NODE:
            page = _nodes(client, number)
            read: Callable[[Attributes], Item] = _node
        case ListKind.LOCATION:
            page = client.page("location", path("locations"), number, size=LOCATIONS_PAGE)
            read = _location
        case _:
            raise Unsupported(f"Pterodactyl has no list of the kind {kind.value}.")
    with only_reading():
        return ListPage(tuple(map(read, page.items)), page.total, page.last)


def _nests(client: Client, number: int) -> ListPage[Item]:
    # The panel takes no order for nests; it shows them by their ids.
    params = {"include": "eggs.variables"}
    page = client.page("nest", path("nests"), number, size=NESTS_PAGE, params=params)
    with only_reading():
        return ListPage(tuple(item for row in page.items for item in _nest(row)), page.total, page.last)


def _nodes(client: Client, number: int) -> ListPage[Attributes]:
    params = {"sort": "id", "include": "allocations"}
    try:
        return client.page("node", path("nodes"), number, size=NODES_PAGE, params=params)
    except Unknown as error:
        if not (isinstance(error.__cause__, HttpError) and error.__cause__.kind == "too_large"):
            raise
    # Nodes with tens of thousands of ports: rather an unknown number of free ones than no list.
    return client.page("node", path("nodes"), number, size=NODES_PAGE)


def _location(data: Attributes) -> LocationItem:
    fields = Fields(data, "location")
    return LocationItem(
        str(fields.number("id")), fields.text("short"), fields.text_or_empty("long", LONGEST_TEXT)
    )


def _nest(data: Attributes) -> Iterator[Item]:
    fields = Fields(data, "nest")
    nest = str(fields.number("id"))
    yield NestItem(nest, fields.text("name"), fields.text_or_empty("description", LONGEST_TEXT))
    for egg in _related(fields, "eggs") or ():
        yield _egg(attributes_of(egg, "egg"), nest)


def _egg(data: Attributes, nest: str) -> EggItem:
    fields = Fields(data, "egg")
    images = fields.texts("docker_images") or {"": fields.text_or_empty("docker_image")}
    variables = _related(fields, "variables")
    return EggItem(
        id=str(fields.number("id")),
        name=fields.text("name"),
        nest=nest,
        description=fields.text_or_empty("description", LONGEST_TEXT),
        images=tuple((label or image, image) for label, image in images.items() if image),
        startup=fields.text_or_empty("startup", LONGEST_TEXT),
        variables=tuple(_variable(attributes_of(item, "egg_variable")) for item in variables or ()),
    )


def _variable(data: Attributes) -> EggVariable:
    fields = Fields(data, "egg variable")
    return EggVariable(
        env=fields.text("env_variable"),
        name=fields.text("name"),
        description=fields.text_or_empty("description", LONGEST_TEXT),
        default=fields.text_or_empty("default_value", LONGEST_TEXT),
        rules=fields.text_or_empty("rules", LONGEST_TEXT),
        user_viewable=fields.flag("user_viewable"),
        user_editable=fields.flag("user_editable"),
    )


def _node(data: Attributes) -> NodeItem:
    fields = Fields(data, "node")
    used = fields.inner("allocated_resources")
    return NodeItem(
        id=str(fields.number("id")),
        name=fields.text("name"),
        location=str(fields.number("location_id")),
        memory=fields.number("memory"),
        disk=fields.number("disk"),
        memory_overallocate=fields.number("memory_overallocate"),
        disk_overallocate=fields.number("disk_overallocate"),
        memory_used=used.number("memory"),
        disk_used=used.number("disk"),
        free_allocations=_free(data, fields),
        deployable=fields.flag("public"),
        maintenance=fields.flag("maintenance_mode"),
    )


def _free(data: Attributes, fields: Fields) -> int | None:
    """How many of its ports nobody has; None where the panel did not show them."""
    shown = (data.get("relationships") or {}).get("allocations") or {}
    if shown.get("object") != "list":
        return None
    rows = (Fields(attributes_of(row, "allocation"), "allocation") for row in _related(fields, "allocations"))
    return sum(not row.flag("assigned") for row in rows)


def _related(fields: Fields, name: str) -> list[Any]:
    """What was asked for along with an object. Raises Unknown where the key may not read it."""
    shown = fields.inner("relationships").mapping(name)
    if shown.get("object") != "list":
        raise Unknown(f"The panel does not show the {name}: give our key the right to read them.")
    return Fields(shown, name).items("data")


def room(node: NodeItem, document: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """MiB that a node may promise. -1 is *no limit*, but *Auto* takes it for one percent less (trap 16)."""
    auto = bool((document.get("target") or {}).get("locations"))
    return (
        _room(node.memory, node.memory_overallocate, auto=auto),
        _room(node.disk, node.disk_overallocate, auto=auto),
    )


def _room(limit: int | None, percent: int, *, auto: bool) -> int | None:
    if limit is None or (percent < 0 and not auto):
        return None
    return limit * (100 + percent) // 100
