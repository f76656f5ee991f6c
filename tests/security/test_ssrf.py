"""Nothing that a stranger wrote is ever fetched, and no answer of a panel steers a call inwards (bar B17)."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from provisioning.lib.http import HttpClient, HttpError
from provisioning.models import Event
from tests import factories
from tests.bridge import Bridge
from tests.provisioning.lib.servers import Listener, listening, response, saying
from tests.provisioning.reconcile.conftest import bridge, sandbox
from tests.provisioning.webhooks.sender import send, signed

__all__ = ["bridge", "sandbox"]


@pytest.fixture
def inside() -> Iterator[Listener]:
    """A service of this machine that nobody outside may reach."""
    with listening(saying(response())) as listener:
        yield listener


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See", "307 Same", "308 Same"])
def test_a_redirect_inwards_is_not_followed(inside: Listener, method: str, status: str) -> None:
    lines = f"Location: {inside.url}/latest/meta-data\r\nRefresh: 0; url={inside.url}\r\n"
    answer = response(status=status, headers=lines)
    with listening(saying(answer)) as panel:
        client = HttpClient(panel.url, headers={}, allow_private=True, allow_plain_http=True)
        assert client.request(method, "/api").status == int(status[:3])
        client.close()
    assert (inside.connections, bytes(inside.heard)) == (0, b"")


def test_a_name_that_is_bound_anew_is_judged_anew(inside: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    addresses = iter(["8.8.8.8", "127.0.0.1"])

    def resolve(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(addresses), inside.port))]

    def unreachable(*_: Any) -> None:
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    url = f"http://panel.example.com:{inside.port}"
    client = HttpClient(url, headers={}, allow_private=False, allow_plain_http=True)
    kinds = []
    with monkeypatch.context() as outside:
        outside.setattr("provisioning.lib.transport._PlainSocket.connect", unreachable, raising=False)
        with pytest.raises(HttpError) as first:
            client.request("GET", "/")
        kinds.append(first.value.kind)
    with pytest.raises(HttpError) as second:
        client.request("GET", "/")
    assert [*kinds, second.value.kind] == ["unreachable", "refused_address"]
    assert (inside.connections, bytes(inside.heard)) == (0, b"")


@pytest.mark.django_db
@pytest.mark.usefixtures("jobs")
def test_no_header_of_a_webhook_is_fetched(inside: Listener) -> None:
    names = (
        "Referer",
        "Origin",
        "X-Callback-URL",
        "PAYPAL-CERT-URL",
        "X-Forwarded-Host",
        "Link",
        "X-Original-URL",
    )
    body = json.dumps({"event": "note.added", "subscription_id": "1"}).encode()
    headers = {**signed(body), **dict.fromkeys(names, f"{inside.url}/cert.pem")}
    assert send(factories.endpoint(), body, headers).status == 202
    assert inside.connections == 0


@pytest.mark.django_db
def test_no_field_of_a_webhook_is_fetched(bridge: Bridge, inside: Listener) -> None:
    fields = dict.fromkeys(("tier", "first_name", "last_name", "callback_url", "image", "panel"), inside.url)
    bridge.buy(properties={"server_name": inside.url, "image": inside.url, inside.url: inside.url}, **fields)
    bridge.say("subscription.created", subscription_id=inside.url, product_id=inside.url)
    bridge.say("subscription.updated", product_id=f"{inside.url}/plan")
    bridge.settle()
    assert Event.objects.count() == 3
    assert (inside.connections, bytes(inside.heard)) == (0, b"")
