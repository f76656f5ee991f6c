"""*Try it*: writers of a trial. Its test service is driven by the same engine, step by step, as any order.

Each step is an ordinary raised generation. Whatever happens, the last step is the delete.
"""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from django.conf import settings
from django.db import transaction

from provisioning import audit, desired, queue
from provisioning.choices import BillingStatus, Resource, SuspendReason, TrialOutcome, TrialStep
from provisioning.exceptions import TransitionError
from provisioning.lib import clock
from provisioning.lib.names import fold_email, valid_email
from provisioning.lifecycle.product_versions import product_version_current
from provisioning.lifecycle.refresh import make_mark, service_refresh
from provisioning.lifecycle.staff import (
    service_pin,
    service_suspend,
    service_terminate,
    service_unsuspend,
)
from provisioning.models import (
    BillingConnection,
    Customer,
    DriftPass,
    PanelGate,
    Product,
    ProductTrial,
    ProductTrialStep,
    Service,
)
from provisioning.selectors import observe_only_words

TRIALS_AN_HOUR = 5
"""Trials that one panel gets in an hour: an allowance of their own, apart from both mass brakes."""
HOUR = dt.timedelta(hours=1)
NOTE = "Try it."
NO_HOST = "billingbridge.invalid"
"""Stands in an address where PUBLIC_URL has no host that an address can have (RFC 2606)."""
LIMITED_TO = 1024
"""What a limit that the product leaves open becomes when the trial resizes."""
RESIZABLE = (Resource.MEMORY, Resource.DISK, Resource.CPU)


def trials_recent(panel_id: int) -> int:
    """How many trials began on this panel within the hour."""
    return ProductTrial.objects.filter(panel=panel_id, started_at__gt=clock.now() - HOUR).count()


def trial_refusal(product: Product) -> str:
    """Why this product cannot be tried now, in a sentence; empty if it can."""
    panel = product.panel
    open_one = ProductTrial.objects.filter(panel=panel, finished_at=None).select_related("product").first()
    if open_one:
        return f"A trial of “{open_one.product}” is under way on panel “{panel}”: one at a time."
    if panel.observe_only or observe_only_words():
        return observe_only_words() or f"Panel “{panel}” is observe only: nothing is made on it."
    if panel.retired:
        return f"Panel “{panel}” is retired: it takes no new servers."
    if product.flags:
        return f"The product is flagged, so nothing can be made of it: {' '.join(product.flags)}"
    if DriftPass.objects.filter(panel=panel, frozen_at__isnull=False).exists():
        return f"Deletes on panel “{panel}” are frozen: a test server could not be deleted again."
    if trials_recent(panel.pk) >= TRIALS_AN_HOUR:
        return f"Panel “{panel}” has had {TRIALS_AN_HOUR} trials within the hour: that is all that it gets."
    return ""


def product_trial_start(*, product: Product) -> ProductTrial:
    """Begins a trial of the product as it is saved. Raises TransitionError with the reason why not."""
    with transaction.atomic():
        rows = Product.objects.select_for_update(of=("self",)).select_related("panel", "connection")
        row = rows.get(pk=product.pk)
        # Two products of one panel: the gate's row makes their starts one after the other.
        PanelGate.objects.select_for_update().get_or_create(panel=row.panel)
        refusal = trial_refusal(row)
        if refusal:
            raise TransitionError(refusal)
        now, service = clock.now(), _service(row)
        trial = ProductTrial.objects.create(
            product=row,
            panel=row.panel,
            service=service,
            started_by=audit.current_actor().name,
            started_at=now,
            next_check_at=now,
        )
        words = f"“{row}” is tried on panel “{row.panel}” with a test server, which is deleted afterwards."
        audit.record(service=service, action="trial.start", message=words, data={"trial": trial.pk})
        service_refresh(service=service)
        _note_step(trial, service, TrialStep.CREATE)
        queue.enqueue(queue.TRY_PRODUCT, trial.pk)
        return trial


def _service(product: Product) -> Service:
    # Random, not our own key: a restored database would hand out the same mark twice.
    billing_id = f"try-{secrets.token_hex(6)}"
    return Service.objects.create(
        connection=product.connection,
        billing_id=billing_id,
        customer=_customer(product.connection),
        product=product,
        product_version=product_version_current(product=product),
        billing_product_id=product.billing_product_id,
        external_id=make_mark(product.connection, billing_id),
        billing_status=BillingStatus.ACTIVE,
        is_trial=True,
    )


def _customer(connection: BillingConnection) -> Customer:
    """The one that all trials of this connection belong to: one account a panel, which is kept and reused."""
    mark = f"{settings.INSTALLATION_ID}-{connection.key}-trial"
    known = Customer.objects.filter(connection=connection, mark=mark).first()
    if known:
        return known
    email = _address(connection)
    return Customer.objects.get_or_create(
        connection=connection,
        billing_user_id="",
        email_folded=fold_email(email),
        defaults={"email": email, "first_name": "Test", "last_name": "Server", "mark": mark},
    )[0]


