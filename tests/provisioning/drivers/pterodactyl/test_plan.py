"""The plan as a Pterodactyl host reads it: another egg or node is left alone and said so (field row 28)."""

from __future__ import annotations

from typing import Any

import pytest

from provisioning.drivers.types import ABSENT, ChangeKind, Plan, Runtime, ServerState, Wanted
from provisioning.sandbox.server import PanelSandbox
from tests.provisioning.drivers.pterodactyl.bench import LIMITS, Bench, bench, desired, made

BIGGER = {**LIMITS, "memory": 4096}
NEW_RUNTIME = {"runtime": Runtime(image="example.com/java:8"), "runtime_applied": Runtime().as_json()}


def planned(work: Bench, **fields: Any) -> Plan:
    """The plan for Ada's server; calls nothing."""
    server = made(work)
    plan = work.driver.plan(desired(**fields), server)
    assert plan is not None
    assert work.calls() == 0
    return plan


def test_nothing_to_do(work: Bench) -> None:
    assert work.driver.plan(desired(), made(work)) is None


def test_absent_and_wanted_is_a_create(panel: PanelSandbox) -> None:
    plan = bench(panel).driver.plan(desired(), ABSENT)
    assert plan is not None
    assert (plan.kinds(), plan.notes) == ((ChangeKind.CREATE,), ())


@pytest.mark.parametrize(
    ("fields", "kinds", "note"),
    [
        ({"limits": BIGGER}, (ChangeKind.RESIZE,), ""),
        (NEW_RUNTIME, (ChangeKind.STARTUP,), ""),
        ({"limits": BIGGER, **NEW_RUNTIME}, (ChangeKind.RESIZE, ChangeKind.STARTUP), ""),
        ({"state": Wanted.SUSPENDED}, (ChangeKind.SUSPEND,), ""),
        ({"state": Wanted.ABSENT}, (ChangeKind.DELETE,), ""),
        (
            {"limits": BIGGER, "target": {"nest": 1, "egg": 4, "node": 1}, **NEW_RUNTIME},
            (ChangeKind.RESIZE,),
            "another egg",
        ),
        (
            {"limits": BIGGER, "target": {"nest": 1, "egg": 5, "node": 2}},
            (ChangeKind.RESIZE,),
            "another node",
        ),
        ({"limits": BIGGER, "target": {"nest": 1, "egg": 5, "locations": [1]}}, (ChangeKind.RESIZE,), ""),
    ],
)
def test_what_is_planned(
    work: Bench, fields: dict[str, Any], kinds: tuple[ChangeKind, ...], note: str
) -> None:
    plan = planned(work, **fields)
    assert plan.kinds() == kinds
    assert len(plan.notes) == (1 if note else 0)
    assert note in "".join(plan.notes)


def test_suspending_during_the_install_is_said(work: Bench) -> None:
    work.panel.world.settings.installs.outcome = "never"
    server = made(work)
    assert server.state is ServerState.INSTALLING
    plan = work.driver.plan(desired(state=Wanted.SUSPENDED), server)
    assert plan is not None
    assert "still installing" in plan.notes[0]
