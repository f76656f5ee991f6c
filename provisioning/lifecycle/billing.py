"""What a billing event does to a service: aspect by aspect, each under its own register (docs/events.md)."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from django.db import IntegrityError, transaction
from django.db.models import F

from provisioning import audit
from provisioning.billing.events import BillingEvent
from provisioning.choices import BillingStatus, DesiredState, EventType
from provisioning.lib import clock
from provisioning.lifecycle.customers import (
    EventHeld,
    customer_check,
    customer_identify,
    customer_resolve,
    customer_update,
)
from provisioning.lifecycle.product_versions import product_version_current, service_keep_version
from provisioning.lifecycle.refresh import make_mark, moment, service_refresh
from provisioning.lifecycle.registers import MILDNESS, Stamp, failures_after, is_newer, written
from provisioning.models import BillingConnection, Customer, Event, Product, Service

BILLING_COLUMNS = [
    "customer",
    "product",
    "product_version",
    "billing_product_id",
    "tier",
    "properties",
    "billing_status",
    "cancel_at",
    "unproven_cancel",
    "cancel_known_at",
    "paid_until",
    "paid_at",
    "failed_payments",
    "registers",
]
"""What billing's word may change on a service; the observed columns belong to the engine."""


@dataclass(frozen=True)
class Applied:
    """What became of an event: its service, whether it was newer than what was known, and the words."""

    service: Service
    newer: bool
    created: bool
    words: str


@dataclass
class _Work:
    """One event on its way into one service; collects what it changed, in words."""

    service: Service
    fact: BillingEvent
    stamp: Stamp
    fresh: bool
    words: list[str]
    newer: bool = False
    limits_changed: bool = False

    def claim(self, aspect: str) -> bool:
        """Takes an aspect's register if this event is newer than its last writer."""
        if not is_newer(self.service.registers, aspect, self.stamp):
            return False
        self.service.registers = written(self.service.registers, aspect, self.stamp)
        self.newer = True
        return True


def stamp_of(event: Event, fact: BillingEvent) -> Stamp:
    """The event's place in the one order: its own time, else its arrival."""
    at, status = fact.occurred_at or event.received_at, _status_said(fact)
    ending = status is BillingStatus.CANCELLED and _cancel_at(fact, at) > at
    return Stamp(
        occurred_at=at,
        sequence=fact.sequence or 0,
        mildness=MILDNESS["ending" if ending else status.value] if status else 0,
        digest=event.body_sha256[:12],
    )


def _status_said(fact: BillingEvent) -> BillingStatus | None:
    """The billing status that the event says, if it says one.

    A failed payment says nothing of the subscription's status, and a payment can only say *active*: so no
    payment ends a service, and each rule holds in any order of arrival.
    """
    if fact.type == EventType.CANCELLED:
        return BillingStatus.CANCELLED
    if fact.type == EventType.PAYMENT_FAILED:
        return None
    if fact.type == EventType.PAYMENT_SUCCEEDED:
        return BillingStatus.ACTIVE if fact.status == BillingStatus.ACTIVE else None
    return BillingStatus(fact.status) if fact.status else None


def service_apply_event(*, event: Event, fact: BillingEvent) -> Applied:
    """Applies one verified event. Raises EventHeld where only staff can say what it means."""
    with transaction.atomic():
        service, created = _service_for(event.connection, fact)
        if not created:
            customer_check(service=service, fact=fact)
        work = _Work(service, fact, stamp_of(event, fact), event.fresh, [])
        _apply_customer(work)
        _apply_status(work)
        _apply_payment(work)
        _apply_product(work)
        if work.newer or created:
            service.save(update_fields=BILLING_COLUMNS)
            service_refresh(service=service, raise_generation=work.limits_changed)
        return Applied(service, work.newer or created, created, " ".join(work.words) or "Nothing to change.")


def _service_for(connection: BillingConnection, fact: BillingEvent) -> tuple[Service, bool]:
    service = _find(connection, fact.subscription_id)
    if service:
        return service, False
    if not fact.product_id:
        raise EventHeld(
            f"Subscription {fact.subscription_id} is not known and the event has no product_id. "
            "It is kept, and applied by itself once the subscription is known.",
            reason="unknown_subscription",
        )
    customer = customer_resolve(connection=connection, fact=fact)
    try:
        with transaction.atomic():
            service = Service.objects.create(
                connection=connection,
                billing_id=fact.subscription_id,
                customer=customer,
                billing_product_id=fact.product_id,
                external_id=make_mark(connection, fact.subscription_id),
            )
    except IntegrityError:
        # Another worker stored this subscription a moment ago.
        service = _find(connection, fact.subscription_id)
        if service is None:
            raise
        return service, False
    return service, True


def _find(connection: BillingConnection, billing_id: str) -> Service | None:
    rows = Service.objects.select_for_update(of=("self",)).select_related("customer", "product", "connection")
    return rows.filter(connection=connection, billing_id=billing_id).first()


def _apply_customer(work: _Work) -> None:
    fact = work.fact
    if not (fact.email or fact.customer_id):
        return
    # Two services share one customer: whose word is newer is asked with the row held, and read afresh.
    held = Customer.objects.select_for_update().get(pk=work.service.customer_id)
    work.service.customer = held
    changed = customer_identify(service=work.service, fact=fact)
    if (
        work.claim("customer")
        and _newest_word(work)
        and customer_update(customer=work.service.customer, fact=fact)
    ):
        work.words.append("The customer's details were changed.")
        _wake_other_panels(work.service)
        changed = True
    work.newer = work.newer or changed
    work.limits_changed = work.limits_changed or changed


