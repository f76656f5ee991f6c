"""Pure: from what a server should be to the bodies that Pterodactyl takes (contract sections 6.3 to 6.6).

MiB and percent as on the panel. Feature limits are numbers here, never null: null databases would be
unlimited. `deploy` and `allocation` are never sent together (the panel would not check the latter).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from provisioning.drivers.types import Desired, Observed
from provisioning.exceptions import SpecProblem

LIMITS = ("memory", "swap", "disk", "io", "cpu")
FEATURES = ("databases", "allocations", "backups")
Egg = Mapping[str, Any]


def create_body(
    desired: Desired, egg: Egg, *, user: int | str, allocation: int | str | None
) -> dict[str, Any]:
    """The body of POST /servers; `allocation` None lets the panel deploy. Raises SpecProblem."""
    options = desired.options
    return {
        "external_id": desired.mark,
        "name": desired.name,
        "user": user,
        "egg": egg["id"],
        "docker_image": desired.runtime.image or egg["image"],
        "startup": desired.runtime.startup or egg["startup"],
        "environment": complete_environment(egg, desired.runtime.variables),
        "skip_scripts": bool(options.get("skip_scripts", False)),
        "oom_disabled": not options.get("oom_killer", False),
        "start_on_completion": bool(options.get("start_on_completion", False)),
        "limits": {**_limits(desired.limits), "threads": options.get("threads") or None},
        "feature_limits": _features(desired.limits),
        **_place(desired.target, allocation),
    }


def _place(target: Mapping[str, Any], allocation: int | str | None) -> dict[str, Any]:
    if allocation is not None:
        return {"allocation": {"default": allocation}}
    # All three keys have to be there, and ports are texts (trap 17). An empty list of locations would mean
    # every one of them, so it's refused.
    if not target.get("locations"):
        raise SpecProblem({"target": "Choose a node, or at least one location for Auto."})
    return {
        "deploy": {
            "locations": [int(number) for number in target["locations"]],
            "dedicated_ip": bool(target.get("dedicated_ip", False)),
            "port_range": [str(ports) for ports in target.get("port_range") or ()],
        }
    }


def _limits(limits: Mapping[str, int | None]) -> dict[str, int]:
    # A missing limit must never become 0: on the panel that is "unlimited" (CAL-22).
    missing = {f"limits.{name}": "This limit is missing." for name in LIMITS if limits.get(name) is None}
    if missing:
        raise SpecProblem(missing)
    return {name: int(limits[name] or 0) for name in LIMITS}


def _features(limits: Mapping[str, int | None]) -> dict[str, int]:
    return {name: int(limits.get(name) or 0) for name in FEATURES}


def build_body(desired: Desired, observed: Observed) -> dict[str, Any]:
    """The body of PATCH build, complete (trap 8): what the product leaves open stays as the panel showed it.

    `oom_disabled` and `threads` are left out, which keeps them. Ports in use are not looked at: the panel
    lets a server keep more than its limit allows, and only adds none.
    """
    wanted = {**observed.limits, **desired.limits}
    return {
        "allocation": observed.extra["allocation"],
        "limits": _limits(wanted),
        "feature_limits": _features(wanted),
    }


def startup_body(desired: Desired, observed: Observed, egg: Egg) -> dict[str, Any]:
    """The body of PATCH startup: all five fields and every variable (trap 5), on the egg that it has.

    Only what the product changed since it was last applied is new; the customer's own edits stay.
    """
    before: Mapping[str, Any] = desired.runtime_applied or {}
    after = desired.runtime.as_json()
    extra = observed.extra
    body = {"egg": extra["egg"], "skip_scripts": bool(desired.options.get("skip_scripts", False))}
    for field in ("image", "startup"):
        changed = after[field] != (before.get(field) or "")
        body[field] = (after[field] or egg[field]) if changed else extra[field]
    variables = before.get("variables") or {}
    body["environment"] = _changed_environment(egg, extra["environment"], variables, after["variables"])
    return body


def _changed_environment(
    egg: Egg, shown: Mapping[str, str], before: Mapping[str, str], after: Mapping[str, str]
) -> dict[str, str]:
    changed = {name for name in {*after, *before} if after.get(name) != before.get(name)}
    folded = {name.casefold() for name in changed}
    kept = {name: value for name, value in shown.items() if name.casefold() not in folded}
    return complete_environment(egg, {**kept, **{n: v for n, v in after.items() if n in changed}})


def complete_environment(egg: Egg, chosen: Mapping[str, str]) -> dict[str, str]:
    """Every variable of the egg: the chosen value, else the egg's default, which the panel would not apply.

    Names match without regard to case (CAL-30); a name that the egg doesn't have is left out.
    """
    values = {name.casefold(): value for name, value in chosen.items()}
    return {item["env"]: values.get(item["env"].casefold(), item["default"]) for item in egg["variables"]}


def details_body(shown: Mapping[str, Any], mark: str) -> dict[str, Any]:
    """The body of PATCH details: only the mark is new. What is left out here is cleared there (trap 7)."""
    return {
        "name": shown["name"],
        "user": shown["user"],
        "external_id": mark,
        "description": shown.get("description"),
    }
