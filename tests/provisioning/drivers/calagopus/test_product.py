"""The product form: what is typed, what is refused, and which part is wrong (CAL-21 to CAL-30)."""

from __future__ import annotations

from typing import Any

import pytest

from provisioning.drivers.calagopus.product import SPEC, cpu_numbers, custom_limits, port_range
from provisioning.drivers.calagopus.target import target_problems
from provisioning.exceptions import SpecProblem
from provisioning.sandbox.calagopus.rows import EggVariable
from tests.provisioning.drivers.calagopus.bench import Bench, egg, target

UUID = "0de0b1c2-0000-4000-8000-000000000001"


def document(**changes: Any) -> dict[str, Any]:
    """A product on a node; `changes` are `section__name`."""
    made: dict[str, dict[str, Any]] = {
        "target": {"nest": UUID, "egg": UUID, "node": UUID},
        "limits": {"memory": 1024, "disk": 5120, "cpu": 100},
    }
    for name, value in changes.items():
        section, _, key = name.partition("__")
        made.setdefault(section, {})[key] = value
    return made


def problems(**changes: Any) -> dict[str, str]:
    """What is refused of such a product."""
    try:
        SPEC.clean(document(**changes))
    except SpecProblem as problem:
        return problem.problems
    return {}


@pytest.mark.req("CAL-21", "CAL-22", "CAL-23")
def test_a_plain_product_has_the_panels_defaults() -> None:
    cleaned = SPEC.clean(document())
    assert cleaned["limits"]["swap"] == 0
    assert cleaned["limits"]["io"] is None
    assert cleaned["limits"]["memory_overhead"] == 0
    assert [cleaned["limits"][name] for name in ("databases", "allocations", "backups", "schedules")] == [
        0
    ] * 4
    assert cleaned["options"]["delete_backups"] is True
    assert SPEC.clean(cleaned) == cleaned


AUTO: dict[str, Any] = {"target__node": "", "target__locations": [UUID]}


@pytest.mark.req("CAL-21", "CAL-22", "CAL-24")
@pytest.mark.parametrize(
    ("changes", "path", "words"),
    [
        ({"target__node": ""}, "target.node", "at least one location"),
        ({"target__locations": [UUID]}, "target.locations", "not both"),
        ({"target__egg": "5"}, "target.egg", "“5” is no id"),
        ({**AUTO, "target__locations": ["fra"]}, "target.locations", "“fra” is no id"),
        ({"target__ports": "25565"}, "target.ports", "Auto only"),
        ({"target__dedicated_ip": True}, "target.dedicated_ip", "Auto only"),
        ({**AUTO, "target__ports": "30000-20000"}, "target.ports", "“30000-20000” is no port"),
        ({**AUTO, "target__ports": "70000"}, "target.ports", "no port from 1 to 65535"),
        ({"limits__memory": 0}, "limits.memory", "tick “unlimited”"),
        ({"limits__swap": -2}, "limits.swap", "at least -1"),
        ({"limits__io": 5}, "limits.io", "at least 10"),
        ({"limits__io": 1001}, "limits.io", "at most 1000"),
        (
            {"options__feature_limits": "plugins:5,worlds"},
            "options.feature_limits",
            "“worlds” is no key:value",
        ),
        ({"options__feature_limits": "plugins:x"}, "options.feature_limits", "“plugins:x”"),
        ({"options__feature_limits": "backups:1"}, "options.feature_limits", "field of its own"),
        ({"options__feature_limits": "a:1,a:2"}, "options.feature_limits", "twice"),
        ({"options__feature_limits": "plugins:5,"}, "options.feature_limits", "a comma too many"),
        ({"options__feature_limits": "a:1,,b:2"}, "options.feature_limits", "a comma too many in “a:1,,b:2”"),
        ({"options__pinned_cpus": ",0"}, "options.pinned_cpus", "a comma too many"),
        ({"options__pinned_cpus": "0,x"}, "options.pinned_cpus", "“x” is no number"),
        ({"options__pinned_cpus": "40000"}, "options.pinned_cpus", "“40000”"),
        ({"options__backup_configuration": "main"}, "options.backup_configuration", "no id"),
        ({"runtime__image": "x"}, "runtime.image", "one character"),
        ({"limits__io_weight": 500}, "limits.io_weight", "no such field"),
        ({"options__oom_killer": True}, "options.oom_killer", "no such field"),
    ],
)
def test_what_the_panel_would_refuse_or_drop_is_refused_at_once(
    changes: dict[str, Any], path: str, words: str
) -> None:
    found = problems(**changes)
    assert words in found[path]