def _newest_word(work: _Work) -> bool:
    """Whether no other service of this customer brought newer details: they share one customer."""
    others = Service.objects.filter(customer=work.service.customer).exclude(pk=work.service.pk)
    kept = others.values_list("registers", flat=True)
    return all(is_newer(registers, "customer", work.stamp) for registers in kept)


def _wake_other_panels(service: Service) -> None:
    # The customer's account on this service's panel is put right by this service's own reconcile.
    others = Service.objects.filter(customer=service.customer).exclude(panel=service.panel)
    others = others.exclude(pk=service.pk).exclude(desired_state=DesiredState.NONE)
    others.update(generation=F("generation") + 1, next_check_at=clock.now())


def _apply_status(work: _Work) -> None:
    status, service, fact = _status_said(work.fact), work.service, work.fact
    if status is None or not work.claim("status"):
        _prove_cancellation(work)
        return
    before, service.billing_status = service.billing_status, status
    service.cancel_at = (
        _cancel_at(fact, work.stamp.occurred_at) if status is BillingStatus.CANCELLED else None
    )
    service.unproven_cancel = status is BillingStatus.CANCELLED and not work.fresh
    service.cancel_known_at = clock.now() if status is BillingStatus.CANCELLED else None
    if before == status:
        return
    work.words.append(f"Billing status: {before} → {status}.")
    if service.cancel_at and service.cancel_at > work.stamp.occurred_at:
        work.words.append(f"It ends on {moment(service.cancel_at)}.")


def _prove_cancellation(work: _Work) -> None:
    # The same message by a second way: if one of the two proves its freshness, the cancellation is proven.
    kept = work.service.registers.get("status")
    same = kept is not None and Stamp.from_json(kept) == work.stamp
    if same and work.fresh and work.service.unproven_cancel:
        work.service.unproven_cancel, work.newer = False, True
        work.service.cancel_known_at = clock.now()
        work.words.append("The cancellation is proven now.")


def _cancel_at(fact: BillingEvent, occurred_at: dt.datetime) -> dt.datetime:
    """At the end of the paid period if billing still calls the service active, else at once."""
    still_active = fact.type == EventType.CANCELLED and fact.status == BillingStatus.ACTIVE
    if still_active and fact.paid_until and fact.paid_until > occurred_at:
        return fact.paid_until
    return occurred_at


def _apply_payment(work: _Work) -> None:
    service, at = work.service, work.stamp.occurred_at
    failed_at = at if work.fact.type == EventType.PAYMENT_FAILED else None
    if work.fact.type == EventType.PAYMENT_SUCCEEDED and (service.paid_at is None or at > service.paid_at):
        service.paid_at, work.newer = at, True
        work.words.append("Payment received.")
    before = service.failed_payments
    service.failed_payments = failures_after(before, paid_at=service.paid_at, failed_at=failed_at)
    if failed_at and service.failed_payments != before:
        work.newer = True
        work.words.append("A payment failed.")
    if work.fact.paid_until and work.claim("paid_until"):
        service.paid_until = work.fact.paid_until


def _apply_product(work: _Work) -> None:
    service, fact = work.service, work.fact
    if fact.properties and work.claim("properties") and service.properties != fact.properties:
        service.properties = dict(fact.properties)
        work.limits_changed = True
    if fact.tier and work.claim("tier"):
        service.tier = fact.tier
    if not fact.product_id or not work.claim("product"):
        return
    changed = service.billing_product_id != fact.product_id
    service.billing_product_id = fact.product_id
    product = Product.objects.filter(
        connection=service.connection, billing_product_id=fact.product_id
    ).first()
    if changed or service.product != product:
        work.limits_changed = True
        # A new product brings its own grace policy, whichever of the two events came first.
        service.product, service.policy = product, None
        service.product_version = product_version_current(product=product) if product else None
    if changed:
        work.words.append(f"Product: {fact.product_id}.")


def services_link_product(*, product: Product) -> int:
    """Orders that waited for this product go on by themselves. Returns how many."""
    waiting = Service.objects.filter(
        connection=product.connection, billing_product_id=product.billing_product_id, product=None
    )
    count = 0
    for pk in waiting.values_list("pk", flat=True):
        with transaction.atomic():
            count += service_link_product(service=Service.objects.select_for_update(of=("self",)).get(pk=pk))
    return count


def service_link_product(*, service: Service) -> bool:
    """Gives a service that waits for its product the product, once it is mapped. Returns whether it did.

    Each reconcile asks: an order that was stored at the moment of the mapping, or a worker that died in
    the middle of `services_link_product`, must not leave an order behind. Call it with the row locked.
    """
    if service.product_id:
        service_keep_version(service=service)
        return False
    product = Product.objects.filter(
        connection=service.connection_id, billing_product_id=service.billing_product_id
    ).first()
    if product is None:
        return False
    service.product, service.product_version = product, product_version_current(product=product)
    service.save(update_fields=["product", "product_version"])
    audit.record(service=service, action="product.mapped", message=f"Product “{product}” is mapped now.")
    service_refresh(service=service, raise_generation=True)
    return True
