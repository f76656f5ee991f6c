"""A small bridge with a sandbox panel behind it: what engine and flow tests play on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from provisioning.choices import EventStatus
from provisioning.lib import clock
from provisioning.models import Event, Installation, Operation, Panel, Product, Service, WebhookEndpoint
from provisioning.reconcile.schedules import sweep_all
from provisioning.sandbox.server import PanelSandbox
from provisioning.sandbox.world import Server
from tests import factories
from tests.conftest import Jobs

LIMITS = {
    "memory": 1024,
    "swap": 0,
    "disk": 5120,
    "cpu": 100,
    "io": 500,
    "databases": 1,
    "allocations": 1,
    "backups": 1,
}


def document(*, node: int | None = 1, **limits: int) -> dict[str, Any]:
    """A Paper server of a stock panel: on a node, or *Auto* in location 1."""
    target: dict[str, Any] = {"nest": 1, "egg": 5}
    target |= {"node": node} if node else {"locations": [1]}
    return {"target": target, "limits": {**LIMITS, **limits}, "runtime": {}, "options": {}}


@dataclass
class Bridge:
    """The cast: a shop, a panel, a small and a big product, and an endpoint whose sender verifies e-mails."""

    panel: PanelSandbox
    jobs: Jobs
    row: Panel = field(init=False)
    product: Product = field(init=False)
    bigger: Product = field(init=False)
    endpoint: WebhookEndpoint = field(init=False)
    driver: ClassVar[str] = "pterodactyl"

    def document(self, **limits: int) -> dict[str, Any]:
        """What the small product is made of, with these limits changed."""
        return document(**limits)

    def __post_init__(self) -> None:
        Installation.objects.get_or_create(installation_id="test")
        shop = factories.connection(key="shop")
        self.endpoint = factories.endpoint(connection=shop, verifies_email=True)
        self.row = factories.panel(driver=self.driver, url=self.panel.url, api_key=self.panel.application_key)
        grace = factories.policy()
        self.product = self._product("fire-elemental", grace, self.document())
        self.bigger = self._product("frost-knight", grace, self.document(memory=4096, cpu=200))

    def _product(self, billing_id: str, grace: Any, made_of: dict[str, Any]) -> Product:
        return factories.product(
            connection=self.endpoint.connection,
            panel=self.row,
            policy=grace,
            billing_product_id=billing_id,
            name=billing_id,
            document=made_of,
        )

    def store(self, event: str, **fields: Any) -> Event:
        """Stores a verified event of subscription 12345, as the webhook edge does."""
        body: Mapping[str, Any] = {
            "event": event,
            "subscription_id": "12345",
            "customer_email": "ada@example.com",
            "product_id": "fire-elemental",
            "tier": "elemental",
            "status": "active",
            **fields,
        }
        raw = json.dumps({key: value for key, value in body.items() if value is not None}).encode()
        return factories.event(
            endpoint=self.endpoint,
            body=raw,
            body_sha256=hashlib.sha256(raw).hexdigest(),
            next_attempt_at=clock.now(),
        )

    def say(self, event: str, **fields: Any) -> Event:
        """Billing says something, and all jobs that follow run."""
        stored = self.store(event, **fields)
        self.jobs.drain()
        stored.refresh_from_db()
        assert stored.status != EventStatus.RECEIVED, "the event was not worked on"
        return stored

    def buy(self, **fields: Any) -> Service:
        """A paid order, installed and ready."""
        self.say("subscription.created", **fields)
        self.settle()
        return self.service(fields.get("subscription_id", "12345"))

    def settle(self, *, rounds: int = 12, seconds: float = 40) -> None:
        """Lets time pass and the sweep find what is due, until nothing is."""
        sweep_all()
        self.jobs.drain()
        for _ in range(rounds):
            clock.shift(seconds)
            self.panel.advance(seconds)
            sweep_all()
            if not self.jobs.drain():
                return

    def wait(self, *, days: float) -> None:
        """Lets days pass, with a sweep at their end and whatever follows from it."""
        clock.shift(days * 86400)
        self.panel.advance(days * 86400)
        self.settle()

    def service(self, billing_id: str = "12345") -> Service:
        """The service, fresh from the database."""
        return Service.objects.get(billing_id=billing_id)

    def operation(self) -> Operation:
        """The newest operation."""
        operation = Operation.objects.order_by("-id").first()
        assert operation is not None
        return operation

    def servers(self) -> list[Server]:
        """What stands on the panel."""
        return list(self.panel.state.servers.values())

    def server(self) -> Server:
        """The one server on the panel."""
        (server,) = self.servers()
        return server
