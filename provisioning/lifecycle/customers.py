"""Who a billing event is about. Nobody is linked to a stranger (DESIGN rule 6)."""

from __future__ import annotations

import secrets

from django.conf import settings
from django.db import IntegrityError, transaction

from provisioning import audit
from provisioning.billing.events import BillingEvent
from provisioning.exceptions import TransitionError
from provisioning.models import BillingConnection, Customer, PanelAccount, Service

DETAILS = ["email", "email_folded", "email_verified", "first_name", "last_name"]
"""What an event may change of a customer. Id and mark belong to `customer_identify`: the two may meet."""


class EventHeld(TransitionError):
    """Only a person can say what this event means: it is kept and shown, and changes nothing."""

    reason = "held"


def make_customer_mark(connection: BillingConnection, billing_user_id: str = "") -> str:
    """The external id of the customer's panel users: billing's user id (CAL-05), else a random one."""
    if billing_user_id:
        return billing_user_id
    return f"{settings.INSTALLATION_ID}-{connection.key}-c-{secrets.token_hex(6)}"


def customer_resolve(*, connection: BillingConnection, fact: BillingEvent) -> Customer:
    """The customer of a new service: by billing user id, else by folded e-mail; made if unknown."""
    if not fact.customer_id and not fact.email:
        raise EventHeld(
            "The event names no customer: send customer_email or customer_id.", reason="no_customer"
        )
    found = _find(connection, fact)
    if found:
        _identify(found, fact.customer_id, service=None)
        return found
    if not fact.email:
        raise EventHeld(
            f"Customer {fact.customer_id} is new and the event has no customer_email.", reason="no_customer"
        )
    return _create(connection, fact)


def _find(connection: BillingConnection, fact: BillingEvent) -> Customer | None:
    rows = Customer.objects.filter(connection=connection)
    same_email = rows.filter(email_folded=fact.email_folded) if fact.email else rows.none()
    if fact.customer_id:
        # One client of one shop has one address: whoever ordered by it before the id was known is the same.
        known = rows.filter(billing_user_id=fact.customer_id).first()
        return known or same_email.filter(billing_user_id="").first()
    named = list(same_email.exclude(billing_user_id="")[:2])
    return same_email.filter(billing_user_id="").first() or (named[0] if len(named) == 1 else None)


def _identify(customer: Customer, billing_user_id: str, *, service: Service | None) -> bool:
    """Gives a customer known by e-mail alone its billing user id, and the mark that goes with it."""
    if not billing_user_id or customer.billing_user_id:
        return False
    customer.billing_user_id = billing_user_id
    customer.mark = make_customer_mark(customer.connection, billing_user_id)
    customer.save(update_fields=["billing_user_id", "mark"])
    _tell_identified(customer, billing_user_id, service)
    return True


def _tell_identified(customer: Customer, billing_user_id: str, service: Service | None) -> None:
    audit.record(
        service=service,
        action="customer.identified",
        message=f"Billing's user id of {customer.email} is {billing_user_id}: the customer's mark follows.",
    )


def _create(connection: BillingConnection, fact: BillingEvent) -> Customer:
    try:
        with transaction.atomic():
            return Customer.objects.create(
                connection=connection,
                billing_user_id=fact.customer_id,
                email=fact.email,
                email_folded=fact.email_folded,
                email_verified=bool(fact.email_verified),
                first_name=fact.first_name,
                last_name=fact.last_name,
                mark=make_customer_mark(connection, fact.customer_id),
            )
    except IntegrityError:
        # Another event of the same customer was faster.
        customer = _find(connection, fact)
        if customer is None:
            raise
        return customer


def customer_check(*, service: Service, fact: BillingEvent) -> None:
    """Refuses an event that would move a known service to somebody else. Raises EventHeld."""
    customer = service.customer
    if fact.customer_id and customer.billing_user_id and fact.customer_id != customer.billing_user_id:
        raise EventHeld(
            f"Billing names customer {fact.customer_id}, but this service belongs to customer "
            f"{customer.billing_user_id}. Nothing was changed.",
            reason="other_customer",
        )
    anonymous = not (fact.customer_id and fact.customer_id == customer.billing_user_id)
    if anonymous and fact.email and fact.email_folded != customer.email_folded:
        raise EventHeld(
            f"The event names {fact.email}, but this service belongs to {customer.email}. "
            "Nothing was changed.",
            reason="other_email",
        )


def customer_identify(*, service: Service, fact: BillingEvent) -> bool:
    """Gives a customer known by e-mail alone its billing user id, merging rows; the mark follows.

    Returns whether anything changed. One audited step (DESIGN section 4, *external_id*).
    """
    customer = service.customer
    if not fact.customer_id or customer.billing_user_id:
        return False
    known = Customer.objects.filter(connection=service.connection, billing_user_id=fact.customer_id).first()
    if known is None:
        return _identify(customer, fact.customer_id, service=service)
    _merge(customer, into=known)
    service.customer = known
    _tell_identified(known, fact.customer_id, service)
    return True


def _merge(customer: Customer, *, into: Customer) -> None:
    if PanelAccount.objects.filter(customer=customer, panel__accounts__customer=into).exists():
        raise EventHeld(
            f"{customer.email} and billing user {into.billing_user_id} both have an account on one panel. "
            "Delete or unlink one of them, then replay this event.",
            reason="two_accounts",
        )
    PanelAccount.objects.filter(customer=customer).update(customer=into)
    Service.objects.filter(customer=customer).update(customer=into)
    customer.delete()


def customer_update(*, customer: Customer, fact: BillingEvent) -> bool:
    """Carries a changed e-mail and name over from billing. Returns whether anything changed."""
    before = (customer.email, customer.email_verified, customer.first_name, customer.last_name)
    if fact.email and fact.email_folded != customer.email_folded:
        customer.email, customer.email_folded = fact.email, fact.email_folded
        customer.email_verified = False
    if fact.email and fact.email_verified is not None:
        customer.email_verified = fact.email_verified
    customer.first_name = fact.first_name or customer.first_name
    customer.last_name = fact.last_name or customer.last_name
    changed = before != (customer.email, customer.email_verified, customer.first_name, customer.last_name)
    if changed:
        customer.save(update_fields=DETAILS)
    return changed
