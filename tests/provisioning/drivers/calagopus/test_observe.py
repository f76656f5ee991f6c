"""Looks and lists: absent is proven, lists are complete, secrets stay outside (CAL-12, CAL-40)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from provisioning.drivers.calagopus import reading
from provisioning.drivers.errors import AuthFailed, RateLimited, Unknown
from provisioning.drivers.fields import Fields
from provisioning.drivers.types import ABSENT, Account, Observed, ServerRef, ServerState
from provisioning.lib.http import Answer
from provisioning.sandbox.calagopus.rows import BackupConfiguration
from provisioning.sandbox.calagopus.seed import seed_servers
from provisioning.sandbox.faults import Kind
from tests.provisioning.drivers.calagopus.bench import Bench, made, user

ADA = Account("u", "u", "7", "ada@example.com", "ada_7", is_admin=False)


def look(work: Bench, ref: ServerRef) -> Observed:
    """The server, which is there."""
    found = work.driver.observe(ref)
    assert isinstance(found, Observed)
    return found


def test_absent_needs_the_panels_own_404_on_both_questions(work: Bench) -> None:
    found = made(work)
    assert work.driver.observe(ServerRef("nobody")) is ABSENT
    gone = ServerRef("nobody", "00000000-0000-0000-0000-000000000000")
    work.calls()
    assert work.driver.observe(gone) is ABSENT
    assert work.calls() == ["GET admin/servers/{server}", "GET admin/servers/external/{mark}"]
    # The other question finds it: it is there.
    assert look(work, ServerRef(found.mark, gone.server_id)).server_id == found.server_id


@pytest.mark.parametrize(
    "kind", ["down", "lost", "cut", "wrong_types", "error", "bad_gateway", "redirect", "error_in_ok"]
)
def test_a_broken_answer_is_unknown_and_nothing_was_done(work: Bench, kind: Kind) -> None:
    found = made(work)
    work.panel.faults.add(kind, count=None)
    with pytest.raises(Unknown) as caught:
        work.driver.observe(ServerRef(found.mark, found.server_id))
    assert not caught.value.maybe_done


@pytest.mark.parametrize(
    ("kind", "error"),
    [("unauthorized", AuthFailed), ("forbidden", AuthFailed), ("rate_limited", RateLimited)],
)
def test_a_refusal_is_no_absence(work: Bench, kind: Kind, error: type[Exception]) -> None:
    work.panel.faults.add(kind)
    with pytest.raises(error):
        work.driver.observe(ServerRef("test-shop-100"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"external_id":"test-shop-100"', b'"external_id":"test-shop-101"'),
        (b'"is_suspended":false', b'"is_suspended":0'),
        (b'"memory":1024', b'"memory":"1024"'),
        (b'"status":null', b'"status":"dreaming"'),
    ],
)
def test_what_does_not_fit_is_unknown(work: Bench, old: bytes, new: bytes) -> None:
    found = made(work)
    work.wire.replace = (old, new)
    with pytest.raises(Unknown):
        work.driver.observe(ServerRef(found.mark))


@pytest.mark.parametrize(
    ("status", "state"),
    [
        (None, ServerState.ACTIVE),
        ("installing", ServerState.INSTALLING),
        ("install_failed", ServerState.INSTALL_FAILED),
        ("restoring_backup", ServerState.BUSY),
        ("backup_restore_failed", ServerState.ACTIVE),
    ],
)
def test_each_status_has_its_state_and_a_suspension_goes_first(
    work: Bench, status: str | None, state: ServerState
) -> None:
    found = made(work)
    ref = ServerRef(found.mark, found.server_id)
    work.server().status = status
    assert look(work, ref).state is state
    work.server().suspended = True
    assert look(work, ref).state is ServerState.SUSPENDED


@pytest.mark.req("CAL-40")
def test_the_link_and_the_sign_in_help_come_from_the_look(work: Bench) -> None:
    found = made(work)
    work.calls()
    panel = work.panel.url
    assert work.driver.server_url(found) == f"{panel}/server/{found.uuid[:8]}"
    shown = work.driver.sign_in_help(found, ADA)
    assert (shown.forgot_url, shown.server_url) == (
        f"{panel}/auth/forgot-password",
        f"{panel}/server/{found.identifier}",
    )
    assert (shown.sftp_host, shown.sftp_port) == ("node-1.example.com", "2022")
    assert shown.sftp_user == f"ada_7.{found.identifier}"
    assert work.calls() == []
    work.node().sftp_host = "sftp.example.com"
    seen = look(work, ServerRef(found.mark))
    assert work.driver.sign_in_help(seen, ADA).sftp_host == "sftp.example.com"


@pytest.mark.req("CAL-12")
def test_no_secret_of_a_nested_answer_is_kept(work: Bench) -> None:
    found = made(work)
    secret = "S3-secret-key-in-clear"
    row = BackupConfiguration(*work.panel.world.stamp(), "S3", "s3")
    row.configs = {"s3": {"secret_key": secret}}
    work.panel.world.state.backup_configurations[row.uuid] = row
    work.server().backup_configuration = row.uuid
    seen = look(work, ServerRef(found.mark))
    assert seen.extra["backup_configuration"] == row.uuid
    assert secret not in json.dumps(seen.as_json())
    assert secret not in json.dumps(list(work.notes.values.values()))


def test_feature_limits_without_an_end_are_not_stored() -> None:
    data = {"feature_limits": {f"key{number}": "x" * 100 for number in range(1000)}}
    with pytest.raises(Unknown):
        reading.feature_limits(Fields(data, "server"))


# --- lists -----------------------------------------------------------------------------------------------


def test_lists_are_read_to_their_end(work: Bench) -> None:
    owner = user(work.panel)
    seed_servers(work.panel.world, 205, owner_id=owner.uuid)
    servers = list(work.driver.servers())
    assert len({seen.server_id for seen in servers}) == 205
    assert len(work.calls()) == 3
    pages = [work.driver.server_page(number) for number in (1, 2, 3)]
    assert [(len(page.items), page.total, page.last) for page in pages] == [
        (100, 205, 3),
        (100, 205, 3),
        (5, 205, 3),
    ]
    assert [seen for page in pages for seen in page.items] == servers
    # Past its end a list counts nothing at all.
    assert work.driver.server_page(4).total == 0


def test_accounts_are_read_to_their_end(work: Bench) -> None:
    for number in range(120):
        user(work.panel, email=f"u{number}@example.com", username=f"u{number}")
    found = list(work.driver.accounts())
    assert len(found) == 121
    assert [account.is_admin for account in found].count(True) == 1
    assert list(work.driver.account_page(2).items) == found[100:]


def test_an_empty_list_is_one_page(work: Bench) -> None:
    page = work.driver.server_page(1)
    assert (page.items, page.total, page.last) == ((), 0, 1)


@pytest.mark.parametrize(("old", "new"), [(b'"total":3', b'"total":4'), (b'"total":3', b'"total":"3"')])
def test_half_a_list_is_unknown(work: Bench, old: bytes, new: bytes) -> None:
    seed_servers(work.panel.world, 3, owner_id=user(work.panel).uuid)
    work.wire.replace = (old, new)
    with pytest.raises(Unknown) as caught:
        list(work.driver.servers())
    assert not caught.value.maybe_done


def test_a_page_that_fails_fails_the_list(work: Bench) -> None:
    seed_servers(work.panel.world, 150, owner_id=user(work.panel).uuid)
    work.panel.faults.add("error", skip=1)
    with pytest.raises(Unknown):
        list(work.driver.servers())


def test_a_list_that_shrinks_while_it_is_read_is_not_believed(
    work: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What moved up by one place would be on no page that was read, though the numbers agree."""
    seed_servers(work.panel.world, 205, owner_id=user(work.panel).uuid)
    real = work.wire.request

    def shrinking(*args: Any, **kwargs: Any) -> Answer:
        answer = real(*args, **kwargs)
        servers = work.panel.world.state.servers
        if len(servers) == 205:
            del servers[next(iter(servers))]
        return answer

    monkeypatch.setattr(work.wire, "request", shrinking)
    with pytest.raises(Unknown, match="shorter"):
        list(work.driver.servers())
