"""Versions of products: what was sold stays, until billing sells another product or staff say so.

A changed product is one more version. New orders get the newest; sold services follow to it only in a
*follow*, one by one, each of them as an ordinary raised generation.
"""

from __future__ import annotations

from django.db import transaction
from django.db.models import Q, QuerySet

from provisioning import audit, queue
from provisioning.choices import ActorKind, DesiredState, FollowItemState, FollowState
from provisioning.drivers.document_lines import settled
from provisioning.exceptions import TransitionError
from provisioning.lib import clock
from provisioning.lifecycle.refresh import service_refresh
from provisioning.models import Product, ProductFollow, ProductFollowItem, ProductVersion, Service

BATCH = 500
ANOTHER_PANEL = "Its server is on panel “{}”, and no server is moved."
ANOTHER_PRODUCT = "Billing has sold it another product meanwhile."
ENDED = "It has ended."


def version_newest(product: Product) -> ProductVersion | None:
    """The version with the highest number."""
    return ProductVersion.objects.filter(product=product).order_by("-number").first()


def version_shows(version: ProductVersion | None, product: Product) -> bool:
    """Whether that version is the product as it is here: whatever of it reaches a panel."""
    if version is None or version.panel_id != product.panel_id:
        return False
    return settled(version.document) == settled(product.document)


def product_version_current(*, product: Product) -> ProductVersion:
    """The version that an order gets now; stored first where the product has none that shows it."""
    newest = version_newest(product)
    if newest is not None and version_shows(newest, product):
        return newest
    return product_version_store(product=product)


def product_version_store(*, product: Product, note: str = "") -> ProductVersion:
    """Stores the product as it stands in the database as its newest version; twice is once."""
    with transaction.atomic():
        # Read anew under the lock: the caller's copy may be older than a change by staff.
        row = Product.objects.select_for_update().get(pk=product.pk)
        newest = version_newest(row)
        if newest is not None and version_shows(newest, row):
            return newest
        version = ProductVersion.objects.create(
            product=row,
            number=newest.number + 1 if newest else 1,
            panel_id=row.panel_id,
            document=row.document,
            created_at=clock.now(),
            created_by=_staff_name(),
            note=note[:300],
        )
        if newest:
            words = f"“{row}”: {version} is what new orders get. {note}".strip()
            audit.record(service=None, action="product.version", message=words)
        return version


def _staff_name() -> str:
    """Whose change it is; empty where an order or the bridge itself came upon it."""
    actor = audit.current_actor()
    return actor.name if actor.kind is ActorKind.STAFF else ""


def service_keep_version(*, service: Service) -> None:
    """Gives a service that has none the version that it is sold now. Call it with the row locked."""
    if service.product is None or service.product_version_id:
        return
    service.product_version = product_version_current(product=service.product)
    service.save(update_fields=["product_version"])


# --- which services a change concerns --------------------------------------------------------------------


def services_sold(product: Product) -> QuerySet[Service]:
    """The services of a product that are not over: those that a change could concern.

    The test servers of *Try it* were not sold.
    """
    rows = Service.objects.filter(product=product, terminated_at=None, is_trial=False)
    return rows.exclude(desired_state=DesiredState.ABSENT)


def services_behind(version: ProductVersion) -> QuerySet[Service]:
    """Those of them that do not have this version."""
    behind = Q(product_version=None) | ~Q(product_version=version)
    return services_sold(version.product).filter(behind)


def stays_because(service: Service, product: Product, panel_id: int) -> str:
    """Why a service cannot take a version of this product on that panel; empty if it can."""
    if service.product_id != product.pk:
        return ANOTHER_PRODUCT
    if service.terminated_at or service.desired_state == DesiredState.ABSENT:
        return ENDED
    made = service.server_id or service.create_sent_at
    if made and service.panel_id not in (None, panel_id):
        return ANOTHER_PANEL.format(service.panel)
    return ""


# --- a follow: begun, carried on, stopped -----------------------------------------------------------------


def product_follow_start(*, version: ProductVersion) -> ProductFollow:
    """Has all services of the product follow to this version, a few at a time. An older follow is stopped."""
    with transaction.atomic():
        Product.objects.select_for_update().get(pk=version.product_id)
        older = ProductFollow.objects.filter(version__product=version.product_id, state=FollowState.RUNNING)
        for follow in older:
            product_follow_stop(follow=follow)
        now, name = clock.now(), _staff_name()
        made = ProductFollow.objects.create(
            version=version, created_at=now, created_by=name, next_check_at=now
        )
        count = follow_gather(made)
        words = f"{count} services of “{version.product}” are to follow to {version}."
        audit.record(service=None, action="product.follow", message=words, data={"follow": made.pk})
        queue.enqueue(queue.FOLLOW_PRODUCT, made.pk)
        return made


