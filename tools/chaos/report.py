"""docs/reliability.md, written from the lines of docs/reliability.jsonl: one line for each campaign kept."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parents[2] / "docs"
LINES, PAGE = "reliability.jsonl", "reliability.md"
BUILD = ("billingbridge", "provisioning", "upsell", "tools/chaos", "tests/flows")
COLUMNS = (
    "stack", "seed", "commit", "kills", "lifecycles", "lost", "duplicates", "orphans", "refused_deletes",
    "seconds",
)  # fmt: skip
SUMMED = COLUMNS[3:]
HEAD = Path(__file__).with_name("head.md")
"""What stands above the tables."""


def commit() -> str:
    """The build that is tried: the commit's short name, with a plus where files differ from it."""
    try:
        name = _git("rev-parse", "--short", "HEAD")
        return f"{name}+" if _git("status", "--porcelain", "--untracked-files=no", "--", *BUILD) else name
    except (OSError, subprocess.CalledProcessError):  # no git here, or a bare copy of the files
        return ""


def _git(*words: str) -> str:
    argv = ["git", *words]
    done = subprocess.run(argv, cwd=DOCS.parent, capture_output=True, text=True, check=True)  # noqa: S603
    return done.stdout.strip()


def keep(line: Mapping[str, Any], docs: Path = DOCS) -> None:
    """Adds one campaign's result and writes the page anew."""
    with (docs / LINES).open("a") as file:
        file.write(json.dumps(dict(line)) + "\n")
    (docs / PAGE).write_text(page(read(docs)))


def read(docs: Path = DOCS) -> list[dict[str, Any]]:
    """All results so far."""
    path = docs / LINES
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def page(lines: Sequence[Mapping[str, Any]]) -> str:
    """The page: sums for each build on each stack, then every campaign, clean or not.

    Builds are not summed together: what an old one lost says nothing of the new one, nor the other way round.
    """
    builds = list(dict.fromkeys(_build(line) for line in lines))
    sums = [_sums(build, [line for line in lines if _build(line) == build]) for build in builds]
    every = [[*(line.get(name, "") for name in COLUMNS), _clean(line)] for line in lines]
    return (
        f"{HEAD.read_text()}\n## Each build\n\n{_table(('stack', 'commit', 'campaigns', *SUMMED), sums)}"
        f"\n## Each campaign\n\n{_table((*COLUMNS, 'clean'), every)}"
    )


def _clean(line: Mapping[str, Any]) -> str:
    return "no" if line["lost"] or line["duplicates"] or line["orphans"] else "yes"


def _build(line: Mapping[str, Any]) -> tuple[str, str]:
    return line["stack"], line.get("commit", "")


def _sums(build: tuple[str, str], lines: Sequence[Mapping[str, Any]]) -> list[object]:
    return [*build, len(lines), *(sum(line[name] for line in lines) for name in SUMMED)]


def _table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    cells = [[head.replace("_", " ") for head in heads], ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(map(str, row))} |\n" for row in cells)
