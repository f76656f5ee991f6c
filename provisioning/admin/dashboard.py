"""The dashboard: a sentence, tiles, and the newest services. A bounded number of queries, no full count."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db.models import Q
from django.http import HttpRequest
from django.urls import reverse

from provisioning import selectors
from provisioning.choices import LIVE_OUTCOMES, DesiredState, DriftOutcome, EventStatus
from provisioning.lib import clock
from provisioning.models import DriftPass, Event, Heartbeat, Operation, Panel, PanelGate, Service
from provisioning.reconcile.drift_staff import differences
from provisioning.selectors import Count, capped

NEWEST = 12
PANELS = 12
UNANSWERED = (EventStatus.HELD, EventStatus.REJECTED, EventStatus.FAILED)
MINUTE = dt.timedelta(minutes=1)
BEATS = (("tick", "Ticker"), ("sweep", "Sweep"), ("worker", "Workers"))


@dataclass(frozen=True)
class Tile:
    """One number with what it means and where it leads."""

    title: str
    big: str
    words: str = ""
    url: str = ""
    tone: str = ""


@dataclass(frozen=True)
class NewRow:
    """One of the newest services, with its way in dots."""

    service: Service
    word: selectors.Word
    sentence: str
    steps: list[selectors.Step]
    seconds: str


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Fills the theme's index page; named in settings.UNFOLD."""
    if not request.user.has_perm("provisioning.view_service"):
        return {**context, "may_look": False}
    now = clock.now()
    sold = {"service__is_trial": False}
    stuck = capped(selectors.operations_needing_staff().filter(**sold))
    waiting = capped(Operation.objects.filter(outcome__in=LIVE_OUTCOMES, **sold))
    tiles = [needs_you(stuck), *order_tiles(now), last_event(now), drift(), *beats(now)]
    rows = panels(now)
    alarm = alarms([*tiles[1:], *rows])
    return {
        **context,
        "may_look": True,
        "sentence": f"{sentence(stuck, waiting)} {alarm}".strip(),
        "calm": not (stuck or alarm),
        "moving": bool(waiting),
        "observe_only": selectors.observe_only_words(),
        "tiles": tiles,
        "panels": rows,
        "newest": newest(now),
    }


def sentence(stuck: Count, waiting: Count) -> str:
    """*3 orders need you*, or that all agree."""
    if stuck:
        return f"{stuck} order{'s need' if stuck.number > 1 else ' needs'} you."
    if waiting:
        return f"{waiting} order{'s are' if waiting.number > 1 else ' is'} under way; nothing needs you."
    wanted = Q(desired_state__in=[DesiredState.PRESENT, DesiredState.SUSPENDED])
    total = capped(Service.objects.filter(wanted, is_trial=False))
    if not total:
        return "No services yet: map a product, then let billing send its first event."
    return (
        f"All {total} services agree with their panels."
        if total.number > 1
        else "The one service agrees with its panel."
    )


def alarms(tiles: list[Tile]) -> str:
    """What else is wrong, so that no red tile stands below *All right*."""
    return " ".join(f"{tile.title}: {tile.big}." for tile in tiles if tile.tone == "bad")


def _services_url(query: str = "") -> str:
    return reverse("admin:provisioning_service_changelist") + query


def needs_you(stuck: Count) -> Tile:
    """Operations and events that only a person can bring on."""
    events = capped(Event.objects.filter(status__in=UNANSWERED))
    words = (
        f"and {events} event{'s' if events.number != 1 else ''} to look at" if events else "no event is held"
    )
    tone = "bad" if stuck else ""
    return Tile("Needs you", str(stuck), words, _services_url("?state=needs_you"), tone)


def order_tiles(now: dt.datetime) -> list[Tile]:
    """Paid and waiting, suspending and deleting within a day."""
    sold = Service.objects.filter(is_trial=False)
    unready = sold.filter(desired_state=DesiredState.PRESENT, ready_at=None)
    oldest = unready.order_by("created_at").values_list("created_at", flat=True).first()
    age = f"oldest {selectors.span((now - oldest).total_seconds())}" if oldest else "none waits"
    suspending = sold.filter(selectors.suspending(now))
    deleting = sold.filter(selectors.deleting(now))
    return [
        Tile("Paid and waiting", str(capped(unready)), age, _services_url("?state=waiting")),
        Tile(
            "Suspending in 24 h",
            str(capped(suspending)),
            "unless a payment comes",
            _services_url("?due=suspend"),
        ),
        Tile(
            "Deleting in 24 h",
            str(capped(deleting)),
            "undo windows that close",
            _services_url("?due=delete"),
        ),
    ]


