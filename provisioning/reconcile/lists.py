"""Reads a panel's lists whole, page by page, and puts them in place of the former ones at once (CAL-20).

Pages are stored as they are read, so a job that has no time left, or a worker that dies, is followed by one
that goes on where it was. Until the last page is there the former entries stay in use; a reading that fails
replaces nothing. Orders go first (`urgent=False`).
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef

from provisioning import audit, queue
from provisioning.choices import ItemKind, SnapshotState
from provisioning.drivers.base import PanelDriver
from provisioning.drivers.errors import RateLimited, Unknown
from provisioning.drivers.lists import EggItem, Item, ListStep
from provisioning.drivers.trouble import NotThere
from provisioning.exceptions import BillingBridgeError, LeaseLost, PanelWaiting
from provisioning.lib import clock
from provisioning.lib.http import Answer
from provisioning.lists import OLD_AFTER, item_get
from provisioning.models import Panel, PanelListPage, PanelSnapshot, Product
from provisioning.reconcile.flags import products_flag
from provisioning.reconcile.lists_store import Pages, item_store, items_replace
from provisioning.reconcile.passes import GO_ON, LONGEST_PASS, PassLease, page_judge, pass_claim
from provisioning.reconcile.transport import PanelTransport, driver_for

AGAIN_AFTER = dt.timedelta(minutes=15)
"""When a reading that failed is begun anew."""

log = structlog.get_logger(__name__)


class SnapshotLease(PassLease[PanelSnapshot]):
    """Our claim on the reading of one panel's lists."""


# --- asked for ------------------------------------------------------------------------------------------


def snapshot_start(panel: Panel) -> PanelSnapshot:
    """Staff want newer lists: begins a reading, or lets the one under way go on at once."""
    now = clock.now()
    with transaction.atomic():
        row, made = PanelSnapshot.objects.get_or_create(
            panel=panel, defaults={"started_at": now, "next_check_at": now}
        )
        if made or _begin(row, now):
            words = f"The lists of “{panel}” are being read."
            audit.record(service=None, action="lists.read", message=words)
        else:
            PanelSnapshot.objects.filter(pk=row.pk).update(next_check_at=now)
        queue.enqueue(queue.READ_LISTS, row.pk)
    row.refresh_from_db()
    return row


def snapshot_ensure(panel: Panel) -> bool:
    """For opening a product form: begins a reading where the lists are older than an hour, or missing.

    Not sooner than a quarter of an hour after one that failed. Returns whether one is under way now.
    """
    row, now = PanelSnapshot.objects.filter(panel=panel).first(), clock.now()
    if row is None or _old(row, now):
        row = snapshot_start(panel)
    return row.under_way


def _old(row: PanelSnapshot, now: dt.datetime) -> bool:
    failed = row.ended_at if row.state == SnapshotState.FAILED else None
    if row.under_way or (failed and now - failed < AGAIN_AFTER):
        return False
    return row.completed_at is None or now - row.completed_at > OLD_AFTER


def snapshots_due() -> None:
    """Gives each panel that products are made on a first reading; the later ones have their due date."""
    if not settings.LISTS_SECONDS:
        return
    sold = Product.objects.filter(panel=OuterRef("pk"))
    for panel in Panel.objects.filter(Exists(sold), snapshot=None, retired=False):
        snapshot_start(panel)


def _begin(row: PanelSnapshot, now: dt.datetime) -> bool:
    """Turns a row at rest into a reading under way. False if it is one already."""
    at_rest = PanelSnapshot.objects.filter(pk=row.pk, number=row.number).exclude(state=SnapshotState.RUNNING)
    fresh: dict[str, Any] = {
        "state": SnapshotState.RUNNING,
        "number": row.number + 1,
        "started_at": now,
        "ended_at": None,
        "detail": "",
        "next_check_at": now,
        **dict.fromkeys(("done_pages", "total_pages", "calls"), 0),
    }
    if not at_rest.update(**fresh):
        return False
    for name, value in fresh.items():
        setattr(row, name, value)
    return True


def egg_details_load(panel: Panel, key: object) -> EggItem | None:
    """The egg with its variables, asked of the panel (one call) where its list leaves them out, and kept.

    None if the lists have no such egg. Raises DriverError, PanelWaiting if the panel cannot be asked.
    """
    egg = item_get(panel, ItemKind.EGG, key)
    if not isinstance(egg, EggItem) or egg.variables is not None:
        return egg if isinstance(egg, EggItem) else None
    try:
        found = driver_for(panel, PanelTransport(panel, express=True)).list_details(egg)
    except NotThere:
        return None
    item_store(panel=panel, kind=ItemKind.EGG, item=found)
    return found if isinstance(found, EggItem) else None


