"""Writers of machine users and their tokens. A token is shown once; its hash is all that is kept."""

from __future__ import annotations

import datetime as dt
import secrets

from django.contrib.auth.models import Permission, User
from django.core.exceptions import ValidationError
from django.db import transaction

from provisioning import audit
from provisioning.api.authentication import PREFIX
from provisioning.lib import clock
from provisioning.lib.crypto import last_four, token_hash
from provisioning.lib.redact import register_secret
from provisioning.models import ApiToken

READABLE = ("service", "operation", "event", "panel", "product", "drift")
"""The models that the API shows."""


@transaction.atomic
def machine_user_create(*, username: str) -> User:
    """Makes a user without password who may read the API's lists. Raises ValidationError if taken."""
    if User.objects.filter(username=username).exists():
        raise ValidationError(f"There is a user “{username}” already. Choose another name.")
    user = User(username=username)
    user.set_unusable_password()
    user.full_clean(exclude=["password"])
    user.save()
    codenames = [f"view_{model}" for model in READABLE]
    user.user_permissions.set(
        Permission.objects.filter(content_type__app_label="provisioning", codename__in=codenames)
    )
    audit.record(service=None, action="machine_user_created", message=f"Machine user “{username}” was made.")
    return user


@transaction.atomic
def api_token_create(*, user: User, name: str, ends_at: dt.datetime) -> tuple[ApiToken, str]:
    """Makes a token and returns it with its plain text, which is never seen again.

    Raises ValidationError for a nameless token, or an end that has passed.
    """
    if not name.strip():
        raise ValidationError("Name the token after what uses it.")
    if ends_at <= clock.now():
        raise ValidationError("The token's end lies in the past. Choose a later one.")
    plain = PREFIX + secrets.token_urlsafe(32)
    register_secret(plain)
    token = ApiToken.objects.create(
        user=user, name=name.strip()[:80], hash=token_hash(plain), hint=last_four(plain), ends_at=ends_at
    )
    audit.record(
        service=None,
        action="api_token_created",
        message=f"API token “{token}” of {user.get_username()} was made. It ends on {ends_at:%d %B %Y}.",
    )
    return token, plain
