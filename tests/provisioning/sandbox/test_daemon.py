"""A daemon that refuses, hangs or fails, and what the panel makes of it (contract sections 0, 2, 6 and 9)."""

import time

import pytest

from provisioning.sandbox.daemon import MISSING, Mode
from provisioning.sandbox.server import PanelSandbox
from tests.provisioning.sandbox.client import (
    SERVERS,
    Api,
    build_body,
    errors,
    make_server,
    make_user,
    server_body,
)

UNREACHABLE = "Could not establish a connection to the machine running this server. Please try again."
NODE = "/api/application/nodes/1"


def test_refused_is_504(panel: PanelSandbox, api: Api) -> None:
    owner = make_user(api)
    panel.daemon_set("refused")
    answer = api("POST", SERVERS, server_body(owner))
    assert answer.status_code == 504
    assert errors(answer) == [("DaemonConnectionException", UNREACHABLE)]


@pytest.mark.parametrize(
    ("mode", "status", "expected", "detail"),
    [
        ("4xx", 0, 409, "An error occurred on the remote host: busy. (request id: req-1)"),
        ("4xx", 422, 422, "An error occurred on the remote host: busy. (request id: req-1)"),
        ("404", 0, 404, f"An error occurred on the remote host: {MISSING}. (request id: req-1)"),
        (
            "5xx",
            502,
            502,
            "There was an error while communicating with the machine running this server. "
            "This error has been logged, please try again. (code: 502) (request_id: req-1)",
        ),
    ],
)
def test_errors_keep_the_daemons_status(
    panel: PanelSandbox, api: Api, mode: Mode, status: int, expected: int, detail: str
) -> None:
    server = make_server(api)
    panel.daemon_set(mode, status=status, error="busy", request_id="req-1")
    answer = api("POST", f"{SERVERS}/{server['id']}/suspend")
    assert answer.status_code == expected
    assert errors(answer) == [("DaemonConnectionException", detail)]


@pytest.mark.parametrize("mode", ["refused", "4xx", "5xx", "404", "hang"])
def test_a_failed_create_leaves_nothing(panel: PanelSandbox, api: Api, mode: Mode) -> None:
    owner = make_user(api)
    panel.world.settings.daemon_timeout = 0.02
    panel.daemon_set(mode)
    assert api("POST", SERVERS, server_body(owner)).status_code >= 400
    assert panel.state.servers == {}
    assert all(a.server_id is None for a in panel.state.allocations.values())
    panel.daemon_set("ok")
    assert api("POST", SERVERS, server_body(owner)).status_code == 201


def test_a_hang_waits_twice_at_create_and_lets_others_in(panel: PanelSandbox, api: Api) -> None:
    owner = make_user(api)
    panel.world.settings.daemon_timeout = 0.05
    panel.daemon_set("hang", seconds=60)
    begun = time.monotonic()
    answer = api("POST", SERVERS, server_body(owner))
    assert answer.status_code == 504
    assert time.monotonic() - begun >= 0.1
    daemons = [panel.panel.daemons.of(n) for n in panel.state.nodes]
    assert sum(len(daemon.servers) for daemon in daemons) == 1, "the daemon keeps an orphan"


def test_a_short_hang_ends_well(panel: PanelSandbox, api: Api) -> None:
    owner = make_user(api)
    panel.daemon_set("hang", seconds=0.02)
    assert api("POST", SERVERS, server_body(owner)).status_code == 201


@pytest.mark.parametrize(
    ("before", "verb", "after"),
    [("install_failed", "suspend", None), ("suspended", "unsuspend", "suspended"), (None, "suspend", None)],
)
def test_a_failed_toggle_is_rolled_back(
    panel: PanelSandbox, api: Api, before: str | None, verb: str, after: str | None
) -> None:
    server = panel.state.servers[make_server(api)["id"]]
    panel.settle()
    server.status = before
    panel.daemon_set("5xx")
    assert api("POST", f"{SERVERS}/{server.id}/{verb}").status_code == 500
    assert server.status == after


def test_a_toggle_to_the_same_state_asks_no_daemon(panel: PanelSandbox, api: Api) -> None:
    server = make_server(api)
    panel.daemon_set("refused")
    assert api("POST", f"{SERVERS}/{server['id']}/unsuspend").status_code == 204


