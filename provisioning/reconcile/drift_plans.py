"""The plans of a panel's services, made from its list: what `reconcile --dry-run` prints. Changes nothing.

A thousand single looks would use up the panel's calls for minutes; its list is a few.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from django.db.models import Q

from provisioning.choices import AccountState
from provisioning.drivers.base import PanelDriver
from provisioning.drivers.types import ABSENT, Look
from provisioning.exceptions import BillingBridgeError, PanelWaiting
from provisioning.models import Panel, PanelAccount, Service
from provisioning.reconcile.preview import Preview, planned
from provisioning.reconcile.transport import PanelTransport, driver_for

LONGEST = 900.0
"""Seconds that a dry run may take: it is no job, and a person waits for it."""


def plans_of(panel: Panel) -> Iterator[tuple[Service, Preview]]:
    """Each service of the panel with what would be done. Raises Unknown for a list that is cut or short."""
    driver = driver_for(panel, _Patient(panel, urgent=False, seconds=LONGEST))
    listed = list(driver.servers())
    by_id = {seen.server_id: seen for seen in listed}
    by_mark = {seen.mark: seen for seen in listed if seen.mark}
    accounts = _accounts(panel)
    unmade = Q(product_version__panel=panel) | Q(product_version=None, product__panel=panel)
    here = Q(panel=panel) | (Q(panel=None) & unmade)
    rows = Service.objects.filter(here).select_related("product__panel", "panel", "customer", "connection")
    rows = rows.select_related("product_version__panel")
    for service in rows.prefetch_related("pins", "entitlements").order_by("pk").iterator(chunk_size=500):
        look: Look = by_id.get(service.server_id) or by_mark.get(service.external_id) or ABSENT
        yield service, _plan(service, driver, look, accounts.get(service.customer_id))


def _accounts(panel: Panel) -> dict[int, PanelAccount]:
    rows = PanelAccount.objects.filter(panel=panel, state=AccountState.LINKED)
    return {row.customer_id: row for row in rows}


def _plan(service: Service, driver: PanelDriver, look: Look, account: PanelAccount | None) -> Preview:
    try:
        plan = planned(service, driver, look, account)
    except BillingBridgeError as error:
        return Preview(problem=error.detail)
    return Preview(plan.lines(), plan.checksum, list(plan.notes)) if plan else Preview()


class _Patient(PanelTransport):
    """Waits for the panel's rate budget where a job would end: nobody else is held up by a command."""

    def request(self, *args: Any, **kwargs: Any) -> Any:
        """As a job's, but a short wait for the budget is slept through."""
        while True:
            try:
                return super().request(*args, **kwargs)
            except PanelWaiting as wait:
                if wait.reason != "rate_budget" or time.monotonic() + wait.seconds > self.ends:
                    raise
                time.sleep(wait.seconds)
