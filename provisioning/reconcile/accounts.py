"""The customer's account on the panel: made or linked before a create, kept in step with billing after."""

from __future__ import annotations

import datetime as dt

from django.db import transaction

from provisioning import audit
from provisioning.choices import AccountState
from provisioning.drivers.base import PanelDriver
from provisioning.drivers.errors import AccountHeld, Conflict, DriverError, Rejected
from provisioning.drivers.types import Account, AccountWant
from provisioning.exceptions import TransitionError
from provisioning.lib import clock
from provisioning.lib.names import fold_email, panel_username, person_name
from provisioning.models import Customer, Notification, Panel, PanelAccount, Product, Service
from provisioning.notifications import staff_notify

AGAIN_AFTER = dt.timedelta(hours=1)
"""How long a refused change of an account is left alone. Staff are told of it once."""


def wanted_mark(customer: Customer, panel: Panel) -> str:
    """What stands on the panel as the user's external id (CAL-05): bare, or prefixed by choice."""
    if panel.prefix_user_marks and customer.billing_user_id:
        return f"{customer.connection.key}-{customer.mark}"
    return customer.mark


def account_want(customer: Customer, panel: Panel, row: PanelAccount | None = None) -> AccountWant:
    """The account that the customer should have on this panel, with cleaned names.

    `row` is our record of it: the mark that it carries is ours to replace.
    """
    mark = wanted_mark(customer, panel)
    local = customer.email.partition("@")[0]
    return AccountWant(
        mark=mark,
        email=customer.email,
        email_verified=customer.email_verified,
        first_name=person_name(customer.first_name, local),
        last_name=person_name(customer.last_name, "Customer"),
        language=panel.language,
        username=panel_username(customer.email, mark),
        former_mark=row.mark if row and row.mark != mark else "",
        identity=_sure_identity(customer, panel),
    )


def shops_on(panel: Panel) -> set[int]:
    """The billing connections that sell on the panel, or have servers there."""
    sold = Product.objects.filter(panel=panel).values_list("connection", flat=True)
    served = Service.objects.filter(panel=panel).exclude(server_id="").values_list("connection", flat=True)
    return {*sold, *served}


def _sure_identity(customer: Customer, panel: Panel) -> str:
    """The billing user id to sign in by, empty unless the panel's provider can only mean this shop (CAL-41).

    Two shops count from 1 each: the wrong customer of that id would get into this account.
    """
    if panel.identity_provider and shops_on(panel) <= {customer.connection_id}:
        return customer.billing_user_id
    return ""


def account_known(service: Service, panel: Panel) -> PanelAccount | None:
    """The customer's linked account on this panel, from our tables alone."""
    rows = PanelAccount.objects.filter(panel=panel, customer=service.customer, state=AccountState.LINKED)
    return rows.first()


def account_ensure(*, service: Service, panel: Panel, driver: PanelDriver) -> PanelAccount:
    """The linked account, made or found by the safe rules if there is none yet. Raises AccountHeld.

    The row with its mark exists before the first call, so that a create whose answer was lost is found.
    """
    known = account_known(service, panel)
    if known:
        return known
    mark = wanted_mark(service.customer, panel)
    row, _ = PanelAccount.objects.get_or_create(
        panel=panel, customer=service.customer, defaults={"mark": mark}
    )
    want = account_want(service.customer, panel, row)
    try:
        account = driver.account_ensure(want)
        _refuse_strangers(account, row)
    except AccountHeld as held:
        account_hold(row=row, words=held.detail)
        raise
    return account_link(row=row, account=account, service=service)


def _refuse_strangers(account: Account, row: PanelAccount) -> None:
    others = PanelAccount.objects.filter(panel=row.panel, panel_user_id=account.id).exclude(pk=row.pk)
    if account.is_admin or others.exists():
        what = "is an administrator" if account.is_admin else "belongs to another customer of yours"
        raise AccountHeld(f"Panel account {account.email} ({account.id}) {what}: nobody is linked to it.")
    if (
        not account.created
        and _mark_is_ambiguous(row)
        and fold_email(account.email) != row.customer.email_folded
    ):
        raise AccountHeld(
            f"Panel account {account.email} ({account.id}) has the external id “{account.mark}”, but several "
            f"billing systems sell on “{row.panel}” and each may have a customer of that id. If the account "
            "is this customer's, link it under Panels; tick “prefix user ids” for what comes."
        )


