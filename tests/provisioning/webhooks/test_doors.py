"""What an address leads to is remembered for a moment, and no longer (T83-12, bar B8)."""

from __future__ import annotations

import datetime as dt
import uuid

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from provisioning.lib import clock
from provisioning.models import EndpointSecret, WebhookEndpoint
from provisioning.webhooks import doors
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def endpoint() -> WebhookEndpoint:
    """An endpoint with one secret."""
    return factories.endpoint()


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the moment pass."""
    monkeypatch.setattr(doors, "KEPT_SECONDS", 0.0)


def test_many_webhooks_read_the_endpoint_once(endpoint: WebhookEndpoint) -> None:
    doors.door_at(endpoint.address)
    with CaptureQueriesContext(connection) as queries:
        door = doors.door_at(endpoint.address)
    assert len(queries) == 0
    assert door
    assert door.endpoint == endpoint


def test_an_endpoint_that_is_switched_off_is_found_out(
    endpoint: WebhookEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert doors.door_at(endpoint.address)
    WebhookEndpoint.objects.update(enabled=False)
    forget(monkeypatch)
    assert doors.door_at(endpoint.address) is None


@pytest.mark.req("T83-12")
def test_a_secret_that_is_removed_is_found_out(
    endpoint: WebhookEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert doors.door_at(endpoint.address)
    EndpointSecret.objects.all().delete()
    forget(monkeypatch)
    door = doors.door_at(endpoint.address)
    assert door
    assert door.valid_secrets(clock.now()) == []


def test_a_secret_ends_on_time_though_it_is_remembered(endpoint: WebhookEndpoint) -> None:
    EndpointSecret.objects.update(ends_at=clock.now() + dt.timedelta(seconds=30))
    door = doors.door_at(endpoint.address)
    assert door
    assert len(door.valid_secrets(clock.now())) == 1
    assert door.valid_secrets(clock.now() + dt.timedelta(seconds=30)) == []


def test_strangers_addresses_take_no_room() -> None:
    before = len(doors._kept)
    for _ in range(20):
        assert doors.door_at(uuid.uuid4()) is None
    assert len(doors._kept) == before


def test_the_moment_is_short() -> None:
    """Staff who remove a leaked secret are told that it is gone."""
    assert doors.KEPT_SECONDS <= 2
