"""*Try it* on a product's page: what it will do, how it goes step by step, and the last trials."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from provisioning import selectors
from provisioning.admin.actions import acting_staff
from provisioning.admin.config import ConfigAdmin
from provisioning.choices import Outcome, TrialStep
from provisioning.exceptions import TransitionError
from provisioning.lib import clock
from provisioning.lifecycle.trials import product_trial_start, product_trial_stop, trial_refusal
from provisioning.models import AuditEntry, Operation, Product, ProductTrial, ProductTrialStep
from provisioning.reconcile.trials import CALLS, Stands, trial_stands

MAY = (
    "provisioning.change_product",
    "provisioning.act_suspend",
    "provisioning.act_limits",
    "provisioning.act_terminate",
)
"""A trial does all of this, so it takes all of these rights."""
SHOWN = 5
LOG = 60
"""Lines of the log: the newest ones."""


@dataclass(frozen=True)
class StepRow:
    """One step as the page shows it. `state` names a badge; `calls` and `looks` are panel calls."""

    label: str
    state: str
    word: str
    seconds: str = ""
    calls: int | None = None
    looks: int = 0
    problem: str = ""


def may_try(request: HttpRequest) -> bool:
    """Whether this person has every right that a trial takes."""
    return all(request.user.has_perm(right) for right in MAY)


def step_rows(trial: ProductTrial) -> list[StepRow]:
    """All steps in their order; two queries."""
    begun = {row.step: row for row in trial.steps.all()}
    operations = list(Operation.objects.filter(service=trial.service_id).order_by("pk"))
    return [_row(step, begun, operations) for step in TrialStep]


def _row(step: TrialStep, begun: dict[str, ProductTrialStep], operations: Sequence[Operation]) -> StepRow:
    row, label = begun.get(step), str(step.label).capitalize()
    if row is None:
        left = TrialStep.DELETE in begun
        return StepRow(label, "skipped" if left else "", "left out" if left else "to come")
    seconds = selectors.span(((row.ended_at or clock.now()) - row.began_at).total_seconds())
    mine = _operations_of(step, begun, operations)
    install = step is TrialStep.INSTALL
    calls = None if install else sum(operation.calls for operation in mine)
    looks = sum(operation.polls for operation in mine) if install else 0
    state, word = ("problem", "failed") if row.problem else ("ok", "done")
    if row.ended_at is None:
        state, word = "waiting", "under way"
    return StepRow(label, state, word, seconds, calls, looks, row.problem)


def _operations_of(
    step: TrialStep, begun: dict[str, ProductTrialStep], operations: Sequence[Operation]
) -> list[Operation]:
    """The operations from this step's generation up to the next one's. The install shares the create's."""
    first = begun[step].generation
    later = [row.generation for row in begun.values() if row.generation > first]
    return [found for found in operations if first <= found.generation < min(later, default=2**31)]


class ProductTrials(ConfigAdmin):
    """The part of a product's pages that tries it."""

    change_form_outer_after_template = "admin/provisioning/product_after.html"

    def pages(self) -> list[tuple[str, str, Any]]:
        """The page that asks, and one trial."""
        return [
            ("<str:pk>/try/", "provisioning_product_try", self.try_view),
            ("<str:pk>/try/<str:number>/", "provisioning_product_trial", self.trial_view),
            *super().pages(),
        ]

    def above(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        """The last trials, and whether this person may try."""
        trials = ProductTrial.objects.filter(product=row).order_by("-pk")[:SHOWN]
        return super().above(request, row) | {"trials": trials, "may_try": may_try(request)}

    def trial_url(self, trial: ProductTrial) -> str:
        """The page of one trial."""
        return reverse("admin:provisioning_product_trial", args=[trial.product_id, trial.pk])

    def try_view(self, request: HttpRequest, pk: str) -> HttpResponse:
        """Says what a trial does; the button begins it."""
        row = self.found(request, pk, Product.objects.select_related("panel", "connection"))
        if not may_try(request):
            raise PermissionDenied
        refusal = trial_refusal(row)
        if request.method == "POST":
            try:
                with acting_staff(request):
                    trial = product_trial_start(product=row)
                return HttpResponseRedirect(self.trial_url(trial))
            except TransitionError as error:
                refusal = error.detail
        return self.render(
            request,
            "product_try.html",
            f"Try it: {row.name}",
            row,
            product=row,
            refusal=refusal,
            calls=sum(CALLS.values()),
            back=self.row_url(row),
        )

    def trial_view(self, request: HttpRequest, pk: str, number: str) -> HttpResponse:
        """How a trial goes. Its button stops it: what is left then is the clean-up."""
        row = self.found(request, pk)
        trial = self._trial(row, number)
        if request.method == "POST":
            return self._end(request, trial)
        stands, now = trial_stands(trial), clock.now()
        return self.render(
            request,
            "product_trial.html",
            f"Trial of {row.name}",
            row,
            product=row,
            trial=trial,
            steps=step_rows(trial),
            took=_took(trial, now),
            doing=_doing(stands, now),
            log=reversed(AuditEntry.objects.filter(service=trial.service).order_by("-pk")[:LOG]),
            may_stop=may_try(request) and not trial.finished_at and not trial.cleaning,
            back=self.row_url(row),
        )

    def _trial(self, row: Product, number: str) -> ProductTrial:
        usable = number.isascii() and number.isdigit() and len(number) < 19
        rows = ProductTrial.objects.filter(product=row).select_related("service__product", "panel")
        trial = rows.filter(pk=number).first() if usable else None
        if trial is None:
            raise Http404("There is no such trial of this product.")
        return trial

    def _end(self, request: HttpRequest, trial: ProductTrial) -> HttpResponse:
        if not may_try(request):
            raise PermissionDenied
        with acting_staff(request):
            stopped = product_trial_stop(trial=trial)
        if stopped:
            messages.success(request, "Stopped. The test server is deleted now.")
        return HttpResponseRedirect(self.trial_url(trial))


def _doing(stands: Stands, now: dt.datetime) -> str:
    """What the step under way waits for, or that the panel has proven it."""
    label, stuck = stands.step.get_step_display(), (Outcome.NEEDS_STAFF, Outcome.FAILED)
    if stands.outcome not in stuck and selectors.waiting(stands.service, stands.operation) is None:
        return f"Proven: {label}. It goes on in a second."
    return f"{label.capitalize()}. {selectors.situation(stands.service, stands.operation, now)}"


def _took(trial: ProductTrial, now: dt.datetime) -> str:
    return selectors.span(((trial.finished_at or now) - trial.started_at).total_seconds())
