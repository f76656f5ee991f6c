"""/livez and /readyz say what is wrong, in words, and nothing that is secret."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test import Client
from pytest_django import Settings

from provisioning.lib import clock
from provisioning.lib.crypto import generate_key
from provisioning.models import Event, Heartbeat, Installation
from provisioning.stored_secrets import LOST_KEYS
from tests import factories

pytestmark = pytest.mark.django_db


def beat(name: str, seconds_ago: float = 0) -> None:
    """A part that showed itself so long ago."""
    Heartbeat.objects.create(name=name, beat_at=clock.now() - timedelta(seconds=seconds_ago))


@pytest.fixture
def healthy() -> None:
    """Ticker and sweep have just run."""
    beat("tick")
    beat("sweep")
    beat("worker")


def reasons(client: Client) -> list[str]:
    """What /readyz complains about; its status must fit."""
    answer = client.get("/readyz")
    found: list[str] = answer.json()["reasons"]
    assert answer.status_code == (503 if found else 200)
    assert "no-store" in answer.headers["Cache-Control"]
    return found


def test_livez_asks_nobody(client: Client, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        answer = client.get("/livez")
    assert answer.json() == {"status": "ok"}


def test_all_is_well(client: Client, healthy: None) -> None:
    assert reasons(client) == []
    assert Heartbeat.objects.filter(name="web").exists()


def test_what_staff_have_to_decide_is_noted_and_is_no_failure(client: Client, healthy: None) -> None:
    assert client.get("/readyz").json()["notes"] == []
    Installation.objects.update(restored_at=clock.now())
    answer = client.get("/readyz")
    assert (answer.status_code, len(answer.json()["notes"])) == (200, 1)
    assert "A backup of the database was restored" in answer.json()["notes"][0]


def test_nothing_has_run_yet(client: Client) -> None:
    assert [reason.split(".")[0] for reason in reasons(client)] == [
        "The ticker has not run yet",
        "No sweep has run yet",
        "No worker has been seen yet",
    ]


PARTS = [("tick", "The ticker"), ("sweep", "No sweep"), ("worker", "No worker")]


@pytest.mark.parametrize(("name", "words"), PARTS)
def test_a_part_that_stopped(client: Client, healthy: None, name: str, words: str) -> None:
    Heartbeat.objects.filter(name=name).delete()
    beat(name, 181)
    assert len(found := reasons(client)) == 1
    assert found[0].startswith(words)
    assert "for 181 seconds" in found[0]


def test_an_unseen_event(client: Client, healthy: None) -> None:
    event = factories.event()
    Event.objects.filter(pk=event.pk).update(received_at=clock.now() - timedelta(seconds=200))
    assert "has not been looked at for 200 seconds" in reasons(client)[0]
    Event.objects.filter(pk=event.pk).update(attempts=1)
    assert reasons(client) == []


def test_database_without_writes(client: Client, healthy: None) -> None:
    def refuse(execute: Any, sql: str, *rest: Any) -> Iterator[Any]:
        raise OperationalError("password=hunter2 attempt to write a readonly database")

    with connection.execute_wrapper(refuse):
        answer = client.get("/readyz")
    assert answer.status_code == 503
    assert "does not take writes" in answer.json()["reasons"][0]
    assert "hunter2" not in answer.content.decode()


def test_secrets_that_no_key_reads(client: Client, healthy: None, settings: Settings) -> None:
    factories.endpoint()
    assert reasons(client) == []
    settings.FIELD_KEYS = [generate_key()]
    assert reasons(client) == [LOST_KEYS]


def test_only_reading_methods(client: Client) -> None:
    assert client.post("/readyz").status_code == client.post("/livez").status_code == 405
