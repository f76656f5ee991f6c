"""The bench judges, keeps and shows what it measured; the measuring itself takes the real product."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tools.bench import __main__ as command
from tools.bench import goals, measuring, report
from tools.bench.goals import BY_KEY, GOALS

FIGURES = {"intake.sqlite.ratio": 0.61, "intake.lost": 0, "admin.queries_constant": True}


@pytest.mark.parametrize(
    ("key", "value", "met"),
    [
        ("intake.sqlite.ratio", 0.5, True),
        ("intake.sqlite.ratio", 0.49, False),
        ("intake.lost", 0, True),
        ("intake.lost", 1, False),
        ("admin.p95_ms", 200, True),
        ("admin.p95_ms", 201, False),
        ("scale.ratio", 1.8, True),
        ("admin.queries_constant", True, True),
        ("admin.queries_constant", False, False),
    ],
)
def test_a_figure_meets_its_goal_or_not(key: str, value: goals.Value, met: bool) -> None:
    assert BY_KEY[key].met(value) is met


def test_each_figure_has_one_goal() -> None:
    assert len(BY_KEY) == len(GOALS)


def test_parts_are_merged(tmp_path: Path) -> None:
    path = tmp_path / "bench" / "latest.json"
    report.keep("calls", report.Result({"calls.suspend": 5}), path)
    report.keep("intake", report.Result({"intake.lost": 0}), path)
    report.keep("calls", report.Result({"calls.suspend": 2}), path)
    parts = report.read(path)
    assert report.all_figures(parts) == {"calls.suspend": 2, "intake.lost": 0}
    assert {"date", "commit", "python", "cores"} <= parts["calls"].keys()


def test_the_table_shows_what_misses_its_goal() -> None:
    lines = report.lines({**FIGURES, "calls.suspend": 3})
    assert lines == [
        ("intake.sqlite.ratio", "0.61", "≥ 0.5", "yes"),
        ("intake.lost", "0", "≤ 0", "yes"),
        ("calls.suspend", "3", "≤ 2", "NO"),
        ("admin.queries_constant", "yes", "yes", "yes"),
    ]


def test_the_page_keeps_what_was_written_by_hand(tmp_path: Path) -> None:
    page, latest = tmp_path / "performance.md", tmp_path / "latest.json"
    page.write_text(f"# Before\n\n{report.BEGIN}\nold\n{report.END}\n\nAfter.\n")
    report.keep("intake", report.Result(dict(FIGURES)), latest)
    report.page_write(report.read(latest), page)
    text = page.read_text()
    assert text.startswith("# Before\n")
    assert text.endswith("\n\nAfter.\n")
    assert "old" not in text
    assert "| `intake.lost` |" in text
    report.page_write(report.read(latest), page)
    assert page.read_text() == text


def test_the_page_shows_the_latest_figures() -> None:
    """The figures of docs/performance.md are those of bench/latest.json, nobody's memory."""
    shown = report.PAGE.read_text().partition(report.BEGIN)[2].partition(report.END)[0].strip()
    assert shown == report.table(json.loads(report.LATEST.read_text()))


@pytest.mark.parametrize(("share", "value"), [(0.95, 95), (0.5, 50), (1, 100), (0.001, 1)])
def test_percentiles(share: float, value: int) -> None:
    assert measuring.percentile(range(100, 0, -1), share) == value


def test_nothing_has_no_percentile() -> None:
    with pytest.raises(ValueError, match="nothing"):
        measuring.percentile([], 0.95)


def test_a_ratio_is_of_one_moment() -> None:
    assert measuring.best_ratio([(50, 100), (60, 200), (20, 25)]) == 0.8


def test_a_run_that_went_wrong_ends() -> None:
    measuring.require(True, "fine")
    with pytest.raises(measuring.Failed, match="refused"):
        measuring.require(False, "refused")


@pytest.mark.parametrize(
    ("given", "parts"),
    [
        (["--only", "calls,drift"], ["calls", "drift"]),
        ([], list(command.PARTS)),
        (["--quick"], [name for name in command.PARTS if name != "large"]),
    ],
)
def test_parts_are_chosen(given: list[str], parts: list[str]) -> None:
    assert command.arguments(given).parts == parts


def test_an_unknown_part_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.arguments(["--only", "nothing"])
    assert "unknown part: nothing" in capsys.readouterr().err


@pytest.mark.parametrize(("value", "met"), [(2, True), (4, False)])
def test_a_missed_goal_is_said(
    value: float,
    met: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.setattr("tools.bench.calls.measure", lambda: report.Result({"calls.suspend": value}))
    monkeypatch.setattr(report, "keep", lambda part, result: None)
    assert command.measure("calls") is met
    assert ("MISSED" in capsys.readouterr().out) is not met
