"""What a panel's lists show to choose from (CAL-20, CAL-29, CAL-30): typed, and as JSON for the snapshot.

Ids are texts, whatever the panel has. Memory and disk in MiB, over-allocation in percent of them.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


class ListKind(enum.StrEnum):
    """What a list holds. The values are those of `choices.ItemKind`."""

    NEST = "nest"
    EGG = "egg"
    NODE = "node"
    LOCATION = "location"
    BACKUP_CONFIGURATION = "backup_configuration"
    OAUTH_PROVIDER = "oauth_provider"


class Details(enum.Enum):
    """Of which entries a reading asks for what the list leaves out, by calls of their own."""

    NONE = "none"
    USED = "used"
    """Of those that products are made of: all would be too many calls."""
    ALL = "all"


@dataclass(frozen=True)
class ListStep:
    """One list of a panel, in the order of reading. `per` is the kind of which it is read one by one.

    An egg list that is read nest by nest has `per` NEST, and that list has to stand before it; where the
    list of nests shows their eggs, it `brings` them.
    """

    kind: ListKind
    per: ListKind | None = None
    brings: tuple[ListKind, ...] = ()
    details: Details = Details.NONE


@dataclass(frozen=True)
class Item:
    """One entry of a list."""

    id: str
    name: str

    @property
    def parent(self) -> str:
        """The id of what a choice above narrows the list to; empty where nothing does."""
        return ""

    @property
    def hint(self) -> str:
        """What besides the name a search finds it by."""
        return ""

    def as_json(self) -> dict[str, Any]:
        """The form that is stored."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Item:
        """The stored form back as data; keys of another release are left out."""
        return cls(**_known(cls, data))


@dataclass(frozen=True)
class NestItem(Item):
    """A group of eggs."""

    description: str = ""


@dataclass(frozen=True)
class EggVariable:
    """A variable of an egg. `rules` is the panel's own text, such as `required|string|max:20`."""

    env: str
    name: str
    description: str = ""
    default: str = ""
    rules: str = ""
    user_viewable: bool = True
    user_editable: bool = True


@dataclass(frozen=True)
class EggItem(Item):
    """What runs in a server. `images` are (label, image); the first one and `startup` are its defaults.

    `variables` is None where the panel's list leaves them out and nobody has asked for them yet.
    """

    nest: str = ""
    description: str = ""
    images: tuple[tuple[str, str], ...] = ()
    startup: str = ""
    variables: tuple[EggVariable, ...] | None = None

    @property
    def parent(self) -> str:
        """Its nest."""
        return self.nest

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> EggItem:
        """With its pairs and variables as data."""
        known = _known(cls, data)
        known["images"] = tuple((str(label), str(image)) for label, image in known.get("images") or ())
        if known.get("variables") is not None:
            known["variables"] = tuple(
                EggVariable(**_known(EggVariable, item)) for item in known["variables"]
            )
        return cls(**known)


@dataclass(frozen=True)
class LocationItem(Item):
    """A place of nodes."""

    description: str = ""

    @property
    def hint(self) -> str:
        """Its long name."""
        return self.description


@dataclass(frozen=True)
class NodeItem(Item):
    """A machine. None is *no limit* for memory and disk, and *unknown* for the rest.

    `memory_used` and `disk_used` are the sums that were promised to servers, whatever they really use.
    An over-allocation of 20 lets a node promise 120 percent. `deployable` False keeps *Auto* away.
    """

    location: str = ""
    memory: int | None = None
    disk: int | None = None
    memory_overallocate: int = 0
    disk_overallocate: int = 0
    memory_used: int | None = None
    disk_used: int | None = None
    free_allocations: int | None = None
    deployable: bool = True
    maintenance: bool = False

    @property
    def parent(self) -> str:
        """Its location."""
        return self.location


@dataclass(frozen=True)
class NamedItem(Item):
    """A backup configuration, or a place to sign in: of these a name is all that is needed, or kept."""

    description: str = ""


ITEM_TYPES: Mapping[ListKind, type[Item]] = {
    ListKind.NEST: NestItem,
    ListKind.EGG: EggItem,
    ListKind.NODE: NodeItem,
    ListKind.LOCATION: LocationItem,
    ListKind.BACKUP_CONFIGURATION: NamedItem,
    ListKind.OAUTH_PROVIDER: NamedItem,
}

PICKS: Mapping[str, ListKind] = {
    "target.nest": ListKind.NEST,
    "target.egg": ListKind.EGG,
    "target.node": ListKind.NODE,
    "target.locations": ListKind.LOCATION,
    "options.backup_configuration": ListKind.BACKUP_CONFIGURATION,
}
"""The fields of a product's document whose values are ids of a list, by path."""


def kind_of(item: Item, step: ListStep) -> ListKind:
    """Of which kind an entry is that this step has read."""
    return next((kind for kind in step.brings if type(item) is ITEM_TYPES[kind]), step.kind)


def picked(document: Mapping[str, Any], path: str) -> list[str]:
    """The ids that a document has at this path, as texts."""
    section, _, name = path.partition(".")
    value = (document.get(section) or {}).get(name)
    values: Iterable[Any] = value if isinstance(value, list) else [value]
    return [str(item) for item in values if item not in (None, "")]


def _known(kind: type[Any], data: Mapping[str, Any]) -> dict[str, Any]:
    return {field.name: data[field.name] for field in dataclasses.fields(kind) if field.name in data}
