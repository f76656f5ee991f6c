"""Machine users come with `Authorization: Bearer bb_…`; staff may browse with their session."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

from django.db.models import Q
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from provisioning.lib import clock
from provisioning.lib.crypto import token_hash
from provisioning.models import ApiToken

PREFIX = "bb_"
USE_GRAIN = dt.timedelta(minutes=1)
"""`last_used_at` is written at most this often, so that reading does not turn into writing."""

_HEADER = re.compile(r"Bearer (bb_[A-Za-z0-9_-]{43})", re.ASCII)


class TokenAuthentication(BaseAuthentication):
    """A token that has not ended, of a user who is active."""

    def authenticate(self, request: Request) -> tuple[Any, ApiToken] | None:
        """The token's user, or None where the request brings no bearer token. Raises AuthenticationFailed."""
        header = str(request.META.get("HTTP_AUTHORIZATION", ""))
        if not header.lower().startswith("bearer"):
            return None
        match = _HEADER.fullmatch(header)
        token = _find(match[1]) if match else None
        if token is None:
            raise AuthenticationFailed("This token is not valid, or it has ended. Ask for a new one.")
        _note_use(token)
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        """For the 401's WWW-Authenticate."""
        return "Bearer"


def _find(text: str) -> ApiToken | None:
    # The hash of 256 random bits is looked up: there is no secret left to compare in constant time.
    tokens = ApiToken.objects.select_related("user")
    return tokens.filter(hash=token_hash(text), ends_at__gt=clock.now(), user__is_active=True).first()


def _note_use(token: ApiToken) -> None:
    now = clock.now()
    stale = Q(last_used_at=None) | Q(last_used_at__lt=now - USE_GRAIN)
    if token.last_used_at is None or token.last_used_at < now - USE_GRAIN:
        ApiToken.objects.filter(stale, pk=token.pk).update(last_used_at=now)


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the OpenAPI document calls the tokens."""

    target_class = TokenAuthentication
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        """A bearer token in the usual header."""
        return {"type": "http", "scheme": "bearer", "bearerFormat": "bb_…"}
