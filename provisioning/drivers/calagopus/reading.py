"""From the panel's JSON to our words, strictly: a missing field or a wrong type raises Unknown.

Servers carry their node, egg and backup configuration whole, with secrets in clear (contract section 1, 17):
what is not named here is never kept.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from provisioning.drivers.calagopus.client import Attributes
from provisioning.drivers.errors import Unknown
from provisioning.drivers.fields import LONGEST_TEXT, Fields
from provisioning.drivers.types import Account, Observed, ServerState

FEATURES = ("databases", "allocations", "backups", "schedules")
NUMBERS = ("memory", "memory_overhead", "swap", "disk", "cpu")
LONGEST_ID = 36

STATES: Mapping[str, ServerState] = {
    "": ServerState.ACTIVE,
    "installing": ServerState.INSTALLING,
    "install_failed": ServerState.INSTALL_FAILED,
    "restoring_backup": ServerState.BUSY,
    # A customer's restore that failed: theirs to see; whatever we want of the server can be done.
    "backup_restore_failed": ServerState.ACTIVE,
}


def account(data: Attributes, *, created: bool = False) -> Account:
    """A panel user (contract section 3). A role gives rights over the panel: it counts as an admin."""
    fields = Fields(data, "user")
    return Account(
        id=fields.text("uuid", LONGEST_ID),
        uuid=fields.text("uuid", LONGEST_ID),
        mark=fields.text_or_empty("external_id"),
        email=fields.text("email", 255),
        username=fields.text("username"),
        is_admin=fields.flag("admin") or fields.inner_or_none("role") is not None,
        first_name=fields.text_or_empty("name_first"),
        last_name=fields.text_or_empty("name_last"),
        created=created,
    )


def server(data: Attributes) -> Observed:
    """A server (contract section 3), as a look or a list shows it."""
    fields = Fields(data, "server")
    return Observed(
        server_id=fields.text("uuid", LONGEST_ID),
        uuid=fields.text("uuid", LONGEST_ID),
        identifier=fields.text("uuid_short", LONGEST_ID),
        mark=fields.text_or_empty("external_id"),
        owner=fields.inner("owner").text("uuid", LONGEST_ID),
        name=fields.text("name"),
        state=_state(fields),
        limits=_limits(fields),
        extra=_extra(fields),
    )


def _state(fields: Fields) -> ServerState:
    status = fields.text_or_empty("status")
    if status not in STATES:
        raise Unknown(f"The panel shows the state “{status}”, which this version does not know.")
    if fields.flag("is_suspended"):
        return ServerState.SUSPENDED
    return ServerState.BUSY if fields.flag("is_transferring") else STATES[status]


def _limits(fields: Fields) -> dict[str, int | None]:
    limits, features = fields.inner("limits"), fields.inner("feature_limits")
    numbers: dict[str, int | None] = {name: limits.number(name) for name in NUMBERS}
    numbers["io"] = limits.number_or_none("io_weight")
    return numbers | {name: features.number(name) for name in FEATURES}


def _extra(fields: Fields) -> dict[str, Any]:
    node, backups = fields.inner("node"), fields.inner_or_none("backup_configuration")
    port = fields.inner_or_none("allocation")
    return {
        "node": node.text("uuid", LONGEST_ID),
        "nest": fields.inner("nest").text("uuid", LONGEST_ID),
        "egg": fields.inner("egg").text("uuid", LONGEST_ID),
        "allocation": f"{port.text('ip')}:{port.number('port')}" if port else "",
        "status": fields.text_or_empty("status"),
        "image": fields.text("image"),
        "startup": fields.text("startup", LONGEST_TEXT),
        "feature_limits": feature_limits(fields),
        "pinned_cpus": [number for number in fields.items("pinned_cpus") if type(number) is int],
        "hugepages": fields.flag("hugepages_passthrough_enabled"),
        "kvm": fields.flag("kvm_passthrough_enabled"),
        "backup_configuration": backups.text("uuid", LONGEST_ID) if backups else "",
        "sftp_host": _sftp_host(node),
        "sftp_port": node.number("sftp_port"),
    }


def feature_limits(fields: Fields) -> dict[str, Any]:
    """All of them, those of extensions too, whatever these hold: they are sent back whole."""
    found = fields.mapping("feature_limits")
    if len(json.dumps(found)) > LONGEST_TEXT:
        raise Unknown("The panel's server has feature limits of an unbelievable length.")
    return found


def _sftp_host(node: Fields) -> str:
    named = node.text_or_empty("sftp_host")
    return named or urlsplit(node.text_or_empty("public_url") or node.text("url")).hostname or ""


def egg(data: Attributes, variables: list[Any]) -> dict[str, Any]:
    """What a create needs of an egg, as JSON that is remembered.

    The first image and startup command are the egg's own choice; their order would be lost in a database.
    """
    fields = Fields(data, "egg")
    images, startups = fields.texts("docker_images"), fields.texts("startup_commands")
    return {
        "id": fields.text("uuid", LONGEST_ID),
        "name": fields.text("name"),
        "image": next(iter(images.values()), ""),
        "startup": next(iter(startups.values()), ""),
        "variables": [_variable(item) for item in variables],
    }


def _variable(data: object) -> dict[str, str]:
    fields = Fields(data, "egg variable")
    rules = [rule for rule in fields.items("rules") if isinstance(rule, str)]
    return {
        "name": fields.text("name"),
        "env": fields.text("env_variable"),
        "default": fields.text_or_empty("default_value", LONGEST_TEXT),
        "rules": "|".join(rules),
    }


def usage(data: Mapping[str, Any], server_id: str) -> tuple[str, int, int] | None:
    """Power state, memory limit in bytes and CPU limit in percent at the machine; None if it is unknown."""
    shown = data.get(server_id)
    if shown is None:
        return None
    fields = Fields(shown, "usage")
    return fields.text("state"), fields.number("memory_limit_bytes"), fields.number("cpu_limit_absolute")
