"""The gate of each panel: rate budget, silence after a 429, circuit breaker, parking after a refused key.

One row per panel, changed by conditional UPDATE, shared by all workers of all hosts and visible in the
admin. Nobody sleeps here: who may not pass is told how long to wait, and its job ends (DESIGN section 5).
"""

from __future__ import annotations

import datetime as dt

from django.conf import settings
from django.db.models import F

from provisioning.choices import LIVE_OUTCOMES
from provisioning.exceptions import PanelWaiting
from provisioning.lib import clock
from provisioning.lib.http import Answer
from provisioning.lib.ratelimit import backoff, decide
from provisioning.models import Operation, Panel, PanelGate, Service
from provisioning.notifications import staff_notify

FAILURES_TO_OPEN = 3
"""So many calls in a row without a usable answer open the breaker."""
PARKED_PROBES = 10
"""A parked panel is probed this many times more rarely than one that is down."""
PANEL_REASONS = ("panel_unreachable", "panel_unknown", "panel_key", "panel_tls", "panel_address")
"""What waits for one of these waits for the panel as a whole, and goes on when it answers again."""
CALLS_BOOKED = 2
"""What a piece of work usually needs: its moments are booked that far apart."""
LONGEST_BOOKING = 600.0
"""Seconds. Beyond it moments are shared: a change of the panel's limit must not leave anybody for hours."""
MOST_AT_ONCE = 16
"""Calls: a few orders. What may be made at once is taken off the steady rate that a crowd of orders needs."""
URGENT_RESERVE = 0.3
"""The share of the burst that sweeps leave to paying customers."""
EXPRESS_RESERVE = 2
"""Calls of the burst that new orders leave to work on servers that are there: a suspension is two calls."""


def gate_of(panel: Panel) -> PanelGate:
    """The panel's gate, made at its first use."""
    return PanelGate.objects.get_or_create(panel=panel)[0]


