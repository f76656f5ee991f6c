"""What the documents are compared with: read from the sources, never from a list kept by hand."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SHOWN_IN = ("exceptions.py", "desired.py", "drivers", "inbox", "lifecycle", "reconcile")
"""The parts of provisioning/ whose reasons end on an operation or an event."""
DEFAULTS = {"waiting", "needs_staff", "held", "panel_error", "not_allowed", "lease_lost"}
"""Reasons of classes that are only the root of others, or never end on a row: nobody reads them there."""
ALWAYS_NAMED = {"PanelWaiting", "NeedsStaff", "EventHeld"}
"""The classes of which every raise has to name its own reason."""


def documents() -> list[Path]:
    """Every document of the project."""
    return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def modules() -> Iterator[tuple[Path, ast.Module]]:
    """The modules that can give a row its reason."""
    for name in SHOWN_IN:
        place = ROOT / "provisioning" / name
        for path in [place] if place.suffix else sorted(place.rglob("*.py")):
            yield path, ast.parse(path.read_text(encoding="utf-8"))


def reasons() -> set[str]:
    """Every reason code that an operation or an event can show."""
    found: set[str] = set()
    for _, tree in modules():
        for node in ast.walk(tree):
            found.update(_reasons_at(node))
    return found - DEFAULTS - {""}


def _reasons_at(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.keyword) and node.arg == "reason":
        yield from _texts(node.value)
    if isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        names = {target.id for target in targets if isinstance(target, ast.Name)}
        if "reason" in names and node.value is not None:
            yield from _texts(node.value)
        if "ADVICE" in names and isinstance(node.value, ast.Dict):
            # A table of (reason, advice) by kind of failure.
            for pair in node.value.values:
                yield from _texts(pair.elts[0]) if isinstance(pair, ast.Tuple) else ()


def _texts(node: ast.expr) -> Iterator[str]:
    """The literal texts that an expression can be."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from _texts(node.body)
        yield from _texts(node.orelse)


def nameless_raises() -> list[str]:
    """Raises of a class whose own reason says too little, without one of their own."""
    found = []
    for path, tree in modules():
        for node in ast.walk(tree):
            if not isinstance(node, ast.Raise) or not isinstance(node.exc, ast.Call):
                continue
            call = node.exc
            if not isinstance(call.func, ast.Name):
                continue
            named = any(item.arg == "reason" for item in call.keywords)
            if call.func.id in ALWAYS_NAMED and not named:
                found.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    return found


def headings(text: str) -> list[str]:
    """The headings of a document, without their marks; code blocks hold none."""
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"^#+ +(.+?) *$", prose, flags=re.MULTILINE)


def anchor(heading: str) -> str:
    """The fragment by which a heading is linked to."""
    kept = re.sub(r"[^\w\- ]", "", heading.lower())
    return kept.strip().replace(" ", "-")


def links(text: str) -> list[str]:
    """Where the links and pictures of a document lead; code holds none."""
    prose = re.sub(r"^```.*?^```|`[^`\n]*`", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"\]\(([^()\s]+)\)", prose) + re.findall(r"<img src=\"([^\"]+)\"", prose)
