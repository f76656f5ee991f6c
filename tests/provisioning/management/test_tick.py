"""The ticker outlives its database, sweeps only while it leads, and gives the lead back."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator

import pytest
from django.db import InterfaceError, OperationalError

from provisioning.management.commands import tick
from provisioning.models import Heartbeat

pytestmark = pytest.mark.django_db


@pytest.fixture
def ticker(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., list[str]]]:
    """Runs the command for a few turns; what `sweep_all` raises in each, and what was swept."""
    before = {name: signal.getsignal(name) for name in (signal.SIGTERM, signal.SIGINT)}
    swept: list[str] = []

    def run(*troubles: Exception | None) -> list[str]:
        left = list(troubles)
        command = tick.Command()

        def sweep() -> None:
            swept.append("sweep")
            trouble = left.pop(0)
            if not left:
                command._stop()
            if trouble:
                raise trouble

        monkeypatch.setattr(tick, "sweep_all", sweep)
        monkeypatch.setattr(tick, "sweep_due", sweep)
        command.handle()
        return swept

    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    # The test's own connection carries its transaction.
    monkeypatch.setattr(tick, "close_old_connections", lambda: swept.append("connections closed"))
    yield run
    for name, handler in before.items():
        signal.signal(name, handler)


@pytest.mark.parametrize("trouble", [OperationalError("gone"), InterfaceError("already closed")])
def test_a_database_that_is_away_only_delays(ticker: Callable[..., list[str]], trouble: Exception) -> None:
    assert ticker(None, trouble, None) == ["sweep", "sweep", "connections closed", "sweep"]


def test_what_is_no_trouble_of_the_database_ends_it_and_is_seen(ticker: Callable[..., list[str]]) -> None:
    with pytest.raises(ZeroDivisionError):
        ticker(None, ZeroDivisionError(), None)


def test_the_lead_is_given_back_at_the_end(ticker: Callable[..., list[str]]) -> None:
    ticker(None)
    assert Heartbeat.objects.get(name="tick").holder == ""
