"""Checks a product against the panel when it is saved (CAL-21, CAL-29, CAL-30)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from provisioning.drivers import rules
from provisioning.drivers.calagopus.client import Client, path
from provisioning.drivers.calagopus.eggs import Egg, Eggs


def target_problems(client: Client, eggs: Eggs, document: Mapping[str, Any]) -> dict[str, str]:
    """Field path -> sentence for what the panel contradicts. Raises Unknown where it can't be asked."""
    target, runtime = document.get("target") or {}, document.get("runtime") or {}
    problems = _place_problems(client, target) | _backup_problems(client, document.get("options") or {})
    egg = eggs.fetch(target["nest"], target["egg"])
    if egg is not None:
        # What this panel takes for a boolean is not recorded: “true” and “false” are left to it.
        wrong = rules.variable_problems(egg["variables"], runtime, boolean_words=True)
        return problems | _default_problems(egg, runtime) | wrong
    if client.find("nest", path("nests", target["nest"])) is None:
        return problems | {"target.nest": f"The panel has no nest {target['nest']}."}
    return problems | {"target.egg": f"This nest has no egg {target['egg']}."}


def _place_problems(client: Client, target: Mapping[str, Any]) -> dict[str, str]:
    node = target.get("node")
    if node:
        found = client.find("node", path("nodes", node))
        return {} if found else {"target.node": f"The panel has no node {node}."}
    places = target.get("locations") or ()
    missing = [text for text in places if client.find("location", path("locations", text)) is None]
    return {"target.locations": f"The panel has no location {', '.join(missing)}."} if missing else {}


def _backup_problems(client: Client, options: Mapping[str, Any]) -> dict[str, str]:
    wanted = options.get("backup_configuration")
    # A wrong one would be refused at the first order (contract section 5.2).
    if not wanted or client.find("backup_configuration", path("backup-configurations", wanted)):
        return {}
    return {"options.backup_configuration": f"The panel has no backup configuration {wanted}."}


def _default_problems(egg: Egg, runtime: Mapping[str, Any]) -> dict[str, str]:
    words = "The egg has none of its own: enter one."
    names = [name for name in ("image", "startup") if not (egg[name] or runtime.get(name))]
    return {f"runtime.{name}": words for name in names}
