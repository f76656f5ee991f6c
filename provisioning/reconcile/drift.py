"""The drift pass of one panel: reads its lists whole, compares, writes what differs. Calls change nothing.

Pages are stored as they are read, so a job that has no time left, or a worker that dies, is followed by one
that goes on where it was. Only lists that are complete are compared: a failed, cut or short one is *unknown*,
and leaves every stored difference as it was (DESIGN rule 2). Orders go first (`urgent=False`).
"""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any

import structlog
from django.db import transaction

from provisioning.choices import DriftStage
from provisioning.drivers.base import PanelDriver
from provisioning.drivers.errors import RateLimited, Unknown
from provisioning.drivers.types import Account, ListPage, Observed, ServerRef
from provisioning.exceptions import BillingBridgeError, LeaseLost, PanelWaiting
from provisioning.lib import clock
from provisioning.models import DriftPage, DriftPass
from provisioning.reconcile.drift_compare import Comparison, compare, server_kept
from provisioning.reconcile.drift_lease import DriftLease, drift_claim
from provisioning.reconcile.drift_record import drift_freeze, drift_record, drift_unknown
from provisioning.reconcile.passes import GO_ON, LONGEST_PASS, page_judge
from provisioning.reconcile.transport import PanelTransport, driver_for

MOST_LOOKS = 10
"""So many servers that a list left out are asked for one by one, before it is believed."""
SECONDS_TO_COMPARE = 20

log = structlog.get_logger(__name__)


def drift_check(pass_id: int) -> None:
    """One job: goes on with the pass, or begins one. Safe to run at any time, twice too."""
    lease = drift_claim(pass_id)
    if lease is None:
        return
    try:
        Pass(lease).run()
    except LeaseLost as lost:
        log.warning("lease_lost", drift_pass=pass_id, detail=lost.detail)
    except BillingBridgeError as error:
        _put_off(lease, error)
    except Exception as error:
        log.exception("drift_crashed", drift_pass=pass_id)
        drift_unknown(lease=lease, words=f"An error of ours ({type(error).__name__}); the log has it.")


def _put_off(lease: DriftLease, error: BillingBridgeError) -> None:
    if isinstance(error, RateLimited | PanelWaiting) and error.reason in GO_ON:
        lease.pause(seconds=error.seconds)
        return
    drift_unknown(lease=lease, words=error.detail)


class Pass:
    """One job's share of a pass."""

    def __init__(self, lease: DriftLease) -> None:
        """Binds driver and transport to this job."""
        self.lease = lease
        self.row: DriftPass = lease.row
        self.transport = PanelTransport(self.row.panel, urgent=False)
        self.driver: PanelDriver = driver_for(self.row.panel, self.transport)

    def run(self) -> None:
        """Reads what is left to be read, then compares. Raises what the engine's drivers raise."""
        self._begin()
        while self.row.stage != DriftStage.COMPARING:
            self._read_page()
        if self.transport.ends - time.monotonic() < SECONDS_TO_COMPARE:
            raise PanelWaiting("The next job compares.", reason="deadline")
        comparison = compare(self.row, self.driver)
        drift_freeze(lease=self.lease, comparison=comparison)
        self._prove_missing(comparison)
        drift_record(lease=self.lease, comparison=comparison)

    def _begin(self) -> None:
        now = clock.now()
        if self.row.under_way and self.row.started_at and now - self.row.started_at > LONGEST_PASS:
            raise Unknown("The lists could not be read within an hour.", maybe_done=False)
        if not self.row.under_way:
            with transaction.atomic():
                self.lease.write(stage=DriftStage.SERVERS, started_at=now, next_page=1, total=0, looked=[])
                DriftPage.objects.filter(drift_pass=self.row).delete()

    def _read_page(self) -> None:
        if self.row.stage == DriftStage.SERVERS:
            with self.transport.reading():
                servers = self.driver.server_page(self.row.next_page)
            self._keep(servers, [server_kept(item) for item in servers.items], DriftStage.ACCOUNTS)
        else:
            with self.transport.reading():
                accounts = self.driver.account_page(self.row.next_page)
            self._keep(accounts, [_account_kept(item) for item in accounts.items], DriftStage.COMPARING)

    def _keep(self, page: ListPage[Any], items: list[dict[str, Any]], following: str) -> None:
        """Stores a page and where to go on, in one fenced step."""
        stage, number = self.row.stage, self.row.next_page
        page_judge(page, number=number, total=self.row.total)
        ended = number >= page.last
        with transaction.atomic():
            ahead = {"stage": following, "next_page": 1, "total": 0}
            self.lease.write(**(ahead if ended else {"next_page": number + 1, "total": page.total}))
            DriftPage.objects.create(drift_pass=self.row, stage=stage, number=number, items=items)
            if ended:
                _refuse_short(self.row, stage, page.total)

    def _prove_missing(self, comparison: Comparison) -> None:
        """Asks for a few of the missing servers by their numbers: a list that moved is not believed.

        Raises Unknown if one of them is there.
        """
        for service in comparison.missing[:MOST_LOOKS]:
            if service.pk in self.row.looked:
                continue
            look = self.driver.observe(ServerRef(service.external_id, service.server_id))
            if isinstance(look, Observed) and look.server_id == service.server_id:
                words = f"The panel's list leaves out server {service.server_id}, which it shows when asked."
                raise Unknown(words, maybe_done=False)
            self.lease.write(looked=[*self.row.looked, service.pk])


def _account_kept(account: Account) -> dict[str, Any]:
    kept = ("id", "mark", "email", "is_admin")
    return {name: value for name, value in asdict(account).items() if name in kept}


def _refuse_short(row: DriftPass, stage: str, total: int) -> None:
    """The entries that were read are as many as the panel counts, each once. Raises Unknown."""
    key = "server_id" if stage == DriftStage.SERVERS else "id"
    pages = DriftPage.objects.filter(drift_pass=row, stage=stage).values_list("items", flat=True)
    found = {item[key] for items in pages.iterator(chunk_size=20) for item in items}
    if len(found) != total:
        raise Unknown(f"The panel counts {total} {stage} but showed {len(found)}.", maybe_done=False)
