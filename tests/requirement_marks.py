"""A pytest plugin: which requirement is proved by which test.

`@pytest.mark.req("CAL-05")` names up to three ids of tests/requirements.toml. With `--req-report PATH` the
outcome of every marked test is written there; tools/requirements.py makes docs/requirements.md of it.
"""

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

IDS_FILE = Path(__file__).with_name("requirements.toml")
MOST_IDS = 3
PROPERTY = "req"


def known_ids() -> set[str]:
    """Every id that a test may name."""
    return {ident for group in tomllib.loads(IDS_FILE.read_text()).values() for ident in group}


def ids_of(item: pytest.Item) -> list[str]:
    """The ids on a test and on its class or module, each once."""
    return sorted({str(ident) for mark in item.iter_markers("req") for ident in mark.args})


class Report:
    """Collects (id, test, outcome) in the process that reports, also under xdist."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.outcomes: dict[str, dict[str, str]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the worst outcome of a test's phases."""
        if report.when != "call" and report.outcome == "passed":
            return
        for name, ident in report.user_properties:
            if name == PROPERTY:
                self.outcomes.setdefault(str(ident), {})[report.nodeid] = report.outcome

    def pytest_sessionfinish(self) -> None:
        """Write the file."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(json.dumps(self.outcomes, indent=1, sort_keys=True) + "\n")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --req-report."""
    parser.addoption("--req-report", metavar="PATH", help="write which requirement each test proves")


def pytest_configure(config: pytest.Config) -> None:
    """Report from one process only: the controller under xdist."""
    path = config.getoption("--req-report")
    if path and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Report(Path(path)), "requirement-report")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse unknown ids and a test that claims too much."""
    known = known_ids()
    for item in items:
        ids = ids_of(item)
        own: list[Any] = [mark for mark in item.own_markers if mark.name == "req"]
        if sum(len(mark.args) for mark in own) > MOST_IDS:
            raise pytest.UsageError(f"{item.nodeid} claims more than {MOST_IDS} requirements.")
        if unknown := set(ids) - known:
            raise pytest.UsageError(f"{item.nodeid} names {', '.join(sorted(unknown))}: not a requirement.")
        item.user_properties.extend((PROPERTY, ident) for ident in ids)
