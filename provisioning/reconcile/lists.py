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
from django.db.models import Exists, OuterRef, Q, QuerySet

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
    row, begun = _start(panel)
    if begun:
        audit.record(service=None, action="lists.read", message=f"The lists of “{panel}” are being read.")
    return row


def _start(panel: Panel) -> tuple[PanelSnapshot, bool]:
    """The panel's row with a reading under way, and whether that has begun now."""
    now = clock.now()
    with transaction.atomic():
        row, begun = PanelSnapshot.objects.get_or_create(panel=panel, defaults={"started_at": now})
        begun = begun or _begin(row, now)
        # Its job is sent here: the sweep finds it only if that is lost.
        due = now + dt.timedelta(seconds=settings.SWEEP_SECONDS)
        PanelSnapshot.objects.filter(pk=row.pk).update(next_check_at=due)
        queue.enqueue(queue.READ_LISTS, row.pk)
    row.refresh_from_db()
    return row, begun


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
    """Begins the readings that are due: the first of each panel that products are made on, and later ones."""
    if not settings.LISTS_SECONDS:
        return
    sold = Product.objects.filter(panel=OuterRef("pk"))
    never = Q(Exists(sold), snapshot=None)
    again = Q(snapshot__next_check_at__lte=clock.now()) & ~Q(snapshot__state=SnapshotState.RUNNING)
    for panel in Panel.objects.filter(never | again, retired=False):
        _start(panel)


def snapshots_running() -> QuerySet[PanelSnapshot]:
    """The readings that a job has to go on with."""
    return PanelSnapshot.objects.filter(state=SnapshotState.RUNNING)


def _begin(row: PanelSnapshot, now: dt.datetime) -> bool:
    """Turns a row at rest into a reading under way. False if it is one already."""
    at_rest = PanelSnapshot.objects.filter(pk=row.pk, number=row.number).exclude(state=SnapshotState.RUNNING)
    begun = at_rest.update(
        state=SnapshotState.RUNNING,
        number=row.number + 1,
        started_at=now,
        ended_at=None,
        detail="",
        **dict.fromkeys(("done_pages", "total_pages", "calls"), 0),
    )
    return bool(begun)


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
    """One job: goes on with the reading. Safe to run at any time, twice too."""
    claimed = pass_claim(snapshots_running(), snapshot_id)
    if claimed is None:
        return
    lease = SnapshotLease(*claimed)
    reading = Reading(lease)
    try:
        reading.run()
    except LeaseLost as lost:
        log.warning("lease_lost", snapshot=snapshot_id, detail=lost.detail)
    except BillingBridgeError as error:
        _put_off(reading, error)
    except Exception as error:
        log.exception("lists_crashed", snapshot=snapshot_id)
        words = f"An error of ours ({type(error).__name__}); the log has it."
        snapshot_fail(lease=lease, words=words, calls=reading.calls)


def _put_off(reading: Reading, error: BillingBridgeError) -> None:
    if isinstance(error, RateLimited | PanelWaiting) and error.reason in GO_ON:
        reading.lease.pause(seconds=error.seconds, calls=reading.calls)
        return
    snapshot_fail(lease=reading.lease, words=error.detail, calls=reading.calls)


def snapshot_fail(*, lease: SnapshotLease, words: str, calls: int) -> None:
    """Ends a reading without a result: the former lists stay in use, and say how old they are."""
    with transaction.atomic():
        _close(lease, SnapshotState.FAILED, AGAIN_AFTER.total_seconds(), detail=words, calls=calls)


def _close(lease: SnapshotLease, state: SnapshotState, seconds: float, **columns: Any) -> None:
    """Ends the reading, and with it the claim."""
    now = clock.now()
    due = now + dt.timedelta(seconds=seconds) if settings.LISTS_SECONDS else None
    PanelListPage.objects.filter(snapshot=lease.row).delete()
    lease.write(state=state, ended_at=now, next_check_at=due, lease_until=None, **columns)


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
        self.before = self.row.calls
        self.transport = _Counted(self.row.panel, urgent=False)
        self.driver: PanelDriver = driver_for(self.row.panel, self.transport)

    def run(self) -> None:
        """Reads what is left to be read, then replaces. Raises what the drivers raise."""
        if clock.now() - self.row.started_at > LONGEST_PASS:
            raise Unknown("The lists could not be read within an hour.", maybe_done=False)
        self.pages = Pages(self.row, self.driver.lists)
        for index, step in enumerate(self.driver.lists):
            for parent in self.pages.parents(index):
                self._read_list(index, step, parent)
            for item in self.pages.left_out(index):
                self._read_details(index, item)
        self._replace()

    @property
    def calls(self) -> int:
        """All calls of this reading so far."""
        return self.before + self.transport.made

    def _read_list(self, index: int, step: ListStep, parent: str) -> None:
        number, total = self.pages.following(index, parent)
        while number:
            page = self.driver.list_page(step.kind, parent, number)
            page_judge(page, number=number, total=total)
            with transaction.atomic():
                self.pages.keep(index, parent, number, page)
                self._note(1)
            number, total = self.pages.following(index, parent)

    def _read_details(self, index: int, item: Item) -> None:
        """Asks until nothing is left out, and keeps each answer."""
        found: Item | None = item
        while found is not None:
            before = found
            try:
                found = self.driver.list_details(before)
            except NotThere:
                found = None
            if found is before:
                return
            with transaction.atomic():
                self._note(self.pages.keep_details(index, item.id, found))

    def _note(self, pages: int) -> None:
        """How far it is, under the fence: a page of a worker that lost its lease is not kept."""
        done = self.row.done_pages + pages
        self.lease.write(done_pages=done, total_pages=self.pages.total, calls=self.calls)

    def _replace(self) -> None:
        """The new entries in place of the old ones, all in one fenced transaction; then what they say."""
        seconds = settings.LISTS_SECONDS
        with transaction.atomic():
            items_replace(row=self.row, entries=self.pages.entries())
            _close(self.lease, SnapshotState.COMPLETE, seconds, completed_at=clock.now(), calls=self.calls)
            products_flag(panel=self.row.panel)