def _address(connection: BillingConnection) -> str:
    local = f"try-{settings.INSTALLATION_ID}-{connection.key}"
    own = f"{local}@{urlsplit(settings.PUBLIC_URL).hostname or NO_HOST}"
    return own if valid_email(own) else f"{local}@{NO_HOST}"


# --- steps ------------------------------------------------------------------------------------------------


def _suspend(service: Service) -> None:
    service_suspend(service=service, reason=SuspendReason.MANUAL, note=NOTE)


def _unsuspend(service: Service) -> None:
    service_unsuspend(service=service, reason=SuspendReason.MANUAL)


def _resize(service: Service) -> None:
    """Takes an eighth off: less than was there fits on any node."""
    limits = desired.service_limits(service, service.sold) if service.sold else {}
    resource = next((name for name in RESIZABLE if name in limits), None)
    if resource:
        value = limits[resource]
        smaller = value - value // 8 if value >= 8 else value + 1
        service_pin(service=service, resource=resource, value=smaller if value else LIMITED_TO, note=NOTE)


def _end(service: Service) -> None:
    service_terminate(service=service)


WISHES: Mapping[TrialStep, Callable[[Service], None]] = {
    TrialStep.SUSPEND: _suspend,
    TrialStep.UNSUSPEND: _unsuspend,
    TrialStep.RESIZE: _resize,
    TrialStep.DELETE: _end,
}
"""What each step wants of the service; the others only wait."""


def product_trial_step(*, trial: ProductTrial, step: TrialStep, problem: str = "") -> None:
    """Ends the present step and begins another one, with the wish that belongs to it; twice is once.

    Call it with the trial's row locked. Raises TransitionError where somebody else has changed the service.
    """
    now = clock.now()
    with transaction.atomic():
        open_steps = ProductTrialStep.objects.filter(trial=trial, ended_at=None).exclude(step=step)
        open_steps.update(ended_at=now, problem=problem)
        trial.step = step
        trial.save(update_fields=["step"])
        service = Service.objects.select_related("product", "product_version").get(pk=trial.service_id)
        if step in WISHES:
            WISHES[step](service)
            service.refresh_from_db()
        _note_step(trial, service, step)


def _note_step(trial: ProductTrial, service: Service, step: TrialStep) -> None:
    fields = {"generation": service.generation, "began_at": clock.now()}
    ProductTrialStep.objects.get_or_create(trial=trial, step=step, defaults=fields)


def product_trial_fail(*, trial: ProductTrial, reason: str, words: str) -> None:
    """Notes what went wrong, and goes straight to the clean-up. Call it with the trial's row locked."""
    with transaction.atomic():
        trial.reason, trial.detail = reason, words
        trial.save(update_fields=["reason", "detail"])
        _tell(trial, "trial.failed", f"The trial failed at “{trial.get_step_display()}”: {words}")
        product_trial_step(trial=trial, step=TrialStep.DELETE, problem=words)


def product_trial_insist(*, trial: ProductTrial) -> None:
    """Has a delete that was parked looked at once more: all its proofs are judged afresh."""
    with transaction.atomic():
        rows = Service.objects.select_for_update(of=("self",)).select_related("product", "product_version")
        service = rows.get(pk=trial.service_id)
        _tell(trial, "trial.again", "The test server is looked at once more, so that it can be deleted.")
        service_refresh(service=service, raise_generation=True)


def product_trial_stop(*, trial: ProductTrial) -> bool:
    """Staff have seen enough: what is left is the clean-up. Returns whether that was begun now."""
    with transaction.atomic():
        row = ProductTrial.objects.select_for_update().get(pk=trial.pk)
        if row.finished_at or row.cleaning:
            return False
        product_trial_fail(trial=row, reason="trial_stopped", words="Stopped by staff.")
        ProductTrial.objects.filter(pk=row.pk).update(next_check_at=clock.now())
        queue.enqueue(queue.TRY_PRODUCT, row.pk)
        return True


def product_trial_finish(*, trial: ProductTrial, outcome: TrialOutcome) -> None:
    """Closes a trial whose clean-up was proven, or skipped by staff. Call it with the trial's row locked."""
    now = clock.now()
    with transaction.atomic():
        ProductTrialStep.objects.filter(trial=trial, ended_at=None).update(ended_at=now)
        trial.outcome, trial.finished_at, trial.next_check_at = outcome, now, None
        trial.save(update_fields=["outcome", "finished_at", "next_check_at"])
        left = outcome is TrialOutcome.LEFT
        words = "its clean-up was skipped by staff" if left else "its test server is gone"
        _tell(trial, "trial.done", f"The trial of “{trial.product}” has ended ({outcome.label}): {words}.")


def _tell(trial: ProductTrial, action: str, words: str) -> None:
    audit.record(service=trial.service, action=action, message=words, data={"trial": trial.pk})
