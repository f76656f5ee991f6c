"""*Sign in again*: proof of a second factor within the last minutes, before something dangerous.

Apps must not import this package. They load `settings.FRESH_FACTOR` with `import_string` and ask it. If it
says no, they redirect to what `settings.FRESH_FACTOR_URL`, loaded the same way, makes of the way back.
"""

import time

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse
from django.utils.http import urlencode

from billingbridge.second_factor import last_second_factor


def fresh_second_factor(request: HttpRequest, max_age: int | None = None) -> bool:
    """Whether this session proved its second factor within *max_age* seconds (default: the setting).

    Reads the host's clock: sign-in times are the library's own, and no demo speeds them up.
    """
    age = time.time() - last_second_factor(request)
    return request.user.is_authenticated and age <= (max_age or settings.FRESH_FACTOR_SECONDS)


def fresh_second_factor_url(next_url: str) -> str:
    """The page that asks for a code and then returns to *next_url* (a path of this site)."""
    return f"{reverse('mfa_reauthenticate')}?{urlencode({'next': next_url})}"
