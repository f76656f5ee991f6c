"""What differs between two documents, in lines that people read."""

from __future__ import annotations

from typing import Any

import pytest

from provisioning.drivers import registry
from provisioning.drivers.document_lines import document_lines, settled

LIMITS = {"memory": 1024, "disk": 5120, "swap": 0}
BEFORE: dict[str, Any] = {
    "target": {"nest": 1, "egg": 5, "locations": [1]},
    "limits": LIMITS,
    "runtime": {"image": "", "variables": {"MOTD": "Hello", "API_TOKEN": "very-secret-1"}},
    "options": {"oom_killer": False},
}


def changed(section: str, **values: Any) -> dict[str, Any]:
    return {**BEFORE, section: {**BEFORE[section], **values}}


CASES: list[tuple[dict[str, Any], list[str]]] = [
    (BEFORE, []),
    (changed("limits", memory=2048), ["Memory: 1024 MiB → 2048 MiB"]),
    (changed("limits", memory=0, memory_unlimited=True), ["Memory: 1024 MiB → unlimited"]),
    (changed("limits", swap=1, disk=1), ["Disk: 5120 MiB → 1 MiB", "Swap: 0 MiB → 1 MiB"]),
    (changed("limits", databases=0), ["Databases: nothing → 0"]),
    (changed("target", locations=[1, 2]), ["Locations (Auto): 1 → 1, 2"]),
    (changed("target", node=None, locations=[1]), []),
    (changed("options", oom_killer=True), ["OOM killer: nothing → yes"]),
    (changed("options", threads=""), []),
    (changed("runtime", image="java:21"), ["Docker image: nothing → java:21"]),
    (
        changed("runtime", variables={"MOTD": "Bye", "API_TOKEN": "very-secret-2", "NEW": "1"}),
        [
            "Egg variables, API_TOKEN: [hidden] → [hidden]",
            "Egg variables, MOTD: Hello → Bye",
            "Egg variables, NEW: nothing → 1",
        ],
    ),
    (changed("options", unheard_of=3), ["options.unheard_of: nothing → 3"]),
]


@pytest.mark.parametrize(("after", "lines"), CASES)
def test_lines(after: dict[str, Any], lines: list[str]) -> None:
    spec = registry.get("pterodactyl").spec
    assert document_lines(BEFORE, after, [spec]) == lines


def test_what_is_empty_says_as_little_as_what_is_missing() -> None:
    document = {
        "limits": {"swap": 0, "memory": None},
        "options": {"a": "", "b": [], "c": {}, "d": False},
        "x": 3,
    }
    assert settled(document) == {"limits.swap": 0}
