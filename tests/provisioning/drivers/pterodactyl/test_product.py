"""The product form: what is refused when saving, and what is filled in (CAL-21 to CAL-28)."""

from __future__ import annotations

from typing import Any

import pytest

from provisioning.drivers.pterodactyl.product import SPEC
from provisioning.exceptions import SpecProblem


def document(**sections: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The smallest product that can be saved, changed as told."""
    plain: dict[str, dict[str, Any]] = {
        "target": {"nest": 1, "egg": 5, "node": 1},
        "limits": {"memory": 1024, "disk": 5120, "cpu": 100},
        "runtime": {},
        "options": {},
    }
    return {name: {**values, **sections.get(name, {})} for name, values in plain.items()}


@pytest.mark.req("CAL-22", "CAL-23")
def test_defaults() -> None:
    cleaned = SPEC.clean(document())
    assert cleaned["limits"] == {
        "memory": 1024,
        "disk": 5120,
        "cpu": 100,
        "swap": 0,
        "io": 500,
        "databases": 0,
        "allocations": 0,
        "backups": 0,
    }
    assert cleaned["runtime"] == {"image": "", "startup": "", "variables": {}, "customer_variables": []}
    assert cleaned["options"] == {
        "skip_scripts": False,
        "start_on_completion": False,
        "oom_killer": False,
        "threads": "",
    }


def test_a_cleaned_document_passes_again_and_shares_nothing() -> None:
    once = SPEC.clean(document(limits={"memory": 0, "memory_unlimited": True, "disk": "5120"}))
    assert SPEC.clean(once) == once
    once["target"]["locations"].append(1)
    assert SPEC.clean(document())["target"]["locations"] == []


@pytest.mark.req("CAL-21", "CAL-22")
@pytest.mark.parametrize(
    ("section", "values", "path"),
    [
        ("target", {"node": None}, "target.node"),
        ("target", {"locations": [1]}, "target.locations"),
        ("target", {"nest": None}, "target.nest"),
        ("target", {"egg": 0}, "target.egg"),
        ("target", {"port_range": ["25565"]}, "target.port_range"),
        ("target", {"dedicated_ip": True}, "target.dedicated_ip"),
        ("limits", {"memory": 0}, "limits.memory"),
        ("limits", {"memory": None}, "limits.memory"),
        ("limits", {"disk": ""}, "limits.disk"),
        ("limits", {"cpu": "0"}, "limits.cpu"),
        ("limits", {"cpu": -1}, "limits.cpu"),
        ("limits", {"memory": 512, "memory_unlimited": True}, "limits.memory"),
        ("limits", {"memory": 0, "memory_unlimited": "yes"}, "limits.memory"),
        ("limits", {"swap": -2}, "limits.swap"),
        ("limits", {"io": 9}, "limits.io"),
        ("limits", {"io": 1001}, "limits.io"),
        ("limits", {"databases": -1}, "limits.databases"),
        ("limits", {"swap_unlimited": True}, "limits.swap_unlimited"),
        ("limits", {"memroy": 5}, "limits.memroy"),
        ("runtime", {"image": "java:8; rm"}, "runtime.image"),
        ("runtime", {"variables": ["A"]}, "runtime.variables"),
        ("options", {"threads": "0-3;5"}, "options.threads"),
        ("options", {"oom_killer": "no"}, "options.oom_killer"),
    ],
)
def test_refused_when_saving(section: str, values: dict[str, Any], path: str) -> None:
    with pytest.raises(SpecProblem) as caught:
        SPEC.clean(document(**{section: values}))
    assert path in caught.value.problems


@pytest.mark.parametrize("name", ["memory", "disk", "cpu"])
@pytest.mark.parametrize("value", [0, None, "", "0"])
def test_unlimited_has_to_be_said(name: str, value: object) -> None:
    cleaned = SPEC.clean(document(limits={name: value, f"{name}_unlimited": True}))
    assert cleaned["limits"][name] == 0


@pytest.mark.req("CAL-21")
@pytest.mark.parametrize(
    ("ports", "good"),
    [
        (["25565", 26000, "25565-25600"], True),
        ([], True),
        (["80"], False),
        (["25600-25565"], False),
        (["1024"], False),
        (["70000"], False),
        (["25565-27000"], False),
        (["any"], False),
        ([["25565"]], False),
    ],
)
def test_ports_for_auto(ports: list[Any], good: bool) -> None:
    auto = document(target={"node": None, "locations": [1], "port_range": ports})
    if good:
        # Texts, because the panel refuses numbers here (trap 17).
        assert SPEC.clean(auto)["target"]["port_range"] == [str(port) for port in ports]
        return
    with pytest.raises(SpecProblem) as caught:
        SPEC.clean(auto)
    assert list(caught.value.problems) == ["target.port_range"]
