"""docs/reliability.md, written from the lines of docs/reliability.jsonl: one line for each campaign kept."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parents[2] / "docs"
LINES, PAGE = "reliability.jsonl", "reliability.md"
COLUMNS = (
    "stack", "seed", "kills", "lifecycles", "lost", "duplicates", "orphans", "refused_deletes", "seconds",
)  # fmt: skip
SUMMED = ("kills", "lifecycles", "lost", "duplicates", "orphans", "refused_deletes")
INTRO = """# Reliability: what was killed, and what came of it

Written by `make chaos KEEP=1` from `docs/reliability.jsonl`; don't edit it by hand.

`make chaos KILLS=50 SEED=1` starts the real product (web server, queue cluster, ticker, database) and the
sandbox panel, lets many services be ordered, changed, left unpaid, paid and cancelled, and kills processes
meanwhile: queue workers 70 %, pusher, monitor and sentinel 20 %, the whole cluster 10 %. The panel takes
several servers of one mark, loses answers, and is at times slower than a worker's lease. In the end a checker
that shares no code with the bridge compares billing's ledger with the panel's list.

- **lost**: sold, and not there, or in another state or size than was sold.
- **duplicates**: more than one server for one subscription.
- **orphans**: a server that nobody pays for.
- **refused deletes**: deletes that the guard refused or the mass brake held.

`STACK=postgres` runs the same on PostgreSQL and Redis. The same seed draws the same lives and victims; when
exactly a process dies is up to the machine.
"""


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
    """The page: sums for each stack, then every campaign."""
    stacks = sorted({line["stack"] for line in lines})
    sums = [[stack, *_sums([line for line in lines if line["stack"] == stack])] for stack in stacks]
    every = [[line[name] for name in COLUMNS] for line in lines]
    return (
        f"{INTRO}\n## In sum\n\n{_table(('stack', *SUMMED), sums)}"
        f"\n## Each campaign\n\n{_table(COLUMNS, every)}"
    )


def _sums(lines: Sequence[Mapping[str, Any]]) -> list[int]:
    return [sum(line[name] for line in lines) for name in SUMMED]


def _table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    cells = [[head.replace("_", " ") for head in heads], ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(map(str, row))} |\n" for row in cells)
