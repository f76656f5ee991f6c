"""Deletes, forced ones, backups that stay; and a failed install that is tried once more (CAL-04)."""

from __future__ import annotations

from typing import Any

import pytest

from provisioning.drivers.errors import Busy, DaemonDown, Rejected, Unknown
from provisioning.drivers.types import ABSENT, ChangeKind, Observed, ServerRef, ServerState, Wanted
from provisioning.sandbox.calagopus.rows import Backup
from tests.provisioning.drivers.calagopus.bench import Bench, desired, made

DELETE = "DELETE admin/servers/{server}"


# --- delete ----------------------------------------------------------------------------------------------


@pytest.mark.req("CAL-04")
@pytest.mark.parametrize(
    ("options", "sent"), [({"delete_backups": True}, True), ({"delete_backups": False}, False)]
)
def test_a_delete_is_one_call_and_says_what_becomes_of_backups(
    work: Bench, options: dict[str, bool], *, sent: bool
) -> None:
    look = made(work)
    wish = desired(work, state=Wanted.ABSENT, options=options)
    assert work.apply(ChangeKind.DELETE, wish, look) is None
    assert (work.calls(), work.wire.bodies) == ([DELETE], [{"force": False, "delete_backups": sent}])
    assert work.driver.observe(ServerRef(look.mark)) is ABSENT
    assert work.apply(ChangeKind.DELETE, wish, look) is None
    assert work.driver.remarks == []


@pytest.mark.req("CAL-04")
def test_backups_stay_and_are_told_where_no_product_says_that_they_go(work: Bench) -> None:
    look = made(work)
    work.apply(ChangeKind.DELETE, desired(work, state=Wanted.ABSENT), look)
    assert work.wire.bodies == [{"force": False, "delete_backups": False}]
    (words,) = work.driver.remarks
    assert f"the backups of server {look.server_id}" in words
    assert "left on the panel" in words


@pytest.mark.parametrize("mode", ["refused", "5xx"])
def test_a_dead_daemon_keeps_the_server(work: Bench, mode: Any) -> None:
    look = made(work)
    work.panel.daemon_set(mode)
    with pytest.raises(DaemonDown):
        work.apply(ChangeKind.DELETE, desired(work, state=Wanted.ABSENT), look)
    assert work.server()
    assert [body["force"] for body in work.wire.bodies] == [False]


def test_a_machine_that_forgot_the_server_is_forced_and_told(work: Bench) -> None:
    look = made(work)
    work.panel.panel.daemons.of(work.server().node).servers.clear()
    work.apply(ChangeKind.DELETE, desired(work, state=Wanted.ABSENT), look)
    assert work.calls() == [DELETE, DELETE]
    assert [body["force"] for body in work.wire.bodies] == [False, True]
    assert work.panel.state.servers == {}
    assert "no longer knew server" in work.driver.remarks[0]


def test_backups_that_stay_are_told_and_the_server_is_gone(work: Bench) -> None:
    look = made(work)
    row = Backup(*work.panel.world.stamp(), look.server_id, work.server().node, "daily", [], {})
    work.panel.world.state.backups[row.uuid] = row
    work.panel.settings.backups_fail = True
    wish = desired(work, state=Wanted.ABSENT, options={"delete_backups": True})
    assert work.apply(ChangeKind.DELETE, wish, look) is None
    assert work.driver.observe(ServerRef(look.mark, look.server_id)) is ABSENT
    assert "not all of its backups" in work.driver.remarks[0]


# --- installing once more --------------------------------------------------------------------------------


def failed(work: Bench) -> Observed:
    """A server whose install has failed."""
    look = made(work)
    work.panel.install_finish(look.server_id, successful=False)
    seen = work.driver.observe(ServerRef(look.mark, look.server_id))
    assert isinstance(seen, Observed)
    assert seen.state is ServerState.INSTALL_FAILED
    work.calls()
    return seen


def test_a_failed_install_is_cleared_and_ordered_again(work: Bench) -> None:
    look = failed(work)
    work.apply(ChangeKind.REINSTALL, desired(work), look)
    cleared = "POST admin/servers/{server}/clear-state"
    assert work.calls() == [cleared, "POST client/servers/{server}/settings/install"]
    assert work.wire.bodies == [{}, {"truncate_directory": False}]


def test_a_cleared_failure_without_an_install_is_still_a_failure(work: Bench) -> None:
    look = failed(work)
    work.panel.faults.add("down", method="POST", path="settings/install")
    with pytest.raises(Unknown):
        work.apply(ChangeKind.REINSTALL, desired(work), look)
    assert work.server().status is None
    seen = work.driver.observe(ServerRef(look.mark, look.server_id))
    assert isinstance(seen, Observed)
    assert seen.state is ServerState.INSTALL_FAILED
    work.server().status = "installing"
    work.driver.observe(ServerRef(look.mark, look.server_id))
    work.server().status = None
    seen = work.driver.observe(ServerRef(look.mark, look.server_id))
    assert isinstance(seen, Observed)
    assert seen.state is ServerState.ACTIVE


def test_a_running_install_is_waited_for_and_a_suspended_server_refused(work: Bench) -> None:
    look = made(work)
    work.server().status = "installing"
    with pytest.raises(Busy):
        work.apply(ChangeKind.REINSTALL, desired(work), look)
    work.server().suspended = True
    seen = work.driver.observe(ServerRef(look.mark, look.server_id))
    with pytest.raises(Rejected):
        work.apply(ChangeKind.REINSTALL, desired(work), seen)
