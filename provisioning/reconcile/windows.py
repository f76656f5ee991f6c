"""Panels that count calls in windows which a late call prolongs: when nobody may call (contract 2.6).

One row per panel, changed by conditional UPDATE, so that all workers of all hosts keep the same silence.
"""

from __future__ import annotations

from provisioning.drivers.types import RateWindow
from provisioning.exceptions import PanelWaiting
from provisioning.lib import clock
from provisioning.lib.ratelimit import Counted, window_take, window_wait
from provisioning.models import Panel, PanelWindow

TRIES = 20


def window_check(panel: Panel, window: RateWindow | None) -> None:
    """Raises PanelWaiting while a call would prolong the panel's window. Takes nothing."""
    if window is not None:
        _check(panel, window, _counted(_row(panel)), clock.now().timestamp())


def window_count(panel: Panel, window: RateWindow | None) -> None:
    """Counts a call that is about to be made. Raises PanelWaiting if it may not be made after all."""
    if window is None:
        return
    for _ in range(TRIES):
        row = _row(panel)
        before, now = _counted(row), clock.now().timestamp()
        _check(panel, window, before, now)
        after = window_take(before, now, edge=window.edge, clear=window.clear, silence=window.silence)
        same = PanelWindow.objects.filter(pk=row.pk, started=row.started, last=row.last, calls=row.calls)
        if same.update(started=after.started, last=after.last, calls=after.calls):
            return
    raise PanelWaiting(f"Many workers call panel “{panel}” at once.", reason="rate_budget", seconds=1)


def window_ended(panel: Panel) -> None:
    """The panel said when it begins to count anew (429): whoever calls after that begins a window."""
    PanelWindow.objects.filter(panel=panel).update(started=0, last=0, calls=0)


def _row(panel: Panel) -> PanelWindow:
    return PanelWindow.objects.get_or_create(panel=panel)[0]


def _counted(row: PanelWindow) -> Counted:
    return Counted(row.started, row.last, row.calls)


def _check(panel: Panel, window: RateWindow, count: Counted, now: float) -> None:
    wait = window_wait(
        count, now, edge=window.edge, clear=window.clear, silence=window.silence, most=window.calls
    )
    if wait > 0:
        words = f"Panel “{panel}” needs a few seconds of silence, so that it counts our calls anew."
        raise PanelWaiting(words, reason="rate_budget", seconds=wait)
