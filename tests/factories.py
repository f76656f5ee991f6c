"""Rows for tests: one function per kind, keyword-only, everything defaulted. The cast: Ada, Grace, Linus."""

from __future__ import annotations

import base64
import datetime as dt
import itertools
from collections.abc import Mapping
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.utils.crypto import get_random_string

from provisioning.choices import BillingStatus, EventStatus, SignatureScheme
from provisioning.lib import clock
from provisioning.models import (
    BillingConnection,
    Customer,
    EndpointSecret,
    Event,
    GracePolicy,
    GracePolicyVersion,
    Operation,
    Panel,
    Product,
    Service,
    WebhookEndpoint,
)

_numbers = itertools.count(1)

SECRET = "whsec_" + base64.b64encode(b"ada-lovelace-signs-with-32-bytes").decode()
"""The signing secret of endpoints, unless a test brings its own."""

DOCUMENT: Mapping[str, Any] = {
    "target": {"nest": 1, "egg": 1, "node": 1},
    "limits": {
        "memory": 1024,
        "swap": 0,
        "disk": 5120,
        "cpu": 100,
        "io": 500,
        "databases": 0,
        "allocations": 1,
        "backups": 0,
    },
    "runtime": {},
    "options": {},
}
"""A small game server on node 1."""


def connection(*, name: str = "", key: str = "") -> BillingConnection:
    """One installation of a billing system."""
    number = next(_numbers)
    return BillingConnection.objects.create(name=name or f"Shop {number}", key=key or f"shop{number}")


def panel(*, driver: str = "pterodactyl", url: str = "https://panel.example.com", **fields: Any) -> Panel:
    """A panel. One on loopback gets the two ticks that it needs."""
    loopback = url.startswith("http://127.0.0.1")
    defaults = {
        "name": f"Panel {next(_numbers)}",
        "api_key": "ptla_" + "A" * 43,
        "allow_private": loopback,
        "allow_plain_http": loopback,
    }
    return Panel.objects.create(driver=driver, url=url, **{**defaults, **fields})


def policy(
    *,
    warn_after: dt.timedelta = dt.timedelta(0),
    suspend_after: dt.timedelta = dt.timedelta(days=7),
    undo_window: dt.timedelta = dt.timedelta(days=7),
) -> GracePolicy:
    """A grace policy with one version."""
    made = GracePolicy.objects.create(name=f"Policy {next(_numbers)}")
    GracePolicyVersion.objects.create(
        policy=made, warn_after=warn_after, suspend_after=suspend_after, undo_window=undo_window
    )
    return made


def product(
    *,
    connection: BillingConnection | None = None,
    panel: Panel | None = None,
    policy: GracePolicy | None = None,
    billing_product_id: str = "fire-elemental",
    document: Mapping[str, Any] | None = None,
    **fields: Any,
) -> Product:
    """A mapped product: a small game server, unless a document says otherwise."""
    return Product.objects.create(
        connection=connection or a_connection(),
        panel=panel or a_panel(),
        grace_policy=policy or a_policy(),
        billing_product_id=billing_product_id,
        document=dict(document or DOCUMENT),
        **{"name": "Fire Elemental", **fields},
    )


def endpoint(
    *,
    connection: BillingConnection | None = None,
    secret: str = SECRET,
    scheme: str = SignatureScheme.STANDARD,
    **fields: Any,
) -> WebhookEndpoint:
    """An endpoint with one secret that has no end."""
    made = WebhookEndpoint.objects.create(
        connection=connection or a_connection(),
        scheme=scheme,
        **{"name": f"Endpoint {next(_numbers)}", **fields},
    )
    EndpointSecret.objects.create(endpoint=made, value=secret)
    return made


def customer(
    *, connection: BillingConnection | None = None, email: str = "ada@example.com", **fields: Any
) -> Customer:
    """A client of the billing system, with a billing user id of its own."""
    number = next(_numbers)
    defaults = {
        "billing_user_id": str(number),
        "email_folded": email.casefold(),
        "first_name": "Ada",
        "last_name": "Lovelace",
        "mark": str(number),
    }
    return Customer.objects.create(
        connection=connection or a_connection(), email=email, **{**defaults, **fields}
    )


def service(*, product: Product | None = None, customer: Customer | None = None, **fields: Any) -> Service:
    """A subscription that billing calls active; nothing was done for it yet."""
    product = product or a_product()
    number = next(_numbers)
    billing_id = str(fields.pop("billing_id", number))
    defaults = {
        "billing_status": BillingStatus.ACTIVE,
        "billing_product_id": product.billing_product_id,
        "external_id": f"test-{product.connection.key}-{billing_id}",
        "panel": product.panel,
        "policy": product.grace_policy.current(),
    }
    return Service.objects.create(
        connection=product.connection,
        product=product,
        customer=customer or a_customer(connection=product.connection),
        billing_id=billing_id,
        **{**defaults, **fields},
    )


def event(*, endpoint: WebhookEndpoint | None = None, body: bytes = b"{}", **fields: Any) -> Event:
    """A stored event, as the webhook edge would have kept it."""
    endpoint = endpoint or a_endpoint()
    defaults = {
        "connection": endpoint.connection,
        "sender_id": f"msg_{next(_numbers)}",
        "body_sha256": "0" * 64,
        "verified_by": "test",
        "received_at": clock.now(),
        "status": EventStatus.RECEIVED,
    }
    return Event.objects.create(endpoint=endpoint, body=body, **{**defaults, **fields})


def operation(*, service: Service | None = None, **fields: Any) -> Operation:
    """An operation of a service, open unless told otherwise."""
    service = service or a_service()
    defaults = {"key": f"{service.pk}-{next(_numbers)}", "panel": service.panel, "generation": 1}
    return Operation.objects.create(service=service, **{**defaults, **fields})


def staff(*, username: str = "", **fields: Any) -> User:
    """A member of staff without rights, unless `is_superuser` or permissions are given."""
    made = get_user_model().objects.create_user(
        username or f"grace{next(_numbers)}", password=get_random_string(20), **{"is_staff": True, **fields}
    )
    assert isinstance(made, User)
    return made


# Under these names the functions above call each other: their arguments are called like the functions.
a_connection, a_panel, a_policy, a_product = connection, panel, policy, product
a_endpoint, a_customer, a_service = endpoint, customer, service
