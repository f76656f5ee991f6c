"""What the demo sets up before its story: a shop, a panel, products, an endpoint, a member of staff."""

from __future__ import annotations

import datetime as dt
import os
import secrets
from dataclasses import dataclass, field

from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.conf import settings
from django.contrib.auth.models import User

from provisioning.api.tokens import api_token_create, machine_user_create
from provisioning.lib import clock
from provisioning.management.demo.panels import PANELS, DemoPanel
from provisioning.models import (
    BillingConnection,
    EndpointSecret,
    GracePolicy,
    GracePolicyVersion,
    Panel,
    Product,
    WebhookEndpoint,
)
from provisioning.webhooks.signatures import generate_secret

LIMITS = {
    "memory": 2048,
    "swap": 0,
    "disk": 10240,
    "cpu": 100,
    "io": 500,
    "databases": 1,
    "allocations": 1,
    "backups": 2,
}
BIGGER = {**LIMITS, "memory": 4096, "disk": 20480, "cpu": 200}
GRACE, UNDO = dt.timedelta(seconds=4), dt.timedelta(seconds=6)


@dataclass(frozen=True)
class Cast:
    """What the story needs to know of the rows; the secrets never show in a repr."""

    webhook_url: str
    panel_url: str
    billing_url: str
    secret: str = field(repr=False)
    api_token: str = field(repr=False)
    panel_key: str = field(repr=False)
    admin_password: str = field(repr=False)
    admin_codes: tuple[str, ...] = field(repr=False)
    kind: str = "pterodactyl"


def cast_make(*, panel_port: int, billing_port: int, kind: str = "pterodactyl") -> Cast:
    """Makes every row of the demo and returns what the story needs. A panel may be asked for its ids."""
    played_on = PANELS[kind]
    panel = _panel(panel_port, played_on)
    shop = BillingConnection.objects.create(name="Example shop", key="shop")
    policy = GracePolicy.objects.create(name="Seconds instead of days")
    GracePolicyVersion.objects.create(policy=policy, suspend_after=GRACE, undo_window=UNDO)
    for billing_id, name, limits in (
        ("fire-elemental", "Fire Elemental 2 GB", LIMITS),
        ("frost-knight", "Frost Knight 4 GB", BIGGER),
    ):
        Product.objects.create(
            connection=shop,
            billing_product_id=billing_id,
            name=name,
            panel=panel,
            grace_policy=policy,
            name_prefix="MC-",
            document=played_on.document(panel.url, panel.api_key, limits),
        )
    endpoint = WebhookEndpoint.objects.create(connection=shop, name="Sandbox billing", verifies_email=True)
    secret = generate_secret()
    EndpointSecret.objects.create(endpoint=endpoint, value=secret)
    password, codes = _admin()
    return Cast(
        webhook_url=f"{settings.PUBLIC_URL}/webhooks/{endpoint.address}/",
        panel_url=panel.url,
        billing_url=f"http://127.0.0.1:{billing_port}",
        secret=secret,
        api_token=_token(),
        panel_key=panel.api_key,
        admin_password=password,
        admin_codes=codes,
        kind=kind,
    )


def _panel(port: int, kind: DemoPanel) -> Panel:
    return Panel.objects.create(
        name="fra-1",
        driver=kind.driver,
        url=f"http://127.0.0.1:{port}",
        api_key=os.environ["SANDBOX_APPLICATION_KEY"],
        version=kind.version,
        allow_private=True,
        allow_plain_http=True,
    )


def _token() -> str:
    user = machine_user_create(username="demo-story")
    return api_token_create(user=user, name="demo", ends_at=clock.now() + dt.timedelta(days=1))[1]


def _admin() -> tuple[str, tuple[str, ...]]:
    """A superuser with a second factor; its recovery codes work once each."""
    password = secrets.token_urlsafe(12)
    user = User.objects.create_superuser("admin", "staff@example.com", password)
    TOTP.activate(user, generate_totp_secret())
    codes = RecoveryCodes.activate(user).get_unused_codes()
    return password, tuple(codes[:5])
