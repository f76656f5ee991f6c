"""What every answer says to browsers: strict everywhere, and the least addition for the admin."""

import pytest
from django.conf import settings
from django.http import HttpResponse
from django.test import Client, RequestFactory

from billingbridge.security import PolicyMiddleware


def policy(path: str) -> dict[str, set[str]]:
    """The content policy of a path, as directive -> sources."""
    answer = PolicyMiddleware(lambda request: HttpResponse()).process_response(
        RequestFactory().get(path), HttpResponse()
    )
    parts = (part.split() for part in answer.headers["Content-Security-Policy"].split("; "))
    return {name: set(sources) for name, *sources in parts}


@pytest.mark.parametrize(
    "path", ["/", "/accounts/login/", "/webhooks/x/", "/api/v1/", "/administration/", "/x/admin/"]
)
def test_policy_is_strict(path: str) -> None:
    found = policy(path)
    assert found["script-src"] == found["style-src"] == {"'self'"}
    assert found["default-src"] == found["frame-ancestors"] == found["base-uri"] == {"'none'"}
    assert "unsafe" not in str(found)


def test_admin_gets_two_rights_more_and_nothing_else() -> None:
    strict, admin = policy("/"), policy("/admin/auth/user/")
    assert admin["script-src"] - strict["script-src"] == {"'unsafe-eval'"}
    assert admin["style-src"] - strict["style-src"] == {"'unsafe-inline'"}
    same = set(strict) - {"script-src", "style-src"}
    assert {name: admin[name] for name in same} == {name: strict[name] for name in same}


@pytest.mark.django_db
def test_headers_of_a_page(client: Client) -> None:
    answer = client.get("/accounts/login/")
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "Content-Security-Policy" in answer.headers


@pytest.mark.django_db
def test_sign_in_page_needs_no_inline_script_or_style(client: Client) -> None:
    page = client.get("/accounts/login/").content.decode()
    assert "<style" not in page
    assert " style=" not in page
    assert "onclick" not in page
    assert "<script>" not in page
    assert "//" not in page.replace("<!DOCTYPE", "").replace("http://www.w3.org", "")


def test_missing_page_is_in_plain_words(client: Client) -> None:
    answer = client.get("/nowhere/")
    assert answer.status_code == 404
    assert "There is nothing here" in answer.content.decode()


def test_old_form_is_explained() -> None:
    answer = Client(enforce_csrf_checks=True).post("/accounts/login/", {"login": "ada"})
    assert answer.status_code == 403
    assert "Reload it and try again" in answer.content.decode()


def test_passwords_are_hashed_with_argon2() -> None:
    from billingbridge import settings as real

    assert real.PASSWORD_HASHERS[0].endswith("Argon2PasswordHasher")
    assert settings.AUTH_PASSWORD_VALIDATORS[1]["OPTIONS"]["min_length"] == 12
