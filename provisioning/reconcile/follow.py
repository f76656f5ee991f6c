"""The job of a follow: begins a few services at a time, so that orders never stand behind a thousand changes.

What was begun is the engine's ordinary work, at low priority. A worker that is killed loses nothing: each
service is begun in one step, and the sweep wakes the follow again.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from django.db.models import Exists, F, OuterRef, Q, QuerySet

from provisioning import audit
from provisioning.choices import (
    LIVE_OUTCOMES,
    ActorKind,
    FollowItemState,
    ObservedState,
    Outcome,
)
from provisioning.lib import clock
from provisioning.lifecycle.product_versions import (
    follow_gather,
    follow_item_begin,
    product_follow_finish,
)
from provisioning.models import Operation, ProductFollow, ProductFollowItem

AT_ONCE = 6
"""Services under way at a time: enough to use up what a panel allows, few enough for orders to pass."""
PULSE = dt.timedelta(seconds=1)
REST = dt.timedelta(seconds=15)
"""Until the next look where nothing can be begun."""
OWN_WAITS = (
    "node_unreachable",
    "server_busy",
    "installing",
    "no_capacity",
    "create_brake",
    "create_unknown",
    "product_flagged",
)
"""Waits of one service alone: the others need not wait for it."""


def follow_work(follow_id: int) -> None:
    """One job: begins what there is room for. Safe to run at any time, twice too."""
    follow = ProductFollow.objects.select_related("version__product", "version__panel").get(pk=follow_id)
    if not follow.running:
        return
    with audit.acting_as(ActorKind.STAFF, follow.created_by):
        begun = _begin(follow)
    stands = follow_progress(follow)
    if stands.open == 0 and not follow_gather(follow):
        product_follow_finish(follow=follow)
        return
    due = clock.now() + (PULSE if begun or stands.moving else REST)
    ProductFollow.objects.filter(pk=follow_id, next_check_at__isnull=False).update(next_check_at=due)


def _begin(follow: ProductFollow) -> int:
    room = AT_ONCE - _under_way(follow).count()
    ready = _ready(follow).order_by("pk")[: max(room, 0)]
    return sum(follow_item_begin(item=item) for item in ready.select_related("follow__version__product"))


def _ready(follow: ProductFollow) -> QuerySet[ProductFollowItem]:
    """Those that wait, but for services whose server is being made at this moment."""
    making = Q(service__create_sent_at__isnull=False) | Q(service__observed_state=ObservedState.INSTALLING)
    busy = Q(service__lease_until__gt=clock.now()) | (making & Exists(_operations(LIVE_OUTCOMES)))
    return ProductFollowItem.objects.filter(follow=follow, state=FollowItemState.WAITING).exclude(busy)


def _operations(outcomes: tuple[Outcome, ...]) -> QuerySet[Operation]:
    return Operation.objects.filter(service=OuterRef("service"), outcome__in=outcomes)


# --- how it stands ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class FollowProgress:
    """How many services of a follow wait, are under way, have what they should, failed, or were left."""

    waiting: int
    moving: int
    done: int
    failed: int
    left: int

    @property
    def open(self) -> int:
        """What still has to come to an end by itself."""
        return self.waiting + self.moving

    @property
    def total(self) -> int:
        """All of them."""
        return self.open + self.done + self.failed + self.left

    @property
    def percent(self) -> int:
        """How much of it is over, in percent."""
        return 100 * (self.total - self.open) // self.total if self.total else 100


def follow_progress(follow: ProductFollow) -> FollowProgress:
    """Read off the services themselves: a failed one that staff have mended is done."""
    items = ProductFollowItem.objects.filter(follow=follow)
    begun = items.filter(state=FollowItemState.BEGUN).count()
    reached, failed = _reached(follow).count(), follow_failed(follow).count()
    return FollowProgress(
        waiting=items.filter(state=FollowItemState.WAITING).count(),
        moving=max(0, begun - reached - failed),
        done=reached,
        failed=failed,
        left=items.filter(state=FollowItemState.LEFT).count(),
    )


def _reached(follow: ProductFollow) -> QuerySet[ProductFollowItem]:
    begun = ProductFollowItem.objects.filter(follow=follow, state=FollowItemState.BEGUN)
    return begun.filter(service__observed_generation__gte=F("generation"))


def _behind(follow: ProductFollow) -> QuerySet[ProductFollowItem]:
    begun = ProductFollowItem.objects.filter(follow=follow, state=FollowItemState.BEGUN)
    return begun.filter(service__observed_generation__lt=F("generation"))


def follow_failed(follow: ProductFollow) -> QuerySet[ProductFollowItem]:
    """Those that only staff can bring on."""
    parked = _operations((Outcome.NEEDS_STAFF, Outcome.FAILED)).filter(
        generation=OuterRef("service__generation")
    )
    return _behind(follow).filter(Exists(parked), ~Exists(_operations(LIVE_OUTCOMES)))


def follow_waiting(follow: ProductFollow) -> QuerySet[ProductFollowItem]:
    """Those that were begun and wait: for the panel, or for their own server."""
    return _behind(follow).filter(Exists(_operations((Outcome.WAITING, Outcome.RETRYING))))


def _under_way(follow: ProductFollow) -> QuerySet[ProductFollowItem]:
    """Those that take up room: what waits for its own server alone does not hold the others up."""
    alone = _operations(LIVE_OUTCOMES).filter(reason__in=OWN_WAITS)
    failed = follow_failed(follow).values("pk")
    return _behind(follow).exclude(pk__in=failed).exclude(Exists(alone))
