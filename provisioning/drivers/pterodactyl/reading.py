"""From the panel's JSON to our words, strictly: a missing field or a wrong type raises Unknown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from provisioning.drivers.errors import Unknown
from provisioning.drivers.fields import LONGEST_TEXT, Fields
from provisioning.drivers.pterodactyl.client import Attributes, attributes_of
from provisioning.drivers.types import Account, Observed, ServerState

SYNTHETIC = frozenset({"STARTUP", "P_SERVER_LOCATION", "P_SERVER_UUID", "P_SERVER_ALLOCATION_LIMIT"})
"""What the panel mixes into `environment` and does not want back (contract section 6.1)."""

STATES: Mapping[str | None, ServerState] = {
    None: ServerState.ACTIVE,
    "installing": ServerState.INSTALLING,
    "install_failed": ServerState.INSTALL_FAILED,
    # Whether what was there before still runs, only the engine knows: it has seen the server ready, or not.
    "reinstall_failed": ServerState.INSTALL_FAILED,
    "suspended": ServerState.SUSPENDED,
    "restoring_backup": ServerState.BUSY,
}


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
