"""A trial on a bridge: begun as staff do it, and carried on in small pieces of time."""

from __future__ import annotations

from typing import Any

from provisioning import audit
from provisioning.choices import ActorKind, Outcome, TrialStep
from provisioning.lifecycle.trials import product_trial_start
from provisioning.models import (
    Operation,
    Product,
    ProductTrial,
    ProductTrialStep,
)
from tests.bridge import Bridge
from tests.provisioning.reconcile import trouble


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


def gone(bridge: Bridge, trial: ProductTrial) -> None:
    """The trial is over, and the panel has nothing of it."""
    assert trial.finished_at
    assert trial.step == TrialStep.DELETE
    assert [row for row in rows(bridge) if row.external_id == trial.service.external_id] == []
    last = Operation.objects.filter(service=trial.service).latest("pk")
    assert last.outcome in (Outcome.SUCCEEDED, Outcome.UNCHANGED)