# --- the job --------------------------------------------------------------------------------------------


def lists_read(snapshot_id: int) -> None:
    """One job: goes on with the reading, or begins the next one. Safe to run at any time, twice too."""
    claimed = pass_claim(PanelSnapshot.objects.all(), snapshot_id)
    if claimed is None:
        return
    lease = SnapshotLease(*claimed)
    try:
        Reading(lease).run()
    except LeaseLost as lost:
        log.warning("lease_lost", snapshot=snapshot_id, detail=lost.detail)
    except BillingBridgeError as error:
        _put_off(lease, error)
    except Exception as error:
        log.exception("lists_crashed", snapshot=snapshot_id)
        snapshot_fail(lease=lease, words=f"An error of ours ({type(error).__name__}); the log has it.")


def _put_off(lease: SnapshotLease, error: BillingBridgeError) -> None:
    if isinstance(error, RateLimited | PanelWaiting) and error.reason in GO_ON:
        lease.pause(seconds=error.seconds)
        return
    snapshot_fail(lease=lease, words=error.detail)


def snapshot_fail(*, lease: SnapshotLease, words: str) -> None:
    """Ends a reading without a result: the former lists stay in use, and say how old they are."""
    with transaction.atomic():
        _close(lease, SnapshotState.FAILED, AGAIN_AFTER.total_seconds(), detail=words)
        lease.write(lease_until=None)


def _close(lease: SnapshotLease, state: SnapshotState, seconds: float, **columns: Any) -> None:
    now = clock.now()
    due = now + dt.timedelta(seconds=seconds) if settings.LISTS_SECONDS else None
    lease.write(state=state, ended_at=now, next_check_at=due, **columns)
    PanelListPage.objects.filter(snapshot=lease.row).delete()


class _Counted(PanelTransport):
    """Counts the calls of a reading: it has no operation that would."""

    made = 0

    def _call(self, *args: Any) -> Answer:
        self.made += 1
        return super()._call(*args)


class Reading:
    """One job's share of a reading."""

    def __init__(self, lease: SnapshotLease) -> None:
        """Binds driver and transport to this job."""
        self.lease = lease
        self.row: PanelSnapshot = lease.row
        self.transport = _Counted(self.row.panel, urgent=False)
        self.driver: PanelDriver = driver_for(self.row.panel, self.transport)

    def run(self) -> None:
        """Reads what is left to be read, then replaces. Raises what the drivers raise."""
        now = clock.now()
        if self.row.under_way and now - self.row.started_at > LONGEST_PASS:
            raise Unknown("The lists could not be read within an hour.", maybe_done=False)
        if not self.row.under_way:
            _begin(self.row, now)
        self.pages = Pages(self.row, self.driver.lists)
        for index, step in enumerate(self.driver.lists):
            for parent in self.pages.parents(index):
                self._read_list(index, step, parent)
            for item in self.pages.left_out(index):
                self._read_details(index, item)
        self._replace()

    def _read_list(self, index: int, step: ListStep, parent: str) -> None:
        number, total = self.pages.following(index, parent)
        while number:
            page = self.driver.list_page(step.kind, parent, number)
            page_judge(page, number=number, total=total)
            with transaction.atomic():
                self.pages.keep(index, parent, number, page)
                self._note()
            number, total = self.pages.following(index, parent)

    def _read_details(self, index: int, item: Item) -> None:
        found: Item | None = None
        try:
            found = self.driver.list_details(item)
        except NotThere:
            log.info("list_entry_gone", panel=self.row.panel_id, key=item.id)
        with transaction.atomic():
            self.pages.keep_details(index, item.id, found)
            self._note()

    def _note(self) -> None:
        """How far it is, under the fence: a page of a worker that lost its lease is not kept."""
        calls, self.transport.made = self.row.calls + self.transport.made, 0
        self.lease.write(done_pages=self.row.done_pages + 1, total_pages=self.pages.total, calls=calls)

    def _replace(self) -> None:
        """The new entries in place of the old ones, all in one fenced transaction; then what they say."""
        with transaction.atomic():
            items_replace(row=self.row, entries=self.pages.entries())
            _close(self.lease, SnapshotState.COMPLETE, settings.LISTS_SECONDS, completed_at=clock.now())
            products_flag(panel=self.row.panel)
            # Last, because it ends the claim.
            self.lease.write(lease_until=None)
