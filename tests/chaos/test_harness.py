"""The parts of `make chaos`: lives from a seed, victims by their shares, the sabotaged builds, the report."""

from __future__ import annotations

import functools
import random
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from tools import mutants
from tools.chaos import lives, report, teeth, victims
from tools.chaos.__main__ import arguments
from tools.chaos.victims import Process

MAIN = 100
CLUSTER = [
    Process(MAIN, 1, "qcluster MainProcess ada-grace-linus"),
    Process(101, MAIN, "qcluster MainProcess ada-grace-linus"),
    Process(102, 101, "qcluster Process-1 pusher"),
    Process(103, 101, "qcluster Process-2 monitor"),
    Process(104, 101, "qcluster Process-3 idle"),
    Process(105, 101, "qcluster Process-4 processing reconcile_service"),
    Process(106, 101, "qcluster MainProcess ada-grace-linus"),
]


def test_each_process_is_told_by_its_title_or_its_parent() -> None:
    roles = [process.role(MAIN) for process in CLUSTER]
    assert roles == ["main", "sentinel", "pusher", "monitor", "worker", "worker", "starting"]


def test_victims_are_chosen_by_their_shares() -> None:
    chooser = random.Random(1)
    chosen = [victims.choose(chooser, CLUSTER, MAIN) for _ in range(4000)]
    share = {role: count / 40 for role, count in Counter(role for role, _ in chosen).items()}
    assert share["worker"] == pytest.approx(70, abs=3)
    assert share["pusher"] + share["monitor"] + share["sentinel"] == pytest.approx(20, abs=3)
    assert share["group"] == pytest.approx(10, abs=3)
    pids = {role: {tuple(pids) for other, pids in chosen if other == role} for role in share}
    everybody = {tuple(process.pid for process in CLUSTER)}
    assert pids == {
        "worker": {(105,)}, "pusher": {(102,)}, "monitor": {(103,)}, "sentinel": {(101,)}, "group": everybody
    }  # fmt: skip


def test_nobody_is_killed_where_the_role_is_vacant() -> None:
    found = [victims.choose(random.Random(seed), CLUSTER[:1], MAIN) for seed in range(50)]
    assert {tuple(pids) for role, pids in found if role != "group"} == {()}


def test_a_seed_draws_the_same_lives_and_every_life_makes_sense() -> None:
    drawn = lives.draw(3, 300)
    assert drawn == lives.draw(3, 300)
    assert list(drawn) != list(lives.draw(4, 300))
    said = Counter(step.event for steps in drawn.values() for step in steps)
    assert said["subscription.created"] == 300
    assert min(said.values()) > 60
    for steps in drawn.values():
        names = [step.event for step in steps]
        assert names[0] == "subscription.created"
        assert "subscription.cancelled" not in names[:-1]
        assert "payment.succeeded" not in names or "payment.failed" in names


def test_an_event_is_sent_until_it_is_kept_and_then_as_often_as_drawn() -> None:
    sent: list[tuple[str, str]] = []

    def send(body: dict[str, str], webhook_id: str) -> bool:
        sent.append((body["event"], webhook_id))
        return len(sent) > 1

    steps = [lives.Step("subscription.created", lives.SMALL, 0), lives.Step("note", lives.SMALL, 0, copies=2)]
    lives.live("7", steps, send, lambda _: False, threading.Event())
    assert sent == [("subscription.created", "msg_7_0")] * 2 + [("note", "msg_7_1")] * 2


@pytest.mark.parametrize("made", [True, False])
def test_nobody_is_billed_again_before_there_is_a_server(monkeypatch: pytest.MonkeyPatch, made: bool) -> None:
    monkeypatch.setattr(lives, "_wait", functools.partial(lives._wait, patience=0.05))
    sent: list[str] = []
    steps = [lives.Step("payment.failed", lives.SMALL, 0), lives.Step("payment.succeeded", lives.SMALL, 0)]

    def send(body: dict[str, str], webhook_id: str) -> bool:
        sent.append(body["event"])
        return True

    lives.live("7", steps, send, lambda _: made, threading.Event())
    assert sent == (["payment.failed", "payment.succeeded"] if made else [])