def budget(panel: Panel, gate: PanelGate, default_rate: int) -> tuple[int, int]:
    """(calls a minute, burst) such that no minute ever sees more than the panel allows."""
    allowed = gate.limit_seen or default_rate
    total = panel.rate_per_minute or int(allowed * 0.98)
    burst = max(2, min(total // 10, MOST_AT_ONCE))
    return max(1, total - burst), burst


def gate_pass(
    *, panel: Panel, default_rate: int, urgent: bool = True, express: bool = False, trial: bool = False
) -> None:
    """Takes one call from the budget. Raises PanelWaiting with a reason and the seconds to wait.

    `express` work passes the queue of those who booked. A `trial` by staff passes an open breaker, but keeps
    the silence after a 429: a call made in it may lengthen it for everybody.
    """
    for _ in range(20):
        gate = gate_of(panel)
        now = clock.now()
        _check_silence(panel, gate, now)
        probing = trial or _check_breaker(panel, gate, now)
        rate, burst = budget(panel, gate, default_rate)
        decision = decide(
            gate.tat,
            now.timestamp(),
            rate_per_minute=rate,
            burst=burst,
            reserve=0 if probing else _reserve(burst, urgent=urgent, express=express),
        )
        if not decision.granted:
            wait = _unbooked(gate, now.timestamp(), decision.wait, burst, urgent=urgent, express=express)
            if wait:
                raise _used_up(panel, rate + burst, wait)
            _book(panel, gate, now.timestamp() + decision.wait, rate=rate, burst=burst)
            continue
        if PanelGate.objects.filter(pk=gate.pk, tat=gate.tat).update(tat=decision.tat):
            return
    raise PanelWaiting(f"Many workers call panel “{panel}” at once.", reason="rate_budget", seconds=1)


def _reserve(burst: int, *, urgent: bool, express: bool) -> int:
    """How many calls of the burst are left to those who are in more of a hurry."""
    if express:
        return 0
    least = _express_share(burst)
    return least if urgent else least + int(burst * URGENT_RESERVE)


def _express_share(burst: int) -> int:
    # None of a tiny burst: there, everybody stands in one queue.
    return min(EXPRESS_RESERVE, burst // 5)


def _unbooked(gate: PanelGate, now: float, wait: float, burst: int, *, urgent: bool, express: bool) -> float:
    """How long whoever was refused waits without a moment of their own; 0 for those who book one.

    A suspension needs the next call only. Sweeps and looks at a running install come back when those who
    booked are through, not all of them at once.
    """
    if express and _express_share(burst):
        return wait
    if urgent or express:
        return 0
    return max(wait, min(gate.booked - now, LONGEST_BOOKING)) * (1 + backoff(1, base=0.5, cap=0.5))


def _book(panel: Panel, gate: PanelGate, earliest: float, *, rate: int, burst: int) -> None:
    """Promises whoever was refused a moment of their own, one after the other.

    Otherwise a thousand orders that wait would all come back for the next free call, each second anew.
    Raises PanelWaiting once the moment is booked; returns where somebody else was faster.
    """
    now = clock.now().timestamp()
    at = min(max(gate.booked, earliest), now + LONGEST_BOOKING)
    after = at + CALLS_BOOKED * 60 / rate
    if PanelGate.objects.filter(pk=gate.pk, booked=gate.booked).update(booked=after):
        raise _used_up(panel, rate + burst, at - now)


def _used_up(panel: Panel, allowed: int, seconds: float) -> PanelWaiting:
    words = f"Panel “{panel}” allows {allowed} calls a minute; our share is used up."
    return PanelWaiting(words, reason="rate_budget", seconds=max(seconds, 0.1))


def _check_silence(panel: Panel, gate: PanelGate, now: dt.datetime) -> None:
    if gate.silent_until and gate.silent_until > now:
        wait = (gate.silent_until - now).total_seconds()
        words = f"Panel “{panel}” asked for silence until {gate.silent_until:%H:%M:%S} UTC."
        raise PanelWaiting(words, reason="rate_limited", seconds=wait)


def _check_breaker(panel: Panel, gate: PanelGate, now: dt.datetime) -> bool:
    """Whether this call is the probe of an open breaker. Raises PanelWaiting for all others."""
    if gate.open_until is None:
        return False
    if gate.open_until <= now and _claim_probe(gate, now):
        return True
    # How long to wait is left to the engine's patience: the sweep sends the probes, and recovery wakes all.
    raise PanelWaiting(
        down_words(panel, gate),
        reason="panel_key" if gate.parked_at else "panel_unreachable",
    )


def _claim_probe(gate: PanelGate, now: dt.datetime) -> bool:
    every = settings.PROBE_SECONDS * (PARKED_PROBES if gate.parked_at else 1)
    until = now + dt.timedelta(seconds=every)
    return bool(PanelGate.objects.filter(pk=gate.pk, open_until=gate.open_until).update(open_until=until))


def down_words(panel: Panel, gate: PanelGate) -> str:
    """The sentence that every waiting order of this panel shows."""
    if gate.parked_at:
        return f"Panel “{panel}” refuses our key since {gate.parked_at:%H:%M} UTC: {gate.last_error}"
    since = f" since {gate.down_since:%H:%M} UTC" if gate.down_since else ""
    return f"Panel “{panel}” does not answer{since}: {gate.last_error}"


def gate_answered(*, panel: Panel, answer: Answer) -> None:
    """The panel answered: closes the breaker, notes its own rate limit."""
    limit, remaining = _header(answer, "x-ratelimit-limit"), _header(answer, "x-ratelimit-remaining")
    now = clock.now()
    rows = PanelGate.objects.filter(panel=panel)
    recovered = rows.exclude(failures=0, open_until=None, parked_at=None).update(
        failures=0, open_until=None, down_since=None, parked_at=None, last_error=""
    )
    rows.update(last_ok_at=now, **({"limit_seen": limit, "remaining_seen": remaining} if limit else {}))
    if recovered:
        wake_waiting(panel=panel)


def _header(answer: Answer, name: str) -> int | None:
    value = answer.headers.get(name, "")
    return int(value) if value.isascii() and value.isdigit() and len(value) < 7 else None


def wake_waiting(*, panel: Panel) -> None:
    """The panel is back: what waited for it goes on now, not at its next try."""
    now = clock.now()
    waiting = Operation.objects.filter(outcome__in=LIVE_OUTCOMES, panel=panel, reason__in=PANEL_REASONS)
    Service.objects.filter(pk__in=waiting.values("service")).update(next_check_at=now)
    waiting.update(next_attempt_at=now)


def gate_failed(*, panel: Panel, words: str) -> None:
    """No usable answer. After a few in a row the breaker opens, with one alert for the cause."""
    now = clock.now()
    gate_of(panel)
    rows = PanelGate.objects.filter(panel=panel)
    rows.filter(down_since=None).update(down_since=now)
    rows.update(failures=F("failures") + 1, last_error=words[:500])
    until = now + dt.timedelta(seconds=settings.PROBE_SECONDS)
    opened = rows.filter(failures__gte=FAILURES_TO_OPEN, open_until=None).update(open_until=until)
    if opened:
        gate = gate_of(panel)
        staff_notify(
            key=f"panel_down:{panel.pk}:{gate.down_since}",
            template="panel_down",
            context={"panel": panel.name, "panel_id": panel.pk, "words": down_words(panel, gate)},
        )


def gate_silence(*, panel: Panel, seconds: float) -> None:
    """The panel answered 429: nobody calls it until then."""
    until = clock.now() + dt.timedelta(seconds=seconds)
    PanelGate.objects.filter(panel=panel).update(silent_until=until)


def gate_park(*, panel: Panel, words: str) -> None:
    """The panel refused our key: nothing more is tried with it, but for a rare probe. One alert."""
    now = clock.now()
    until = now + dt.timedelta(seconds=settings.PROBE_SECONDS * PARKED_PROBES)
    parked = PanelGate.objects.filter(panel=panel, parked_at=None).update(
        parked_at=now, open_until=until, last_error=words[:500]
    )
    if parked:
        staff_notify(
            # By the day: a key that lacks one right only is parked again after each call that it may make.
            key=f"panel_parked:{panel.pk}:{now:%Y-%m-%d}",
            template="panel_parked",
            context={"panel": panel.name, "panel_id": panel.pk, "words": words},
        )


def gate_unpark(*, panel: Panel) -> None:
    """Staff set a new key or saw the test succeed: everything that waited goes on."""
    PanelGate.objects.filter(panel=panel).update(
        parked_at=None, open_until=None, failures=0, down_since=None, silent_until=None, last_error=""
    )
    wake_waiting(panel=panel)


def probes_due() -> list[int]:
    """One waiting service of each panel whose breaker is due for a probe; the others sleep on.

    The one that has called least: a server that the panel shows as nonsense must not be asked for again and
    again, while any other would find the panel well.
    """
    found = []
    for panel in PanelGate.objects.filter(open_until__lte=clock.now()).values_list("panel", flat=True):
        waiting = Operation.objects.filter(panel=panel, outcome__in=LIVE_OUTCOMES, reason__in=PANEL_REASONS)
        first = waiting.order_by(F("calls") + F("polls"), "waiting_since", "pk").first()
        if first:
            Operation.objects.filter(pk=first.pk).update(next_attempt_at=clock.now())
            found.append(first.service_id)
    return found
