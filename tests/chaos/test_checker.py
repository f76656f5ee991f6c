"""The checker finds each kind of wrong, and shares no code with what it judges."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import Any

import pytest

from tools.chaos import checker
from tools.chaos.checker import Findings, Sold, compare, sold

MEMORY = {"small": 64, "big": 128}


def event(name: str, product: str = "small", key: str = "7") -> dict[str, str]:
    return {"event": name, "subscription_id": key, "product_id": product}


ORDER = event("subscription.created")


def server(mark: str = "x-7", status: str | None = None, memory: int = 64) -> dict[str, Any]:
    return {"external_id": mark, "status": status, "limits": {"memory": memory}}


@pytest.mark.parametrize(
    ("events", "sale"),
    [
        ([ORDER], Sold(64)),
        ([ORDER, ORDER, event("subscription.updated", "big")], Sold(128)),
        ([ORDER, event("payment.failed")], Sold(64, paid=False)),
        ([ORDER, event("payment.failed"), event("subscription.updated", "big")], Sold(128, paid=False)),
        ([ORDER, event("payment.failed"), event("payment.succeeded")], Sold(64)),
        ([ORDER, event("subscription.cancelled")], Sold(64, ended=True)),
    ],
)
def test_what_events_add_up_to(events: list[dict[str, str]], sale: Sold) -> None:
    assert sold([*events, event("subscription.created", key="8")], MEMORY) == {"7": sale, "8": Sold(64)}


@pytest.mark.parametrize(
    ("sale", "shown", "findings"),
    [
        (Sold(64), [server()], Findings()),
        (Sold(64, paid=False), [server(status="suspended")], Findings()),
        (Sold(64, ended=True), [], Findings()),
        (Sold(64), [], Findings(lost=["x-7"])),
        (Sold(64), [server(memory=128)], Findings(lost=["x-7"])),
        (Sold(64), [server(status="installing")], Findings(lost=["x-7"])),
        (Sold(64), [server(status="suspended")], Findings(lost=["x-7"])),
        (Sold(64, paid=False), [server()], Findings(lost=["x-7"])),
        (Sold(64), [server(), server()], Findings(duplicates=["x-7"])),
        (Sold(64, ended=True), [server(status="suspended")], Findings(orphans=["x-7"])),
        (Sold(64), [server(), server("x-8")], Findings(orphans=["x-8"])),
        (Sold(64), [server(), server("7")], Findings(orphans=["7"])),
    ],
)
def test_what_is_found(sale: Sold, shown: list[dict[str, Any]], findings: Findings) -> None:
    found = compare({"7": sale}, shown, prefix="x-")
    assert found == findings
    assert bool(found) == (findings != Findings())


def test_it_imports_nothing_of_ours() -> None:
    tree = ast.parse(Path(checker.__file__).read_text())
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "." for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in names} <= sys.stdlib_module_names
