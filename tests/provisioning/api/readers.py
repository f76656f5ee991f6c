"""Clients of the API: a machine user with a token, and staff with a session."""

from __future__ import annotations

import datetime as dt
import itertools
from typing import Any

from allauth.account.internal.flows.login import record_authentication
from django.contrib.auth.models import Permission, User
from django.test import Client, RequestFactory

from provisioning.api.tokens import api_token_create, machine_user_create
from provisioning.lib import clock
from tests import factories

_numbers = itertools.count(1)


def in_days(days: float) -> dt.datetime:
    """A moment from now."""
    return clock.now() + dt.timedelta(days=days)


def machine() -> Client:
    """A client with the token of a machine user who may read all."""
    user = machine_user_create(username=f"machine{next(_numbers)}")
    return bearing(user)


def bearing(user: User) -> Client:
    """A client with a token of this user."""
    _, plain = api_token_create(user=user, name="grafana", ends_at=in_days(1))
    return Client(headers={"Authorization": f"Bearer {plain}"})


def staff_session(*codenames: str, **fields: Any) -> Client:
    """Staff signed in with both factors, with these permissions."""
    user = factories.staff(**fields)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    client = Client()
    client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    request = RequestFactory().get("/")
    request.session = client.session
    record_authentication(request, user, "mfa")
    request.session.save()
    return client
