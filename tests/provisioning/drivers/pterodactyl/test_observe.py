"""The look: ABSENT only on proof, never somebody else's server, every state of the panel."""

from __future__ import annotations

import pytest

from provisioning.drivers.errors import DriverError, RateLimited, Unknown
from provisioning.drivers.types import ABSENT, Observed, ServerRef, ServerState
from provisioning.sandbox.faults import Kind
from tests.provisioning.drivers.pterodactyl.bench import LIMITS, Bench, made

MARK = "test-shop-100"


@pytest.mark.parametrize(("server_id", "calls"), [("1", 1), ("", 1), ("99", 2)])
def test_found_by_id_or_by_mark(work: Bench, server_id: str, calls: int) -> None:
    server = made(work)
    assert work.driver.observe(ServerRef(MARK, server_id)) == server
    assert work.calls() == calls


@pytest.mark.parametrize(("server_id", "calls"), [("", 1), ("99", 2)])
def test_absent_is_neither_id_nor_mark(work: Bench, server_id: str, calls: int) -> None:
    made(work)
    assert work.driver.observe(ServerRef("test-shop-1", server_id)) is ABSENT
    assert work.calls() == calls


def test_a_full_look_holds_all_that_later_changes_need(work: Bench) -> None:
    server = made(work)
    assert server.limits == LIMITS
    assert server.owner == "2"
    assert server.extra == {
        "node": 1,
        "allocation": 1,
        "nest": 1,
        "egg": 5,
        "status": "",
        "image": "ghcr.io/pterodactyl/yolks:java_21",
        "startup": server.extra["startup"],
        # Without the four keys that the panel adds and does not want back.
        "environment": {
            "MINECRAFT_VERSION": "latest",
            "SERVER_JARFILE": "server.jar",
            "DL_PATH": "",
            "BUILD_NUMBER": "latest",
        },
        "threads": "",
        "oom_disabled": True,
    }
    assert Observed.from_json(server.as_json()) == server


@pytest.mark.parametrize(
    ("status", "state"),
    [
        (None, ServerState.ACTIVE),
        ("installing", ServerState.INSTALLING),
        ("install_failed", ServerState.INSTALL_FAILED),
        ("reinstall_failed", ServerState.INSTALL_FAILED),
        ("suspended", ServerState.SUSPENDED),
        ("restoring_backup", ServerState.BUSY),
    ],
)
def test_every_state(work: Bench, status: str | None, state: ServerState) -> None:
    made(work)
    work.server().status = status
    found = work.driver.observe(ServerRef(MARK, "1"))
    assert isinstance(found, Observed)
    assert found.state is state
    assert found.extra["status"] == (status or "")


def test_a_state_of_a_newer_panel_is_unknown(work: Bench) -> None:
    made(work)
    work.server().status = "hibernating"
    with pytest.raises(Unknown, match="hibernating"):
        work.driver.observe(ServerRef(MARK, "1"))


def test_null_limits_are_shown_as_such(work: Bench) -> None:
    made(work)
    work.server().database_limit = work.server().allocation_limit = None
    found = work.driver.observe(ServerRef(MARK, "1"))
    assert isinstance(found, Observed)
    assert (found.limits["databases"], found.limits["allocations"]) == (None, None)


def test_a_mark_that_differs_in_case_is_not_ours_and_no_proof(work: Bench) -> None:
    made(work)
    work.server().external_id = MARK.upper()
    with pytest.raises(Unknown, match="another server"):
        work.driver.observe(ServerRef(MARK))


def test_an_answer_about_another_id_is_no_look(work: Bench) -> None:
    made(work)
    work.wire.replace = (b'"id":1,', b'"id":2,')
    with pytest.raises(Unknown, match="another server: 2"):
        work.driver.observe(ServerRef(MARK, "1"))


def test_a_mark_with_a_slash_stays_one_question(work: Bench) -> None:
    assert work.driver.observe(ServerRef("a/../b?x=%2F")) is ABSENT


@pytest.mark.req("T83-13")
@pytest.mark.parametrize(
    "kind",
    [
        "down",
        "error",
        "bad_gateway",
        "cut",
        "lost",
        "redirect",
        "error_in_ok",
        "wrong_types",
        "huge",
        "rate_limited",
        "unauthorized",
        "forbidden",
    ],
)
@pytest.mark.parametrize("server_id", ["", "1"])
def test_trouble_is_never_read_as_absent(work: Bench, kind: Kind, server_id: str) -> None:
    made(work)
    work.panel.faults.add(kind, count=None)
    with pytest.raises(DriverError):
        work.driver.observe(ServerRef(MARK, server_id))


def test_a_broken_first_answer_is_not_made_up_for_by_a_second_question(work: Bench) -> None:
    made(work)
    work.panel.faults.add("error", path="/servers/1$")
    with pytest.raises(Unknown):
        work.driver.observe(ServerRef("test-shop-1", "1"))
    assert work.calls() == 1


def test_silence_is_passed_on(work: Bench) -> None:
    work.panel.faults.add("rate_limited", seconds=42)
    with pytest.raises(RateLimited) as caught:
        work.driver.observe(ServerRef(MARK))
    assert caught.value.seconds == 42
