"""*Try it*: a test server is made, changed and deleted by the engine itself, and is gone in any case."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from provisioning import audit
from provisioning.choices import ActorKind, Outcome, TrialOutcome, TrialStep
from provisioning.lifecycle.trials import product_trial_start
from provisioning.models import (
    AuditEntry,
    Operation,
    PanelCall,
    Product,
    ProductTrial,
    ProductTrialStep,
)
from provisioning.reconcile.trials import CALLS
from provisioning.sandbox.calagopus.server import CalagopusSandbox
from provisioning.sandbox.server import PanelSandbox
from tests.bridge import Bridge
from tests.conftest import Jobs
from tests.provisioning.reconcile import calagopus, trouble


@pytest.fixture(params=["pterodactyl", "calagopus"])
def both(request: pytest.FixtureRequest, jobs: Jobs, db: None) -> Iterator[Bridge]:
    """A bridge with either panel behind it."""
    if request.param == "pterodactyl":
        with PanelSandbox() as panel:
            yield Bridge(panel, jobs)
    else:
        with CalagopusSandbox() as other:
            yield calagopus.CalagopusBridge(other, jobs)


def start(bridge: Bridge, product: Product | None = None) -> ProductTrial:
    """Ada presses the button; nothing of it has run yet."""
    with audit.acting_as(ActorKind.STAFF, "ada"):
        return product_trial_start(product=Product.objects.get(pk=(product or bridge.product).pk))


def until(bridge: Bridge, trial: ProductTrial, step: TrialStep | None, *, seconds: float = 2) -> ProductTrial:
    """Lets time pass in small pieces until the trial is at that step, or over."""
    for _ in range(400):
        bridge.jobs.drain()
        trial.refresh_from_db()
        if trial.finished_at or trial.step == step:
            return trial
        trouble.pass_time(bridge, seconds)
    raise AssertionError(f"never: {trial.step} {bridge.operation().outcome} {bridge.operation().detail}")


def tried(bridge: Bridge, product: Product | None = None) -> ProductTrial:
    """A trial from its beginning to its end."""
    return until(bridge, start(bridge, product), None)


def steps(trial: ProductTrial) -> dict[str, ProductTrialStep]:
    return {row.step: row for row in trial.steps.order_by("pk")}


def rows(bridge: Bridge) -> list[Any]:
    """All servers of the panel."""
    return list(bridge.panel.state.servers.values())


# --- from create to delete ------------------------------------------------------------------------------------


@pytest.mark.req("CAL-01", "CAL-04")
def test_a_trial_makes_changes_and_deletes_a_server_of_its_own(both: Bridge) -> None:
    paid = both.buy()
    trial = tried(both)
    assert (trial.outcome, trial.reason, trial.step) == (TrialOutcome.PASSED, "", TrialStep.DELETE)
    assert list(steps(trial)) == [step.value for step in TrialStep]
    assert all(row.ended_at and not row.problem for row in steps(trial).values())
    kinds = Operation.objects.filter(service=trial.service, outcome=Outcome.SUCCEEDED).order_by("pk")
    done = ["create", "suspend", "unsuspend", "change_package", "terminate"]
    assert [operation.kind for operation in kinds] == done
    assert {operation.actor for operation in kinds} == {"ada"}
    assert [row.external_id for row in rows(both)] == [paid.external_id]
    made = AuditEntry.objects.filter(service=trial.service, action="operation.change_package").get()
    assert "memory 1024 → 896" in made.message


def test_each_step_keeps_to_its_calls(both: Bridge) -> None:
    tried(both)
    both.wait(days=1)
    trial = tried(both)
    spent = {
        step: sum(
            PanelCall.objects.filter(operation=operation).count() - operation.polls
            for operation in Operation.objects.filter(service=trial.service, generation=row.generation)
        )
        for step, row in steps(trial).items()
        if step != TrialStep.INSTALL
    }
    exact = {"pterodactyl": [2, 2, 2, 2, 3], "calagopus": [2, 2, 3, 3, 3]}
    assert list(spent.values()) == exact[both.driver], spent
    assert all(spent[step] <= CALLS[step] for step in CALLS)
