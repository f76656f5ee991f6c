"""The plan is pure: the same difference gives the same steps, in an order that destroys least."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from provisioning.drivers import registry
from provisioning.drivers.pterodactyl.driver import PterodactylDriver
from provisioning.drivers.types import (
    ABSENT,
    ChangeKind,
    Desired,
    Look,
    Observed,
    PanelConfig,
    Plan,
    Runtime,
    ServerState,
    Wanted,
)
from provisioning.lib.http import Answer
from tests.provisioning.drivers.pterodactyl.bench import Notes

SEEN = Observed(
    server_id="1",
    uuid="u",
    identifier="i",
    mark="m",
    owner="2",
    name="Server-1",
    state=ServerState.ACTIVE,
    limits={"memory": 1024, "databases": None},
    extra={"node": 1, "egg": 5},
)
WANT = Desired(
    state=Wanted.PRESENT,
    mark="m",
    name="Server-1",
    owner="2",
    target={"node": 1, "egg": 5},
    limits={"memory": 1024},
    runtime=Runtime(),
)
SUSPENDED = replace(SEEN, state=ServerState.SUSPENDED)
RUNTIME = {"runtime": Runtime(variables={"A": "1"}), "runtime_applied": Runtime().as_json()}
K = ChangeKind


class Silent:
    """A way out that a plan must never take."""

    def request(self, *_args: object, **_options: object) -> Answer:
        """Fails the test."""
        raise AssertionError("A plan calls nobody.")


def plan(wanted: Desired, seen: Look) -> Plan | None:
    """The plan of a driver that can't call anybody."""
    return PterodactylDriver(PanelConfig("https://panel.example.com"), Silent(), Notes()).plan(wanted, seen)


@pytest.mark.parametrize(
    ("changes", "seen", "kinds"),
    [
        ({}, SEEN, ()),
        ({}, ABSENT, (K.CREATE,)),
        ({"state": Wanted.SUSPENDED}, ABSENT, ()),
        ({"state": Wanted.ABSENT}, ABSENT, ()),
        ({"state": Wanted.ABSENT, "limits": {"memory": 1}}, SEEN, (K.DELETE,)),
        ({"state": Wanted.SUSPENDED}, SEEN, (K.SUSPEND,)),
        ({"state": Wanted.SUSPENDED}, SUSPENDED, ()),
        ({}, SUSPENDED, (K.UNSUSPEND,)),
        ({"limits": {"memory": 2048}}, SEEN, (K.RESIZE,)),
        ({"limits": {"databases": 0}}, SEEN, (K.RESIZE,)),
        ({"limits": {"memory": 2048}, **RUNTIME}, SUSPENDED, (K.UNSUSPEND, K.RESIZE, K.STARTUP)),
        (
            {"limits": {"memory": 2048}, "state": Wanted.SUSPENDED, **RUNTIME},
            SEEN,
            (K.RESIZE, K.STARTUP, K.SUSPEND),
        ),
        # A customer's own edits are no drift: without a record of what was applied nothing is put back.
        ({"runtime": Runtime(image="x")}, SEEN, ()),
        ({"set_mark": True, "mark": "n"}, SEEN, (K.MARK,)),
        ({"mark": "n"}, SEEN, ()),
        ({"name": "another", "owner": "3"}, SEEN, ()),
    ],
)
def test_steps(changes: dict[str, Any], seen: Look, kinds: tuple[ChangeKind, ...]) -> None:
    found = plan(replace(WANT, **changes), seen)
    assert (found.kinds() if found else ()) == kinds


def test_the_checksum_tells_plans_apart() -> None:
    def checksum(memory: int) -> str:
        found = plan(replace(WANT, limits={"memory": memory}), SEEN)
        assert found is not None
        return found.checksum

    assert checksum(2048) == checksum(2048)
    assert checksum(2048) != checksum(4096)


def test_only_deleting_destroys() -> None:
    deleting = plan(replace(WANT, state=Wanted.ABSENT), SEEN)
    resizing = plan(replace(WANT, limits={"memory": 1}), SEEN)
    assert deleting is not None
    assert resizing is not None
    assert (deleting.destroys, resizing.destroys) == (True, False)
    assert deleting.lines() == ["- delete server Server-1 (i)"]


def test_drivers_are_found_by_name() -> None:
    registry.load_all()
    assert registry.get("pterodactyl") is PterodactylDriver
    assert ("pterodactyl", "Pterodactyl") in registry.driver_choices()
    with pytest.raises(KeyError):
        registry.get("no-such-panel")
