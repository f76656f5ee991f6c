"""Staff who are signed in with both factors, and one row of each kind for pages to show."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from allauth.account.authentication import AUTHENTICATION_METHODS_SESSION_KEY
from allauth.account.internal.flows.login import record_authentication
from django.contrib.auth.models import Permission, User
from django.test import Client, RequestFactory

from provisioning import audit
from provisioning.choices import AccountState, ActorKind, Outcome
from provisioning.lib import clock
from provisioning.models import (
    ApiToken,
    Customer,
    Drift,
    DriftPass,
    Entitlement,
    Event,
    Heartbeat,
    Installation,
    Notification,
    Operation,
    Panel,
    PanelAccount,
    PanelCall,
    PanelGate,
    Pin,
    Product,
    Service,
    WebhookEndpoint,
)
from tests import factories

PANEL_KEY = "ptla_" + "Kanary" * 7 + "K"
WEBHOOK_SECRET = "whsec_S0FOQVJZLUtBTkFSWS1LQU5BUlktS0FOQVJZLTEyMzQ="
PAYLOAD_SECRET = "canary-in-the-payload-58213"
CANARIES = (PANEL_KEY, WEBHOOK_SECRET, PAYLOAD_SECRET)


def signed_in(*rights: str, superuser: bool = False, username: str = "") -> Client:
    """A member of staff with these rights (`view_service`), signed in with both factors."""
    user = factories.staff(username=username, is_superuser=superuser)
    user.user_permissions.set(Permission.objects.filter(codename__in=rights))
    return session_of(user)


def session_of(user: User, *, factor_age: float = 0) -> Client:
    """A client of that person, whose second factor was shown `factor_age` seconds ago."""
    client = Client()
    client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    request = RequestFactory().get("/")
    request.session = client.session
    record_authentication(request, user, "mfa")
    for record in request.session[AUTHENTICATION_METHODS_SESSION_KEY]:
        record["at"] -= factor_age
    request.session.save()
    return client


@dataclass(frozen=True)
class World:
    """One row of each kind, tied together."""

    panel: Panel
    product: Product
    endpoint: WebhookEndpoint
    customer: Customer
    service: Service
    event: Event
    operation: Operation


OBSERVED = {
    "server_id": "12",
    "uuid": "uuid-12",
    "identifier": "a1b2c3d4",
    "mark": "test-shop-1001",
    "owner": "7",
    "name": "Server-1001",
    "state": "active",
    "limits": {"memory": 1024, "swap": 0, "disk": 5120, "cpu": 100},
    "extra": {},
}


def world() -> World:
    """A running service with everything that its page can show."""
    now = clock.now()
    panel = factories.panel(name="fra-1", api_key=PANEL_KEY)
    PanelGate.objects.create(panel=panel, limit_seen=240, remaining_seen=200, last_ok_at=now)
    product = factories.product(panel=panel)
    endpoint = factories.endpoint(connection=product.connection, name="Shop hook", secret=WEBHOOK_SECRET)
    customer = factories.customer(connection=product.connection)
    account = PanelAccount.objects.create(
        panel=panel, customer=customer, state=AccountState.LINKED, panel_user_id="7", mark=customer.mark
    )
    service = running(product=product, customer=customer, billing_id="1001")
    body = b'{"event": "subscription.created", "api_token": "%s"}' % PAYLOAD_SECRET.encode()
    event = factories.event(
        endpoint=endpoint, body=body, service=service, type="subscription.created", request_id="req-1"
    )
    with audit.acting_as(ActorKind.BILLING, "Shop hook", event=event):
        audit.record(service=service, action="desired.present", message="Paid: the server is to be made.")
    operation = factories.operation(
        service=service, outcome=Outcome.SUCCEEDED, request_id="req-1", plan={"lines": ["+ create server"]}
    )
    PanelCall.objects.create(
        operation=operation, panel=panel, method="POST", path="/api/servers", status=201, at=now
    )
    _extras(service, account)
    return World(panel, product, endpoint, customer, service, event, operation)


def _extras(service: Service, account: PanelAccount) -> None:
    now = clock.now()
    Pin.objects.create(service=service, resource="memory", value=2048)
    Entitlement.objects.create(service=service, resource="disk", amount=1024, source="gift", starts_at=now)
    Notification.objects.create(key="ready:1", service=service, template="ready", created_at=now, sent_at=now)
    Heartbeat.objects.create(name="tick", beat_at=now)
    Installation.objects.get_or_create(installation_id="test")
    drift(service)
    user = factories.staff()
    ApiToken.objects.create(
        user=user, name="grafana", hash="0" * 64, hint="wxyz", ends_at=now + dt.timedelta(1)
    )


def drift(service: Service, **fields: Any) -> Drift:
    """A difference on a service: wrong limits, unless told otherwise."""
    now, panel = clock.now(), service.panel
    assert panel is not None
    DriftPass.objects.get_or_create(panel=panel, defaults={"finished_at": now, "outcome": "compared"})
    defaults: dict[str, Any] = {
        "kind": "limits",
        "subject": f"service:{service.pk}",
        "server_id": service.server_id,
        "words": "The panel differs from what is sold (panel → sold): memory 8192 → 1024.",
        "since": now,
        "last_seen_at": now,
    }
    return Drift.objects.create(panel=panel, service=service, **{**defaults, **fields})


def running(**fields: Any) -> Service:
    """A service on which all three truths agree."""
    now = clock.now()
    defaults: dict[str, Any] = {
        "desired_state": "present",
        "observed_state": "active",
        "observed": OBSERVED,
        "observed_at": now,
        "generation": 1,
        "observed_generation": 1,
        "server_id": "12",
        "ready_at": now,
    }
    return factories.service(**{**defaults, **fields})
