"""What goes wrong: a process that dies at a chosen step, a worker that freezes, hours of waiting."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.conf import settings

from provisioning.choices import LIVE_OUTCOMES
from provisioning.lib import clock
from provisioning.lib.http import Answer
from provisioning.models import Operation, PanelAccount, Service
from provisioning.reconcile.lease import Lease
from provisioning.reconcile.schedules import sweep_all
from provisioning.reconcile.transport import PanelTransport
from provisioning.sandbox.server import PanelSandbox
from provisioning.sandbox.world import Allocation
from tests.bridge import Bridge

STEPS: tuple[tuple[type, str], ...] = (
    (PanelTransport, "_call"),
    (Lease, "write"),
    (Lease, "release"),
    (Operation, "save"),
    (PanelAccount, "save"),
)
"""Everything of a reconcile that others can see: calls to the panel, and commits."""


class Killed(BaseException):
    """The process is gone, as with os._exit: nobody may catch it."""


class Steps:
    """Counts the steps of a reconcile, and dies before the chosen one."""

    def __init__(self, fatal: int) -> None:
        self.fatal = fatal
        self.seen: list[str] = []

    def wrap(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        """The same method, mortal."""

        def mortal(*args: Any, **kwargs: Any) -> Any:
            self.seen.append(name)
            if len(self.seen) == self.fatal:
                raise Killed(f"before step {self.fatal}: {name}")
            return real(*args, **kwargs)

        return mortal


@contextmanager
def dying(before: int) -> Iterator[Steps]:
    """A worker that dies before that step, counted from 1."""
    steps = Steps(before)
    with pytest.MonkeyPatch.context() as patch:
        for owner, name in STEPS:
            patch.setattr(owner, name, steps.wrap(f"{owner.__name__}.{name}", getattr(owner, name)))
        yield steps


def work_until_killed(bridge: Bridge, before: int) -> bool:
    """Lets the waiting jobs run and the worker die before a step. False if it lived to the end."""
    with dying(before):
        try:
            bridge.jobs.drain()
        except Killed:
            return True
    return False


def more_ports(panel: PanelSandbox, number: int) -> None:
    """Free allocations on the first node, for tests that order much."""
    node = panel.state.nodes[1]
    for port in range(30000, 30000 + number):
        row = Allocation(*panel.world.stamp("allocations"), node.id, "192.0.2.1", port)
        panel.state.allocations[row.id] = row


def new_worker(bridge: Bridge) -> None:
    """The queue died with the worker; its lease runs out, and the sweep goes on."""
    bridge.jobs.clear()
    clock.shift(settings.LEASE_SECONDS + 1)
    bridge.panel.advance(settings.LEASE_SECONDS + 1)
    bridge.settle()


@contextmanager
def freezing(
    method: str, meanwhile: Callable[[], None], *, after: bool, seconds: float | None = None
) -> Iterator[None]:
    """The first call of this method freezes before it is sent or after, while others work `meanwhile`.

    For longer than the lease, unless `seconds` are given.
    """
    real = PanelTransport._call
    frozen: list[bool] = []

    def wait() -> None:
        frozen.append(True)
        clock.shift(seconds or settings.LEASE_SECONDS + 1)
        meanwhile()

    def call(self: PanelTransport, verb: str, *args: Any) -> Answer:
        first = verb == method and not frozen
        if first and not after:
            wait()
        answer = real(self, verb, *args)
        if first and after:
            wait()
        return answer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PanelTransport, "_call", call)
        yield
    assert frozen, f"no {method} was made"


def pass_time(bridge: Bridge, seconds: float) -> None:
    """Both clocks go on, then the sweep wakes what is due."""
    clock.shift(seconds)
    bridge.panel.advance(seconds)
    sweep_all()
    bridge.jobs.drain()


def begin_a_day(bridge: Bridge) -> None:
    """To the next midnight: a test that counts a day's one alert must not run into a second day."""
    midnight = (clock.now() + dt.timedelta(days=1)).replace(hour=0, minute=0, second=0)
    pass_time(bridge, (midnight - clock.now()).total_seconds())


def outlast(bridge: Bridge, *, looks: int = 40) -> None:
    """Jumps from one due date to the next until no operation is live. Fails if that never happens."""
    bridge.jobs.drain()
    for _ in range(looks):
        live = Service.objects.filter(operations__outcome__in=LIVE_OUTCOMES)
        due = live.order_by("next_check_at").values_list("next_check_at", flat=True).first()
        if due is None:
            return
        pass_time(bridge, max(1.0, (due - clock.now()).total_seconds() + 0.1))
    last = bridge.operation()
    raise AssertionError(f"never ended: {last.outcome} {last.reason}: {last.detail}")
