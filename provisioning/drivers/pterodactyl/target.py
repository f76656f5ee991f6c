"""Checks a product against the panel when it is saved (CAL-21, CAL-30)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from provisioning.drivers import rules
from provisioning.drivers.fields import Fields
from provisioning.drivers.pterodactyl.client import Client, path
from provisioning.drivers.pterodactyl.eggs import Eggs


def target_problems(client: Client, eggs: Eggs, document: Mapping[str, Any]) -> dict[str, str]:
    """Field path -> sentence for what the panel contradicts. Raises Unknown where it can't be asked."""
    target, runtime = document.get("target") or {}, document.get("runtime") or {}
    problems = _place_problems(client, target)
    egg = eggs.fetch(target["nest"], target["egg"])
    if egg is not None:
        return problems | rules.variable_problems(egg["variables"], runtime)
    if client.find("nest", path("nests", target["nest"])) is None:
        return problems | {"target.nest": f"The panel has no nest {target['nest']}."}
    return problems | {"target.egg": f"Nest {target['nest']} has no egg {target['egg']}."}


def _place_problems(client: Client, target: Mapping[str, Any]) -> dict[str, str]:
    node = target.get("node")
    if node:
        found = client.find("node", path("nodes", node))
        return {} if found else {"target.node": f"The panel has no node {node}."}
    missing = [number for number in target.get("locations") or () if not _location(client, number)]
    if not missing:
        return {}
    return {"target.locations": f"The panel has no location {', '.join(map(str, missing))}."}


def _location(client: Client, number: int) -> bool:
    found = client.find("location", path("locations", number))
    return found is not None and Fields(found, "location").number("id") == number
