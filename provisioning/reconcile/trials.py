"""The job of a trial: waits until the engine has proven a step, then begins the next; at the end all is gone.

It calls no panel: the test service is the engine's ordinary work. A job that is lost or killed is found by
the sweep, and each step is begun in one transaction.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from django.conf import settings
from django.db import transaction

from provisioning import audit
from provisioning.choices import ActorKind, DesiredState, ObservedState, Outcome, TrialOutcome, TrialStep
from provisioning.exceptions import TransitionError
from provisioning.lib import clock
from provisioning.lifecycle.staff import service_terminate
from provisioning.lifecycle.trials import (
    product_trial_fail,
    product_trial_finish,
    product_trial_insist,
    product_trial_step,
)
from provisioning.models import Operation, ProductTrial, ProductTrialStep, Service
from provisioning.notifications import staff_notify
from provisioning.selectors import PEOPLE_WAITS

PULSE, REST = dt.timedelta(seconds=1), dt.timedelta(seconds=15)
STEP_LIMIT = dt.timedelta(minutes=5)
"""How long a step may take before the trial gives up and cleans up. The install has its own time."""
INSTALL_MARGIN = dt.timedelta(minutes=1)
LONG = dt.timedelta(hours=1)
"""A clean-up that takes longer is told to staff, and one that was parked is tried again that often."""
ORDER = tuple(TrialStep)
DONE = (Outcome.SUCCEEDED, Outcome.UNCHANGED)
SHOWN = {
    TrialStep.INSTALL: ObservedState.ACTIVE,
    TrialStep.SUSPEND: ObservedState.SUSPENDED,
    TrialStep.UNSUSPEND: ObservedState.ACTIVE,
    TrialStep.RESIZE: ObservedState.ACTIVE,
}
"""What the panel has to show for a step to count."""
CALLS = {
    TrialStep.CREATE: 3,
    TrialStep.SUSPEND: 2,
    TrialStep.UNSUSPEND: 3,
    TrialStep.RESIZE: 3,
    TrialStep.DELETE: 3,
}
"""Panel calls that each step needs at most, looks at the install aside; more on a panel that is new to us."""


@dataclass(frozen=True)
class Stands:
    """How the test service stands: its row, its newest operation, and the step under way."""

    service: Service
    operation: Operation | None
    step: ProductTrialStep

    @property
    def outcome(self) -> str:
        """The newest operation's outcome, if it is of the present generation."""
        found = self.operation
        return found.outcome if found and found.generation == self.service.generation else ""


@dataclass(frozen=True)
class Trouble:
    """Why a trial cannot go on."""

    reason: str
    words: str


def trial_work(trial_id: int) -> None:
    """One job: takes a trial a step on, once the last one is proven. Safe to run at any time, twice too."""
    with transaction.atomic():
        rows = ProductTrial.objects.select_for_update(of=("self",)).select_related("product")
        trial = rows.get(pk=trial_id)
        if trial.finished_at:
            return
        with audit.acting_as(ActorKind.STAFF, trial.started_by):
            stands = trial_stands(trial)
            if trial.cleaning:
                _clean(trial, stands)
            else:
                _go_on(trial, stands)
        pace = REST if clock.now() - stands.step.began_at > LONG else PULSE
        still = ProductTrial.objects.filter(pk=trial_id, finished_at=None)
        still.update(next_check_at=clock.now() + pace)


def trial_stands(trial: ProductTrial) -> Stands:
    """Reads how the test service stands now."""
    service = Service.objects.select_related("product", "product_version", "panel").get(pk=trial.service_id)
    newest = Operation.objects.filter(service=service).order_by("-id").first()
    return Stands(service, newest, ProductTrialStep.objects.get(trial=trial, step=trial.step))


def _go_on(trial: ProductTrial, stands: Stands) -> None:
    trouble = _trouble(trial, stands)
    if trouble:
        product_trial_fail(trial=trial, reason=trouble.reason, words=trouble.words)
    elif _reached(TrialStep(trial.step), stands):
        following = ORDER[ORDER.index(TrialStep(trial.step)) + 1]
        try:
            product_trial_step(trial=trial, step=following)
        except TransitionError as error:
            # Somebody changed the test service meanwhile.
            product_trial_fail(trial=trial, reason=error.reason, words=error.detail)


def _reached(step: TrialStep, stands: Stands) -> bool:
    """Whether the engine has confirmed this step by a look of its own."""
    service = stands.service
    if step is TrialStep.CREATE:
        return service.created_confirmed_at is not None
    return service.converged and stands.outcome in DONE and service.observed_state == SHOWN[step]


def _trouble(trial: ProductTrial, stands: Stands) -> Trouble | None:
    operation, outcome = stands.operation, stands.outcome
    if stands.service.desired_state == DesiredState.ABSENT:
        return Trouble(reason="trial_stopped", words="The test service was ended by staff.")
    if outcome == Outcome.SKIPPED:
        return Trouble(reason="trial_skipped", words="Its operation was skipped by staff.")
    stuck = outcome == Outcome.WAITING and operation and operation.reason in (*PEOPLE_WAITS, "observe_only")
    if operation and (stuck or outcome in (Outcome.NEEDS_STAFF, Outcome.FAILED)):
        return Trouble(operation.reason, operation.detail)
    return _late(trial, stands)


def _late(trial: ProductTrial, stands: Stands) -> Trouble | None:
    limit = STEP_LIMIT
    if trial.step == TrialStep.INSTALL:
        limit = dt.timedelta(seconds=settings.INSTALL_TIMEOUT_SECONDS) + INSTALL_MARGIN
    if clock.now() - stands.step.began_at <= limit:
        return None
    last = f" {stands.operation.detail}" if stands.operation and stands.operation.detail else ""
    words = f"Not done within {limit.total_seconds() / 60:.0f} minutes.{last}"
    return Trouble(reason="trial_timeout", words=words)


# --- the clean-up -----------------------------------------------------------------------------------------


def _clean(trial: ProductTrial, stands: Stands) -> None:
    """Goes on until the panel's own answer proves that nothing is there, however long that takes."""
    service = stands.service
    if service.desired_state != DesiredState.ABSENT:
        service_terminate(service=service)
    elif trial_gone(service):
        outcome = TrialOutcome.FAILED if trial.reason else TrialOutcome.PASSED
        product_trial_finish(trial=trial, outcome=outcome)
    elif stands.outcome == Outcome.SKIPPED:
        product_trial_finish(trial=trial, outcome=TrialOutcome.LEFT)
    else:
        _clean_later(trial, stands)


def trial_gone(service: Service) -> bool:
    """Whether the panel has shown that there is no server of this service."""
    known = bool(service.server_id or service.create_sent_at)
    return service.converged and service.terminated_at is not None and not known


def _clean_later(trial: ProductTrial, stands: Stands) -> None:
    operation, now = stands.operation, clock.now()
    parked = stands.outcome in (Outcome.NEEDS_STAFF, Outcome.FAILED)
    if now - stands.step.began_at > LONG:
        _tell(trial, operation)
    ended = operation.finished_at if operation and parked else None
    if ended and now - ended > LONG:
        product_trial_insist(trial=trial)


def _tell(trial: ProductTrial, operation: Operation | None) -> None:
    staff_notify(
        key=f"trial_cleanup:{trial.pk}",
        template="trial_cleanup",
        service=trial.service,
        operation=operation,
        context={
            "product": trial.product.name,
            "panel": str(trial.panel),
            "service_id": trial.service_id,
            "service": str(trial.service),
            "words": operation.detail if operation else "",
        },
    )
