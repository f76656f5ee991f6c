"""Reads that several screens share: a service's state in one word, and what it waits for, in a sentence.

The word is computed in the database, in one place, so that a list, its filter and a page never disagree.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.conf import settings
from django.db.models import (
    Case,
    CharField,
    F,
    Model,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    TextChoices,
    Value,
    When,
)
from django.utils.translation import gettext_lazy as _

from provisioning.choices import AccountState, DesiredState, ObservedState, Outcome, SuspendReason
from provisioning.lib import clock
from provisioning.models import Installation, Notification, Operation, PanelAccount, PanelGate, Service

CAP = 1000
"""Counts on screens end here: *1000+*. Nobody needs more, and a full count reads a whole table."""

PEOPLE_WAITS = ("product_unmapped", "product_flagged", "panel_key", "brake", "create_brake", "panel_frozen")
"""Waits that end only when a person does something (the engine's own reasons)."""


class Word(TextChoices):
    """The state of a service in one word (interface rule *state first*)."""

    RUNNING = "running", _("Running")
    WAITING = "waiting", _("Waiting")
    SUSPENDED = "suspended", _("Suspended")
    ENDING = "ending", _("Ending")
    NEEDS_YOU = "needs_you", _("Needs you")
    GONE = "gone", _("Gone")
    UNKNOWN = "unknown", _("Unknown")


STUCK = Q(op_outcome__in=[Outcome.NEEDS_STAFF, Outcome.FAILED]) | Q(
    op_outcome=Outcome.WAITING, op_reason__in=PEOPLE_WAITS
)
MOVING = Q(op_outcome__in=[Outcome.WAITING, Outcome.RETRYING]) | ~Q(generation=F("observed_generation"))
RULES: Sequence[tuple[Q, Word]] = (
    (STUCK, Word.NEEDS_YOU),
    (Q(terminated_at__isnull=False), Word.GONE),
    (MOVING | Q(desired_state=DesiredState.NONE), Word.WAITING),
    (Q(desired_state=DesiredState.ABSENT), Word.GONE),
    (Q(ended_at__isnull=False), Word.ENDING),
    (Q(desired_state=DesiredState.SUSPENDED), Word.SUSPENDED),
    (Q(observed_state__in=[ObservedState.INSTALLING, ObservedState.BUSY]), Word.WAITING),
    (Q(observed_state=ObservedState.ACTIVE), Word.RUNNING),
)
"""Read from the top; the first that fits names the word, and *Unknown* is what is left."""


def services() -> QuerySet[Service]:
    """Services with `word` and with the newest operation's `op_id`, `op_outcome` and `op_reason`."""
    newest = Operation.objects.filter(service=OuterRef("pk")).order_by("-id")
    rows = Service.objects.annotate(
        op_id=Subquery(newest.values("pk")[:1]),
        op_outcome=Subquery(newest.values("outcome")[:1]),
        op_reason=Subquery(newest.values("reason")[:1]),
    )
    cases = [When(rule, then=Value(word.value)) for rule, word in RULES]
    return rows.annotate(word=Case(*cases, default=Value(Word.UNKNOWN.value), output_field=CharField()))


def services_in(rows: QuerySet[Service], word: str) -> QuerySet[Service]:
    """Those of `services()` in that state. The rare word is found through its operations, not by a scan."""
    if word == Word.NEEDS_YOU:
        rows = rows.filter(pk__in=operations_needing_staff().values("service"))
    return rows.filter(Q(("word", word)))


def operations_needing_staff() -> QuerySet[Operation]:
    """Operations that only a person can bring on, and that no newer one has replaced."""
    newer = Operation.objects.filter(service=OuterRef("service")).order_by("-id").values("pk")[:1]
    stuck = Q(outcome__in=[Outcome.NEEDS_STAFF, Outcome.FAILED]) | Q(
        outcome=Outcome.WAITING, reason__in=PEOPLE_WAITS
    )
    return Operation.objects.filter(stuck, pk=Subquery(newer))


def operations_attach(rows: Iterable[Service]) -> list[Service]:
    """Gives each service of `services()` its newest operation as `newest`, in one query for all of them."""
    found = list(rows)
    wanted = [vars(row)["op_id"] for row in found if vars(row)["op_id"]]
    known = Operation.objects.select_related("panel__gate").in_bulk(wanted) if wanted else {}
    for row in found:
        vars(row)["newest"] = known.get(vars(row)["op_id"])
    return found


def newest_of(row: Service) -> Operation | None:
    """The newest operation of a row that went through `operations_attach`."""
    found: Operation | None = vars(row)["newest"]
    return found


def word_of(row: Service) -> Word:
    """The state of a row of `services()`."""
    return Word(vars(row)["word"])


@dataclass(frozen=True)
class Waiting:
    """What a service waits for: a phrase, since when, when it is tried next, and which attempt that is."""

    what: str
    since: dt.datetime | None = None
    next_at: dt.datetime | None = None
    attempt: int = 0

    def sentence(self, now: dt.datetime) -> str:
        """*Waiting for panel “fra-1” (does not answer since 14:02); next try in 40 s, attempt 4.*"""
        parts = [f"Waiting for {self.what}"]
        if self.next_at:
            parts.append(f"next try {span_ahead(self.next_at, now)}" + self._attempt())
        return "; ".join(parts) + "."

    def _attempt(self) -> str:
        return f", attempt {self.attempt}" if self.attempt else ""


def span_ahead(at: dt.datetime, now: dt.datetime) -> str:
    """*in 40 s*, *in 5 min*, *now*."""
    seconds = round((at - now).total_seconds())
    return f"in {span(seconds)}" if seconds > 0 else "now"


def span(seconds: float) -> str:
    """A length of time in its largest fitting unit: 40 s, 5 min, 3 h, 2 days."""
    for size, unit in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size or (unit != "days" and seconds >= size):
            return f"{int(seconds // size)} {unit}"
    return f"{int(seconds)} s"


def waiting(service: Service, operation: Operation | None) -> Waiting | None:
    """What the service waits for, or None if nothing is under way."""
    if operation and operation.outcome in (Outcome.WAITING, Outcome.RETRYING):
        return Waiting(
            _waits_for(service, operation),
            operation.waiting_since,
            # What waits for people is looked at again, but no try of ours ends the wait.
            None if operation.reason in PEOPLE_WAITS else operation.next_attempt_at,
            operation.attempts + 1,
        )
    if operation and operation.outcome == Outcome.OPEN:
        return Waiting(f"the worker that does the {operation.get_kind_display()}", operation.created_at)
    if operation and operation.outcome in (Outcome.NEEDS_STAFF, Outcome.FAILED):
        return None
    if service.desired_state == DesiredState.NONE:
        return Waiting("billing: it calls this service pending, so nothing is made yet", service.created_at)
    if service.generation != service.observed_generation:
        return Waiting("a free worker", None, service.next_check_at)
    return None


def _waits_for(service: Service, operation: Operation) -> str:
    panel = f"panel “{operation.panel}”" if operation.panel else "the panel"
    gate: PanelGate | None = getattr(operation.panel, "gate", None)
    known = {
        "panel_unreachable": f"{panel} (does not answer{_since(gate.down_since if gate else None)})",
        "panel_unknown": f"{panel} (its last answer left open what happened; it is looked at again)",
        "panel_key": f"{panel} (refuses our key{_since(gate.parked_at if gate else None)})",
        "rate_budget": f"{panel} (the calls that it allows in a minute are used up)",
        "rate_limited": f"{panel} (asked for silence)",
        "installing": f"the install on {panel}",
        "product_unmapped": f"staff to map a product to billing's “{service.billing_product_id}”",
        "panel_frozen": f"staff to unfreeze the deletes of {panel}",
        "brake": f"staff to release the parked deletes of {panel}",
        "create_brake": f"staff to release the parked creates of {panel}",
    }
    return known.get(operation.reason) or _own_words(panel, operation)


def _since(at: dt.datetime | None) -> str:
    return f" since {at.astimezone(dt.UTC):%H:%M} UTC" if at else ""


def _own_words(panel: str, operation: Operation) -> str:
    words = operation.detail.strip().rstrip(".")
    return f"{panel} ({words})" if words else panel


def situation(service: Service, operation: Operation | None, now: dt.datetime) -> str:
    """The first line of a service's page: is it all right, and if not, who has to do what."""
    waits = waiting(service, operation)
    if operation and operation.outcome in (Outcome.NEEDS_STAFF, Outcome.FAILED):
        return f"{operation.number} needs you: {operation.detail}"
    if service.terminated_at:
        return f"The server was deleted on {_day(service.terminated_at)}."
    if waits:
        return waits.sentence(now)
    return _calm(service)


def _calm(service: Service) -> str:
    if service.desired_state == DesiredState.ABSENT:
        return "Ended; there is no server."
    if service.ended_at and service.desired_state == DesiredState.SUSPENDED:
        if service.undo_until is None:
            return "Cancelled by a sender that proves no time: suspended. Deleting it waits for your word."
        return f"Ended and suspended. Can be undone until {_day(service.undo_until)}, then it is deleted."
    if service.desired_state == DesiredState.SUSPENDED:
        return f"Suspended: {reasons_text(service)}."
    if service.ended_at:
        return f"Running; billing ends it on {_day(service.ended_at)}."
    if service.suspend_at:
        return f"Running, but unpaid: suspended on {_day(service.suspend_at)} unless a payment comes."
    return "Billing, our wish and the panel agree."


def reasons_text(service: Service) -> str:
    """The reasons of a suspension, in words."""
    labels = [str(SuspendReason(reason).label) for reason in service.suspend_reasons]
    return ", ".join(labels) or "no reason is known"


def _day(at: dt.datetime) -> str:
    return f"{at.astimezone(dt.UTC):%d %b %Y %H:%M} UTC"


def next_date(service: Service) -> tuple[str, dt.datetime] | None:
    """The next date on which time alone changes something, with its name."""
    if service.terminated_at:
        return None
    dates = (
        ("Deleted", service.undo_until),
        ("Suspended", service.suspend_at if service.desired_state != DesiredState.SUSPENDED else None),
        ("Ends", service.ended_at),
        ("Paid until", service.paid_until),
    )
    now = clock.now()
    ahead = [(label, at) for label, at in dates if at and at > now]
    return min(ahead, key=lambda pair: pair[1], default=None)


DAY = dt.timedelta(hours=24)


def suspending(now: dt.datetime) -> Q:
    """Services that are suspended within a day unless a payment comes."""
    return Q(suspend_at__gt=now, suspend_at__lte=now + DAY)


def deleting(now: dt.datetime) -> Q:
    """Services whose undo window closes within a day, or has closed already."""
    return Q(undo_until__lte=now + DAY, terminated_at=None, ended_at__isnull=False)


@dataclass(frozen=True)
class Step:
    """One dot on the way from a payment to a server that can be used."""

    name: str
    done: bool


def steps_of(rows: Sequence[Service]) -> dict[int, list[Step]]:
    """paid · account · server · ready · mail for each service; two queries for all of them."""
    accounts = set(
        PanelAccount.objects.filter(
            state=AccountState.LINKED, customer__in={row.customer_id for row in rows}
        ).values_list("customer_id", "panel_id")
    )
    mailed = set(
        Notification.objects.filter(
            service__in=[row.pk for row in rows], template="ready", sent_at__isnull=False
        ).values_list("service_id", flat=True)
    )
    return {
        row.pk: _steps(row, (row.customer_id, row.panel_id) in accounts, row.pk in mailed) for row in rows
    }


def _steps(service: Service, account: bool, mailed: bool) -> list[Step]:
    return [
        Step("paid", service.desired_state != DesiredState.NONE),
        Step("account", account),
        Step("server", bool(service.server_id) or service.terminated_at is not None),
        # A deleted server is no longer ready, but it was once: its mail says so.
        Step("ready", service.ready_at is not None or mailed),
        Step("mail", mailed),
    ]


@dataclass(frozen=True)
class Count:
    """A count that stops at `CAP`."""

    number: int

    def __str__(self) -> str:
        return f"{CAP}+" if self.number > CAP else str(self.number)

    def __bool__(self) -> bool:
        return self.number > 0


def capped(rows: QuerySet[Model]) -> Count:
    """Counts at most `CAP` + 1 rows."""
    return Count(rows.order_by()[: CAP + 1].count())


def observe_only_words() -> str:
    """Why the whole installation only looks on, in a sentence; empty if it works."""
    if settings.OBSERVE_ONLY:
        return "OBSERVE_ONLY is set in the environment: panels are looked at, and nothing is changed on them."
    row = Installation.objects.first()
    if row is None:
        return ""
    if row.installation_id != settings.INSTALLATION_ID:
        return (
            f"This database belongs to installation “{row.installation_id}”, but the environment says "
            f"“{settings.INSTALLATION_ID}”. Everything is observe only: is this a copy of production?"
        )
    if row.restored_at:
        return (
            f"A backup of the database was restored ({row.restored_at:%d %b %H:%M} UTC): nothing is changed "
            "on any panel until staff press “Go on after the restore” on the installation's page."
        )
    return (
        "The installation is set to observe only: nothing is changed on any panel."
        if row.observe_only
        else ""
    )
