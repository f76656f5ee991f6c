"""The silence that some panels need between their windows, shared by all workers (issue 5 A)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from provisioning.drivers.types import RateWindow
from provisioning.exceptions import PanelWaiting
from provisioning.lib import clock
from provisioning.models import Panel, PanelGate, PanelWindow
from provisioning.reconcile.transport import PanelTransport
from provisioning.reconcile.windows import window_check, window_count
from provisioning.sandbox.calagopus.server import CalagopusSandbox
from tests import factories

FEW = RateWindow(edge=27, clear=31, silence=32, calls=3)


@pytest.fixture
def sandbox() -> Iterator[CalagopusSandbox]:
    """A panel that counts as one with Redis does."""
    with CalagopusSandbox() as running:
        running.settings.rate_limit, running.settings.rate_redis = 360, True
        yield running


@pytest.fixture
def row(sandbox: CalagopusSandbox, db: None) -> Panel:
    """Our row of that panel."""
    return factories.panel(driver="calagopus", url=sandbox.url, api_key=sandbox.application_key)


def call(row: Panel) -> int:
    """One call through the engine's transport; its status."""
    where = "/api/admin/servers/external/nobody"
    return PanelTransport(row).request("GET", where, read_timeout=15).status


def test_the_end_of_a_window_is_silent_for_every_worker(row: Panel) -> None:
    assert call(row) == 404
    clock.shift(28)
    budget = PanelGate.objects.get().tat
    for _ in range(2):
        with pytest.raises(PanelWaiting) as caught:
            call(row)
        assert caught.value.reason == "rate_budget"
        assert 2 <= caught.value.seconds <= 3
    assert PanelWindow.objects.get().calls == 1
    assert PanelGate.objects.get().tat == budget, "who has to wait uses up no call"
    clock.shift(3.1)
    assert call(row) == 404
    assert PanelWindow.objects.get().calls == 1


def test_calls_are_counted_up_to_what_a_window_holds(row: Panel) -> None:
    for _ in range(3):
        window_check(row, FEW)
        window_count(row, FEW)
    with pytest.raises(PanelWaiting):
        window_check(row, FEW)
    with pytest.raises(PanelWaiting):
        window_count(row, FEW)


def test_a_429_is_obeyed_in_silence_and_begins_a_new_window(row: Panel, sandbox: CalagopusSandbox) -> None:
    call(row)
    sandbox.faults.add("rate_limited", seconds=12)
    assert call(row) == 429
    sandbox.calls.clear()
    clock.shift(13)
    with pytest.raises(PanelWaiting) as caught:
        call(row)
    assert caught.value.reason == "rate_limited"
    assert len(sandbox.calls) == 0
    clock.shift(1.5)
    assert call(row) == 404
    assert PanelWindow.objects.get().calls == 1


def test_a_panel_without_such_windows_has_no_row(db: None) -> None:
    plain = factories.panel()
    window_check(plain, None)
    window_count(plain, None)
    assert not PanelWindow.objects.exists()
