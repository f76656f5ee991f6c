"""Changing and ending servers: complete bodies, kept edits, daemon failures (CAL-02 to CAL-04)."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest

from provisioning.drivers.errors import DaemonDown, Rejected, Unknown, WrongServer
from provisioning.drivers.trouble import NotThere
from provisioning.drivers.types import ABSENT, ChangeKind, Observed, Runtime, ServerRef, ServerState
from provisioning.sandbox.daemon import Mode
from provisioning.sandbox.faults import Kind
from tests.provisioning.drivers.pterodactyl.bench import LIMITS, Bench, desired, made

REF = ServerRef("test-shop-100", "1")
ORDERS = (ChangeKind.SUSPEND, ChangeKind.UNSUSPEND, ChangeKind.REINSTALL, ChangeKind.DELETE)


def looked(work: Bench) -> Observed:
    """The server as it is now."""
    found = work.driver.observe(REF)
    assert isinstance(found, Observed)
    work.calls()
    return found


@pytest.mark.req("CAL-02")
def test_suspend_and_unsuspend_are_one_call_each(work: Bench) -> None:
    server = made(work)
    for kind, state in (
        (ChangeKind.SUSPEND, ServerState.SUSPENDED),
        (ChangeKind.UNSUSPEND, ServerState.ACTIVE),
    ):
        for _again in range(2):
            # The answer shows nothing: a look has to prove it.
            assert work.apply(kind, desired(), server) is None
            assert work.calls() == 1
        assert looked(work).state is state


@pytest.mark.req("CAL-04")
def test_delete_is_one_plain_call_and_can_be_repeated(work: Bench) -> None:
    server = made(work)
    assert work.apply(ChangeKind.DELETE, desired(), server) is None
    assert work.apply(ChangeKind.DELETE, desired(), server) is None
    assert [call.path for call in work.panel.calls.entries] == ["/api/application/servers/1"] * 2
    assert work.driver.observe(REF) is ABSENT


def test_a_suspended_server_is_not_reinstalled(work: Bench) -> None:
    server = made(work)
    work.apply(ChangeKind.SUSPEND, desired(), server)
    with pytest.raises(Rejected, match="Unsuspend it first"):
        work.apply(ChangeKind.REINSTALL, desired(), looked(work))
    assert work.calls() == 0


def test_reinstall(work: Bench) -> None:
    server = made(work)
    work.panel.world.settings.installs.outcome = "never"
    assert work.apply(ChangeKind.REINSTALL, desired(), server) is None
    assert looked(work).state is ServerState.INSTALLING


@pytest.mark.parametrize("kind", [ChangeKind.SUSPEND, ChangeKind.REINSTALL, ChangeKind.DELETE])
@pytest.mark.parametrize(("mode", "status"), [("refused", 0), ("5xx", 502), ("4xx", 409), ("4xx", 422)])
def test_a_dead_daemon_changes_nothing(work: Bench, kind: ChangeKind, mode: Mode, status: int) -> None:
    server = made(work)
    work.panel.daemon_set(mode, status=status)
    with pytest.raises(DaemonDown) as caught:
        work.apply(kind, desired(), server)
    assert not caught.value.maybe_done
    assert looked(work).state is ServerState.ACTIVE


@pytest.mark.parametrize("kind", [ChangeKind.SUSPEND, ChangeKind.REINSTALL])
def test_the_daemons_404_is_not_the_panels(work: Bench, kind: ChangeKind) -> None:
    server = made(work)
    work.panel.daemon_set("404")
    with pytest.raises(DaemonDown):
        work.apply(kind, desired(), server)


@pytest.mark.parametrize("kind", [ChangeKind.SUSPEND, ChangeKind.UNSUSPEND, ChangeKind.REINSTALL])
def test_a_missing_server_calls_for_a_look(work: Bench, kind: ChangeKind) -> None:
    server = made(work)
    del work.panel.world.state.servers[1]
    with pytest.raises(NotThere) as caught:
        work.apply(kind, desired(), server)
    assert not caught.value.maybe_done


@pytest.mark.parametrize("kind", ORDERS)
@pytest.mark.parametrize("fault", ["bad_gateway", "error", "redirect", "error_in_ok", "lost", "down"])
def test_only_204_means_done(work: Bench, kind: ChangeKind, fault: Kind) -> None:
    server = made(work)
    work.panel.faults.add(fault)
    with pytest.raises(Unknown) as caught:
        work.apply(kind, desired(), server)
    assert caught.value.maybe_done


@pytest.mark.req("CAL-03", "CAL-22", "CAL-23")
def test_resize_shows_the_new_state_in_one_call(work: Bench) -> None:
    server = made(work, options={"threads": "0-1", "oom_killer": True})
    wanted = {"memory": 2048, "swap": -1, "disk": 9000, "io": 600, "cpu": 250}
    features = {"databases": 0, "allocations": 5, "backups": 0}
    after = work.apply(ChangeKind.RESIZE, desired(limits={**wanted, **features}), server)
    assert work.calls() == 1
    assert isinstance(after, Observed)
    assert after.limits == {**wanted, **features}
    # What the body leaves out is kept: pinned CPUs, OOM killer, port, egg, variables (field row 28).
    assert after.extra == server.extra


def test_what_the_product_leaves_open_stays(work: Bench) -> None:
    server = made(work)
    after = work.apply(ChangeKind.RESIZE, desired(limits={"memory": 2048}), server)
    assert isinstance(after, Observed)
    assert after.limits == {**LIMITS, "memory": 2048}


def test_an_answer_about_another_server_proves_nothing(work: Bench) -> None:
    server = made(work)
    work.wire.replace = (b'"id":1,', b'"id":2,')
    with pytest.raises(Unknown, match="another server") as caught:
        work.apply(ChangeKind.RESIZE, desired(limits={"memory": 2048}), server)
    assert caught.value.maybe_done


def test_null_limits_are_never_sent(work: Bench) -> None:
    made(work)
    work.server().database_limit = work.server().allocation_limit = None
    after = work.apply(ChangeKind.RESIZE, desired(limits={"memory": 2048}), looked(work))
    assert isinstance(after, Observed)
    assert (after.limits["databases"], after.limits["allocations"]) == (0, 0)


def test_a_default_port_that_the_customer_changed_is_kept(work: Bench) -> None:
    stale = made(work)
    allocations = work.panel.world.state.allocations
    allocations[1].server_id, allocations[2].server_id, work.server().allocation_id = None, 1, 2
    after = work.apply(ChangeKind.RESIZE, desired(limits={**LIMITS, "memory": 2048}), stale)
    assert isinstance(after, Observed)
    assert (after.extra["allocation"], after.limits["memory"]) == (2, 2048)
    assert work.calls() == 3


@pytest.mark.parametrize(("limits", "calls"), [({"io": 5}, 1), ({"memory": -1}, 1)])
def test_a_refused_resize_says_why(work: Bench, limits: dict[str, int], calls: int) -> None:
    server = made(work)
    with pytest.raises(Rejected, match="must be"):
        work.apply(ChangeKind.RESIZE, desired(limits={**LIMITS, **limits}), server)
    assert work.calls() == calls


def test_a_port_of_another_server_is_refused_not_taken(work: Bench) -> None:
    server = made(work)
    made(work, mark="test-shop-101", pinned={"allocation": 2})
    wrong = Observed.from_json({**server.as_json(), "extra": {**server.extra, "allocation": 2}})
    work.server(1).allocation_id = 2
    with pytest.raises(Rejected, match="already been taken"):
        work.apply(ChangeKind.RESIZE, desired(limits={**LIMITS, "memory": 2048}), wrong)


def _runtime(**fields: Any) -> dict[str, Any]:
    return Runtime(**fields).as_json()


@pytest.mark.req("CAL-25", "CAL-30")
@pytest.mark.parametrize(
    ("before", "after", "changed"),
    [
        ({}, {"image": "example.com/java:8"}, {"image": "example.com/java:8"}),
        ({"image": "example.com/java:8"}, {}, {"image": "ghcr.io/pterodactyl/yolks:java_21"}),
        ({}, {"startup": "java -jar y.jar"}, {"startup": "java -jar y.jar"}),
        ({}, {"variables": {"BUILD_NUMBER": "12"}}, {"BUILD_NUMBER": "12"}),
        ({"variables": {"build_number": "12"}}, {}, {"BUILD_NUMBER": "latest"}),
        ({"variables": {"DL_PATH": "x"}}, {"variables": {"DL_PATH": "x"}}, {}),
    ],
)
def test_startup_changes_only_what_the_product_changed(
    work: Bench, before: dict[str, Any], after: dict[str, Any], changed: dict[str, str]
) -> None:
    made(work)
    # The customer's own edit, which a complete environment must carry along (trap 5).
    work.server().variables["MINECRAFT_VERSION"] = "1.8.8"
    work.server().image = "customer.example.com/java:17"
    for name, value in before.get("variables", {}).items():
        work.server().variables[name.upper()] = value
    server = looked(work)
    wanted = desired(runtime=Runtime(**after), runtime_applied=_runtime(**before))
    found = work.apply(ChangeKind.STARTUP, wanted, server)
    assert work.calls() == 1
    assert isinstance(found, Observed)
    variables = {name: value for name, value in changed.items() if name.isupper()}
    assert found.extra["environment"] == {**server.extra["environment"], **variables}
    for field in ("image", "startup"):
        assert found.extra[field] == changed.get(field, server.extra[field])


def test_startup_refreshes_a_stale_egg_once(work: Bench) -> None:
    server = made(work)
    egg = work.notes.recall("egg", "1:5")
    assert egg is not None
    work.notes.store("egg", "1:5", {**egg, "variables": egg["variables"][:1]})
    wanted = desired(runtime=Runtime(variables={"BUILD_NUMBER": "12"}), runtime_applied=_runtime())
    found = work.apply(ChangeKind.STARTUP, wanted, server)
    assert isinstance(found, Observed)
    assert found.extra["environment"] == {**server.extra["environment"], "BUILD_NUMBER": "12"}
    assert work.calls() == 3


def test_a_changed_variable_that_breaks_its_rule_is_refused(work: Bench) -> None:
    server = made(work)
    wanted = desired(runtime=Runtime(variables={"SERVER_JARFILE": "x"}), runtime_applied=_runtime())
    with pytest.raises(Rejected, match="Server Jar File"):
        work.apply(ChangeKind.STARTUP, wanted, server)


def test_the_mark_is_set_and_nothing_else_is_cleared(work: Bench) -> None:
    made(work)
    row = work.server()
    row.external_id, row.description, row.name = None, "Ada's notes", "Her own name"
    after = work.apply(ChangeKind.MARK, desired(set_mark=True), listed(work))
    assert isinstance(after, Observed)
    assert (after.mark, after.name, after.owner) == ("test-shop-100", "Her own name", "2")
    assert row.description == "Ada's notes"
    assert work.calls() == 2


def listed(work: Bench) -> Observed:
    """The server as it is now, whatever its mark; the calls for it don't count."""
    found = next(iter(work.driver.servers()))
    work.calls()
    return found


