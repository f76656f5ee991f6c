"""The inbox keeps each message once, also when two copies come at the same moment."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from provisioning.inbox import store
from provisioning.inbox.store import Origin, Stored, event_store, event_store_unnumbered
from provisioning.models import Event, WebhookEndpoint
from tests import factories

ORIGIN = Origin(verified_by="standard, secret …abcd", remote_ip="2001:db8::7")
BODY = b'{"subscription_id":"7"}'


def keep(endpoint: WebhookEndpoint, body: bytes = BODY, ident: str = "m") -> Stored:
    """Stores a message with an id."""
    return event_store(endpoint=endpoint, sender_id=ident, body=body, origin=ORIGIN)


def keep_plain(endpoint: WebhookEndpoint, body: bytes = BODY) -> Stored:
    """Stores a message without one."""
    return event_store_unnumbered(endpoint=endpoint, body=body, origin=ORIGIN)


@pytest.mark.django_db
def test_ids_are_compared_within_one_endpoint(jobs: Any) -> None:
    ada, grace = factories.endpoint(), factories.endpoint()
    kept = [keep(ada), keep(ada), keep(grace), keep(ada, ident="n"), keep(ada, body=b"{}")]
    assert [item.outcome for item in kept] == ["accepted", "duplicate", "accepted", "accepted", "conflict"]
    assert kept[1].event == kept[4].event == kept[0].event
    assert len(jobs.sent) == 3


@pytest.mark.django_db
def test_a_copy_does_not_break_the_transaction_around_it() -> None:
    endpoint = factories.endpoint()
    with transaction.atomic():
        keep(endpoint)
        keep(endpoint)
        assert Event.objects.count() == 1


@pytest.mark.django_db
def test_another_broken_rule_is_not_taken_for_a_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(**_: Any) -> None:
        raise IntegrityError("another rule")

    endpoint = factories.endpoint()
    monkeypatch.setattr(Event.objects, "create", breaks)
    with pytest.raises(IntegrityError, match="another rule"):
        keep(endpoint)


@pytest.mark.django_db
def test_a_copy_that_lost_the_race_meets_the_winner(monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint = factories.endpoint()
    insert = store._insert

    def other_first(*args: Any, **fields: Any) -> Event | None:
        insert(*args, **fields)
        return insert(*args, **fields)

    monkeypatch.setattr(store, "_insert", other_first)
    assert [keep(endpoint).outcome, keep_plain(endpoint).outcome] == ["duplicate", "duplicate"]
    assert Event.objects.count() == 2


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("body", "subject"),
    [
        (b'{"subscription_id":"7"}', "7"),
        (b'{"subscription_id":7}', "7"),
        (b'{"subscription_id":" 7 "}', "7"),
        (b'{"subscription_id":true}', ""),
        (b'{"subscription_id":null}', ""),
        (b'{"subscription_id":["7"]}', ""),
        (b'{"subscription_id":"%s"}' % (b"7" * 121), ""),
        (b'{"subscription_id":"7"', ""),
        (b'["7"]', ""),
        (b"\xff", ""),
    ],
)
def test_the_subject_is_read_without_trust(body: bytes, subject: str) -> None:
    assert keep_plain(factories.endpoint(), body).event.subject == subject


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif("connection.vendor == 'sqlite'", reason="threads share no in-memory database")
@pytest.mark.parametrize("keeper", [keep, keep_plain])
def test_copies_at_the_same_moment_make_one_row(keeper: Any) -> None:
    endpoint, outcomes, ready = factories.endpoint(), [], threading.Barrier(6)

    def run() -> None:
        ready.wait()
        outcomes.append(keeper(endpoint).outcome)
        connection.close()

    threads = [threading.Thread(target=run) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["accepted"] + ["duplicate"] * 5
    assert Event.objects.count() == 1
