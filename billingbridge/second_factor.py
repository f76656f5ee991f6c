"""No staff page without a second factor (bar B19).

A staff session that has not shown a second factor may visit the sign-in pages and nothing else: without one
it is led to enrolment, with one it is asked for a code.
"""

from collections.abc import Callable
from typing import Any, Final

from allauth.account.authentication import get_authentication_records
from allauth.account.internal.flows.login import record_authentication
from allauth.mfa.models import Authenticator
from allauth.mfa.signals import authenticator_added
from allauth.mfa.utils import is_mfa_enabled
from django.contrib.auth.models import AbstractBaseUser
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import urlencode

GetResponse = Callable[[HttpRequest], HttpResponseBase]
OPEN_PREFIXES: Final = ("/accounts/", "/static/", "/webhooks/", "/livez", "/readyz")


class SecondFactorMiddleware:
    """Leads staff without a second factor to the page where they show or set up one."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Let the request through, or redirect it."""
        if request.path_info.startswith(OPEN_PREFIXES) or not lacks_second_factor(request):
            return self.get_response(request)
        page = "mfa_reauthenticate" if is_enrolled(request.user) else "mfa_activate_totp"
        return HttpResponseRedirect(f"{reverse(page)}?{urlencode({'next': request.get_full_path()})}")


def lacks_second_factor(request: HttpRequest) -> bool:
    """Whether this is a staff session that proved a password only."""
    user = request.user
    return user.is_authenticated and user.is_staff and not last_second_factor(request)


def last_second_factor(request: HttpRequest) -> float:
    """When this session last proved a second factor (Unix seconds); 0.0 if never."""
    times = [
        record["at"]
        for record in get_authentication_records(request, request.user)
        if record.get("method") == "mfa"
    ]
    return max(times, default=0.0)


def is_enrolled(user: Any) -> bool:
    """Whether the user has a second factor; recovery codes alone are none."""
    return bool(is_mfa_enabled(user, [Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN]))


def _record_enrolment(
    *, request: HttpRequest, user: AbstractBaseUser, authenticator: Authenticator, **kwargs: Any
) -> None:
    """Enrolling proves the factor: its code was typed in, so staff are not asked again at once."""
    if authenticator.type != Authenticator.Type.RECOVERY_CODES:
        record_authentication(request, user, "mfa", id=authenticator.pk, type=authenticator.type)


def connect() -> None:
    """Connect the receiver; called when the apps are ready."""
    authenticator_added.connect(_record_enrolment, dispatch_uid="billingbridge.record_enrolment")
