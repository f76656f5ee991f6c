"""Fills a database that holds the demo's rows: one row of each kind, multiplied by the database itself."""

from __future__ import annotations

import datetime as dt
import time
from typing import Any

from django.core.management.color import no_style
from django.db import connection, transaction
from django.db.models import F, Model

from provisioning.choices import (
    AccountState,
    ActorKind,
    BillingStatus,
    DesiredState,
    EventStatus,
    EventType,
    ObservedState,
    OperationKind,
    Outcome,
)
from provisioning.lib import clock
from provisioning.models import (
    AuditEntry,
    Customer,
    Event,
    Operation,
    Panel,
    PanelAccount,
    Product,
    Service,
    WebhookEndpoint,
)

SMALL = "fire-elemental"
SEEDED = (Customer, PanelAccount, Service, Operation, AuditEntry, Event)
BODY = b'{"event":"subscription.created","subscription_id":"1","customer_email":"ada@example.com"}'
SUSPENDED_EACH, STUCK_EACH = 20, 1_000
"""Every so many services one is suspended, and one needs staff."""


def seed(*, services: int, customers: int, events: int) -> dict[str, float]:
    """Services at rest with their customers, accounts, operations, timelines and events. Returns seconds."""
    began = time.monotonic()
    with transaction.atomic():
        customer = _customers(customers)
        service = _services(services, customers, customer)
        _history(services, service)
        _events(services, events, service)
        _some_differ(service.pk)
    with connection.cursor() as cursor:
        for sql in connection.ops.sequence_reset_sql(no_style(), list(SEEDED)):
            cursor.execute(sql)
        if connection.vendor == "postgresql":
            # Its own autovacuum does this within a minute.
            cursor.execute("ANALYZE")
    return {"seconds": round(time.monotonic() - began, 1)}


def multiply(row: Model, number: int, **varying: str) -> None:
    """Makes `number` rows of one: the one that is there is n = 1; `varying` holds SQL over n and t."""
    if number < 2:
        return
    columns = [field.column or "" for field in row._meta.concrete_fields]
    given = {"id": f"{row.pk} + n - 1", **varying}
    shown = ", ".join(given.get(column, f't."{column}"') for column in columns)
    names, table = ", ".join(f'"{column}"' for column in columns), row._meta.db_table
    sql = (
        f"WITH RECURSIVE s(n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM s WHERE n < {number}) "  # noqa: S608
        f"INSERT INTO {table} ({names}) SELECT {shown} FROM {table} AS t, s WHERE t.id = {row.pk}"
    )
    with connection.cursor() as cursor:
        cursor.execute(sql)


def earlier(column: str, seconds: str) -> str:
    """SQL for a time so many seconds before the multiplied row's own."""
    if connection.vendor == "postgresql":
        return f"t.\"{column}\" - ({seconds}) * interval '1 second'"
    return f"strftime('%Y-%m-%d %H:%M:%f', t.\"{column}\", '-' || ({seconds}) || ' seconds')"


def _customers(number: int) -> Customer:
    """Customers with an account each: their panel users are numbered from 2, after the administrator."""
    panel, product = Panel.objects.get(), Product.objects.get(billing_product_id=SMALL)
    mail = "buyer1@example.com"
    customer = Customer.objects.create(
        connection=product.connection, email=mail, email_folded=mail, mark="flow-shop-c-1"
    )
    account = PanelAccount.objects.create(
        panel=panel,
        customer=customer,
        state=AccountState.LINKED,
        panel_user_id="2",
        mark="flow-shop-c-1",
        email=mail,
        username="buyer1",
        created_by_us=True,
        linked_at=clock.now() - dt.timedelta(days=1),
    )
    mails, mark = "'buyer' || n || '@example.com'", "'flow-shop-c-' || n"
    multiply(customer, number, email=mails, email_folded=mails, mark=mark)
    multiply(
        account,
        number,
        customer_id=f"{customer.pk} + n - 1",
        panel_user_id="CAST(n + 1 AS text)",
        mark=mark,
        email=mails,
        username="'buyer' || n",
    )
    return customer


