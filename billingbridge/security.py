"""What browsers may do with our pages, and how passwords are judged.

Pages run under a strict content policy. The admin's theme evaluates expressions in the browser and sets
inline styles, so `/admin/` gets exactly these two rights more, and nothing else does.
"""

from typing import Any, Final

from csp.constants import NONE, SELF, UNSAFE_EVAL, UNSAFE_INLINE
from csp.middleware import CSPMiddleware, PolicyParts
from django.conf import settings
from django.http import HttpRequest, HttpResponseBase

STRICT_POLICY: Final[dict[str, Any]] = {
    "default-src": [NONE],
    "script-src": [SELF],
    "style-src": [SELF],
    # data: carries the QR code of the sign-in set-up.
    "img-src": [SELF, "data:"],
    "font-src": [SELF],
    "connect-src": [SELF],
    "form-action": [SELF],
    "base-uri": [NONE],
    "frame-ancestors": [NONE],
    "object-src": [NONE],
    "manifest-src": [SELF],
}
ADMIN_ADDITIONS: Final[dict[str, Any]] = {
    "script-src": [UNSAFE_EVAL],
    "style-src": [UNSAFE_INLINE],
}
ADMIN_PREFIX: Final = "/admin/"

_VALIDATORS = "django.contrib.auth.password_validation"
PASSWORD_VALIDATORS: Final[list[dict[str, Any]]] = [
    {"NAME": f"{_VALIDATORS}.UserAttributeSimilarityValidator"},
    {"NAME": f"{_VALIDATORS}.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": f"{_VALIDATORS}.CommonPasswordValidator"},
    {"NAME": f"{_VALIDATORS}.NumericPasswordValidator"},
]


class PolicyMiddleware(CSPMiddleware):
    """Sends the content policy, strict or the admin's; and lets no cache keep a page with people's data."""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """The policy, and `no-store` on whatever says nothing of caches itself."""
        answer: HttpResponseBase = super().process_response(request, response)
        if not request.path_info.startswith(settings.STATIC_URL):
            answer.setdefault("Cache-Control", "no-store")
        return answer

    def get_policy_parts(
        self, request: HttpRequest, response: HttpResponseBase, report_only: bool = False
    ) -> PolicyParts:
        """The policy for this path."""
        parts = super().get_policy_parts(request, response, report_only)
        if request.path_info.startswith(ADMIN_PREFIX) and parts.update is None:
            parts.update = ADMIN_ADDITIONS
        return parts
