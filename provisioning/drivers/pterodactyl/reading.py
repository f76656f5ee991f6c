"""From the panel's JSON to our words, strictly: a missing field or a wrong type raises Unknown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from provisioning.drivers.errors import Unknown
from provisioning.drivers.pterodactyl.client import Attributes, attributes_of
from provisioning.drivers.types import Account, Observed, ServerState

SYNTHETIC = frozenset({"STARTUP", "P_SERVER_LOCATION", "P_SERVER_UUID", "P_SERVER_ALLOCATION_LIMIT"})
"""What the panel mixes into `environment` and does not want back (contract section 6.1)."""

LONGEST_TEXT, LARGEST_NUMBER = 65_535, 2**63 - 1
"""The panel's own columns hold no more; what is larger would only fill our tables."""
SHORT = 255

STATES: Mapping[str | None, ServerState] = {
    None: ServerState.ACTIVE,
    "installing": ServerState.INSTALLING,
    "install_failed": ServerState.INSTALL_FAILED,
    # Whether what was there before still runs, only the engine knows: it has seen the server ready, or not.
    "reinstall_failed": ServerState.INSTALL_FAILED,
    "suspended": ServerState.SUSPENDED,
    "restoring_backup": ServerState.BUSY,
}


class Fields:
    """Typed access to one object of the panel; each method raises Unknown where the type is another."""

    def __init__(self, data: object, name: str) -> None:
        """`name` is how errors call it."""
        if not isinstance(data, Mapping):
            raise Unknown(f"The panel's {name} is no object.")
        self._data, self._name = data, name

    def _value(self, key: str, *types: type) -> Any:
        value = self._data.get(key)
        # In Python a bool is an int; on the panel it is not.
        if type(value) not in types or key not in self._data:
            raise Unknown(f"The panel's {self._name} has no usable “{key}”.")
        return value

    def _sized(self, key: str, value: str, longest: int) -> str:
        if len(value) > longest:
            raise Unknown(f"The panel's {self._name} has a “{key}” of {len(value)} characters.")
        return value

    def number(self, key: str) -> int:
        """A whole number that the panel's database can hold."""
        value = int(self._value(key, int))
        if abs(value) > LARGEST_NUMBER:
            raise Unknown(f"The panel's {self._name} has no usable “{key}”.")
        return value

    def number_or_none(self, key: str) -> int | None:
        """A whole number, or null."""
        return None if self._value(key, int, type(None)) is None else self.number(key)

    def text(self, key: str, longest: int = SHORT) -> str:
        """A text of at most so many characters."""
        return self._sized(key, self._value(key, str), longest)

    def text_or_empty(self, key: str, longest: int = SHORT) -> str:
        """A text; null reads as empty."""
        return self._sized(key, self._value(key, str, type(None)) or "", longest)

    def flag(self, key: str) -> bool:
        """A JSON boolean."""
        return bool(self._value(key, bool))

    def inner(self, key: str) -> Fields:
        """A nested object."""
        return Fields(self._value(key, dict), f"{self._name} {key}")

    def items(self, key: str) -> list[Any]:
        """A list of whatever."""
        return list(self._value(key, list))

    def texts(self, key: str) -> dict[str, str]:
        """A flat object as texts; PHP sends an empty one as a list."""
        value = self._value(key, dict, list)
        if isinstance(value, list) and value:
            raise Unknown(f"The panel's {self._name} has no usable “{key}”.")
        found = {str(name): "" if item is None else str(item) for name, item in dict(value).items()}
        self._sized(key, "".join([*found, *found.values()]), LONGEST_TEXT)
        return found


def account(data: Attributes, *, created: bool = False) -> Account:
    """A panel user (contract section 3)."""
    fields = Fields(data, "user")
    return Account(
        id=str(fields.number("id")),
        uuid=fields.text("uuid", 60),
        mark=fields.text_or_empty("external_id"),
        email=fields.text("email", 254),
        username=fields.text("username", 191),
        is_admin=fields.flag("root_admin"),
        first_name=fields.text_or_empty("first_name"),
        last_name=fields.text_or_empty("last_name"),
        created=created,
    )


def server(data: Attributes) -> Observed:
    """A server (contract section 6.1)."""
    fields = Fields(data, "server")
    return Observed(
        server_id=str(fields.number("id")),
        uuid=fields.text("uuid", 60),
        identifier=fields.text("identifier", 60),
        mark=fields.text_or_empty("external_id"),
        owner=str(fields.number("user")),
        name=fields.text("name"),
        state=_state(fields),
        limits=_limits(fields),
        extra=_extra(fields),
    )


def _state(fields: Fields) -> ServerState:
    status = fields.text_or_empty("status") or None
    if status not in STATES:
        raise Unknown(f"The panel shows the state “{status}”, which this version does not know.")
    return ServerState.SUSPENDED if fields.flag("suspended") else STATES[status]


def _limits(fields: Fields) -> dict[str, int | None]:
    limits, features = fields.inner("limits"), fields.inner("feature_limits")
    numbers: dict[str, int | None] = {
        name: limits.number(name) for name in ("memory", "swap", "disk", "io", "cpu")
    }
    for name in ("databases", "allocations", "backups"):
        numbers[name] = features.number_or_none(name)
    return numbers


def _extra(fields: Fields) -> dict[str, Any]:
    limits, container = fields.inner("limits"), fields.inner("container")
    environment = container.texts("environment")
    return {
        **{name: fields.number(name) for name in ("node", "allocation", "nest", "egg")},
        "status": fields.text_or_empty("status"),
        "image": container.text("image"),
        "startup": container.text("startup_command", LONGEST_TEXT),
        "environment": {name: value for name, value in environment.items() if name not in SYNTHETIC},
        "threads": limits.text_or_empty("threads"),
        "oom_disabled": limits.flag("oom_disabled"),
    }


def egg(data: Attributes) -> dict[str, Any]:
    """What a create needs of an egg, as JSON that is remembered (contract section 4)."""
    fields = Fields(data, "egg")
    listed = fields.inner("relationships").inner("variables").items("data")
    return {
        "id": fields.number("id"),
        "nest": fields.number("nest"),
        "name": fields.text("name"),
        "image": fields.text("docker_image"),
        "startup": fields.text("startup", LONGEST_TEXT),
        "variables": [_variable(attributes_of(item, "egg_variable")) for item in listed],
    }


def _variable(data: Attributes) -> dict[str, str]:
    fields = Fields(data, "egg variable")
    return {
        "name": fields.text("name"),
        "env": fields.text("env_variable"),
        "default": fields.text_or_empty("default_value", LONGEST_TEXT),
        "rules": fields.text_or_empty("rules", LONGEST_TEXT),
    }
