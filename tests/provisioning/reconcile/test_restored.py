"""Our own database restored from a backup: nothing is made or deleted until a person says so (B14)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache
from redis.exceptions import ConnectionError as RedisAway

from provisioning.choices import Outcome
from provisioning.lib import clock
from provisioning.models import AuditEntry, Installation, Notification, Operation
from provisioning.reconcile import restored
from provisioning.reconcile.restored import mark_file, marks_keep, restored_confirm
from provisioning.reconcile.schedules import sweep_all
from provisioning.reconcile.tasks import reconcile_service
from provisioning.selectors import observe_only_words
from tests.bridge import Bridge
from tests.provisioning.reconcile.trouble import outlast, pass_time

pytestmark = pytest.mark.slow

DAY = dt.timedelta(days=1)
WEEK = 7 * 86400.0
BACK = [("file", ""), ("redis", "redis://127.0.0.1:6379/0")]


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, settings: Any) -> Iterator[None]:
    """A host without a mark, and no Redis unless a test says so."""
    settings.VAR_DIR, settings.REDIS_URL = tmp_path, ""
    cache.delete("database-mark:test")
    yield
    cache.delete("database-mark:test")


def installation() -> Installation:
    return Installation.objects.get()


def yesterday() -> None:
    """The database's own mark is what it was a day ago, as in a backup."""
    row = installation()
    assert row.marked_at is not None
    Installation.objects.update(marked_at=row.marked_at - DAY, restored_at=None)


def waits() -> list[Operation]:
    return list(Operation.objects.filter(outcome=Outcome.WAITING, reason="database_restored"))


@pytest.mark.req("CAL-04", "CAL-01")
@pytest.mark.parametrize(("where", "redis_url"), BACK, ids=[where for where, _ in BACK])
def test_after_a_restore_nothing_is_deleted_or_made_until_staff_say_so(
    bridge: Bridge, settings: Any, where: str, redis_url: str
) -> None:
    settings.REDIS_URL = redis_url
    bridge.buy()
    bridge.say("subscription.cancelled", status="cancelled")
    if where == "redis":
        mark_file().unlink()
    yesterday()
    clock.shift(WEEK + 1)
    bridge.panel.calls.clear()
    # No sweep has run since: the first change itself has to notice.
    reconcile_service(bridge.service().pk)
    assert [operation.reason for operation in waits()] == ["database_restored"]
    bridge.say("subscription.created", subscription_id="2", customer_email="grace@example.com")
    for _ in range(5):
        pass_time(bridge, 901)
    assert len(waits()) == 2
    assert bridge.panel.calls.count("POST|PATCH|DELETE|PUT") == 0
    assert bridge.panel.calls.count("GET") > 0, "it goes on looking"
    assert Notification.objects.filter(template="database_restored").count() == 1
    restored_confirm(installation=installation())
    pass_time(bridge, 1)
    outlast(bridge)
    assert [server.external_id for server in bridge.servers()] == ["test-shop-2"]
    assert AuditEntry.objects.filter(action="installation.restored").count() == 2


def test_what_the_pages_say_and_that_customers_get_no_second_mail(bridge: Bridge, mailoutbox: Any) -> None:
    bridge.buy()
    mailoutbox.clear()
    yesterday()
    sweep_all()
    bridge.say("payment.failed", status=None)
    pass_time(bridge, 1)
    assert [mail.to for mail in mailoutbox] == [["staff@example.com"]]
    assert "a backup of the database was restored" in mailoutbox[0].subject
    assert "Done until" in mailoutbox[0].body
    assert "A backup of the database was restored" in observe_only_words()
    assert Notification.objects.filter(sent_at=None).count() == 1
    restored_confirm(installation=installation())
    pass_time(bridge, 901)
    assert [mail.to for mail in mailoutbox][1:] == [["ada@example.com"]]


@pytest.mark.parametrize("redis_url", [url for _, url in BACK])
def test_a_normal_life_raises_no_alarm(bridge: Bridge, settings: Any, redis_url: str) -> None:
    """First start, restarts, a long downtime, a new host, a flushed Redis, and a clock that was set back."""
    settings.REDIS_URL = redis_url
    assert installation().marked_at is None
    bridge.buy()
    for seconds in (1, 90 * 86400, 0, -7200, 60):
        clock.shift(seconds)
        sweep_all()
    mark_file().unlink()
    sweep_all()
    cache.delete("database-mark:test")
    sweep_all()
    for text in ("", "{}", "[]", "not json", '{"installation": "test", "marked_at": "2099-01-01"}'):
        mark_file().write_text(text)
        sweep_all()
    mark_file().write_text('{"installation": "other", "marked_at": "2099-01-01T00:00:00+00:00"}')
    sweep_all()
    bridge.say("subscription.updated", status="suspended")
    outlast(bridge)
    assert bridge.server().status == "suspended"
    assert installation().restored_at is None


def test_a_new_database_in_the_folder_of_an_old_one_is_no_restore(bridge: Bridge) -> None:
    clock.shift(WEEK)
    sweep_all()
    clock.shift(-WEEK)
    Installation.objects.update(marked_at=None)
    bridge.buy()
    sweep_all()
    assert installation().restored_at is None


def test_a_second_host_reads_a_mark_that_is_on_its_way(
    bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Just after it has read the database, the other host sets a newer mark: the outside was read before."""
    marks_keep()
    real = restored._ours

    def late() -> Installation | None:
        monkeypatch.setattr(restored, "_ours", real)
        row = real()
        clock.shift(5)
        marks_keep()
        return row

    monkeypatch.setattr(restored, "_ours", late)
    assert not restored.restored()
    assert installation().restored_at is None


def test_a_slow_host_does_not_set_the_mark_back(bridge: Bridge, monkeypatch: pytest.MonkeyPatch) -> None:
    marks_keep()
    newest, text = installation().marked_at, mark_file().read_text()
    clock.shift(-30)
    marks_keep()
    assert (installation().marked_at, mark_file().read_text()) == (newest, text)


def test_a_restore_is_noticed_by_the_host_that_looks_and_holds_for_all(bridge: Bridge) -> None:
    marks_keep()
    yesterday()
    assert restored.restored()
    mark_file().unlink()
    assert restored.restored(), "the note stands in the database, for a host without a mark too"
    restored_confirm(installation=installation())
    marks_keep()
    assert not restored.restored()


def test_a_redis_that_is_away_leaves_the_file(
    bridge: Bridge, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> None:
        raise RedisAway

    settings.REDIS_URL = "redis://127.0.0.1:6379/0"
    monkeypatch.setattr(cache, "get", away)
    monkeypatch.setattr(cache, "set", away)
    marks_keep()
    yesterday()
    assert restored.restored()


def test_a_folder_that_takes_no_file_stops_nothing(bridge: Bridge, settings: Any, tmp_path: Path) -> None:
    settings.VAR_DIR = tmp_path / "gone"
    bridge.buy()
    assert bridge.service().converged


def test_busy_workers_set_marks_and_not_too_many(bridge: Bridge, monkeypatch: pytest.MonkeyPatch) -> None:
    service = bridge.buy()
    monkeypatch.setattr(restored, "_kept", {})
    marks = []
    for _ in range(3):
        clock.shift(1)
        reconcile_service(service.pk)
        marks.append(installation().marked_at)
    assert marks == [marks[0]] * 3
    assert marks[0] is not None
    assert clock.now() - marks[0] < dt.timedelta(seconds=3)
