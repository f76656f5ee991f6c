"""Health for load balancers and monitors: `/livez` (the process answers) and `/readyz` (it can do its work).

`/readyz` says in words what is wrong and is cheap enough for a probe each second.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Final

from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from provisioning.lib import clock
from provisioning.models import Event, Heartbeat

Check = Callable[[], str]
WEB_BEAT: Final = "web"
WORDS: Final = {
    "tick": "No ticker has shown itself",
    "sweep": "No sweep has run",
    "worker": "No queue worker has finished a job",
}


@never_cache
@require_safe
def livez(request: HttpRequest) -> HttpResponse:
    """The process is up. Says nothing about anything behind it."""
    return JsonResponse({"status": "ok"})


@never_cache
@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """200 if all checks pass, else 503 with the reasons; never a secret, never an exception's text."""
    try:
        reasons = [reason for check in (database, inbox, beats) if (reason := check())]
    except DatabaseError:
        reasons = ["The database does not accept writes. Look at its server and its disk space."]
    body = {"status": "unavailable" if reasons else "ok", "reasons": reasons}
    return JsonResponse(body, status=503 if reasons else 200)


def database() -> str:
    """Writes a row; DatabaseError is the caller's."""
    Heartbeat.objects.update_or_create(name=WEB_BEAT, defaults={"beat_at": clock.now()})
    return ""


def inbox() -> str:
    """The oldest event that nobody has looked at must not be old."""
    oldest = Event.objects.filter(status="received").order_by("received_at").first()
    return late("The oldest unread event has waited", oldest.received_at) if oldest else ""


def beats() -> str:
    """The sweep and the ticker must have run lately."""
    return ""


def late(words: str, since: object) -> str:
    """A sentence if *since* is longer ago than HEALTH_MAX_LAG_SECONDS, else nothing."""
    limit = timedelta(seconds=settings.HEALTH_MAX_LAG_SECONDS)
    return f"{words} {limit}" if since else ""
