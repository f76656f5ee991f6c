"""Which ports a deployment gets: at random, additional ones on the primary's address (section 5.3)."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from provisioning.sandbox.calagopus.calling import Call
from provisioning.sandbox.calagopus.rows import Allocation, Node

Rules = dict[str, Any]


class PortError(Exception):
    """No such port; the text is the panel's reason."""


@dataclass
class Picked:
    """The chosen allocations, and the ports that were written into variables."""

    primary: str | None = None
    additional: list[str] = field(default_factory=list)
    variables: list[dict[str, str]] = field(default_factory=list)


def choose(call: Call, node: Node, rules: Rules, used: set[tuple[str, int]]) -> Picked:
    """Allocations of a node by the rules. Raises PortError."""
    free = _free(call, node, used)
    picked, primary = Picked(), None
    wanted = rules.get("primary")
    if wanted is not None:
        primary = _primary(call, node, rules, free)
        picked.primary = primary.uuid
        _assign(picked, wanted, primary)
    taken = [primary] if primary else []
    for number, rule in enumerate(rules["additional"]):
        found = _additional(call, rule["mode"], free, taken, number, len(rules["additional"]))
        taken.append(found)
        picked.additional.append(found.uuid)
        _assign(picked, rule, found)
    return picked


def _free(call: Call, node: Node, used: set[tuple[str, int]]) -> list[Allocation]:
    held = call.state.holders()
    rows = call.state.node_allocations(node)
    return [a for a in rows if a.uuid not in held and (a.ip, a.port) not in used]


def _assign(picked: Picked, rule: Rules, allocation: Allocation) -> None:
    name = rule.get("assign_to_variable")
    if name:
        picked.variables.append({"env_variable": name, "value": str(allocation.port)})


def _pick(call: Call, rows: list[Allocation]) -> Allocation:
    """One of several: at random, or by the sandbox's switch the lowest or highest port."""
    order = call.world.settings.port_choice
    if order == "random":
        return call.world.random.choice(rows)
    return sorted(rows, key=lambda a: a.port)[0 if order == "lowest" else -1]


def _primary(call: Call, node: Node, rules: Rules, free: list[Allocation]) -> Allocation:
    wanted = rules["primary"]
    rows = [a for a in free if wanted["start_port"] <= a.port <= wanted["end_port"]]
    if rules["dedicated"]:
        held = call.state.holders()
        busy = {a.ip for a in call.state.node_allocations(node) if a.uuid in held}
        rows = [a for a in rows if a.ip not in busy]
    if not rows:
        kind = "dedicated " if rules["dedicated"] else ""
        raise PortError(f"only found 0 available {kind}allocations")
    return _pick(call, rows)


ARITHMETIC: dict[str, Callable[[int, float], float]] = {
    "add_primary": lambda port, value: port + value,
    "subtract_primary": lambda port, value: port - value,
    "multiply_primary": lambda port, value: port * value,
    "divide_primary": lambda port, value: port / max(value, 1),
}


def _additional(
    call: Call, mode: Rules, free: list[Allocation], taken: list[Allocation], number: int, count: int
) -> Allocation:
    """One more port, on the address of the first one."""
    rows = [a for a in free if a not in taken and (not taken or a.ip == taken[0].ip)]
    kind = mode["type"]
    if kind == "range":
        rows = [a for a in rows if mode["start_port"] <= a.port <= mode["end_port"]]
    elif kind in ARITHMETIC:
        exact = ARITHMETIC[kind](taken[0].port, mode["value"]) if taken else 0
        rows = [a for a in rows if a.port == int(exact)]
    if rows:
        return _pick(call, rows)
    if kind == "random":
        raise PortError("only found 0 available allocations on this IP")
    raise PortError(f"a node could only satisfy {number} of the {count} required additional allocations")
