"""django-q2's entry points: thin, module-level, one id each, no result."""

from __future__ import annotations

from provisioning.reconcile.drift import drift_check
from provisioning.reconcile.engine import service_reconcile
from provisioning.reconcile.follow import follow_work
from provisioning.reconcile.heartbeats import beat
from provisioning.reconcile.later import later_check
from provisioning.reconcile.lists import lists_read
from provisioning.reconcile.restored import MARK_EVERY, marks_keep
from provisioning.reconcile.trials import trial_work


def reconcile_service(service_id: int) -> None:
    """Reconciles one service."""
    beat("worker", at_most_every=10)
    marks_keep(at_most_every=MARK_EVERY)
    service_reconcile(service_id)


def check_drift(pass_id: int) -> None:
    """Goes on with one panel's drift pass, or begins one."""
    beat("worker", at_most_every=10)
    drift_check(pass_id)


def follow_product(follow_id: int) -> None:
    """Goes on with the services that follow a changed product."""
    beat("worker", at_most_every=10)
    follow_work(follow_id)


def try_product(trial_id: int) -> None:
    """Goes on with a trial of a product."""
    beat("worker", at_most_every=10)
    trial_work(trial_id)


def read_lists(snapshot_id: int) -> None:
    """Goes on with reading one panel's lists, or begins anew."""
    beat("worker", at_most_every=10)
    lists_read(snapshot_id)


def check_later(check_id: int) -> None:
    """Looks whether a machine does what its panel shows since a change."""
    beat("worker", at_most_every=10)
    later_check(check_id)


def sweep() -> None:
    """The safety net behind the ticker: django-q2's own schedule calls it each minute."""
    from provisioning.reconcile.schedules import sweep_all

    # Also on a quiet night, when there is nothing to reconcile, the workers are seen to live.
    beat("worker")
    sweep_all()


def prune() -> None:
    """Removes what nobody needs any more."""
    from provisioning.reconcile.schedules import prune_old

    prune_old()