def _mark_is_ambiguous(row: PanelAccount) -> bool:
    """Whether a bare billing user id may mean another shop's customer: two shops count from 1 each."""
    others = Product.objects.filter(panel=row.panel).exclude(connection=row.customer.connection_id)
    return row.mark == row.customer.billing_user_id and others.exists()


def account_unlink(*, row: PanelAccount, note: str) -> None:
    """Takes a link between customer and panel user away; the panel's user stays as it is.

    Raises TransitionError while a server of the customer is on that panel: its owner is what the delete
    guard compares, so nothing could ever prove it again.
    """
    servers = Service.objects.filter(customer=row.customer, panel=row.panel).exclude(server_id="")
    if servers.exists():
        raise TransitionError(
            f"{row.customer} still has servers on “{row.panel}”. Move or end them first; the link is what "
            "proves whose they are."
        )
    with transaction.atomic():
        row.delete()
        audit.record(
            service=None,
            action="account.unlinked",
            message=f"{row.customer} is no longer linked to panel user {row.panel_user_id or '(none)'} of "
            f"“{row.panel}”. {note}".strip(),
        )


def account_hold(*, row: PanelAccount, words: str) -> None:
    """Keeps the account for staff, with the reason in words."""
    row.state, row.held_because = AccountState.HELD, words
    row.save(update_fields=["state", "held_because"])


def account_link(*, row: PanelAccount, account: Account, service: Service | None) -> PanelAccount:
    """Stores the link. From now on the account is known by its panel id and never matched again."""
    row.state, row.held_because = AccountState.LINKED, ""
    row.panel_user_id, row.uuid, row.mark = account.id, account.uuid, account.mark
    row.email, row.username = account.email, account.username
    row.created_by_us = row.created_by_us or account.created
    row.linked_at = clock.now()
    row.save()
    verb = "made" if account.created else "linked"
    audit.record(
        service=service,
        action="account.linked",
        message=f"Panel account {account.username} ({account.email}) {verb} on “{row.panel}”.",
        public=True,
    )
    return row


def account_follow(*, service: Service, panel: Panel, driver: PanelDriver) -> None:
    """Carries a changed e-mail or mark over to the panel; a conflict goes to staff and stops nothing."""
    row = account_known(service, panel)
    want = account_want(service.customer, panel, row)
    if row is None or (row.mark == want.mark and fold_email(row.email) == fold_email(want.email)):
        return
    key = f"account:{row.pk}:{want.mark}:{want.email}"[:160]
    # Not at each reconcile; but once staff have put it right, it has to be carried over some time.
    refused_since = clock.now() - AGAIN_AFTER
    if Notification.objects.filter(key=key, created_at__gt=refused_since).exists():
        return
    try:
        account = driver.account_update(row.panel_user_id, want)
    except (AccountHeld, Conflict, Rejected) as refusal:
        _tell_refusal(row, service, panel, refusal, key)
        return
    before = row.email
    row.mark, row.email, row.username = account.mark, account.email, account.username
    row.held_because = ""
    row.save(update_fields=["mark", "email", "username", "held_because"])
    audit.record(
        service=service,
        action="account.updated",
        message=f"Panel account {account.username} follows billing: {before} → {account.email}.",
    )


def _tell_refusal(row: PanelAccount, service: Service, panel: Panel, refusal: DriverError, key: str) -> None:
    row.held_because = refusal.detail
    row.save(update_fields=["held_because"])
    context = {
        "words": refusal.detail,
        "panel": panel.name,
        "service": str(service),
        "service_id": service.pk,
    }
    staff_notify(key=key, template="waiting", context=context, service=service)
