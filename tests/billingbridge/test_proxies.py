"""Forwarding headers are believed from trusted proxies only, and from the right (bar B8)."""

from ipaddress import ip_network
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from pytest_django import Settings

from billingbridge.proxies import FORWARDED_HEADERS, ProxyMiddleware, client_ip, resolve_client

TRUSTED = [ip_network("10.0.0.0/8"), ip_network("2001:db8:1::/48")]


@pytest.mark.req("T83-12")
@pytest.mark.parametrize(
    ("peer", "header", "expected"),
    [
        ("192.0.2.1", "", "192.0.2.1"),
        ("192.0.2.1", "198.51.100.9", "192.0.2.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.9", "198.51.100.9"),
        ("10.0.0.1", "203.0.113.1, 198.51.100.9", "198.51.100.9"),
        ("10.0.0.1", "203.0.113.1, 198.51.100.9, 10.0.0.2", "198.51.100.9"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", "203.0.113.1, nonsense, 10.0.0.2", "10.0.0.2"),
        ("10.0.0.1", "198.51.100.9,", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.9:4711", "10.0.0.1"),
        ("::ffff:10.0.0.1", "198.51.100.9", "198.51.100.9"),
        ("2001:db8:1::5", "2001:db8:2::9", "2001:db8:2::9"),
        ("", "198.51.100.9", ""),
    ],
)
def test_client_is_the_first_stranger_from_the_right(peer: str, header: str, expected: str) -> None:
    assert resolve_client(peer, header, TRUSTED) == expected


@pytest.mark.parametrize(
    ("peer", "proto", "secure"),
    [
        ("10.0.0.1", "https", True),
        ("10.0.0.1", "http, https", True),
        ("10.0.0.1", "https, http", False),
        ("10.0.0.1", "gopher", False),
        ("192.0.2.1", "https", False),
    ],
)
def test_scheme_and_headers(settings: Settings, peer: str, proto: str, secure: bool) -> None:
    settings.TRUSTED_PROXIES = TRUSTED
    seen: list[HttpRequest] = []

    def view(request: HttpRequest) -> HttpResponse:
        seen.append(request)
        return HttpResponse()

    headers: dict[str, Any] = dict.fromkeys(FORWARDED_HEADERS, "198.51.100.9") | {
        "HTTP_X_FORWARDED_PROTO": proto
    }
    ProxyMiddleware(view)(RequestFactory().get("/", REMOTE_ADDR=peer, **headers))
    assert seen[0].is_secure() is secure
    assert not set(FORWARDED_HEADERS) & set(seen[0].META)
    assert client_ip(seen[0]) == ("198.51.100.9" if peer == "10.0.0.1" else peer)


def test_client_without_the_middleware_is_the_peer() -> None:
    assert client_ip(RequestFactory().get("/", REMOTE_ADDR="192.0.2.8")) == "192.0.2.8"
