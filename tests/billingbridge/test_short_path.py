"""Webhooks take a short way; what protects every request still stands on it."""

from __future__ import annotations

import uuid

import pytest
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory, override_settings
from pytest_django import DjangoAssertNumQueries

from billingbridge.short_path import ShortPathMiddleware
from tests import factories

pytestmark = pytest.mark.django_db
WHOLE_WAY = b"the whole way"
ADDRESS = uuid.UUID(int=7)
ABOVE = [
    "billingbridge.proxies.ProxyMiddleware",
    "billingbridge.logging.RequestLogMiddleware",
]


def whole_way(request: HttpRequest) -> HttpResponse:
    """Stands in for all that comes below."""
    return HttpResponse(WHOLE_WAY)


@pytest.mark.parametrize(
    ("path", "short"),
    [
        (f"/webhooks/{ADDRESS}/", True),
        (f"/webhooks/{ADDRESS}", True),
        ("/webhooks/nowhere/", False),
        (f"/webhooks/../webhooks/{ADDRESS}/", False),
        ("/webhooks", False),
        ("/accounts/login/", False),
        ("/admin/webhooks/", False),
    ],
)
def test_only_an_endpoint_s_address_takes_the_short_way(path: str, short: bool) -> None:
    request = RequestFactory().post(path, b"{}", content_type="application/json")
    answer = ShortPathMiddleware(whole_way)(request)
    assert isinstance(answer, HttpResponse)
    assert (answer.content != WHOLE_WAY) is short


def test_what_protects_every_request_stands_above() -> None:
    place = settings.MIDDLEWARE.index("billingbridge.short_path.ShortPathMiddleware")
    assert settings.MIDDLEWARE[:place] == ABOVE


def test_a_webhook_s_answer_has_every_header(client: Client) -> None:
    answer = client.post(f"/webhooks/{factories.endpoint().address}/", b"{}", "application/json")
    assert answer.status_code == 401
    assert answer.headers["Content-Length"] == str(len(answer.content))
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none';")
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert "X-Request-Id" in answer.headers


@pytest.mark.parametrize("secure", [True, False])
def test_browsers_are_told_to_stay_on_https(
    secure: bool,
) -> None:
    path = f"/webhooks/{factories.endpoint().address}/"
    with override_settings(SECURE_HSTS_SECONDS=3600):
        answer = Client().post(path, b"{}", "application/json", secure=secure)
    assert ("Strict-Transport-Security" in answer.headers) is secure


def test_a_wrong_method_is_answered_in_json(client: Client) -> None:
    answer = client.get(f"/webhooks/{ADDRESS}/")
    assert (answer.status_code, answer.headers["Content-Type"]) == (405, "application/json")
    assert answer.content


def test_another_host_s_name_is_refused(client: Client) -> None:
    path = f"/webhooks/{factories.endpoint().address}/"
    assert client.post(path, b"{}", "application/json", HTTP_HOST="evil.example.com").status_code == 400


def test_a_cookie_is_not_even_looked_at(
    client: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    address = factories.endpoint().address
    client.cookies["sessionid"] = "a" * 32
    client.post(f"/webhooks/{address}/", b"{}", "application/json")
    with django_assert_num_queries(0):
        client.post(f"/webhooks/{address}/", b"{}", "application/json")