def test_a_foreign_mark_is_never_replaced(work: Bench) -> None:
    made(work)
    work.server().external_id = None
    server = listed(work)
    work.server().external_id = "somebody-else"
    with pytest.raises(WrongServer):
        work.apply(ChangeKind.MARK, desired(set_mark=True), server)
    assert work.server().external_id == "somebody-else"


def test_there_is_nothing_to_change_on_an_absent_server(work: Bench) -> None:
    with pytest.raises(Unknown, match="no server"):
        work.apply(ChangeKind.DELETE, desired(), ABSENT)
    assert work.calls() == 0


@pytest.mark.req("CAL-40")
def test_links_and_sign_in_help(work: Bench) -> None:
    server = made(work)
    account = next(found for found in work.driver.accounts() if found.mark == "7")
    work.calls()
    assert work.driver.server_url(server) == f"{work.panel.url}/server/{server.identifier}"
    for calls in (1, 0):
        assert asdict(work.driver.sign_in_help(server, account)) == {
            "panel_url": work.panel.url,
            "email": "ada@example.com",
            "forgot_url": f"{work.panel.url}/auth/password",
            "server_url": f"{work.panel.url}/server/{server.identifier}",
            "sftp_host": "node-1.example.com",
            "sftp_port": "2022",
            "sftp_user": f"ada_7.{server.identifier}",
        }
        assert work.calls() == calls