def test_a_failed_reinstall_keeps_the_state(panel: PanelSandbox, api: Api) -> None:
    server = make_server(api)
    panel.daemon_set("refused")
    assert api("POST", f"{SERVERS}/{server['id']}/reinstall").status_code == 504
    assert panel.state.servers[server["id"]].status is None


def test_a_failed_sync_is_swallowed_by_build(panel: PanelSandbox, api: Api) -> None:
    server = make_server(api)
    panel.daemon_set("refused")
    answer = api("PATCH", f"{SERVERS}/{server['id']}/build", build_body(server["allocation"]))
    assert answer.status_code == 200
    assert answer.json()["attributes"]["limits"]["memory"] == 2048


@pytest.mark.parametrize(
    ("mode", "suffix", "status", "left"),
    [
        ("5xx", "", 500, 1),
        ("refused", "", 504, 1),
        ("5xx", "/other", 500, 1),
        ("404", "", 204, 0),
        ("5xx", "/force", 204, 0),
        ("ok", "", 204, 0),
    ],
)
def test_delete_with_a_failing_daemon(
    panel: PanelSandbox, api: Api, mode: Mode, suffix: str, status: int, left: int
) -> None:
    server = make_server(api)
    panel.daemon_set(mode)
    assert api("DELETE", f"{SERVERS}/{server['id']}{suffix}").status_code == status
    assert len(panel.state.servers) == left
    held = panel.panel.daemons.of(server["node"]).servers
    assert (server["uuid"] in held) is (mode != "ok")


def test_modes_are_per_node(panel: PanelSandbox, api: Api) -> None:
    owner = make_user(api)
    panel.daemon_set("refused", node_id=1)
    one, two = (next(a.id for a in panel.state.allocations.values() if a.node_id == n) for n in (1, 2))
    first = server_body(owner, allocation={"default": one})
    second = server_body(owner, allocation={"default": two})
    del first["deploy"], second["deploy"]
    assert api("POST", SERVERS, first).status_code == 504
    assert api("POST", SERVERS, second).status_code == 201


def test_a_node_change_is_saved_although_its_daemon_is_down(panel: PanelSandbox, api: Api) -> None:
    panel.daemon_set("refused")
    shown = api.shown(NODE)
    body = {name: value for name, value in shown.items() if name not in ("id", "uuid", "description")}
    answer = api("PATCH", NODE, {**body, "memory": 1000})
    assert errors(answer)[0][0] == "ConfigurationNotPersistedException"
    assert panel.state.nodes[1].memory == 1000


@pytest.mark.parametrize(
    ("outcome", "status", "installed"),
    [("success", None, 1), ("fail", "install_failed", 0), ("never", "installing", 0)],
)
def test_installs_end_after_their_delay(
    panel: PanelSandbox, api: Api, outcome: str, status: str | None, installed: int
) -> None:
    panel.world.settings.installs.outcome = outcome
    panel.world.settings.installs.delay = 30
    path = f"{SERVERS}/{make_server(api)['id']}"
    assert api.shown(path)["status"] == "installing"
    panel.advance(31)
    shown = api.shown(path)
    assert (shown["status"], shown["container"]["installed"]) == (status, installed)


def test_no_scripts_no_waiting(panel: PanelSandbox, api: Api) -> None:
    panel.world.settings.installs.delay = 30
    server = make_server(api, skip_scripts=True)
    assert api.shown(f"{SERVERS}/{server['id']}")["status"] is None


@pytest.mark.parametrize(
    ("before", "successful", "reinstall", "after"),
    [
        ("installing", True, False, None),
        ("installing", False, True, "reinstall_failed"),
        ("suspended", True, False, "suspended"),
        ("suspended", False, False, "suspended"),
    ],
)
def test_install_callbacks(
    panel: PanelSandbox, api: Api, before: str, successful: bool, reinstall: bool, after: str | None
) -> None:
    panel.world.settings.installs.outcome = "never"
    server = panel.state.servers[make_server(api)["id"]]
    server.status = before
    panel.install_finish(server.id, successful=successful, reinstall=reinstall)
    assert server.status == after


def test_reinstalling_lifts_a_suspension(panel: PanelSandbox, api: Api) -> None:
    path = f"{SERVERS}/{make_server(api)['id']}"
    assert api("POST", f"{path}/suspend").status_code == 204
    assert api.shown(path)["suspended"] is True
    assert api("POST", f"{path}/reinstall").status_code == 204
    assert api.shown(path)["status"] is None
