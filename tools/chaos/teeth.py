"""Sees that the harness bites (B3): each sabotaged build has to be caught within 300 lifecycles.

Usage: python -m tools.chaos.teeth [name …]. tools/chaos/sabotage.toml holds the builds; each is the edit of
the same name in tests/mutants.toml and what else belongs to that wall, made in a copy of the working tree.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from tools import mutants

LIST = Path(__file__).with_name("sabotage.toml")
MOST_LIFECYCLES, BATCH, KILLS = 300, 60, 5
MOST_SECONDS = 240.0
"""For each build; no campaign begins later."""
TROUBLED = 1.0
"""The sabotage shows where the panel misbehaves, so it does that to each life; and a slow worker has to live
long enough to do harm, so fewer are killed."""


def load() -> list[mutants.Mutant]:
    """The sabotaged builds, each with all of its edits."""
    known = {mutant.name: mutant for mutant in mutants.load()}
    return [replace(build, edits=known[build.name].edits + build.edits) for build in mutants.load(LIST)]


def campaign(tree: Path, seed: int) -> dict[str, Any]:
    """One campaign of that tree; its result. Raises RuntimeError if it printed none."""
    words = [
        f"--kills={KILLS}",
        f"--lifecycles={BATCH}",
        f"--seed={seed}",
        f"--troubled={TROUBLED}",
        "--seconds=100",
    ]
    argv = [sys.executable, "-m", "tools.chaos", *words]
    done = subprocess.run(argv, cwd=tree, capture_output=True, text=True, check=False)  # noqa: S603
    lines = done.stdout.splitlines()
    if not lines:
        raise RuntimeError(f"The campaign broke off: {done.stderr[-2000:]}")
    result: dict[str, Any] = json.loads(lines[-1])
    return result


def caught(build: mutants.Mutant) -> bool:
    """Whether a campaign finds a second server in time; says so in one line.

    Nothing else counts: a campaign ends with its first duplicate, and what is late then is no proof.
    """
    lifecycles, seed, began = 0, 0, time.monotonic()
    with tempfile.TemporaryDirectory(prefix="billingbridge-teeth-") as folder:
        tree = Path(folder) / "tree"
        mutants.copy_tree(tree)
        mutants.apply(build, tree)
        while lifecycles < MOST_LIFECYCLES and time.monotonic() - began < MOST_SECONDS:
            seed += 1
            result = campaign(tree, seed)
            lifecycles += int(result["lifecycles"])
            if result["duplicates"]:
                words = f"{result['duplicates']} duplicates, {time.monotonic() - began:.0f} s"
                sys.stdout.write(f"caught: {build.name} within {lifecycles} lifecycles, {words}\n")
                return True
    sys.stdout.write(f"NOT CAUGHT: {build.name} ({build.why}) in {lifecycles} lifecycles\n")
    return False


def main(names: list[str]) -> int:
    """Tries all builds, or those named, one after the other; 1 if any is not caught."""
    missed = [build.name for build in load() if (not names or build.name in names) and not caught(build)]
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
