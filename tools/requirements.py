"""Writes docs/requirements.md: each requirement, the tests that prove it, and how they ended.

Usage: python -m tools.requirements var/requirements*.json
The JSON files are written by `pytest --req-report`; a later file adds to the earlier ones.
"""

import json
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TITLES = {
    "CAL": "Panel module",
    "T83": "Automatic provisioning of subscriptions",
    "UPS": "Resource add-ons",
    "NOD": "Hosting, support keys and DNS",
}
Outcomes = dict[str, dict[str, str]]


def read_outcomes(paths: list[Path]) -> Outcomes:
    """Requirement id -> test -> outcome, merged over all files."""
    merged: Outcomes = {}
    for path in paths:
        for ident, tests in json.loads(path.read_text()).items():
            merged.setdefault(ident, {}).update(tests)
    return merged


def result(tests: dict[str, str]) -> str:
    """One word for a requirement: open without a test, failed if any of them failed."""
    outcomes = set(tests.values())
    if "failed" in outcomes:
        return "**failed**"
    return "passed" if "passed" in outcomes else "skipped" if outcomes else "open"


def row(ident: str, text: str, tests: dict[str, str]) -> str:
    """One line of the table; parametrised cases of a test are counted, not listed."""
    names: dict[str, int] = {}
    for node in tests:
        name = node.partition("[")[0].removeprefix("tests/")
        names[name] = names.get(name, 0) + 1
    listed = "<br>".join(
        f"`{name}`" + (f" ({n} cases)" if n > 1 else "") for name, n in sorted(names.items())
    )
    return f"| {ident} | {text} | {listed} | {result(tests)} |"


def page(requirements: dict[str, dict[str, str]], outcomes: Outcomes) -> str:
    """The whole document."""
    lines = ["# Requirements and their proof", "", "Made by `make requirements`; do not edit by hand.", ""]
    for group, texts in requirements.items():
        proved = sum(result(outcomes.get(ident, {})) == "passed" for ident in texts)
        lines += [f"## {group} · {TITLES[group]} ({proved} of {len(texts)} proved)", ""]
        lines += ["| Id | What it asks | Tests | Result |", "|---|---|---|---|"]
        lines += [row(ident, text, outcomes.get(ident, {})) for ident, text in texts.items()]
        lines.append("")
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    """Write the document; 1 if no report was named."""
    if not arguments:
        sys.stderr.write("Name the files that pytest --req-report wrote.\n")
        return 1
    requirements = tomllib.loads((ROOT / "tests" / "requirements.toml").read_text())
    text = page(requirements, read_outcomes([Path(argument) for argument in arguments]))
    (ROOT / "docs" / "requirements.md").write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
