"""Breaks the code on purpose, one named way at a time, and sees that the tests notice.

Usage: python -m tools.mutants [name …]
tests/mutants.toml holds the list: which text of which file becomes which other text, and which tests to run.
Each is applied to a copy of the working tree; a suite that stays green under one of them makes this fail.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
LIST = ROOT / "tests" / "mutants.toml"
LEFT_OUT = (
    ".git",
    ".venv",
    "var",
    "__pycache__",
    ".mypy_cache",
    ".ruff_cache",
    ".hypothesis",
    ".pytest_cache",
)
SECONDS = 300
SIDE_BY_SIDE = 2
TIMED_OUT = -1
NOTICED = 1
"""pytest's exit code for tests that ran and failed; any other failure proves nothing."""


@dataclass(frozen=True)
class Mutant:
    """One way of breaking the code. `edits` are (file, old text, new text)."""

    name: str
    why: str
    tests: tuple[str, ...]
    edits: tuple[tuple[str, str, str], ...]


def load(path: Path = LIST) -> list[Mutant]:
    """All mutants of the list."""
    return [_mutant(entry) for entry in tomllib.loads(path.read_text())["mutant"]]


def _mutant(entry: dict[str, Any]) -> Mutant:
    edits = tuple((edit["file"], edit["old"], edit["new"]) for edit in entry["edits"])
    return Mutant(entry["name"], entry["why"], tuple(entry["tests"]), edits)


def apply(mutant: Mutant, root: Path) -> None:
    """Edit the files under *root*; SystemExit if a text is not there exactly once."""
    for name, old, new in mutant.edits:
        path = root / name
        text = path.read_text()
        if text.count(old) != 1:
            raise SystemExit(
                f"{mutant.name}: {name} holds its text {text.count(old)} times. Mend tests/mutants.toml."
            )
        path.write_text(text.replace(old, new))


def copy_tree(target: Path) -> None:
    """The working tree without what is made from it."""
    shutil.copytree(ROOT, target, ignore=shutil.ignore_patterns(*LEFT_OUT), symlinks=True)


def run_tests(root: Path, tests: tuple[str, ...]) -> int:
    """pytest's exit code for these tests in that tree; TIMED_OUT if they did not end."""
    argv = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    environ = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(argv, cwd=root, env=environ, capture_output=True, timeout=SECONDS, check=False)  # noqa: S603
    except subprocess.TimeoutExpired:
        return TIMED_OUT
    return done.returncode


def judge(mutant: Mutant) -> bool:
    """Whether the tests notice; says so in one line."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="billingbridge-mutant-") as folder:
        copy = Path(folder) / "tree"
        copy_tree(copy)
        apply(mutant, copy)
        code = run_tests(copy, mutant.tests)
    words = {NOTICED: "noticed", 0: "NOT NOTICED", TIMED_OUT: f"NOT PROVED (not ended in {SECONDS} s)"}.get(
        code, f"NOT PROVED (pytest ended with {code})"
    )
    sys.stdout.write(f"{words}: {mutant.name} ({mutant.why}), {time.monotonic() - began:.0f} s\n")
    sys.stdout.flush()
    return code == NOTICED


def main(names: list[str]) -> int:
    """Judge all, or those named; 1 if any is not noticed."""
    chosen = [mutant for mutant in load() if not names or mutant.name in names]
    if not chosen:
        sys.stderr.write("No mutant has that name.\n")
        return 2
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        return 0 if all(list(pool.map(judge, chosen))) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
