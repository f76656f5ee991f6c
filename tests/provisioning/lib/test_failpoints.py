"""Failpoints: silent unless armed, deadly at the nth hit, and only in a demo or a test."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
from django.db import DEFAULT_DB_ALIAS, connections, transaction

from provisioning.lib import clock, failpoints
from provisioning.models import Heartbeat

PASS_TWICE = """
import os
from provisioning.lib import clock, failpoints
failpoints.start(os.environ)
failpoints.hit("panel_call.before")
failpoints.hit("panel_call.after")
failpoints.hit("panel_call.after")
"""


@pytest.fixture
def hits() -> Iterator[list[str]]:
    """The names of all failpoints that are hit."""
    found: list[str] = []
    failpoints.listen(found.append)
    yield found
    failpoints.listen(None)


@pytest.mark.parametrize(
    ("variables", "code"),
    [
        ({}, 0),
        ({"FAILPOINT": "panel_call.after:2"}, 0),
        ({"FAILPOINT": "panel_call.after:2", "DEMO": "false"}, 0),
        ({"FAILPOINT": "panel_call.after:2", "DEMO": "true"}, failpoints.KILLED),
        ({"FAILPOINT": "panel_call.after:3", "DEMO": "true"}, 0),
        ({"FAILPOINT": "panel_call:1", "DEMO": "true"}, 0),
    ],
)
def test_a_process_dies_only_where_it_was_told_to(variables: dict[str, str], code: int) -> None:
    done = subprocess.run([sys.executable, "-c", PASS_TWICE], env=variables, check=False)
    assert done.returncode == code


@pytest.mark.parametrize("text", ["panel_call.after", "panel_call.after:0", ":1", "panel_call.after:x"])
def test_a_wrong_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"name:nth|invalid literal"):
        failpoints.Death(text)


@pytest.mark.django_db(transaction=True)
def test_each_commit_has_one_failpoint_on_either_side(
    request: pytest.FixtureRequest, hits: list[str]
) -> None:
    connection, now = connections[DEFAULT_DB_ALIAS], clock.now()
    failpoints.watch(connection)
    failpoints.watch(connection)
    request.addfinalizer(lambda: failpoints.unwatch(connection))
    Heartbeat.objects.create(name="plain", beat_at=now)
    either = ["commit.heartbeat.before", "commit.heartbeat.after"]
    assert hits == either
    with transaction.atomic():
        Heartbeat.objects.create(name="inside", beat_at=now)
        with transaction.atomic():
            Heartbeat.objects.filter(name="inside").update(name="inner")
        assert hits == either
    assert hits == either * 2
    with transaction.atomic():
        assert Heartbeat.objects.count() == 2
    assert hits == either * 2
    Heartbeat.objects.filter(name="plain").delete()
    assert hits == either * 3


def test_switched_off_it_says_nothing(hits: list[str]) -> None:
    failpoints.hit("panel_call.before")
    failpoints.listen(None)
    failpoints.hit("panel_call.after")
    assert hits == ["panel_call.before"]
