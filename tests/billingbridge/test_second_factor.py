"""No staff page without a second factor, and a code that is good once (bar B19)."""

import base64
import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from allauth.account.adapter import get_adapter
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, generate_totp_secret, hotp_value
from django.conf import settings
from django.contrib.auth.models import User
from django.core.cache import cache
from django.test import Client, RequestFactory
from django.urls import URLPattern, URLResolver, get_resolver, reverse
from django.utils.module_loading import import_string

from billingbridge import fresh

PASSWORD = "correct horse battery"
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _empty_cache() -> None:
    cache.clear()


@pytest.fixture
def ada() -> User:
    """Staff with every right and no second factor yet."""
    return User.objects.create_superuser("ada", "ada@example.com", PASSWORD)


@pytest.fixture
def secret(ada: User) -> str:
    """Ada's authenticator secret, enrolled."""
    secret: str = generate_totp_secret()
    TOTP.activate(ada, secret)
    return secret


def code(secret: str, steps: int = 0) -> str:
    """What the authenticator app shows now, or some steps of 30 s later."""
    shown: str = format_hotp_value(hotp_value(secret, int(time.time()) // 30 + steps))
    return shown


def sign_in(client: Client, password: str = PASSWORD, name: str = "ada", **extra: Any) -> str:
    """Post the password; returns where it leads."""
    answer = client.post(reverse("account_login"), {"login": name, "password": password}, **extra)
    return str(answer.headers.get("Location", answer.status_code))


def admin_addresses(resolver: URLResolver | None = None, prefix: str = "/") -> list[str]:
    """Every admin address, with numbers for its arguments."""
    found: list[str] = []
    for entry in (resolver or get_resolver()).url_patterns:
        part = re.sub(r"<[^>]*>", "1", str(entry.pattern))
        part = re.sub(r"\(\?P.*?\)", "1", part).replace("^", "").replace("$", "").replace("\\Z", "")
        if isinstance(entry, URLResolver):
            found += admin_addresses(entry, prefix + part)
        elif isinstance(entry, URLPattern):
            found.append(prefix + part)
    return [address for address in found if address.startswith("/admin/")]


@pytest.mark.django_db(transaction=True)
def test_first_sign_in_leads_through_enrolment_into_the_admin(client: Client, ada: User) -> None:
    assert sign_in(client) == "/"
    assert client.get("/admin/").headers["Location"].startswith("/accounts/2fa/totp/activate/")
    page = client.get(reverse("mfa_activate_totp"))
    secret = page.context["form"].secret
    assert secret in page.content.decode()
    done = client.post(reverse("mfa_activate_totp"), {"code": code(secret)})
    assert done.status_code == 302, done.context["form"].errors
    assert client.get("/admin/").status_code == 200
    assert len(client.get(reverse("mfa_view_recovery_codes")).context["unused_codes"]) == 10


@pytest.mark.parametrize("address", admin_addresses())
def test_password_alone_opens_no_admin_address(client: Client, ada: User, address: str) -> None:
    client.force_login(ada)
    for method in (client.get, client.post):
        answer = method(address)
        assert answer.status_code == 302, address
        assert answer.headers["Location"].startswith("/accounts/2fa/")


@pytest.mark.parametrize("address", admin_addresses())
def test_nobody_opens_no_admin_address(client: Client, address: str) -> None:
    answer = client.get(address)
    ways_out = ("/admin/",) if address == "/admin/logout/" else ("/accounts/login/", "/admin/login/?next=")
    assert answer.status_code == 302
    assert answer.headers["Location"].startswith(ways_out)


def test_customer_account_opens_no_admin_page(client: Client) -> None:
    client.force_login(User.objects.create_user("linus"))
    assert client.get("/admin/", follow=True).status_code == 403


def test_password_then_code_opens_the_admin(client: Client, ada: User, secret: str) -> None:
    assert sign_in(client) == reverse("mfa_authenticate")
    assert client.get("/admin/", follow=True).redirect_chain[-1][0] == reverse("mfa_authenticate")
    assert client.post(reverse("mfa_authenticate"), {"code": code(secret)}).status_code == 302
    assert client.get("/admin/").status_code == 200


@pytest.mark.parametrize("steps", [-20, -2, 2, 20])
def test_code_of_another_time_is_refused(client: Client, ada: User, secret: str, steps: int) -> None:
    sign_in(client)
    assert client.post(reverse("mfa_authenticate"), {"code": code(secret, steps)}).status_code == 200
    assert client.get("/admin/").status_code == 302


def test_code_is_good_once_in_any_session(client: Client, ada: User, secret: str) -> None:
    spent = code(secret)
    other = Client()
    sign_in(client)
    sign_in(other)
    assert client.post(reverse("mfa_authenticate"), {"code": spent}).status_code == 302
    assert other.post(reverse("mfa_authenticate"), {"code": spent}).status_code == 200
    assert other.get("/admin/").status_code == 302


def test_code_of_the_enrolment_is_spent(client: Client, ada: User) -> None:
    sign_in(client)
    secret = client.get(reverse("mfa_activate_totp")).context["form"].secret
    spent = code(secret)
    client.post(reverse("mfa_activate_totp"), {"code": spent})
    other = Client()
    sign_in(other)
    assert other.post(reverse("mfa_authenticate"), {"code": spent}).status_code == 200


def test_recovery_code_signs_in_once(client: Client, ada: User, secret: str) -> None:
    first = RecoveryCodes.activate(ada).generate_codes()[0]
    sign_in(client)
    assert client.post(reverse("mfa_authenticate"), {"code": first}).status_code == 302
    assert client.get("/admin/").status_code == 200
    other = Client()
    sign_in(other)
    assert other.post(reverse("mfa_authenticate"), {"code": first}).status_code == 200


def test_recovery_codes_alone_are_no_second_factor(client: Client, ada: User) -> None:
    RecoveryCodes.activate(ada)
    sign_in(client)
    assert client.get("/admin/").headers["Location"].startswith("/accounts/2fa/totp/activate/")


def test_secrets_are_stored_encrypted(ada: User, secret: str) -> None:
    RecoveryCodes.activate(ada)
    stored = " ".join(str(row.data) for row in Authenticator.objects.all())
    assert secret not in stored
    assert base64.b32decode(secret).hex() not in stored
    assert TOTP(Authenticator.objects.get(type="totp")).validate_code(code(secret))


def test_deactivated_user_is_out_at_the_next_request(client: Client, ada: User, secret: str) -> None:
    sign_in(client)
    client.post(reverse("mfa_authenticate"), {"code": code(secret)})
    assert client.get("/admin/").status_code == 200
    User.objects.filter(pk=ada.pk).update(is_active=False)
    assert client.get("/admin/", follow=True).redirect_chain[-1][0].startswith("/accounts/login/")


def test_staff_session_lasts_twelve_hours(client: Client, ada: User) -> None:
    sign_in(client)
    assert client.session.get_expiry_age() == 12 * 3600
    assert not client.session.get_expire_at_browser_close()


def test_sixth_wrong_password_is_locked_out_even_if_right(client: Client, ada: User) -> None:
    for _ in range(5):
        last = sign_in(client, "wrong")
    assert last == "429"
    assert sign_in(client) == sign_in(client, name="ADA") == "429"
    assert sign_in(Client(), REMOTE_ADDR="192.0.2.7") == "/"


def test_lock_out_ends_after_a_quarter_of_an_hour(client: Client, ada: User) -> None:
    from axes.models import AccessAttempt

    for _ in range(5):
        sign_in(client, "wrong")
    for attempt in AccessAttempt.objects.all():
        AccessAttempt.objects.filter(pk=attempt.pk).update(
            attempt_time=attempt.attempt_time - settings.AXES_COOLOFF_TIME
        )
    cache.clear()
    assert sign_in(client) == "/"


def test_forged_forwarding_header_does_not_escape_the_lock(client: Client, ada: User) -> None:
    for number in range(5):
        sign_in(client, "wrong", HTTP_X_FORWARDED_FOR=f"192.0.2.{number}")
    assert sign_in(client, HTTP_X_FORWARDED_FOR="192.0.2.99") == "429"


@pytest.mark.parametrize("page", ["/accounts/signup/", "/accounts/email/", "/accounts/password/reset/"])
def test_what_staff_do_not_need_does_not_exist(client: Client, page: str) -> None:
    assert client.get(page).status_code == 404


def test_libraries_show_no_secrets_in_the_admin() -> None:
    from django.contrib import admin

    shown = {model._meta.app_label for model in admin.site._registry}
    assert not shown & {"account", "mfa", "django_q", "axes", "socialaccount"}


def request_of(client: Client, user: User) -> object:
    """A request of that client's session."""
    request = RequestFactory().get("/")
    request.session = client.session
    request.user = user
    return request


def test_fresh_factor_grows_stale(client: Client, ada: User, secret: str) -> None:
    ask: Callable[..., bool] = import_string(settings.FRESH_FACTOR)
    assert ask is fresh.fresh_second_factor
    sign_in(client)
    client.post(reverse("mfa_authenticate"), {"code": code(secret)})
    assert ask(request_of(client, ada))
    session = client.session
    for record in session["account_authentication_methods"]:
        record["at"] -= 301
    session.save()
    assert not ask(request_of(client, ada))
    assert ask(request_of(client, ada), max_age=600)


def test_asking_for_a_fresh_factor_returns_to_the_page(client: Client, ada: User, secret: str) -> None:
    client.force_login(ada)
    make_address: Callable[[str], str] = import_string(settings.FRESH_FACTOR_URL)
    address = make_address("/admin/auth/user/?q=1")
    assert client.get(address).status_code == 200
    done = client.post(address, {"code": code(secret), "next": "/admin/auth/user/?q=1"})
    assert done.headers["Location"] == "/admin/auth/user/?q=1"
    assert import_string(settings.FRESH_FACTOR)(request_of(client, ada))
    assert client.get("/admin/").status_code == 200


@pytest.mark.parametrize(
    ("kinds", "page"),
    [
        (("totp",), "mfa_reauthenticate"),
        (("webauthn",), "mfa_reauthenticate_webauthn"),
        ((), "account_reauthenticate"),
    ],
)
def test_who_has_a_second_factor_proves_it_again_and_not_the_password(
    client: Client, ada: User, kinds: tuple[str, ...], page: str
) -> None:
    for kind in kinds:
        Authenticator.objects.create(user=ada, type=kind, data={})
    methods = get_adapter().get_reauthentication_methods(ada)
    assert [method["url"] for method in methods] == [reverse(page)]
    client.force_login(ada)
    asked = client.post(f"{reverse('account_reauthenticate')}?next=/admin/", {"password": PASSWORD})
    assert asked.headers["Location"].startswith(f"{reverse(page)}?next=" if kinds else "/")
    may_change = client.get(reverse("mfa_generate_recovery_codes")).status_code == 200
    assert not (kinds and may_change)


def test_password_confirmation_is_no_fresh_factor(client: Client, ada: User, secret: str) -> None:
    client.force_login(ada)
    client.post(reverse("account_reauthenticate"), {"password": PASSWORD})
    assert not import_string(settings.FRESH_FACTOR)(request_of(client, ada))
