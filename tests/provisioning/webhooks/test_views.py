"""The edge as a sender sees it: what is taken, what is refused, and that refusals tell nothing (bar B8)."""

from __future__ import annotations

import datetime as dt
import hmac
import uuid
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from django.db import InterfaceError, OperationalError, connection
from django.test.utils import CaptureQueriesContext

from provisioning import queue
from provisioning.inbox import store
from provisioning.lib import clock as project_clock
from provisioning.lib.crypto import DecryptError
from provisioning.models import AuditEntry, EndpointSecret, Event, WebhookEndpoint
from provisioning.webhooks import signatures, views
from tests import factories
from tests.provisioning.webhooks.sender import PAYLOAD, Reply, send, signed

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("jobs")]
OTHER = signatures.generate_secret()
Change = Callable[[WebhookEndpoint], Reply]


@pytest.mark.req("T83-11", "T83-12")
def test_a_signed_payload_is_kept_and_a_job_is_sent(jobs: Any) -> None:
    endpoint = factories.endpoint()
    reply = send(endpoint, PAYLOAD, signed(PAYLOAD, ident="msg_ada"))
    event = Event.objects.get()
    assert (reply.status, reply.json) == (202, {"event": str(event.pk), "status": "accepted"})
    assert (bytes(event.body), event.sender_id, event.fresh) == (PAYLOAD, "msg_ada", True)
    assert event.connection == endpoint.connection
    assert (event.remote_ip, event.status) == ("192.0.2.7", "received")
    assert event.next_attempt_at == event.received_at + dt.timedelta(seconds=60)
    assert event.request_id == reply.headers["X-Request-Id"]
    assert event.verified_by == f"standard, secret …{factories.SECRET[-4:]}"
    assert jobs.sent == [(queue.PROCESS_EVENTS, event.pk)]


def test_the_same_message_again_is_a_duplicate(jobs: Any) -> None:
    endpoint = factories.endpoint()
    first = send(endpoint, PAYLOAD, signed(PAYLOAD, ident="m"))
    again = send(endpoint, PAYLOAD, signed(PAYLOAD, ident="m", age=60))
    assert (again.status, again.json) == (202, {"event": first.json["event"], "status": "duplicate"})
    assert len(jobs.sent) == 1


def test_one_id_with_two_bodies_is_refused_and_staff_are_told() -> None:
    endpoint = factories.endpoint()
    send(endpoint, PAYLOAD, signed(PAYLOAD, ident="m"))
    reply = send(endpoint, b"{}", signed(b"{}", ident="m"))
    assert (reply.status, reply.code) == (409, "id_reused")
    entry = AuditEntry.objects.get(action="event_conflict")
    assert entry.event == Event.objects.get()
    assert endpoint.name in entry.message


def refused(endpoint: WebhookEndpoint, changed: dict[str, str] | None = None) -> Reply:
    """A message that was good until something about it was changed."""
    return send(endpoint, PAYLOAD, {**signed(PAYLOAD), **(changed or {})})


def ended(endpoint: WebhookEndpoint) -> Reply:
    """Signed by a secret whose time is over."""
    endpoint.secrets.update(ends_at=project_clock.now())
    return refused(endpoint)


def removed(endpoint: WebhookEndpoint) -> Reply:
    """Sent to an endpoint that has no secret at all."""
    endpoint.secrets.all().delete()
    return refused(endpoint)


def disabled(endpoint: WebhookEndpoint) -> Reply:
    """Sent to an endpoint that staff switched off."""
    WebhookEndpoint.objects.filter(pk=endpoint.pk).update(enabled=False)
    return refused(endpoint)


def unusable(endpoint: WebhookEndpoint) -> Reply:
    """The stored secret is not one."""
    endpoint.secrets.all().delete()
    EndpointSecret.objects.create(endpoint=endpoint, value="whsec_short")
    return refused(endpoint)


FORGERIES: dict[str, Change] = {
    "no headers": lambda endpoint: send(endpoint, PAYLOAD),
    "no id": lambda endpoint: refused(endpoint, {"webhook-id": ""}),
    "other body": lambda endpoint: send(endpoint, PAYLOAD, signed(b"{}")),
    "other id": lambda endpoint: refused(endpoint, {"webhook-id": "msg_linus"}),
    "other secret": lambda endpoint: send(endpoint, PAYLOAD, signed(PAYLOAD, secret=OTHER)),
    "other time": lambda endpoint: refused(endpoint, {"webhook-timestamp": "1234567890"}),
    "too old": lambda endpoint: send(endpoint, PAYLOAD, signed(PAYLOAD, age=302)),
    "too new": lambda endpoint: send(endpoint, PAYLOAD, signed(PAYLOAD, age=-302)),
    "secret ended": ended,
    "no secret": removed,
    "unusable secret": unusable,
    "disabled": disabled,
    "other endpoint": lambda endpoint: send(factories.endpoint(secret=OTHER), PAYLOAD, signed(PAYLOAD)),
    "no such endpoint": lambda _: send(f"/webhooks/{uuid.uuid4()}/", PAYLOAD, signed(PAYLOAD)),
    "hmac on standard": lambda endpoint: send(
        endpoint, PAYLOAD, {"X-Signature": signatures.sign_hmac_hex(secret=b"x", body=PAYLOAD)}
    ),
    "standard on hmac": lambda _: send(factories.endpoint(scheme="hmac_hex"), PAYLOAD, signed(PAYLOAD)),
}


