"""The roles of the access matrix: who somebody is, as a client that makes requests."""

from __future__ import annotations

import datetime as dt

from django.contrib.auth.models import Permission, User
from django.test import Client

from provisioning.api.tokens import api_token_create
from provisioning.lib import clock
from provisioning.models import ApiToken
from tests import factories
from tests.provisioning.admin.staffing import session_of

BACKEND = "allauth.account.auth_backends.AuthenticationBackend"


def viewing(user: User) -> User:
    """The same user with every *view* right and no other."""
    user.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    return user


def bearing(user: User) -> Client:
    """A client with a token of this user."""
    ends_at = clock.now() + dt.timedelta(days=1)
    _, plain = api_token_create(user=user, name="grafana", ends_at=ends_at)
    return Client(headers={"Authorization": f"Bearer {plain}"})


def anonymous() -> Client:
    """A stranger."""
    return Client()


def customer() -> Client:
    """Somebody who is signed in and no member of staff."""
    return session_of(factories.staff(username="linus", is_staff=False))


def half() -> Client:
    """A superuser who has shown the password alone."""
    client = Client()
    client.force_login(factories.staff(username="half", is_superuser=True), backend=BACKEND)
    return client


def bare() -> Client:
    """Staff without any right."""
    return session_of(factories.staff(username="bare"))


def viewer() -> Client:
    """Staff who may look at everything and change nothing."""
    return session_of(viewing(factories.staff(username="viewer")))


def root() -> Client:
    """A superuser."""
    return session_of(factories.staff(username="root", is_superuser=True))


def token() -> Client:
    """A machine that may read."""
    return bearing(viewing(factories.staff(username="machine", is_staff=False)))


def bare_token() -> Client:
    """A machine without rights."""
    return bearing(factories.staff(username="machine", is_staff=False))


def ended_token() -> Client:
    """A machine whose token has ended."""
    client = token()
    ApiToken.objects.filter(name="grafana", user__username="machine").update(ends_at=clock.now())
    return client


def gone_token() -> Client:
    """The token of a user who was deactivated."""
    client = token()
    User.objects.filter(username="machine").update(is_active=False)
    return client


def gone() -> Client:
    """A superuser who was deactivated in the middle of a session."""
    client = root()
    User.objects.filter(username="root").update(is_active=False)
    return client


ROLES = {
    role.__name__: role
    for role in (
        anonymous, customer, half, bare, viewer, root, gone, token, bare_token, ended_token, gone_token
    )
}  # fmt: skip
