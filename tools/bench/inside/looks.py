"""Looks at a filled database through the product's own code: a drift pass, a sweep, the admin's pages."""

from __future__ import annotations

import time

from allauth.account.internal.flows.login import record_authentication
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from provisioning.choices import DriftOutcome
from provisioning.lib import clock
from provisioning.models import Drift, DriftPass, Panel, Service
from provisioning.reconcile.drift import drift_check
from provisioning.reconcile.schedules import sweep_all

JOBS = 60
"""More jobs than any pass needs: one that goes on for longer is stuck."""
ROUNDS = 3
BACKEND = "allauth.account.auth_backends.AuthenticationBackend"


def drift() -> dict[str, int]:
    """One whole pass over the only panel, job after job. Returns how many were compared and differ."""
    row = DriftPass.objects.create(panel=Panel.objects.get(), next_check_at=clock.now())
    for _ in range(JOBS):
        drift_check(row.pk)
        row.refresh_from_db()
        if row.outcome != DriftOutcome.NEVER:
            break
        # Leave for the next call: waiting for it is not what is measured.
        clock.shift(30)
    checked = row.checked if row.outcome == DriftOutcome.COMPARED else 0
    return {"checked": checked, "differences": Drift.objects.count()}


def sweep(*, due: int) -> dict[str, list[float]]:
    """Seconds that a full sweep takes which finds so many services due; a few times."""
    seconds = []
    for number in range(ROUNDS + 1):
        spread = Service.objects.count() // due
        first = Service.objects.order_by("pk").values_list("pk", flat=True)[0]
        chosen = [first + number + index * spread for index in range(due)]
        Service.objects.filter(pk__in=chosen).update(next_check_at=clock.now())
        began = time.monotonic()
        woken = sweep_all()
        seconds.append(time.monotonic() - began)
        if woken < due:
            raise AssertionError(f"The sweep woke {woken} of {due}.")
    # The first one opens connections.
    return {"seconds": seconds[1:]}


def pages() -> dict[str, object]:
    """The pages' paths, how many queries each needs, and the cookie of a session with both factors."""
    client = _signed_in(User.objects.get(is_superuser=True))
    service = Service.objects.order_by("pk")[Service.objects.count() // 2]
    paths = {
        "list": reverse("admin:provisioning_service_changelist"),
        "service": reverse("admin:provisioning_service_change", args=[service.pk]),
        "dashboard": reverse("admin:index"),
    }
    queries = {name: _queries(client, path) for name, path in paths.items()}
    return {"paths": paths, "queries": queries, "session": client.cookies["sessionid"].value}


def _signed_in(user: User) -> Client:
    """A client in a session that has shown both factors."""
    client = Client(SERVER_NAME="127.0.0.1")
    client.force_login(user, backend=BACKEND)
    request = RequestFactory().get("/")
    request.session = client.session
    record_authentication(request, user, "mfa")
    request.session.save()
    return client


def _queries(client: Client, path: str) -> int:
    client.get(path)
    with CaptureQueriesContext(connection) as context:
        answer = client.get(path)
    if answer.status_code != 200:
        raise AssertionError(f"{path} was answered with {answer.status_code} {answer.get('Location', '')}")
    return len(context)
