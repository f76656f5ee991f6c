"""What staff and the ticker do about drift: check now, ignore, fix, adopt, unfreeze, the daily mail."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet, Sum

from provisioning import audit, queue
from provisioning.choices import DriftKind, DriftOutcome, Outcome
from provisioning.exceptions import TransitionError
from provisioning.lib import clock
from provisioning.lifecycle.staff import service_relink, service_retry
from provisioning.models import Drift, DriftPass, Notification, Operation, Panel, Service
from provisioning.notifications import staff_notify

FIXABLE = (DriftKind.LIMITS, DriftKind.STATE)
"""What a reconcile of the service mends by itself. Everything else asks for a person's decision."""
ADOPTABLE = (DriftKind.ORPHAN, DriftKind.FOREIGN, DriftKind.DOUBLE)
LONGEST_IGNORE = dt.timedelta(days=366)


def differences() -> QuerySet[Drift]:
    """Differences that stand and that nobody ignores. Foreign servers are listed, but differ from nothing."""
    now = clock.now()
    return Drift.objects.filter(Q(ignored_until=None) | Q(ignored_until__lte=now), resolved_at=None).exclude(
        kind=DriftKind.FOREIGN
    )


def drift_pass_ensure() -> None:
    """Gives each panel that has servers of ours, or may get some, its row; the first pass is due at once."""
    if not settings.DRIFT_SECONDS:
        return
    now = clock.now()
    ours = Service.objects.filter(panel=OuterRef("pk"))
    for panel in Panel.objects.filter(Q(retired=False) | Exists(ours), drift_pass=None):
        DriftPass.objects.get_or_create(panel=panel, defaults={"next_check_at": now})
    DriftPass.objects.filter(next_check_at=None).update(next_check_at=now)


def drift_check_now(*, panel: Panel) -> None:
    """Staff want a pass now. One that is under way goes on; it is not begun anew."""
    now = clock.now()
    with transaction.atomic():
        row, _ = DriftPass.objects.update_or_create(panel=panel, defaults={"next_check_at": now})
        audit.record(service=None, action="drift.check", message=f"A drift check of “{panel}” was asked for.")
        queue.enqueue(queue.CHECK_DRIFT, row.pk)


def drift_ignore(*, drift: Drift, until: dt.datetime, because: str, user: object) -> None:
    """Keeps a difference out of counts and mails until a date. Raises TransitionError for a bad date."""
    now = clock.now()
    if not now < until <= now + LONGEST_IGNORE:
        raise TransitionError("Choose a day in the future, a year away at most.")
    with transaction.atomic():
        drift.ignored_until, drift.ignored_because = until, because
        drift.ignored_by = user  # type: ignore[assignment]
        drift.save(update_fields=["ignored_until", "ignored_because", "ignored_by"])
        words = f"Ignored until {until:%d %b %Y}: {drift.words} {because}".strip()
        audit.record(service=drift.service, action="drift.ignore", message=words)


def drift_fix(*, drift: Drift) -> None:
    """Has the service reconciled: limits and state become what was sold. Raises TransitionError."""
    if drift.kind not in FIXABLE or drift.service is None or drift.resolved_at:
        raise TransitionError("Only limits and state can be put right by a press.")
    with transaction.atomic():
        audit.record(service=drift.service, action="drift.fix", message=f"To be put right: {drift.words}")
        service_retry(service=drift.service)


def drift_adopt(*, drift: Drift, service: Service) -> None:
    """Staff say that this server is that service's. The engine reads it first and refuses a stranger's.

    Raises TransitionError for a difference without a server to adopt, and for a service of another panel.
    """
    if drift.kind not in ADOPTABLE or drift.resolved_at:
        raise TransitionError("There is no server here that could be adopted.")
    if service.sold is None or service.sold.panel_id != drift.panel_id:
        raise TransitionError(f"The product of {service} is not made on panel “{drift.panel}”.")
    service_relink(service=service, server_id=drift.server_id)


def panel_unfreeze(*, panel: Panel, count: int) -> None:
    """Staff accept that so many servers are missing: deletes go on. Raises TransitionError."""
    now = clock.now()
    with transaction.atomic():
        row = DriftPass.objects.select_for_update().filter(panel=panel, frozen_at__isnull=False).first()
        if row is None:
            raise TransitionError("Deletes on this panel are not frozen.")
        if count != row.missing:
            raise TransitionError(
                f"{row.missing} servers are missing now, not {count}. Look again, then type that number."
            )
        DriftPass.objects.filter(pk=row.pk).update(frozen_at=None, missing_accepted=count)
        audit.record(
            service=None,
            action="drift.unfreeze",
            message=f"Deletes on “{panel}” go on: {count} missing servers were accepted.",
        )
        waiting = Operation.objects.filter(panel=panel, outcome=Outcome.WAITING, reason="panel_frozen")
        Service.objects.filter(pk__in=waiting.values("service")).update(next_check_at=now)
        waiting.update(next_attempt_at=now)


# --- the daily mail -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Counts:
    """How all panels stood at their last pass."""

    checked: int
    differ: int
    unknown: int

    @property
    def words(self) -> str:
        """*412 services checked, 0 differ, 3 unknown*."""
        return f"{self.checked} services checked, {self.differ} differ, {self.unknown} unknown"


def drift_counts() -> Counts:
    """The counts of the daily mail and of the dashboard: three queries, whatever there is."""
    ended = DriftPass.objects.exclude(outcome=DriftOutcome.NEVER)
    sums = ended.aggregate(checked=Sum("checked"), unknown=Sum("unknown"))
    return Counts(sums["checked"] or 0, differences().count(), sums["unknown"] or 0)


def drift_mail() -> bool:
    """Mails the counts to staff once a day, after the day's first pass that had something to compare.

    Returns whether it did now.
    """
    today = clock.now().replace(hour=0, minute=0, second=0, microsecond=0)
    key = f"drift:{today:%Y-%m-%d}"
    passes = DriftPass.objects.filter(finished_at__gte=today)
    if not passes.exists() or Notification.objects.filter(key=key).exists():
        return False
    counts = drift_counts()
    silent = Panel.objects.filter(drift_pass__outcome=DriftOutcome.UNKNOWN)
    unread = list(silent.values_list("name", flat=True)[:20])
    if not (counts.checked or counts.differ or counts.unknown or unread):
        return False
    context = {
        "words": counts.words,
        "checked": counts.checked,
        "differ": counts.differ,
        "unknown": counts.unknown,
        "unread": ", ".join(unread),
        "link": settings.PUBLIC_URL + "/admin/provisioning/drift/",
    }
    return staff_notify(key=key, template="drift", context=context)
