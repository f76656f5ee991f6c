"""A panel in every kind of trouble: what it is asked meanwhile, and how soon all are served afterwards (B6).

Ten minutes of trouble, on a clock that the test moves. `CROWD=1000` runs the long form.
"""

from __future__ import annotations

import os

import pytest
from django.conf import settings

from provisioning.choices import LIVE_OUTCOMES, Outcome
from provisioning.lib import clock
from provisioning.models import Operation, Panel
from provisioning.reconcile.gate import FAILURES_TO_OPEN, gate_unpark
from provisioning.reconcile.schedules import sweep_due
from provisioning.sandbox.faults import Kind
from tests.bridge import Bridge, document
from tests.provisioning.reconcile.trouble import more_ports

CROWD = int(os.environ.get("CROWD", "12"))
RATE = 60
"""Calls a minute that the panel allows."""
TROUBLE = 600
KINDS: tuple[tuple[Kind, float], ...] = (
    ("down", 0),
    ("rate_limited", 30),
    ("error", 0),
    ("bad_gateway", 0),
    ("cut", 0),
    ("lost", 0),
    ("huge", 0),
    ("redirect", 0),
    ("error_in_ok", 0),
    ("wrong_types", 0),
    ("unauthorized", 0),
    ("forbidden", 0),
)
"""Every kind that ends a call, with its Retry-After. A slow answer or a trickle is a time-out by then."""


def crowd(bridge: Bridge) -> None:
    """So many paid orders of a customer whose account is known: a look and a create each."""
    bridge.jobs.MOST = 1000 + 10 * CROWD
    for number in range(CROWD):
        bridge.store("subscription.created", subscription_id=f"c{number}")
    bridge.jobs.drain()


def second_passes(bridge: Bridge, seconds: float = 1) -> None:
    """The ticker's step."""
    clock.shift(seconds)
    bridge.panel.advance(seconds)
    sweep_due()
    bridge.jobs.drain()


def trouble_ends(bridge: Bridge, kind: Kind) -> None:
    bridge.panel.faults.clear()
    if kind in ("unauthorized", "forbidden"):
        # Staff set the right key, or gave it its rights.
        gate_unpark(panel=bridge.row)


def seconds_until_served(bridge: Bridge) -> int:
    for seconds in range(1, 60 * CROWD):
        second_passes(bridge)
        if not Operation.objects.filter(outcome__in=LIVE_OUTCOMES).exists():
            return seconds
    raise AssertionError("never served")


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.req("T83-40")
@pytest.mark.parametrize(("kind", "retry_after"), KINDS, ids=[kind for kind, _ in KINDS])
def test_a_crowd_is_served_at_the_panels_pace_once_it_is_back(
    bridge: Bridge, kind: Kind, retry_after: float
) -> None:
    bridge.panel.world.settings.application_limit = RATE
    bridge.panel.world.settings.installs.delay = 0
    Panel.objects.update(creates_hour_floor=30_000, creates_day_floor=30_000)
    bridge.product.document = document(memory=16, disk=16)
    bridge.product.save()
    more_ports(bridge.panel, CROWD)
    bridge.buy()
    bridge.panel.faults.add(kind, count=None, seconds=retry_after)
    bridge.panel.calls.clear()
    crowd(bridge)
    for _ in range(TROUBLE // 20):
        second_passes(bridge, 20)
    probes = len(bridge.panel.calls)
    assert probes <= FAILURES_TO_OPEN + TROUBLE / settings.PROBE_SECONDS + 2, "one probe in 30 seconds"
    trouble_ends(bridge, kind)
    took = seconds_until_served(bridge)
    needed = len(bridge.panel.calls) - probes
    assert len(bridge.servers()) == CROWD + 1
    assert not Operation.objects.filter(outcome=Outcome.NEEDS_STAFF).exists()
    # The panel is found to be back by the next probe; from then on its own limit is the only brake.
    assert took <= settings.PROBE_SECONDS + 1.2 * needed * 60 / RATE, f"{took} s for {needed} calls"
    # A look, a create, and one or two looks at its install.
    assert needed <= 4.5 * CROWD, "and no call is made in vain"
