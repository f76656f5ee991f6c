"""Writes what a drift pass found: differences, the freeze of deletes, and how the pass ended."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence

from django.db import transaction

from provisioning import audit
from provisioning.choices import DriftOutcome, DriftStage
from provisioning.lib import clock
from provisioning.models import Drift, DriftPage, Panel, Service
from provisioning.notifications import staff_notify
from provisioning.reconcile.drift_compare import Comparison, Found
from provisioning.reconcile.drift_lease import DriftLease, due_after

BATCH = 250
FREEZE_PERCENT, FREEZE_LEAST = 10, 3
"""More than this share of a panel's servers missing, and at least so many, freeze its deletes (B14)."""
CHANGED = ["words", "service_id", "server_id", "since", "last_seen_at", "resolved_at"]


def drift_record(*, lease: DriftLease, comparison: Comparison) -> None:
    """Makes the stored differences those of this pass, all in one fenced transaction, and ends the pass."""
    now = clock.now()
    with transaction.atomic():
        _close(
            lease,
            now,
            outcome=DriftOutcome.COMPARED,
            words="",
            compared_at=now,
            checked=comparison.checked,
            unknown=len(comparison.unjudged),
        )
        _store(lease.row.panel, comparison, now)


def drift_unknown(*, lease: DriftLease, words: str) -> None:
    """Ends a pass whose lists are not to be relied on: no difference comes, and none goes."""
    now = clock.now()
    ours = Service.objects.filter(panel=lease.row.panel, is_trial=False).exclude(server_id="").count()
    with transaction.atomic():
        _close(lease, now, outcome=DriftOutcome.UNKNOWN, words=words, checked=0, unknown=ours)


def _close(lease: DriftLease, now: dt.datetime, **columns: object) -> None:
    ended = {"stage": DriftStage.IDLE, "finished_at": now, "looked": [], "next_check_at": due_after(now)}
    lease.write(**ended, **columns)
    DriftPage.objects.filter(drift_pass=lease.row).delete()
    # Last, because it ends the claim.
    lease.write(lease_until=None)


def _store(panel: Panel, comparison: Comparison, now: dt.datetime) -> None:
    known = {
        (row.kind, row.subject): row for row in Drift.objects.filter(panel=panel).defer("ignored_because")
    }
    fresh, changed, same = [], [], []
    for found in comparison.found:
        row = known.pop((found.kind.value, found.subject), None)
        if row is None:
            fresh.append(_new(panel, found, now))
        elif row.resolved_at is None and row.words == found.words:
            same.append(row.pk)
        else:
            changed.append(_renewed(row, found, now))
    Drift.objects.bulk_create(fresh, batch_size=BATCH)
    Drift.objects.bulk_update(changed, CHANGED, batch_size=BATCH)
    _update(same, last_seen_at=now)
    # A service that could not be judged keeps what was known of it.
    gone = [
        row.pk
        for row in known.values()
        if row.resolved_at is None and row.service_id not in comparison.unjudged
    ]
    _update(gone, resolved_at=now)


def _new(panel: Panel, found: Found, now: dt.datetime) -> Drift:
    return Drift(
        panel=panel,
        kind=found.kind,
        subject=found.subject,
        words=found.words,
        service_id=found.service_id,
        server_id=found.server_id,
        since=now,
        last_seen_at=now,
    )


def _renewed(row: Drift, found: Found, now: dt.datetime) -> Drift:
    if row.resolved_at:
        row.since = now
    row.words, row.service_id, row.server_id = found.words, found.service_id, found.server_id
    row.last_seen_at, row.resolved_at = now, None
    return row


def _update(keys: Sequence[int], **columns: dt.datetime) -> None:
    for batch in _batches(keys):
        Drift.objects.filter(pk__in=batch).update(**columns)


def _batches(keys: Sequence[int]) -> Iterable[Sequence[int]]:
    return (keys[begin : begin + BATCH] for begin in range(0, len(keys), BATCH))


def drift_freeze(*, lease: DriftLease, comparison: Comparison) -> None:
    """Stops all deletes on a panel that misses too many servers at once, with one alert.

    What staff have accepted freezes nothing again, until more are missing or they have come back.
    """
    missing, row = len(comparison.missing), lease.row
    many = missing >= FREEZE_LEAST and missing * 100 > comparison.expected * FREEZE_PERCENT
    accepted = min(row.missing_accepted, missing)
    freezes = many and missing > accepted and row.frozen_at is None
    with transaction.atomic():
        lease.write(missing=missing, missing_accepted=accepted)
        if freezes:
            lease.write(frozen_at=clock.now())
            _tell_frozen(lease, missing, comparison.expected)


def _tell_frozen(lease: DriftLease, missing: int, expected: int) -> None:
    panel = lease.row.panel
    words = f"{missing} of {expected} servers are missing on panel “{panel}”. Nothing is deleted there."
    audit.record(service=None, action="drift.frozen", message=words)
    staff_notify(
        key=f"panel_frozen:{panel.pk}:{lease.row.frozen_at:%Y-%m-%dT%H:%M:%S}",
        template="panel_frozen",
        context={"panel": panel.name, "panel_id": panel.pk, "words": words, "count": missing},
    )