@pytest.mark.parametrize("build", teeth.load(), ids=lambda build: build.name)
def test_a_sabotaged_build_can_be_made(build: mutants.Mutant, tmp_path: Path) -> None:
    for name, _, _ in build.edits:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text((mutants.ROOT / name).read_text())
    mutants.apply(build, tmp_path)
    for name in {name for name, _, _ in build.edits}:
        compile((tmp_path / name).read_text(), name, "exec")


def test_three_builds_are_sabotaged() -> None:
    assert [build.name for build in teeth.load()] == ["no-look-before-create", "no-lease", "no-fencing"]


LINE = {
    "kills": 50, "lifecycles": 200, "lost": 0, "duplicates": 1, "orphans": 0, "refused_deletes": 2,
    "seconds": 300, "seed": 1, "stack": "sqlite",
}  # fmt: skip


def test_results_are_kept_and_summed_for_each_build(tmp_path: Path) -> None:
    lines = [
        {**LINE, "commit": "abc1234"},
        {**LINE, "commit": "abc1234", "seed": 2},
        LINE,
        {**LINE, "commit": "abc1234", "stack": "postgres"},
    ]
    for line in lines:
        report.keep(line, tmp_path)
    assert report.read(tmp_path) == lines
    page = (tmp_path / report.PAGE).read_text()
    assert "| sqlite | abc1234 | 2 | 100 | 400 | 0 | 2 | 0 | 4 | 600 |" in page
    assert "| sqlite |  | 1 | 50 | 200 | 0 | 1 | 0 | 2 | 300 |" in page
    assert "| postgres | abc1234 | 1 | 50 | 200 | 0 | 1 | 0 | 2 | 300 |" in page
    assert "| sqlite | 2 | abc1234 | 50 | 200 | 0 | 1 | 0 | 2 | 300 | no |" in page
    assert page.startswith(report.HEAD.read_text())


def test_the_build_is_named_and_a_changed_one_is_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {"rev-parse": "abc1234", "status": ""}
    monkeypatch.setattr(report, "_git", lambda *words: answers[words[0]])
    assert report.commit() == "abc1234"
    answers["status"] = " M provisioning/queue.py"
    assert report.commit() == "abc1234+"


def test_a_build_without_git_has_no_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(report, "DOCS", tmp_path / "docs")
    assert report.commit() == ""


def test_lifecycles_and_time_follow_from_the_kills() -> None:
    options = arguments(["--kills=10"])
    assert (options.lifecycles, options.seconds, options.stack) == (20, 160, "sqlite")
    assert arguments(["--kills=10", "--lifecycles=5"]).lifecycles == 5


def test_the_committed_page_is_the_one_that_the_lines_make() -> None:
    lines = report.read()
    page = report.DOCS / report.PAGE
    assert page.exists() == bool(lines)
    assert not lines or page.read_text() == report.page(lines)


def test_only_second_servers_catch_a_build(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(mutants, "copy_tree", Path.mkdir)
    monkeypatch.setattr(mutants, "apply", lambda build, tree: None)
    results = iter([{"lifecycles": 60, "lost": 9, "duplicates": 0}, {"lifecycles": 30, "duplicates": 1}])
    monkeypatch.setattr(teeth, "campaign", lambda tree, seed: next(results))
    (build, *_) = teeth.load()
    assert teeth.caught(build)
    assert "within 90 lifecycles, 1 duplicates" in capsys.readouterr().out


@pytest.mark.parametrize(("lifecycles", "seconds", "campaigns"), [(60, 0, 5), (60, 100, 2)])
def test_a_build_that_is_not_caught_in_time_is_not_caught(
    monkeypatch: pytest.MonkeyPatch, lifecycles: int, seconds: float, campaigns: int
) -> None:
    seeds: list[int] = []
    clock = iter(number * seconds for number in range(100))
    monkeypatch.setattr(mutants, "copy_tree", Path.mkdir)
    monkeypatch.setattr(mutants, "apply", lambda build, tree: None)
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))

    def campaign(tree: Path, seed: int) -> dict[str, int]:
        seeds.append(seed)
        return {"lifecycles": lifecycles, "duplicates": 0}

    monkeypatch.setattr(teeth, "campaign", campaign)
    assert not teeth.caught(teeth.load()[0])
    assert seeds == list(range(1, campaigns + 1))