def last_event(now: dt.datetime) -> Tile:
    """When billing was last heard."""
    newest_event = Event.objects.order_by("-received_at").only("type", "received_at").first()
    url = reverse("admin:provisioning_event_changelist")
    if newest_event is None:
        return Tile("Last event", "none", "billing has not sent anything yet", url)
    age = selectors.span((now - newest_event.received_at).total_seconds())
    return Tile("Last event", f"{age} ago", newest_event.type or "not looked at yet", url)


def drift() -> Tile:
    """Differences that nobody asked for, and panels on which deletes are frozen because of them."""
    found = capped(differences())
    passes = list(DriftPass.objects.values_list("outcome", "frozen_at")[: selectors.CAP])
    frozen = sum(at is not None for _, at in passes)
    url = reverse("admin:provisioning_drift_changelist")
    tone = "bad" if frozen else "warn" if found else ""
    return Tile("Drift", str(found), _drift_words([outcome for outcome, _ in passes], frozen), url, tone)


def _drift_words(outcomes: list[str], frozen: int) -> str:
    unread = outcomes.count(DriftOutcome.UNKNOWN)
    if frozen:
        return f"deletes frozen on {frozen} panel{'s' if frozen > 1 else ''}"
    if unread:
        return f"{unread} panel{'s' if unread > 1 else ''} could not be read"
    if DriftOutcome.COMPARED not in outcomes:
        return "no panel was compared yet"
    return "differences between panels and what was sold"


def beats(now: dt.datetime) -> list[Tile]:
    """Whether ticker, sweep and workers live, in one tile."""
    rows = list(Heartbeat.objects.all()[:50])
    late: list[str] = []
    for prefix, label in BEATS:
        times = [row.beat_at for row in rows if row.name.startswith(prefix)]
        age = (now - max(times)).total_seconds() if times else None
        if age is None or age > settings.HEALTH_MAX_LAG_SECONDS:
            late.append(f"{label}: {'never' if age is None else selectors.span(age) + ' ago'}")
    url = reverse("admin:provisioning_heartbeat_changelist")
    if late:
        return [Tile("Heartbeats", "late", ", ".join(late), url, "bad")]
    return [Tile("Heartbeats", "all well", "ticker, sweep and workers", url)]


def panels(now: dt.datetime) -> list[Tile]:
    """One tile a panel: does it answer, how many calls are left, is it parked."""
    rows = Panel.objects.filter(retired=False).select_related("gate").order_by("name")[:PANELS]
    return [_panel_tile(panel, getattr(panel, "gate", None), now) for panel in rows]


def _panel_tile(panel: Panel, gate: PanelGate | None, now: dt.datetime) -> Tile:
    url = reverse("admin:provisioning_panel_change", args=[panel.pk])
    big, words, tone = panel_state(panel, gate, now)
    return Tile(f"Panel {panel}", big, words, url, tone)


def panel_state(panel: Panel, gate: PanelGate | None, now: dt.datetime) -> tuple[str, str, str]:
    """How a panel stands, as (word, sentence, tone)."""
    if gate is None:
        return "not called yet", "its first call is still to come", ""
    if gate.parked_at:
        return "parked", "it refuses our key: set a new one, then test the connection", "bad"
    if gate.open_until:
        since = f" since {gate.down_since:%H:%M} UTC" if gate.down_since else ""
        return "silent", f"does not answer{since}; probed again by itself", "bad"
    if panel.observe_only:
        return "observe only", "looked at, never changed", "warn"
    if panel.retired:
        return "retired", "takes no new servers", "warn"
    return "answering", _calls_left(gate, now), ""


def _calls_left(gate: PanelGate, now: dt.datetime) -> str:
    """What the panel said last; its minute is over after one."""
    if gate.remaining_seen is None or gate.last_ok_at is None:
        return "no limit was seen"
    if now - gate.last_ok_at > MINUTE:
        return f"{gate.limit_seen} calls a minute allowed"
    return f"{gate.remaining_seen} of {gate.limit_seen} calls left"


def newest(now: dt.datetime) -> list[NewRow]:
    """The newest services, each with its steps and the seconds from order to ready."""
    sold = selectors.services().filter(is_trial=False)
    rows = sold.select_related("customer", "product", "connection").order_by("-id")[:NEWEST]
    found = selectors.operations_attach(rows)
    steps = selectors.steps_of(found)
    return [
        NewRow(
            row,
            selectors.word_of(row),
            selectors.situation(row, selectors.newest_of(row), now),
            steps[row.pk],
            selectors.span((row.ready_at - row.created_at).total_seconds()) if row.ready_at else "",
        )
        for row in found
    ]
