"""Pure: from what a server should be to the bodies that Calagopus takes (contract sections 5.2, 5.3, 5.5).

MiB and percent as on the panel. Nested objects are replaced whole there, so they are always sent whole.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from provisioning.drivers.calagopus.product import cpu_numbers, custom_limits, port_range
from provisioning.drivers.calagopus.reading import FEATURES, NUMBERS
from provisioning.drivers.types import ChangeKind, Desired, Observed, Runtime, Wanted
from provisioning.exceptions import SpecProblem

Egg = Mapping[str, Any]
SHORTEST_NAME, LONGEST_NAME = 3, 255


def create_body(desired: Desired, egg: Egg, *, owner: str, allocation: str) -> dict[str, Any]:
    """The body of POST /servers, or without `allocation` of POST /servers/deploy. Raises SpecProblem."""
    options = desired.options
    return {
        **(_deployment(desired.target) if not allocation else _place(desired.target, allocation)),
        "owner_uuid": owner,
        "egg_uuid": egg["id"],
        "backup_configuration_uuid": options.get("backup_configuration") or None,
        "start_on_completion": bool(options.get("start_on_completion", False)),
        "skip_installer": bool(options.get("skip_scripts", False)),
        "external_id": desired.mark,
        "name": _name(desired.name),
        "limits": limits_body(desired.limits),
        "pinned_cpus": cpu_numbers(options.get("pinned_cpus") or ""),
        "startup": desired.runtime.startup or egg["startup"],
        "image": desired.runtime.image or egg["image"],
        "hugepages_passthrough_enabled": bool(options.get("hugepages", False)),
        "kvm_passthrough_enabled": bool(options.get("kvm", False)),
        "feature_limits": {name: int(desired.limits.get(name) or 0) for name in FEATURES} | _custom(desired),
        "variables": variables_body(egg, desired.runtime.variables),
    }


def _place(target: Mapping[str, Any], allocation: str) -> dict[str, Any]:
    return {"node_uuid": target["node"], "allocation_uuid": allocation, "allocation_uuids": []}


def _deployment(target: Mapping[str, Any]) -> dict[str, Any]:
    # Without a rule for ports the panel makes a server that has none (contract section 1, 8).
    if not target.get("locations"):
        raise SpecProblem({"target": "Choose a node, or at least one location for Auto."})
    first, last = port_range(target.get("ports") or "")
    return {
        "deployment": {
            "location_uuids": list(target["locations"]),
            "allow_overallocation": bool(target.get("allow_overallocation", False)),
            "allocations": {
                "dedicated": bool(target.get("dedicated_ip", False)),
                "primary": {"start_port": first, "end_port": last, "assign_to_variable": None},
                "additional": [],
            },
        }
    }


def _name(name: str) -> str:
    if not SHORTEST_NAME <= len(name) <= LONGEST_NAME:
        words = (
            f"“{name[:60]}” has {len(name)} characters; the panel takes {SHORTEST_NAME} to {LONGEST_NAME}."
        )
        raise SpecProblem({"name": f"{words} Set a longer or shorter name prefix in the product."})
    return name


def _custom(desired: Desired) -> dict[str, int]:
    return custom_limits(desired.options.get("feature_limits") or "")


def limits_body(limits: Mapping[str, int | None]) -> dict[str, int | None]:
    """`limits` complete; IO weight None is the panel's own. Raises SpecProblem for one that is missing."""
    # A missing limit must never become 0: on the panel that is "unlimited" (CAL-22).
    missing = {f"limits.{name}": "This limit is missing." for name in NUMBERS if limits.get(name) is None}
    missing.pop("limits.memory_overhead", None)
    if missing:
        raise SpecProblem(missing)
    numbers: dict[str, int | None] = {name: int(limits.get(name) or 0) for name in NUMBERS}
    return {**numbers, "io_weight": limits.get("io")}


def variables_body(egg: Egg, chosen: Mapping[str, str]) -> list[dict[str, str]]:
    """The chosen variables under the egg's names (in any letter case, CAL-30); what it lacks is left out."""
    values = {name.casefold(): value for name, value in chosen.items()}
    names = [item["env"] for item in egg["variables"] if item["env"].casefold() in values]
    return [{"env_variable": name, "value": values[name.casefold()]} for name in names]


def changed_variables(egg: Egg, desired: Desired) -> list[dict[str, str]]:
    """What the product changed since it was last applied; one that it gave up takes the egg's default."""
    before: Mapping[str, str] = (desired.runtime_applied or {}).get("variables") or {}
    after = desired.runtime.variables
    defaults = {item["env"].casefold(): item["default"] for item in egg["variables"]}
    changed = {name for name in {*before, *after} if before.get(name) != after.get(name)}
    wanted = {name: after.get(name, defaults.get(name.casefold(), "")) for name in sorted(changed)}
    return variables_body(egg, wanted)


def update_body(desired: Desired, observed: Observed, kinds: frozenset[ChangeKind]) -> dict[str, Any]:
    """The one PATCH that carries all these changes but the runtime's."""
    body: dict[str, Any] = {}
    if ChangeKind.MARK in kinds:
        body["external_id"] = desired.mark
    if kinds & {ChangeKind.SUSPEND, ChangeKind.UNSUSPEND}:
        body["suspended"] = desired.state is Wanted.SUSPENDED
    if ChangeKind.RESIZE in kinds:
        wanted = {**observed.limits, **desired.limits}
        features = {name: int(wanted.get(name) or 0) for name in FEATURES}
        body["limits"] = limits_body(wanted)
        body["feature_limits"] = {**observed.extra["feature_limits"], **features, **_custom(desired)}
    return body


def runtime_body(desired: Desired, egg: Egg) -> dict[str, Any]:
    """Startup command and image, where the product changed them; a customer's own choice stays."""
    before: Mapping[str, Any] = desired.runtime_applied or {}
    after = desired.runtime.as_json()
    changed = [name for name in ("image", "startup") if after[name] != (before.get(name) or "")]
    return {name: after[name] or egg[name] for name in changed}


def runtime_sign(runtime: Runtime) -> str:
    """A fingerprint of a runtime: variables may hold passwords, so that is all that a look keeps of it."""
    return hashlib.sha256(json.dumps(runtime.as_json(), sort_keys=True).encode()).hexdigest()[:16]


def custom_changes(desired: Desired, observed: Observed) -> dict[str, tuple[Any, int]]:
    """Custom feature limits that differ: key -> what the panel shows (None: nothing), what is wanted."""
    shown = observed.extra.get("feature_limits")
    # A comparison of whole lists keeps no more of a server than what is sold.
    wanted = _custom(desired) if shown is not None else {}
    seen = shown or {}
    return {key: (seen.get(key), value) for key, value in wanted.items() if seen.get(key) != value}