def _services(number: int, customers: int, customer: Customer) -> Service:
    """Services that run: nothing is due."""
    product, at = Product.objects.get(billing_product_id=SMALL), clock.now() - dt.timedelta(days=1)
    service = Service.objects.create(
        connection=product.connection,
        billing_id="1",
        customer=customer,
        product=product,
        billing_product_id=SMALL,
        external_id="flow-shop-1",
        billing_status=BillingStatus.ACTIVE,
        desired_state=DesiredState.PRESENT,
        observed_state=ObservedState.ACTIVE,
        panel=product.panel,
        server_id="1",
        observed_at=at,
        created_confirmed_at=at,
        ready_at=at,
    )
    Service.objects.update(generation=1, observed_generation=1, created_at=at)
    multiply(
        service,
        number,
        billing_id="CAST(n AS text)",
        customer_id=f"{customer.pk} + (n - 1) % {customers}",
        external_id="'flow-shop-' || n",
        server_id="CAST(n AS text)",
        created_at=earlier("created_at", "n * 60"),
    )
    return service


def _history(number: int, service: Service) -> None:
    """What made each server: an operation and a line on its timeline."""
    now = clock.now() - dt.timedelta(days=1)
    operation = Operation.objects.create(
        key="seed:1",
        service=service,
        panel=service.panel,
        kind=OperationKind.CREATE,
        generation=1,
        outcome=Outcome.SUCCEEDED,
        calls=2,
        finished_at=now,
    )
    entry = AuditEntry.objects.create(
        service=service,
        operation=operation,
        actor_kind=ActorKind.BILLING,
        action="made",
        message="Made.",
        at=now,
    )
    ours: dict[str, str] = {"service_id": f"{service.pk} + n - 1"}
    multiply(operation, number, key="'seed:' || n", finished_at=earlier("finished_at", "n * 60"), **ours)
    multiply(entry, number, operation_id=f"{operation.pk} + n - 1", at=earlier("at", "n * 60"), **ours)


def _events(services: int, number: int, service: Service) -> None:
    """Events of all services in turn, a few seconds apart; all of them were processed."""
    if not number:
        return
    endpoint, at = WebhookEndpoint.objects.get(), clock.now() - dt.timedelta(minutes=1)
    event: Any = Event(
        endpoint=endpoint,
        connection=endpoint.connection,
        sender_id="seed1",
        body=BODY,
        body_sha256="0" * 64,
        verified_by="standard",
        received_at=at,
        type=EventType.CREATED,
        subject="1",
        service=service,
        status=EventStatus.PROCESSED,
        result="A server is wanted.",
        processed_at=at,
    )
    # By bulk, which sends no signal: there is nothing to wake a worker for.
    Event.objects.bulk_create([event])
    event = Event.objects.get(sender_id=event.sender_id)
    multiply(
        event,
        number,
        sender_id="'seed' || n",
        subject=f"CAST((n - 1) % {services} + 1 AS text)",
        service_id=f"{service.pk} + (n - 1) % {services}",
        received_at=earlier("received_at", "n * 3"),
        processed_at=earlier("processed_at", "n * 3"),
    )


def _some_differ(first: int) -> None:
    """A few services are suspended, fewer need staff."""
    rows = Service.objects.annotate(turn=(F("pk") - first) % SUSPENDED_EACH).filter(turn=1)
    rows.update(
        billing_status=BillingStatus.SUSPENDED,
        desired_state=DesiredState.SUSPENDED,
        observed_state=ObservedState.SUSPENDED,
        suspend_reasons=["overdue"],
    )
    stuck = Operation.objects.annotate(turn=(F("service_id") - first) % STUCK_EACH).filter(turn=2)
    stuck.update(outcome=Outcome.NEEDS_STAFF, reason="server_missing", detail="Its server is gone.")
