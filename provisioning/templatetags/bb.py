"""How times, states, amounts and payloads look on staff pages. Every output is escaped here."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

from django import template
from django.forms.boundfield import BoundField
from django.utils.html import format_html
from django.utils.safestring import SafeString

from provisioning.choices import EventStatus, Outcome
from provisioning.lib import clock
from provisioning.lib.redact import redact, redact_data
from provisioning.selectors import Word, span

register = template.Library()

BADGES: dict[str, tuple[str, str]] = {
    Word.RUNNING: ("good", "check_circle"),
    Word.WAITING: ("busy", "hourglass_top"),
    Word.SUSPENDED: ("calm", "pause_circle"),
    Word.ENDING: ("warn", "event_busy"),
    Word.NEEDS_YOU: ("bad", "priority_high"),
    Word.GONE: ("calm", "delete"),
    Word.UNKNOWN: ("warn", "help"),
    Outcome.OPEN: ("busy", "play_circle"),
    Outcome.RETRYING: ("warn", "replay"),
    Outcome.SUCCEEDED: ("good", "check_circle"),
    Outcome.UNCHANGED: ("calm", "check"),
    Outcome.FAILED: ("bad", "error"),
    Outcome.NEEDS_STAFF: ("bad", "priority_high"),
    Outcome.SUPERSEDED: ("calm", "arrow_forward"),
    Outcome.SKIPPED: ("calm", "redo"),
    EventStatus.RECEIVED: ("busy", "inbox"),
    EventStatus.PROCESSED: ("good", "check_circle"),
    EventStatus.IGNORED: ("calm", "block"),
    EventStatus.STALE: ("calm", "history"),
    EventStatus.HELD: ("bad", "priority_high"),
    EventStatus.REJECTED: ("warn", "report"),
    "ok": ("good", "check_circle"),
    "warning": ("warn", "warning"),
    "problem": ("bad", "error"),
    "trial": ("calm", "science"),
    "linked": ("good", "link"),
    "wanted": ("busy", "hourglass_top"),
}
"""State -> (tone, icon): each state has a word, an icon and a colour, never colour alone."""


@register.simple_tag
def badge(state: str, label: object = "") -> SafeString:
    """A state as icon and word in one colour."""
    tone, icon = BADGES.get(str(state), ("calm", "circle"))
    sign = format_html('<span class="material-symbols-outlined" aria-hidden="true">{}</span>', icon)
    return format_html('<span class="bb-badge bb-{}">{}{}</span>', tone, sign, label or state)


def exact(at: dt.datetime) -> str:
    """The whole date and time, with its zone."""
    return f"{at.astimezone(dt.UTC):%d %b %Y %H:%M:%S} UTC"


def relative(at: dt.datetime, now: dt.datetime) -> str:
    """*5 min ago*, *in 3 h*, *just now*."""
    seconds = (now - at).total_seconds()
    if abs(seconds) < 1:
        return "just now"
    return f"{span(seconds)} ago" if seconds > 0 else f"in {span(-seconds)}"


@register.simple_tag
def when(at: dt.datetime | None, empty: str = "never") -> str:
    """A time as people say it, with the exact one on hover and for screen readers."""
    if at is None:
        return empty
    return format_html(
        '<time datetime="{}" title="{}">{}<span class="bb-sr"> ({})</span></time>',
        at.isoformat(),
        exact(at),
        relative(at, clock.now()),
        exact(at),
    )


@register.simple_tag
def swapped(field: BoundField) -> SafeString:
    """A field's input, marked to take the place of the one that the browser shows."""
    return field.as_widget(attrs={"hx-swap-oob": "true"})


@register.filter
def amount(value: object, unit: str = "") -> str:
    """A number with its unit; MiB as GiB where whole, `None` as a dash."""
    if not isinstance(value, int) or isinstance(value, bool):
        return "-" if value is None else str(value)
    if unit == "MiB" and value >= 1024 and value % 1024 == 0:
        return f"{value // 1024} GiB"
    return f"{value} {unit}".strip()


@register.filter
def pretty(value: Any) -> str:
    """Data as indented JSON without secrets (CAL-12)."""
    return json.dumps(redact_data(value), indent=2, ensure_ascii=False, default=str)


def code(value: Any) -> SafeString:
    """The same as a block of code, for pages whose fields are filled from Python."""
    return format_html('<pre class="bb-code" tabindex="0">{}</pre>', pretty(value))


@register.filter
def masked(text: object) -> str:
    """Text without secrets."""
    return redact(str(text))


def payload(body: bytes, limit: int = 20_000) -> str:
    """A stored event body for people: pretty where it is JSON, without secrets in any case."""
    text = bytes(body).decode("utf-8", "replace")
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return redact(text, limit=limit)
    return redact(pretty(data), limit=limit)
