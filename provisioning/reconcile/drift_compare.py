"""What differs between complete lists of a panel and our tables. Reads our own rows only, page by page.

A service on which work is under way, or which was looked at since the lists began to be read, is left out:
its difference would be our own doing. Queries are a handful for each page, whatever is on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.db.models import Exists, F, OuterRef, Q, QuerySet

from provisioning import desired
from provisioning.choices import (
    LIVE_OUTCOMES,
    AccountState,
    BillingStatus,
    DesiredState,
    DriftKind,
    DriftStage,
)
from provisioning.drivers.base import PanelDriver
from provisioning.drivers.types import Change, ChangeKind, Observed
from provisioning.lib import clock
from provisioning.lib.names import fold_email
from provisioning.models import DriftPage, DriftPass, Operation, PanelAccount, Service

BATCH = 250
KEPT = ("server_id", "uuid", "identifier", "mark", "owner", "name", "state", "limits")


def server_kept(seen: Observed) -> dict[str, Any]:
    """The part of a server that is compared, as it is stored with its page."""
    return {name: value for name, value in seen.as_json().items() if name in KEPT}


@dataclass(frozen=True)
class Found:
    """One difference. `subject` names what differs, so that a later pass knows it again."""

    kind: DriftKind
    subject: str
    words: str
    service_id: int | None = None
    server_id: str = ""


@dataclass
class Comparison:
    """All that a pass found. `missing` are the services whose servers a complete list does not show."""

    found: list[Found] = field(default_factory=list)
    missing: list[Service] = field(default_factory=list)
    unjudged: set[int] = field(default_factory=set)
    checked: int = 0
    expected: int = 0


def compare(row: DriftPass, driver: PanelDriver) -> Comparison:
    """Compares the stored pages of a pass with our tables. Calls nobody, writes nothing."""
    job = _Compare(row, driver)
    job.servers()
    job.accounts()
    return job.result


def candidates(row: DriftPass) -> QuerySet[Service]:
    """Our services on the panel, each with `busy`: whether work on it is under way or has just ended."""
    live = Operation.objects.filter(service=OuterRef("pk"), outcome__in=LIVE_OUTCOMES)
    moving = (
        ~Q(generation=F("observed_generation"))
        | Q(observed_at__gte=row.started_at)
        | Q(lease_until__gt=clock.now())
        | Q(terminated_at__gte=row.started_at)
        | Exists(live)
    )
    rows = Service.objects.filter(Q(panel=row.panel) | Q(panel=None)).annotate(busy=moving)
    return rows.select_related("product", "product_version", "connection", "customer").prefetch_related(
        "pins", "entitlements"
    )


def _busy(service: Service) -> bool:
    return bool(vars(service)["busy"])


class _Compare:
    def __init__(self, row: DriftPass, driver: PanelDriver) -> None:
        self.row, self.driver = row, driver
        self.result = Comparison()
        self.candidates = candidates(row)

    def servers(self) -> None:
        """Each server of the list, then each service whose server was not on it."""
        listed: set[str] = set()
        for items in self._pages(DriftStage.SERVERS):
            batch = [Observed.from_json(item) for item in items]
            listed.update(seen.server_id for seen in batch)
            self._batch(batch)
        self._unlisted(listed)

    def _pages(self, stage: DriftStage) -> Iterator[list[dict[str, Any]]]:
        pages = DriftPage.objects.filter(drift_pass=self.row, stage=stage).order_by("number")
        yield from pages.values_list("items", flat=True).iterator(chunk_size=5)

    def _batch(self, batch: Sequence[Observed]) -> None:
        ids, marks = [seen.server_id for seen in batch], [seen.mark for seen in batch if seen.mark]
        rows = list(self.candidates.filter(Q(server_id__in=ids) | Q(external_id__in=marks)))
        by_id = {row.server_id: row for row in rows if row.server_id}
        by_mark = {row.external_id: row for row in rows}
        accounts = self._accounts_of(rows)
        for seen in batch:
            service = by_id.get(seen.server_id)
            if service is None:
                self._stray(seen, by_mark.get(seen.mark))
            elif not service.is_trial and self._judged(service):
                self._ours(service, seen, accounts.get(service.customer_id))

    def _accounts_of(self, rows: Iterable[Service]) -> dict[int, PanelAccount]:
        customers = {row.customer_id for row in rows}
        found = PanelAccount.objects.filter(
            panel=self.row.panel, customer__in=customers, state=AccountState.LINKED
        )
        return {account.customer_id: account for account in found}

    def _judged(self, service: Service) -> bool:
        """Whether the service can be judged now; counts it either way."""
        unmapped = service.product is None and service.desired_state == DesiredState.PRESENT
        wanted = service.desired_state in (DesiredState.PRESENT, DesiredState.SUSPENDED)
        if _busy(service) or unmapped or not wanted:
            self.result.unjudged.add(service.pk)
            return False
        self.result.checked += 1
        return True

    def _add(self, kind: DriftKind, subject: str, words: str, service: Service | None, server: str) -> None:
        self.result.found.append(Found(kind, subject, words, service.pk if service else None, server))

    # --- a server that a service of ours has -------------------------------------------------------

    def _ours(self, service: Service, seen: Observed, account: PanelAccount | None) -> None:
        subject, server = f"service:{service.pk}", seen.server_id
        if seen.mark != service.external_id:
            shown = f"“{seen.mark}”" if seen.mark else "none"
            words = f"Server {server} should have the external id “{service.external_id}”, but has {shown}."
            self._add(DriftKind.MARK, subject, words, service, server)
            return
        if account and seen.owner != account.panel_user_id:
            words = f"Server {server} belongs to panel user {seen.owner}, not to {account.panel_user_id}."
            self._add(DriftKind.OWNER, subject, words, service, server)
            return
        for change in self.driver.differences(desired.build(service, account), seen):
            self._changed(service, seen, change)

    def _changed(self, service: Service, seen: Observed, change: Change) -> None:
        subject = f"service:{service.pk}"
        if change.kind is ChangeKind.RESIZE:
            words = f"The panel differs from what is sold (panel → sold): {change.summary}."
            self._add(DriftKind.LIMITS, subject, words, service, seen.server_id)
        elif change.kind in (ChangeKind.SUSPEND, ChangeKind.UNSUSPEND):
            words = (
                f"Billing says {_billing(service)}, it should be {service.get_desired_state_display()}, "
                f"and the panel shows {seen.state.value.replace('_', ' ')}."
            )
            self._add(DriftKind.STATE, subject, words, service, seen.server_id)

    # --- a server that no service has --------------------------------------------------------------

    def _stray(self, seen: Observed, service: Service | None) -> None:
        if service is not None and _busy(service):
            # Perhaps it is being made or deleted at this moment.
            return
        name = f"Server {seen.server_id} ({seen.name})"
        kind, words = self._stray_words(name, seen, service)
        self._add(kind, f"server:{seen.server_id}", words, service, seen.server_id)

    def _stray_words(self, name: str, seen: Observed, service: Service | None) -> tuple[DriftKind, str]:
        if service and service.server_id:
            words = f"{name} carries the mark of {service}, whose server is {service.server_id}."
            return DriftKind.DOUBLE, words
        if service:
            words = f"{name} is marked as that of {service}, which billing calls {_billing(service)}"
            return DriftKind.ORPHAN, f"{words} and which has no server here."
        if not seen.mark:
            return DriftKind.ORPHAN, f"{name} has no external id, and no service has it."
        if seen.mark.startswith(f"{settings.INSTALLATION_ID}-"):
            return DriftKind.ORPHAN, f"{name} carries our mark “{seen.mark}”, but no service has that mark."
        return DriftKind.FOREIGN, f"{name} carries “{seen.mark}”, which is no mark of ours."

    # --- a service whose server is not on the list -------------------------------------------------

    def _unlisted(self, listed: set[str]) -> None:
        """Counts all that should be there; judges the services that are at rest."""
        ours = Service.objects.filter(panel=self.row.panel, is_trial=False).exclude(server_id="")
        there = ours.exclude(desired_state=DesiredState.ABSENT)
        known = there.values_list("pk", "server_id").iterator(chunk_size=2_000)
        gone: list[int] = []
        for pk, server_id in known:
            self.result.expected += 1
            if server_id not in listed:
                gone.append(pk)
        for begin in range(0, len(gone), BATCH):
            for service in self.candidates.filter(pk__in=gone[begin : begin + BATCH]).order_by("pk"):
                self._gone(service)

    def _gone(self, service: Service) -> None:
        if service.observed_at and self.row.started_at and service.observed_at >= self.row.started_at:
            # Made, or seen, since the list was read.
            self.result.unjudged.add(service.pk)
            return
        self.result.missing.append(service)
        if self._judged(service):
            words = (
                f"Server {service.server_id} should be {service.get_desired_state_display()}, "
                "but the panel's complete list does not show it."
            )
            subject = f"service:{service.pk}"
            self._add(DriftKind.MISSING, subject, words, service, service.server_id)

    # --- accounts ----------------------------------------------------------------------------------

    def accounts(self) -> None:
        """Each linked account against the panel's user of that number."""
        shown: set[str] = set()
        for items in self._pages(DriftStage.ACCOUNTS):
            users = {item["id"]: item for item in items}
            shown.update(users)
            for account in self._linked().filter(panel_user_id__in=list(users)):
                self._account(account, users[account.panel_user_id])
        for account in self._linked().iterator(chunk_size=1_000):
            if account.panel_user_id not in shown:
                self._account_found(account, "is gone from the panel")

    def _linked(self) -> QuerySet[PanelAccount]:
        """Links that were there before the lists were read, of customers on whom nobody works."""
        since = self.row.started_at
        recent = Service.objects.filter(customer=OuterRef("customer"), observed_at__gte=since)
        rows = PanelAccount.objects.filter(panel=self.row.panel, state=AccountState.LINKED)
        return rows.exclude(linked_at__gte=since).exclude(Exists(recent)).select_related("customer")

    def _account(self, account: PanelAccount, user: dict[str, Any]) -> None:
        known = {fold_email(account.email), account.customer.email_folded}
        if user["is_admin"]:
            self._account_found(account, "is an administrator of the panel")
        elif user["mark"] != account.mark:
            shown = user["mark"] or "none"
            self._account_found(account, f"has the external id {shown}, not {account.mark}")
        elif fold_email(user["email"]) not in known:
            self._account_found(account, f"has the e-mail address {user['email']}")

    def _account_found(self, account: PanelAccount, what: str) -> None:
        words = f"Panel user {account.panel_user_id}, linked to {account.customer}, {what}."
        self._add(DriftKind.ACCOUNT, f"account:{account.pk}", words, None, "")


def _billing(service: Service) -> str:
    return str(BillingStatus(service.billing_status).label)
