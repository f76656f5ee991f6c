"""What the lifecycle tests share: a shop with products, and billing's messages to it."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from provisioning.billing.events import read_event
from provisioning.lib import clock
from provisioning.lifecycle.billing import Applied, service_apply_event
from provisioning.models import Product, Service, WebhookEndpoint
from tests import factories

DAY = dt.timedelta(days=1)


def ago(days: float) -> str:
    """An ISO time that many days before now; negative numbers lie ahead."""
    return (clock.now() - dt.timedelta(days=days)).isoformat()


@dataclass
class Shop:
    """One billing connection with a small and a big product, and the endpoint that its messages come by."""

    small: Product = field(default_factory=factories.product)
    endpoint: WebhookEndpoint = field(init=False)
    big: Product = field(init=False)

    def __post_init__(self) -> None:
        self.endpoint = factories.endpoint(connection=self.small.connection)
        self.big = self.product("water-elemental")

    def product(self, ident: str, **fields: Any) -> Product:
        """One more product on the same panel."""
        defaults = {"connection": self.small.connection, "panel": self.small.panel}
        return factories.product(billing_product_id=ident, **{**defaults, **fields})

    def says(
        self, kind: str, *, fresh: bool = True, endpoint: WebhookEndpoint | None = None, **payload: Any
    ) -> Applied:
        """Billing sends an event of subscription 12345, and it is applied."""
        body = json.dumps({"event": kind, "subscription_id": "12345", **payload}, sort_keys=True).encode()
        digest = hashlib.sha256(body).hexdigest()
        event = factories.event(
            endpoint=endpoint or self.endpoint, body=body, body_sha256=digest, fresh=fresh
        )
        return service_apply_event(event=event, fact=read_event(json.loads(body)))

    def orders(self, **payload: Any) -> Service:
        """Ada orders the small product and has paid; returns the service."""
        defaults = {"customer_email": "ada@example.com", "product_id": "fire-elemental", "status": "active"}
        self.says("subscription.created", **{**defaults, "occurred_at": ago(60), **payload})
        return self.service()

    def service(self) -> Service:
        """Subscription 12345 as the database has it now."""
        return Service.objects.get(billing_id="12345", connection=self.small.connection)