@pytest.mark.parametrize(
    "changes",
    [
        {
            **AUTO,
            "target__ports": "25565-25600",
            "target__dedicated_ip": True,
            "target__allow_overallocation": True,
        },
        {"limits__memory": "", "limits__memory_unlimited": True},
        {"limits__swap": -1, "limits__io": 10},
        {"options__feature_limits": " plugins:5 , worlds:3", "options__pinned_cpus": "0"},
        {"options__backup_configuration": UUID},
    ],
)
def test_what_is_right_passes(changes: dict[str, Any]) -> None:
    assert problems(**changes) == {}


@pytest.mark.req("CAL-24", "CAL-28")
def test_lists_are_parsed() -> None:
    assert custom_limits(" plugins:5 , worlds:0") == {"plugins": 5, "worlds": 0}
    assert cpu_numbers("0, 2,2,3") == [0, 2, 3]
    # A bare zero is a CPU, not a blank.
    assert cpu_numbers("0") == [0]
    assert (custom_limits(""), cpu_numbers(" "), port_range("")) == ({}, [], (1, 65535))
    assert (port_range("25565"), port_range("1 - 2")) == ((25565, 25565), (1, 2))


# --- against the panel -----------------------------------------------------------------------------------


def against_panel(work: Bench, **changes: Any) -> dict[str, str]:
    """What the panel says against a product of its own egg."""
    sections: dict[str, Any] = {"target": target(work.panel), "runtime": {}, "options": {}}
    for name, value in changes.items():
        section, _, key = name.partition("__")
        sections[section][key] = value
    return work.driver.check_target(sections)


@pytest.mark.req("CAL-20", "CAL-21", "CAL-30")
@pytest.mark.parametrize(
    ("changes", "path", "words"),
    [
        ({"target__egg": UUID}, "target.egg", "no egg"),
        ({"target__nest": UUID}, "target.nest", "no nest"),
        ({"target__node": UUID}, "target.node", "no node"),
        ({"target__node": "", "target__locations": [UUID]}, "target.locations", "no location"),
        ({"options__backup_configuration": UUID}, "options.backup_configuration", "no backup configuration"),
        ({"runtime__variables": {"NOPE": "1"}}, "runtime.variables", "no variable NOPE"),
        ({"runtime__variables": {"VIEW_DISTANCE": "99"}}, "runtime.variables", "at most 32"),
        ({"runtime__variables": {"SERVER_JARFILE": ""}}, "runtime.variables", "must not be blank"),
        ({"runtime__customer_variables": ["NOPE"]}, "runtime.customer_variables", "no variable NOPE"),
    ],
)
def test_the_panel_is_asked_when_a_product_is_saved(
    work: Bench, changes: dict[str, Any], path: str, words: str
) -> None:
    assert words in against_panel(work, **changes)[path]


def test_a_right_product_passes(work: Bench) -> None:
    backups = next(iter(work.panel.state.backup_configurations))
    assert against_panel(work, options__backup_configuration=backups) == {}
    auto = {"target": target(work.panel, auto=True)}
    assert work.driver.check_target(auto) == {}


@pytest.mark.req("CAL-42")
def test_a_required_variable_without_a_value_is_said(work: Bench) -> None:
    row = EggVariable(*work.panel.world.stamp(), egg(work.panel).uuid, "Token", "TOKEN", ["required"], None)
    work.panel.world.state.egg_variables[row.uuid] = row
    assert "TOKEN (Token) must not be blank" in against_panel(work)["runtime.variables"]
    assert against_panel(work, runtime__customer_variables=["token"]) == {}


@pytest.mark.req("CAL-30")
def test_true_for_a_boolean_is_left_to_the_panel(work: Bench) -> None:
    stamp, rules = work.panel.world.stamp(), ["required", "boolean"]
    row = EggVariable(*stamp, egg(work.panel).uuid, "Online", "ONLINE", rules, "true")
    work.panel.world.state.egg_variables[row.uuid] = row
    assert against_panel(work) == {}
    assert "must be 1 or 0" in against_panel(work, runtime__variables={"ONLINE": "yes"})["runtime.variables"]


def test_an_egg_without_an_image_needs_one(work: Bench) -> None:
    egg(work.panel).docker_images = {}
    assert set(against_panel(work)) == {"runtime.image"}


def test_saving_a_product_tries_its_dropped_limits_again(work: Bench) -> None:
    work.notes.store("dropped_limit", "plugins", True)
    against_panel(work, options__feature_limits="plugins:5")
    assert work.notes.recall("dropped_limit", "plugins") is None


def test_problems_name_their_fields_only(work: Bench) -> None:
    wrong = {"target": target(work.panel, node=UUID, egg=UUID), "runtime": {}, "options": {}}
    driver = work.driver
    assert set(target_problems(driver._client, driver._eggs, wrong)) == {"target.node", "target.egg"}
