"""A product is checked against the panel when it is saved (CAL-21, CAL-30)."""

from __future__ import annotations

from typing import Any

import pytest

from provisioning.drivers.errors import AuthFailed, Unknown
from tests.provisioning.drivers.pterodactyl.bench import AUTO, Bench

NODE = {"nest": 1, "egg": 5, "node": 1, "locations": []}


@pytest.mark.req("CAL-21", "CAL-30")
@pytest.mark.parametrize(
    ("target", "runtime", "problems", "calls"),
    [
        (NODE, {}, {}, 2),
        (AUTO, {}, {}, 2),
        ({**NODE, "node": 9}, {}, {"target.node": "no node 9"}, 2),
        ({**AUTO, "locations": [1, 8, 9]}, {}, {"target.locations": "no location 8, 9"}, 4),
        ({**NODE, "nest": 9}, {}, {"target.nest": "no nest 9"}, 3),
        ({**NODE, "egg": 99}, {}, {"target.egg": "Nest 1 has no egg 99"}, 3),
        ({**NODE, "nest": 2}, {}, {"target.egg": "Nest 2 has no egg 5"}, 3),
        (NODE, {"variables": {"minecraft_version": "1.8"}}, {}, 2),
        (NODE, {"variables": {"NO_SUCH": "1"}}, {"runtime.variables": "no variable NO_SUCH"}, 2),
        (
            NODE,
            {"variables": {"SERVER_JARFILE": "x", "BUILD_NUMBER": "1" * 21}},
            {"runtime.variables": "SERVER_JARFILE (Server Jar File) does not fit"},
            2,
        ),
        (NODE, {"variables": {"BUILD_NUMBER": ""}}, {"runtime.variables": "must not be blank"}, 2),
        (NODE, {"variables": {"BUILD_NUMBER": ""}, "customer_variables": ["BUILD_NUMBER"]}, {}, 2),
        (NODE, {"customer_variables": ["NOPE"]}, {"runtime.customer_variables": "no variable NOPE"}, 2),
        (
            {**NODE, "node": 9, "egg": 99},
            {},
            {"target.node": "no node 9", "target.egg": "no egg 99"},
            3,
        ),
    ],
)
def test_what_the_panel_contradicts(
    work: Bench, target: dict[str, Any], runtime: dict[str, Any], problems: dict[str, str], calls: int
) -> None:
    found = work.driver.check_target({"target": target, "runtime": runtime})
    assert found.keys() == problems.keys()
    assert [words for path, words in problems.items() if words not in found[path]] == []
    assert work.calls() == calls


def test_a_variable_without_a_good_default_has_to_be_set(work: Bench) -> None:
    work.panel.world.state.eggs[5].variables[3].default_value = ""
    found = work.driver.check_target({"target": NODE, "runtime": {}})
    assert found == {"runtime.variables": "BUILD_NUMBER (Build Number) must not be blank."}


def test_the_check_refreshes_what_was_remembered(work: Bench) -> None:
    work.notes.store("egg", "1:5", {"id": 5, "variables": []})
    work.driver.check_target({"target": NODE, "runtime": {}})
    assert len((work.notes.recall("egg", "1:5") or {})["variables"]) == 4
    work.driver.check_target({"target": {**NODE, "nest": 2}, "runtime": {}})
    assert work.notes.recall("egg", "2:5") is None


def test_an_unreachable_panel_is_no_verdict(work: Bench) -> None:
    work.panel.faults.add("bad_gateway")
    with pytest.raises(Unknown):
        work.driver.check_target({"target": NODE, "runtime": {}})
    work.panel.faults.add("forbidden")
    with pytest.raises(AuthFailed):
        work.driver.check_target({"target": NODE, "runtime": {}})