def follow_gather(follow: ProductFollow) -> int:
    """Takes in every service of the product that is behind and not in yet. Returns how many."""
    known = ProductFollowItem.objects.filter(follow=follow).values("service")
    # One that has a newer version took it after this follow was asked for.
    newer = Q(product_version__number__gt=follow.version.number)
    rows = services_behind(follow.version).exclude(newer).exclude(pk__in=known).order_by("pk")
    items = [ProductFollowItem(follow=follow, service_id=pk) for pk in rows.values_list("pk", flat=True)]
    ProductFollowItem.objects.bulk_create(items, batch_size=BATCH, ignore_conflicts=True)
    return len(items)


def follow_item_begin(*, item: ProductFollowItem) -> bool:
    """Gives one service the follow's version, raises its generation and notes both, in one step.

    A service that cannot take it is left as it is; one on which a worker works right now stays for later.
    Returns whether its change was begun.
    """
    version = item.follow.version
    with transaction.atomic():
        service = _locked(item.service_id)
        if service.lease_until and service.lease_until > clock.now():
            return False
        running = ProductFollow.objects.filter(pk=item.follow_id, state=FollowState.RUNNING)
        mine = ProductFollowItem.objects.filter(pk=item.pk, state=FollowItemState.WAITING)
        words = stays_because(service, version.product, version.panel_id)
        if words:
            mine.update(state=FollowItemState.LEFT, words=words)
        if words or not running.exists() or not mine.update(state=FollowItemState.BEGUN):
            return False
        raised = _take(service, version)
        ProductFollowItem.objects.filter(pk=item.pk).update(generation=raised)
        return True


def _locked(service_id: int) -> Service:
    rows = Service.objects.select_for_update(of=("self",))
    return rows.select_related("product", "product_version", "panel").get(pk=service_id)


def service_follow(*, service: Service) -> ProductVersion:
    """Gives this one service its product's newest version. Raises TransitionError where that cannot be."""
    with transaction.atomic():
        row = _locked(service.pk)
        if row.product is None:
            raise TransitionError("No product is mapped yet: there is no version to take.")
        if row.terminated_at:
            raise TransitionError("The server has been deleted: there is nothing left to change.")
        version = product_version_current(product=row.product)
        if row.product_version_id == version.pk:
            raise TransitionError(f"The service has {version} already: the newest one.")
        _take(row, version)
        return version


def _take(service: Service, version: ProductVersion) -> int:
    """Returns the generation that this raised; 0 where nothing is to be done on a panel."""
    before, generation, idle = service.product_version, service.generation, service.converged
    service.product_version = version
    words = f"The service follows its product “{version.product}” to {version}"
    audit.record(
        service=service,
        action="product.followed",
        message=f"{words} (it had {before})." if before else f"{words}.",
        data={"version": version.number, "before": before.number if before else None},
    )
    changed = service_refresh(service=service, raise_generation=True)
    raised = service.generation if service.generation != generation else 0
    if raised and idle and not changed:
        # Nothing but the follow is to be done: that leaves orders, and suspensions, the way.
        service.followed_generation = raised
    service.save(update_fields=["product_version", "followed_generation"])
    return raised


def product_follow_stop(*, follow: ProductFollow) -> int:
    """Leaves all services that were not begun as they are. Returns how many; twice changes nothing."""
    with transaction.atomic():
        rows = ProductFollow.objects.filter(pk=follow.pk, state=FollowState.RUNNING)
        if not rows.update(state=FollowState.STOPPED, finished_at=clock.now(), next_check_at=None):
            return 0
        waiting = ProductFollowItem.objects.filter(follow=follow, state=FollowItemState.WAITING)
        left = waiting.update(state=FollowItemState.LEFT, words="Stopped before it was begun.")
        version = follow.version
        words = f"Stopped: {left} services of “{version.product}” do not follow to {version}."
        audit.record(service=None, action="product.follow_stop", message=words, data={"follow": follow.pk})
        return left


def product_follow_finish(*, follow: ProductFollow) -> bool:
    """Closes a follow whose services have all been begun and settled. Returns whether it did now."""
    with transaction.atomic():
        rows = ProductFollow.objects.filter(pk=follow.pk, state=FollowState.RUNNING)
        if not rows.update(state=FollowState.DONE, finished_at=clock.now(), next_check_at=None):
            return False
        words = f"“{follow.version.product}”: no service is left that is to follow to {follow.version}."
        audit.record(service=None, action="product.follow_done", message=words, data={"follow": follow.pk})
        return True