@pytest.mark.req("T83-12")
@pytest.mark.parametrize("reason", FORGERIES)
def test_every_forgery_looks_the_same_from_outside(reason: str) -> None:
    plain = send(f"/webhooks/{uuid.uuid4()}/", b"")
    reply = FORGERIES[reason](factories.endpoint())
    assert reply.status == 401
    assert reply.looks == plain.looks
    assert not Event.objects.exists()


def test_an_unknown_endpoint_costs_a_signature_too(monkeypatch: pytest.MonkeyPatch) -> None:
    bodies: list[bytes] = []
    monkeypatch.setattr(signatures, "dummy_verify", lambda *, body: bodies.append(body))
    send(f"/webhooks/{uuid.uuid4()}/", PAYLOAD)
    assert bodies == [PAYLOAD]


@pytest.mark.parametrize(("says", "status"), [(False, 401), (True, 202)])
def test_only_a_comparison_in_constant_time_decides(
    says: bool, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    body, script = PAYLOAD, "a-script-of-linus"
    sent = body if not says else b"forged"
    plain = factories.endpoint(scheme="hmac_hex", secret=script, hmac_header="X-Hook")
    headers = (factories.endpoint(), signed(body)), (plain, hexed(body, script))
    monkeypatch.setattr(hmac, "compare_digest", lambda *_: says)
    assert [send(endpoint, sent, signature).status for endpoint, signature in headers] == [status] * 2


@pytest.mark.parametrize("age", [-299, 0, 299])
def test_the_window_is_five_minutes_to_either_side(age: int) -> None:
    assert send(factories.endpoint(), PAYLOAD, signed(PAYLOAD, age=age)).status == 202


def test_two_secrets_are_valid_during_a_rotation(clock: ModuleType) -> None:
    endpoint = factories.endpoint()
    endpoint.secrets.update(ends_at=clock.now() + dt.timedelta(hours=1))
    EndpointSecret.objects.create(endpoint=endpoint, value=OTHER)
    both = signed(PAYLOAD, ident="both")
    both["webhook-signature"] += " " + signed(PAYLOAD, secret=OTHER, ident="both")["webhook-signature"]
    sent = [signed(PAYLOAD), signed(PAYLOAD, secret=OTHER), both]
    assert [send(endpoint, PAYLOAD, headers).status for headers in sent] == [202, 202, 202]
    clock.shift(3601)
    sent = [signed(PAYLOAD), signed(PAYLOAD, secret=OTHER)]
    assert [send(endpoint, PAYLOAD, headers).status for headers in sent] == [401, 202]


@pytest.mark.req("T83-12")
@pytest.mark.parametrize(
    ("networks", "peer", "status"),
    [
        ("192.0.2.0/24", "192.0.2.7", 202),
        ("192.0.2.0/24\n2001:db8::/32", "2001:db8::7", 202),
        ("192.0.2.0/24", "::ffff:192.0.2.7", 202),
        ("fe80::/10", "fe80::1%eth0", 202),
        ("198.51.100.1", "192.0.2.7", 403),
        ("2001:db8::/32", "2001:db9::1", 403),
        ("192.0.2.0/24", "", 403),
        ("not a network", "192.0.2.7", 403),
        ("", "", 202),
    ],
)
def test_only_listed_addresses_may_send(networks: str, peer: str, status: int) -> None:
    endpoint = factories.endpoint(networks=networks)
    assert send(endpoint, PAYLOAD, signed(PAYLOAD), REMOTE_ADDR=peer).status == status
    assert Event.objects.count() == (status == 202)


def test_an_address_is_kept_without_its_zone() -> None:
    send(factories.endpoint(), PAYLOAD, signed(PAYLOAD), REMOTE_ADDR="fe80::1%eth0")
    assert Event.objects.get().remote_ip == "fe80::1"


def test_a_forwarded_address_is_not_believed() -> None:
    endpoint = factories.endpoint(networks="198.51.100.1")
    spoofed = {**signed(PAYLOAD), "X-Forwarded-For": "198.51.100.1", "X-Real-IP": "198.51.100.1"}
    assert send(endpoint, PAYLOAD, spoofed).code == "address_refused"


@pytest.mark.req("T83-12")
def test_plain_http_is_refused(settings: Any) -> None:
    settings.ALLOW_PLAIN_HTTP = False
    endpoint = factories.endpoint()
    plain = {"wsgi.url_scheme": "http", "SERVER_PORT": "80"}
    assert send(endpoint, PAYLOAD, signed(PAYLOAD), **plain).code == "https_required"
    assert send(endpoint, PAYLOAD, signed(PAYLOAD)).status == 202


def test_the_address_works_without_its_last_slash() -> None:
    endpoint = factories.endpoint()
    assert send(f"/webhooks/{endpoint.address}", PAYLOAD, signed(PAYLOAD)).status == 202


def test_two_endpoints_feed_one_connection() -> None:
    shop = factories.connection()
    for _ in range(2):
        send(factories.endpoint(connection=shop), PAYLOAD, signed(PAYLOAD, ident="m"))
    assert Event.objects.filter(connection=shop).count() == 2


def hexed(body: bytes, secret: str = "a-script-of-linus") -> dict[str, str]:
    """The plain scheme's header."""
    return {"X-Hook": signatures.sign_hmac_hex(secret=secret.encode(), body=body)}


def test_the_plain_scheme_takes_all_but_an_immediate_repetition() -> None:
    endpoint = factories.endpoint(scheme="hmac_hex", secret="a-script-of-linus", hmac_header="X-Hook")
    suspend, unsuspend = b'{"subscription_id":7,"s":1}', b'{"subscription_id":"7","s":2}'
    other = b'{"subscription_id":"8","s":1}'
    bodies = [suspend, suspend, other, suspend, unsuspend, suspend, other]
    replies = [send(endpoint, body, hexed(body)).json["status"] for body in bodies]
    assert replies == ["accepted", "duplicate", "accepted", "duplicate", "accepted", "accepted", "duplicate"]
    assert not Event.objects.filter(fresh=True).exists()
    assert set(Event.objects.values_list("verified_by", flat=True)) == {"hmac_hex, secret …inus"}
    assert send(endpoint, suspend, hexed(suspend, "another")).status == 401


def test_a_message_costs_two_reads_and_one_write() -> None:
    endpoint = factories.endpoint()
    with CaptureQueriesContext(
        connection,
    ) as queries:
        send(endpoint, PAYLOAD, signed(PAYLOAD))
    verbs = [query["sql"].split()[0] for query in queries if "SAVEPOINT" not in query["sql"]]
    assert verbs == ["SELECT", "SELECT", "INSERT"]
    with CaptureQueriesContext(connection) as queries:
        send(endpoint, PAYLOAD, signed(PAYLOAD))
    assert [query["sql"].split()[0] for query in queries if "SAVEPOINT" not in query["sql"]] == ["INSERT"]


class Dead:
    """A connection that the database has closed, until it is opened anew."""

    in_atomic_block = False
    connection = object()

    def __init__(self, *, usable: bool) -> None:
        self.usable, self.closed = usable, False

    def is_usable(self) -> bool:
        return self.usable

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize(("usable", "status"), [(False, 202), (True, 503)])
def test_a_message_is_kept_on_a_new_connection_where_the_old_one_died(
    usable: bool, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead, keeps = Dead(usable=usable), store.event_store

    def fails_once(**given: Any) -> Any:
        if not dead.closed:
            raise OperationalError("the connection is closed")
        return keeps(**given)

    monkeypatch.setattr(views, "connection", dead)
    monkeypatch.setattr(views, "event_store", fails_once)
    assert send(factories.endpoint(), PAYLOAD, signed(PAYLOAD)).status == status
    assert (dead.closed, Event.objects.count()) == (not usable, 0 if usable else 1)


@pytest.mark.parametrize("error", [OperationalError, InterfaceError, DecryptError])
@pytest.mark.parametrize("place", ["_insert", "secrets"])
def test_trouble_of_ours_asks_the_sender_to_repeat(
    error: type[Exception], place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise error("no luck")

    endpoint = factories.endpoint()
    module, name = (store, "_insert") if place == "_insert" else (views, "door_at")
    monkeypatch.setattr(module, name, fails)
    reply = send(endpoint, PAYLOAD, signed(PAYLOAD))
    assert (reply.status, reply.code, reply.headers["Retry-After"]) == (503, "unavailable", "10")
    assert b"no luck" not in reply.body
