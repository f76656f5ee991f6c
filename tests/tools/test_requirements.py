"""The table of requirements says what the tests said."""

import json
from pathlib import Path

import pytest

from tests.requirement_marks import Report, ids_of, known_ids
from tools import keys, requirements


@pytest.mark.parametrize(
    ("tests", "expected"),
    [
        ({}, "open"),
        ({"a": "passed"}, "passed"),
        ({"a": "passed", "b": "skipped"}, "passed"),
        ({"a": "skipped"}, "skipped"),
        ({"a": "passed", "b": "failed"}, "**failed**"),
    ],
)
def test_one_word_for_a_requirement(tests: dict[str, str], expected: str) -> None:
    assert requirements.result(tests) == expected


def test_page_counts_cases_and_proofs() -> None:
    outcomes = {"CAL-01": {"tests/a.py::test_x[1]": "passed", "tests/a.py::test_x[2]": "passed"}}
    page = requirements.page({"CAL": {"CAL-01": "One server", "CAL-02": "Suspend"}}, outcomes)
    assert "## CAL · Panel module (1 of 2 proved)" in page
    assert "| CAL-01 | One server | `a.py::test_x` (2 cases) | passed |" in page
    assert "| CAL-02 | Suspend |  | open |" in page


def test_reports_are_merged(tmp_path: Path) -> None:
    for name, test in (("a", "t1"), ("b", "t2")):
        (tmp_path / name).write_text(json.dumps({"CAL-01": {test: "passed"}}))
    merged = requirements.read_outcomes([tmp_path / "a", tmp_path / "b"])
    assert merged == {"CAL-01": {"t1": "passed", "t2": "passed"}}


@pytest.mark.req("CAL-05", "T83-01")
def test_marks_reach_the_report(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    assert ids_of(request.node) == ["CAL-05", "T83-01"]
    report = Report(tmp_path / "r.json")
    for when, outcome in (("setup", "passed"), ("call", "failed"), ("teardown", "passed")):
        report.pytest_runtest_logreport(
            pytest.TestReport("t", ("", 0, ""), {}, outcome, None, when, user_properties=[("req", "CAL-05")])  # type: ignore[arg-type]
        )
    report.pytest_sessionfinish()
    assert json.loads((tmp_path / "r.json").read_text()) == {"CAL-05": {"t": "failed"}}


def test_ids_are_many_and_stable() -> None:
    known = known_ids()
    assert {"CAL-01", "T83-45", "UPS-11", "NOD-01"} <= known
    assert len(known) > 200


def test_printed_keys_are_usable() -> None:
    from provisioning.lib.crypto import FieldCipher

    lines = dict(line.split("=", 1) for line in keys.fresh_keys().splitlines())
    cipher = FieldCipher([lines["FIELD_KEYS"]])
    assert cipher.decrypt(cipher.encrypt("ada")) == "ada"
    assert len(lines["SECRET_KEY"]) >= 50
