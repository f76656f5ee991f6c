"""Staff accounts: how allauth behaves here."""

import time
from typing import Any, Final

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.authentication import get_authentication_records
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.forms import ActivateTOTPForm
from allauth.mfa.totp.internal.auth import TOTP
from django.conf import settings
from django.http import HttpRequest

from billingbridge.proxies import client_ip
from billingbridge.second_factor import is_enrolled
from provisioning.models.fields import field_cipher

MFA_APP: Final = "allauth.mfa"


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth is untyped here
    """Closed to strangers; the caller's address comes from our own proxy rule."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Nobody signs up: staff are made by staff."""
        return False

    def get_client_ip(self, request: HttpRequest) -> str:
        """The address that the rate limits count."""
        return client_ip(request)

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """Leave wrong passwords to axes: allauth counts per name, so a stranger could lock anybody out."""

    def get_reauthentication_methods(self, user: Any) -> list[dict[str, Any]]:
        """How somebody proves afresh who they are: who has a second factor, by that and not by the password.

        On the page that asks for a fresh second factor a password would only lead back to the same page.
        """
        methods: list[dict[str, Any]] = super().get_reauthentication_methods(user)
        if not is_enrolled(user):
            return methods
        return [method for method in methods if method["id"] != "reauthenticate"]

    def is_reauthentication_required(self, *, app: str) -> bool:
        """Ask again before second factors are changed, except shortly after a proof.

        A typed code counts as one. The password of the sign-in itself counts only for the first enrolment.
        """
        if app != MFA_APP:
            return bool(super().is_reauthentication_required(app=app))
        user = self.request.user
        enrolled = is_enrolled(user)
        times = [
            record["at"]
            for record in get_authentication_records(self.request, user)
            if record["method"] == "mfa" or record.get("reauthenticated") or not enrolled
        ]
        return time.time() - max(times, default=0.0) > settings.ACCOUNT_REAUTHENTICATION_TIMEOUT


class SecondFactorAdapter(DefaultMFAAdapter):  # type: ignore[misc]  # allauth is untyped here
    """Keeps authenticator secrets encrypted with FIELD_KEYS; allauth would store them in clear."""

    def encrypt(self, text: str) -> str:
        """Encrypt with the newest key."""
        return field_cipher().encrypt(text)

    def decrypt(self, encrypted_text: str) -> str:
        """Decrypt with whichever key made it; raises the cipher's error for a foreign text."""
        return field_cipher().decrypt(encrypted_text)


def attempted_name(request: HttpRequest | None, credentials: dict[str, Any] | None) -> str:
    """The name somebody tries to sign in with, folded: allauth finds *Ada* by *ADA*, so axes must as well."""
    posted = request.POST.get("login", "") if request else ""
    return str((credentials or {}).get("username") or posted).strip().casefold()


class EnrolForm(ActivateTOTPForm):  # type: ignore[misc]  # allauth is untyped here
    """Enrolment whose code is spent, so that it cannot be used again to sign in (ASVS 6.5.1)."""

    def clean_code(self) -> str:
        """The checked code; refuses one that was used a moment ago."""
        code: str = super().clean_code()
        totp = TOTP(Authenticator(user=self.user, type=Authenticator.Type.TOTP))
        if not totp._mark_code_used(code):
            raise self._used()
        return code

    def _used(self) -> Any:
        return SecondFactorAdapter().validation_error("incorrect_code")
