"""The web server says at its start that the keys of the stored secrets are lost, and starts all the same."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import OperationalError, connection
from pytest_django import Settings
from structlog.testing import capture_logs

from billingbridge.startup import report_lost_keys
from provisioning.lib.crypto import generate_key
from provisioning.stored_secrets import LOST_KEYS
from tests import factories

pytestmark = pytest.mark.django_db


def said() -> list[tuple[str, str]]:
    """What the start logs: the event, and the sentence or the kind of error."""
    with capture_logs() as lines:
        report_lost_keys()
    return [(line["event"], line.get("problem") or line["error"]) for line in lines]


@pytest.mark.req("CAL-12")
def test_lost_keys_are_one_line_without_a_value(settings: Settings) -> None:
    factories.panel()
    assert said() == []
    settings.FIELD_KEYS = [generate_key()]
    assert said() == [("field_keys_lost", LOST_KEYS)]


def test_a_database_that_is_away_does_not_stop_the_start() -> None:
    def refuse(execute: Any, sql: str, *rest: Any) -> Iterator[Any]:
        raise OperationalError("password=hunter2")

    with connection.execute_wrapper(refuse):
        assert said() == [("started_without_database", "OperationalError")]
