"""A life with a secret in every place and a hostile text from every side, and what it left behind."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP
from django.apps import apps
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection

from provisioning.drivers.errors import DriverError
from provisioning.exceptions import BillingBridgeError
from provisioning.lifecycle.product_versions import product_follow_start, product_version_current
from provisioning.models import EndpointSecret, Panel, Product
from provisioning.reconcile import panels
from tests import factories
from tests.bridge import Bridge, document
from tests.provisioning.lib.servers import Listener, listening
from tests.security.roles import bearing

ECHO_KEY = "ptla_" + "EchoCanary" * 4 + "EcH"
HMAC_SECRET = "hmac-canary-of-a-small-script-7731"
PASSWORD = "canary-password-of-grace-5512"
TAG, IMAGE = "<script>alert(7)</script>", "<img src=x onerror=alert(7)>"
BREAK_OUT = "\"'><svg onload=alert(7)>"
HOSTILE = (TAG, IMAGE, "<svg onload")


def echo(listener: Listener) -> Callable[[socket.socket], None]:
    """A panel that refuses everything, and repeats the request's headers in its words."""

    def talk(talking: socket.socket) -> None:
        words = f"{TAG} {listener.read_request(talking).decode('latin-1')}"
        fault = {"code": "ValidationException", "detail": words, "meta": {"source_field": BREAK_OUT}}
        body = json.dumps({"errors": [fault]}).encode()
        head = f"HTTP/1.1 422 No\r\nConnection: close\r\nContent-Length: {len(body)}\r\nX-Echo: {ECHO_KEY}"
        talking.sendall(head.encode() + b"\r\n\r\n" + body)

    return talk


@dataclass
class Life:
    """What was lived, and the secrets that it must not have left anywhere."""

    bridge: Bridge
    grace: User
    canaries: dict[str, str] = field(default_factory=dict)

    def found_in(self, text: str) -> list[str]:
        """The names of the secrets that the text holds."""
        return [name for name, value in self.canaries.items() if value in text]


def dump() -> str:
    """Every value of every table as the database holds it."""
    parts: list[str] = []
    with connection.cursor() as cursor:
        for table in sorted(model._meta.db_table for model in apps.get_models(include_auto_created=True)):
            if table in connection.introspection.table_names(cursor):
                cursor.execute(f'SELECT * FROM "{table}"')  # noqa: S608 - our own tables' names
                parts += [_text(value) for row in cursor.fetchall() for value in row]
    return "\n".join(parts)


def _text(value: object) -> str:
    plain = value.tobytes() if isinstance(value, memoryview) else value
    return plain.decode("utf-8", "replace") if isinstance(plain, bytes) else str(plain)


@contextmanager
def living(bridge: Bridge) -> Iterator[Life]:
    """Orders, refusals, tests and mails on two panels, one of which answers with what it was sent."""
    with listening(echo) as listener:
        life = Life(bridge, factories.staff(username="grace", is_superuser=True))
        echoing = factories.panel(name=f"Echo {TAG}", url=listener.url, api_key=ECHO_KEY)
        _secrets(life)
        _orders(life, echoing)
        yield life


def _secrets(life: Life) -> None:
    life.grace.set_password(PASSWORD)
    life.grace.save()
    totp = TOTP.activate(life.grace, "JBSWY3DPEHPK3PXPCANARY7TOTP7")
    codes = RecoveryCodes.activate(life.grace)
    token = bearing(life.grace)
    script = factories.endpoint(
        connection=life.bridge.endpoint.connection, secret=HMAC_SECRET, name=f"hook {TAG}"
    )
    assert Authenticator.objects.filter(pk=totp.instance.pk).exists()
    assert EndpointSecret.objects.filter(endpoint=script).exists()
    life.canaries = {
        "panel key": life.bridge.panel.application_key,
        "sandbox client key": life.bridge.panel.client_key,
        "echo key": ECHO_KEY,
        "endpoint secret": factories.SECRET,
        "its bytes": factories.SECRET.removeprefix("whsec_"),
        "script secret": HMAC_SECRET,
        "SECRET_KEY": settings.SECRET_KEY,
        "FIELD_KEYS": settings.FIELD_KEYS[0],
        "password": PASSWORD,
        "totp": "JBSWY3DPEHPK3PXPCANARY7TOTP7",
        "token": str(token.defaults["HTTP_AUTHORIZATION"]).removeprefix("Bearer "),
        **{f"recovery code {number}": code for number, code in enumerate(codes.get_unused_codes())},
    }


def _orders(life: Life, echoing: Panel) -> None:
    bridge = life.bridge
    factories.product(
        connection=bridge.endpoint.connection,
        panel=echoing,
        policy=bridge.product.grace_policy,
        billing_product_id=BREAK_OUT,
        name=f"Echo {IMAGE}",
        document=document(),
    )
    named = {"first_name": TAG, "last_name": "Bcc: evil@example.net\r\nBcc: evil@example.net"}
    bridge.buy(tier=IMAGE, properties={"server_name": TAG, IMAGE: BREAK_OUT}, **named)
    bridge.server().name = f"{TAG} {BREAK_OUT}"
    bridge.say("subscription.created", subscription_id=BREAK_OUT, product_id=BREAK_OUT, **named)
    bridge.say("subscription.created", subscription_id="77", product_id=IMAGE, **named)
    bridge.say("payment.failed", status=None)
    bridge.say("payment.failed", subscription_id=f"{TAG}\r\nSubject: x", status=None)
    bridge.say("subscription.updated", product_id="frost-knight")
    bridge.settle()
    product_follow_start(version=product_version_current(product=Product.objects.order_by("pk")[0]))
    with_errors(panels.test_connection, echoing)
    with_errors(lambda row: list(panels.propose_links(row)), echoing)


def with_errors(ask: Callable[[Any], Any], row: Any) -> str:
    """What the error says, and how it would look in a log."""
    try:
        return repr(ask(row))
    except (BillingBridgeError, DriverError) as error:
        return f"{error} {error!r} {error.detail}"
