"""Health for load balancers and monitors: `/livez` (the process answers) and `/readyz` (it can do its work).

`/readyz` says in words what is wrong, and is cheap enough to be asked each second.
"""

from datetime import datetime
from typing import Final

from django.conf import settings
from django.db import Error as DatabaseFailure
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from provisioning.choices import EventStatus
from provisioning.lib import clock
from provisioning.models import Event, Heartbeat
from provisioning.selectors import observe_only_words
from provisioning.stored_secrets import lost_keys

WEB_BEAT: Final = "web"
BEATS: Final = {
    "tick": ("The ticker has not run", "Start `manage.py tick`, or look at why it stopped."),
    "sweep": ("No sweep has run", "Start the queue workers with `manage.py work`."),
    "worker": ("No worker has been seen", "Start `manage.py work`; if it runs, its log says more."),
}


@never_cache
@require_safe
def livez(request: HttpRequest) -> HttpResponse:
    """The process is up. Says nothing about anything behind it."""
    return JsonResponse({"status": "ok"})


@never_cache
@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """200 if all is well, else 503 with the reasons; never a secret, never an exception's text.

    `notes` say what staff chose or have to decide: events are taken all the same, so it is no failure.
    """
    notes: list[str] = []
    try:
        notes = [words] if (words := observe_only_words()) else []
        reasons = [*_write_reasons(), *_key_reasons(), *_beat_reasons(), *_inbox_reasons()]
    except DatabaseFailure:
        reasons = ["The database does not take writes. Look at its server, its disk and its lock."]
    body = {"status": "unavailable" if reasons else "ok", "reasons": reasons, "notes": notes}
    return JsonResponse(body, status=503 if reasons else 200)


def _write_reasons() -> list[str]:
    """Write a row; what the database raises is the caller's."""
    Heartbeat.objects.update_or_create(name=WEB_BEAT, defaults={"beat_at": clock.now()})
    return []


def _key_reasons() -> list[str]:
    """Without the keys of the stored secrets no panel can be called and no event be verified."""
    return [words] if (words := lost_keys()) else []


def _beat_reasons() -> list[str]:
    """The ticker and the sweep must have run lately (alarm after three minutes, reliability bar B12)."""
    beats = dict(Heartbeat.objects.filter(name__in=BEATS).values_list("name", "beat_at"))
    return [
        f"{words} {_since(beats.get(name))}. {advice}"
        for name, (words, advice) in BEATS.items()
        if _is_late(beats.get(name))
    ]


def _inbox_reasons() -> list[str]:
    """No event may lie unseen; one that waits for a panel has been seen."""
    unseen = Event.objects.filter(status=EventStatus.RECEIVED, attempts=0).order_by("id")
    oldest = unseen.values_list("received_at", flat=True).first()
    if oldest is None or not _is_late(oldest):
        return []
    return [f"An event has not been looked at {_since(oldest)}. Look at the queue's workers."]


def _is_late(moment: datetime | None) -> bool:
    return moment is None or _age(moment) > settings.HEALTH_MAX_LAG_SECONDS


def _age(moment: datetime) -> float:
    return (clock.now() - moment).total_seconds()


def _since(moment: datetime | None) -> str:
    return f"for {_age(moment):.0f} seconds" if moment else "yet"
