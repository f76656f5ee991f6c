"""What was measured: bench/latest.json, part by part, and the table of docs/performance.md."""

from __future__ import annotations

import datetime as dt
import json
import os
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tools.bench.goals import BY_KEY, GOALS, Value

ROOT = Path(__file__).resolve().parents[2]
LATEST = ROOT / "bench" / "latest.json"
PAGE = ROOT / "docs" / "performance.md"
BEGIN, END = "<!-- table: written by `make bench` -->", "<!-- end of the table -->"


@dataclass
class Result:
    """The figures of one part by key, and what they were made of."""

    figures: dict[str, Value]
    details: dict[str, Any] = field(default_factory=dict)


def circumstances() -> dict[str, Any]:
    """When, of which commit and on what machine something was measured."""
    told = subprocess.run(
        ["git", "describe", "--always", "--dirty"],  # noqa: S607
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return {
        "date": dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M"),
        "commit": told.stdout.strip(),
        "python": platform.python_version(),
        "cores": len(os.sched_getaffinity(0)),
    }


def read(path: Path = LATEST) -> dict[str, Any]:
    """All parts measured so far, by name."""
    return dict(json.loads(path.read_text())) if path.exists() else {}


def keep(part: str, result: Result, path: Path = LATEST) -> None:
    """Replaces one part's figures; the others stay as they were."""
    parts = read(path)
    parts[part] = {**circumstances(), "figures": result.figures, "details": result.details}
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(parts, indent=2, sort_keys=True) + "\n")


def lines(figures: Mapping[str, Value]) -> list[tuple[str, str, str, str]]:
    """Key, value, goal and verdict of what was measured, in the order of the goals."""
    return [
        (goal.key, shown(figures[goal.key]), goal.words, "yes" if goal.met(figures[goal.key]) else "NO")
        for goal in GOALS
        if goal.key in figures
    ]


def shown(value: Value) -> str:
    """A value with as many digits as it deserves."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.0f}" if value >= 100 or value == int(value) else f"{value:.2f}"


def all_figures(parts: Mapping[str, Any]) -> dict[str, Value]:
    """The figures of all parts together."""
    return {key: value for part in parts.values() for key, value in part["figures"].items()}


def table(parts: Mapping[str, Any]) -> str:
    """The page's table, with where and when each part was measured below it."""
    rows = ["| figure | what | measured | goal | met |", "| --- | --- | --- | --- | --- |"]
    for key, value, goal, met in lines(all_figures(parts)):
        rows.append(f"| `{key}` | {BY_KEY[key].what} | {value} | {goal} | {met} |")
    rows.append("")
    for name, part in sorted(parts.items()):
        where = f"Python {part['python']}, {part['cores']} cores"
        rows.append(f"- `{name}`: {part['date']} UTC, commit {part['commit']}, {where}.")
    return "\n".join(rows)


def page_write(parts: Mapping[str, Any], page: Path = PAGE) -> None:
    """Puts the table between its two marks; everything else on the page is written by hand."""
    before, _, rest = page.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n\n{table(parts)}\n\n{END}{after}")
