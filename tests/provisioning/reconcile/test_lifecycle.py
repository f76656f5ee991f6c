"""The straight path of one subscription, from the paid order to the proven delete, call by call."""

from __future__ import annotations

import datetime as dt

import pytest

from provisioning.choices import BillingStatus, DesiredState, ObservedState, OperationKind, Outcome
from provisioning.lib import clock
from provisioning.models import Operation, PanelCall
from tests.bridge import Bridge


def calls_of(operation: Operation) -> list[str]:
    rows = PanelCall.objects.filter(operation=operation).order_by("id")
    return [f"{row.method} {row.path.split('?')[0]}" for row in rows]


@pytest.mark.req("CAL-01", "T83-01", "T83-11")
def test_a_paid_order_becomes_a_server(bridge: Bridge) -> None:
    service = bridge.buy()
    server = bridge.server()
    assert server.external_id == service.external_id == "test-shop-12345"
    assert service.observed_state == ObservedState.ACTIVE
    assert service.converged
    assert service.ready_at is not None
    assert Operation.objects.get().outcome == Outcome.SUCCEEDED
