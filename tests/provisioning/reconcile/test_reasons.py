"""Every reason on which an order can wait or stop has its paragraph in the runbook."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

RUNBOOK = Path(settings.BASE_DIR) / "docs" / "runbook.md"
SOURCES = ("reconcile", "drivers", "lifecycle", "inbox", "desired.py", "exceptions.py")
SILENT = {
    # Codes that end no operation and no event.
    "lease_lost",
    "waiting",
    "needs_staff",
    "not_allowed",
    "held",
    "panel_error",
}


def files() -> Iterator[Path]:
    for name in SOURCES:
        place = Path(settings.BASE_DIR) / "provisioning" / name
        yield from [place] if place.is_file() else sorted(place.rglob("*.py"))


def texts(node: ast.expr | None) -> Iterator[str]:
    """Every text that an expression can be: `"a" if b else "c"` can be two."""
    for item in ast.walk(node) if node else ():
        if isinstance(item, ast.Constant) and isinstance(item.value, str) and item.value:
            yield item.value


def reasons_of(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg == "reason":
            # `reason=reason` and `reason=error.reason` hand on what another line names.
            yield from texts(node.value)
        elif isinstance(node, ast.Assign) and any(_is_reason(target) for target in node.targets):
            yield from texts(node.value)


def _is_reason(target: ast.expr) -> bool:
    return isinstance(target, ast.Name) and target.id == "reason"


def all_reasons() -> set[str]:
    found = {code for path in files() for code in reasons_of(ast.parse(path.read_text()))}
    return {code for code in found if re.fullmatch(r"[a-z_]+", code)} - SILENT


def test_reasons_are_read_from_the_source() -> None:
    assert {"server_missing", "panel_key", "panel_unreachable", "crashed", "no_capacity"} <= all_reasons()


@pytest.mark.req("CAL-42", "T83-43")
def test_every_reason_has_its_paragraph_in_the_runbook() -> None:
    headings = set(re.findall(r"^## (\w+)$", RUNBOOK.read_text(), re.MULTILINE))
    assert not sorted(all_reasons() - headings)
