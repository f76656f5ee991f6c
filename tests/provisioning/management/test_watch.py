"""Workers that hang are seen by their silence, and started anew."""

from __future__ import annotations

import sys
import time

import pytest
from django.db import OperationalError
from pytest_django import Settings

from provisioning.lib import clock
from provisioning.management.supervisor import Supervisor
from provisioning.management.watch import LOOK_SECONDS, Watch
from provisioning.models import Heartbeat
from provisioning.reconcile.heartbeats import beat

SLEEPER = [sys.executable, "-c", "import time; time.sleep(60)"]


class Children(Supervisor):
    """Only notes who was restarted."""

    def __init__(self) -> None:
        super().__init__(grace=1)
        self.restarted: list[str] = []

    def restart(self, name: str) -> int:
        self.restarted.append(name)
        return 0


@pytest.fixture
def watch(db: None, settings: Settings) -> Watch:
    settings.HEALTH_MAX_LAG_SECONDS = 100
    made = Watch(Children(), "The queue worker")
    made.patient_since -= 101
    return made


def restarts(watch: Watch) -> int:
    watch.looked -= LOOK_SECONDS
    watch.look()
    assert isinstance(watch.children, Children)
    return len(watch.children.restarted)


@pytest.mark.req("T83-40")
def test_silent_workers_are_started_anew_and_given_time(watch: Watch) -> None:
    beat("worker")
    assert restarts(watch) == 0
    clock.shift(101)
    assert restarts(watch) == 1
    assert restarts(watch) == 1, "they get as long again to be seen"


def test_workers_that_were_never_seen_are_started_anew(watch: Watch) -> None:
    assert restarts(watch) == 1


def test_a_start_gets_its_time(watch: Watch) -> None:
    watch.patient_since = time.monotonic()
    assert restarts(watch) == 0


def test_it_looks_seldom(watch: Watch) -> None:
    assert restarts(watch) == 1
    watch.patient_since -= 101
    watch.look()
    assert isinstance(watch.children, Children)
    assert len(watch.children.restarted) == 1


def test_a_database_that_is_away_is_no_reason_to_act(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(**_: object) -> None:
        raise OperationalError("gone")

    monkeypatch.setattr(Heartbeat.objects, "filter", away)
    assert restarts(watch) == 0


def test_a_restart_ends_the_old_process_and_starts_the_same_again() -> None:
    with Supervisor(grace=1) as children:
        first = children.start("sleeper", SLEEPER)
        second = children.restart("sleeper")
        assert first != second
        assert children.dead() == ""
