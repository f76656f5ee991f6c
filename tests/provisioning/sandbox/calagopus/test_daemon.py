"""The daemon hears late, in another order or not at all, and the panel waits for it without end."""

import time

import pytest
import requests

from provisioning.sandbox.calagopus.rows import Server
from provisioning.sandbox.calagopus.server import CalagopusSandbox
from provisioning.sandbox.daemon import Mode
from tests.provisioning.sandbox.calagopus.calling import (
    LIMITS,
    SERVERS,
    Background,
    deploy_body,
    errors,
    hang_up,
    make_server,
    server_body,
    told,
    waiting,
)
from tests.provisioning.sandbox.client import Api


def resize(api: Api, server: Server, memory: int) -> None:
    """One PATCH."""
    limits = {**LIMITS, "memory": memory}
    assert api("PATCH", f"{SERVERS}/{server.uuid}", {"limits": limits}).status_code == 200


def test_a_server_runs_when_it_was_asked_to(panel: CalagopusSandbox, api: Api) -> None:
    panel.settings.installs.delay = 30
    server = make_server(panel, api)
    assert (server.status, told(panel, server).power) == ("installing", "offline")
    panel.advance(31)
    assert (panel.state.servers[server.uuid].status, told(panel, server).power) == (None, "running")


@pytest.mark.parametrize(("outcome", "status"), [("fail", "install_failed"), ("never", "installing")])
def test_installs_can_fail_or_never_end(panel: CalagopusSandbox, api: Api, outcome: str, status: str) -> None:
    panel.settings.installs.outcome = outcome
    server = make_server(panel, api)
    panel.advance(3600)
    assert panel.state.servers[server.uuid].status == status


def test_a_suspension_stops_the_server(panel: CalagopusSandbox, api: Api) -> None:
    server = make_server(panel, api)
    api("PATCH", f"{SERVERS}/{server.uuid}", {"suspended": True})
    assert (told(panel, server).suspended, told(panel, server).power) == (True, "offline")


def test_a_patch_is_answered_before_the_daemon_hears_of_it(panel: CalagopusSandbox, api: Api) -> None:
    panel.settings.sync_delay = 10
    server = make_server(panel, api)
    resize(api, server, 2048)
    assert panel.state.servers[server.uuid].limits["memory"] == 2048
    assert told(panel, server).build["memory_limit"] == 1024
    panel.advance(11)
    panel.settle()
    assert told(panel, server).build["memory_limit"] == 2048


@pytest.mark.parametrize(("order", "last"), [("sent", 1008), ("reversed", 1001)])
def test_eight_quick_patches_arrive_as_the_switch_says(
    panel: CalagopusSandbox, api: Api, order: str, last: int
) -> None:
    panel.settings.sync_delay, panel.settings.sync_order = 5, order
    server = make_server(panel, api)
    for number in range(1, 9):
        resize(api, server, 1000 + number)
    panel.advance(6)
    panel.settle()
    assert panel.state.servers[server.uuid].limits["memory"] == 1008
    assert told(panel, server).build["memory_limit"] == last


def test_chance_can_make_the_last_word_an_old_one(panel: CalagopusSandbox, api: Api) -> None:
    panel.settings.sync_delay, panel.settings.sync_order = 5, "random"
    panel.world.random.seed(7)
    server = make_server(panel, api)
    for number in range(1, 9):
        resize(api, server, 1000 + number)
    panel.advance(20)
    panel.settle()
    arrived = [c.body or {} for c in panel.panel.daemons.calls if c.path.endswith("/sync")]
    order = [body["server"]["settings"]["build"]["memory_limit"] for body in arrived]
    assert sorted(order) == list(range(1001, 1009)) != order
    assert told(panel, server).build["memory_limit"] == order[-1]


@pytest.mark.parametrize("mode", ["refused", "5xx", "4xx", "404"])
def test_what_a_failing_daemon_missed_the_next_patch_brings(
    panel: CalagopusSandbox, api: Api, mode: Mode
) -> None:
    server = make_server(panel, api)
    panel.daemon_set(mode)
    assert api("PATCH", f"{SERVERS}/{server.uuid}", {"suspended": True}).status_code == 200
    assert (told(panel, server).suspended, told(panel, server).power) == (False, "running")
    panel.daemon_set("ok")
    api("PATCH", f"{SERVERS}/{server.uuid}", {})
    assert told(panel, server).suspended


@pytest.mark.parametrize(("seconds", "woken"), [(None, True), (60.0, False)])
def test_a_silent_daemon_hears_of_a_patch_when_it_wakes(
    panel: CalagopusSandbox, api: Api, seconds: float | None, woken: bool
) -> None:
    server = make_server(panel, api)
    panel.daemon_set("hang", seconds=seconds)
    assert api("PATCH", f"{SERVERS}/{server.uuid}", {"suspended": True}).status_code == 200
    panel.advance(30)
    panel.settle()
    assert not told(panel, server).suspended
    if woken:
        panel.daemon_set("ok")
    else:
        panel.advance(31)
    panel.settle()
    assert told(panel, server).suspended


@pytest.mark.parametrize("mode", ["refused", "5xx", "4xx", "404"])
def test_a_create_that_the_daemon_fails_leaves_nothing(panel: CalagopusSandbox, api: Api, mode: Mode) -> None:
    panel.daemon_set(mode)
    answer = api("POST", SERVERS, server_body(panel))
    assert (answer.status_code, errors(answer)) == (500, ["internal server error"])
    assert not panel.state.servers
    assert not panel.state.links


def test_a_create_waits_without_end_and_goes_on_when_the_daemon_wakes(
    panel: CalagopusSandbox, api: Api
) -> None:
    panel.daemon_set("hang", seconds=None)
    call = Background(api, "POST", SERVERS, server_body(panel))
    waiting(panel, 1)
    panel.advance(86400)
    assert call.waits
    panel.daemon_set("ok")
    assert call.answer().status_code == 200


def test_a_daemon_that_wakes_with_an_error_takes_the_create_back(panel: CalagopusSandbox, api: Api) -> None:
    panel.daemon_set("hang", seconds=None)
    call = Background(api, "POST", SERVERS, server_body(panel))
    waiting(panel, 1)
    panel.daemon_set("5xx")
    assert call.answer().status_code == 500
    assert panel.state.servers == {}


@pytest.mark.parametrize(("status", "shown", "knows"), [(0, None, True), (500, "installing", False)])
def test_a_caller_who_hangs_up_leaves_the_row_whatever_the_daemon_says(
    panel: CalagopusSandbox, api: Api, status: int, shown: str | None, knows: bool
) -> None:
    panel.daemon_set("hang", seconds=60, status=status)
    hang_up(panel, api, "POST", SERVERS, server_body(panel))
    (server,) = panel.state.servers.values()
    assert server.status == "installing"
    assert panel.state.holders()
    panel.advance(61)
    assert panel.state.servers[server.uuid].status == shown
    assert (panel.daemon_view(server.uuid) is not None) is knows


def test_who_hung_up_is_gone_also_when_the_daemon_answers_first(
    panel: CalagopusSandbox, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("provisioning.sandbox.calagopus.daemon.LOOK", 0.15)
    panel.daemon_set("hang", seconds=60, status=500)
    with pytest.raises(requests.ReadTimeout):
        api.session.post(api.url + SERVERS, json=server_body(panel), timeout=0.05)
    panel.advance(61)
    waiting(panel, 0)
    assert [s.status for s in panel.state.servers.values()] == ["installing"]


def test_a_retry_after_hanging_up_makes_a_second_server(panel: CalagopusSandbox, api: Api) -> None:
    panel.daemon_set("hang", seconds=60)
    hang_up(panel, api, "POST", SERVERS, server_body(panel))
    panel.daemon_set("ok")
    first = next(iter(panel.state.servers))
    make_server(panel, api)
    assert [s.external_id for s in panel.state.servers.values()] == ["bb:1", "bb:1"]
    assert api("GET", f"{SERVERS}/external/bb:1").json()["server"]["uuid"] == first


@pytest.mark.parametrize(("status", "gone"), [(0, True), (500, False)])
def test_a_delete_goes_on_when_the_caller_has_hung_up(
    panel: CalagopusSandbox, api: Api, status: int, gone: bool
) -> None:
    server = make_server(panel, api)
    panel.daemon_set("hang", seconds=60, status=status)
    hang_up(panel, api, "DELETE", f"{SERVERS}/{server.uuid}", {})
    assert server.uuid in panel.state.servers
    panel.advance(61)
    assert (server.uuid not in panel.state.servers) is gone


@pytest.mark.parametrize(
    ("mode", "text"),
    [
        ("refused", "error sending request for url (https://node-1.example.com:8080/api/servers/{uuid})"),
        ("5xx", "wings api status code 500 Internal Server Error: the daemon refuses this"),
        ("404", "wings api status code 404 Not Found: the daemon refuses this"),
    ],
)
def test_a_delete_that_fails_keeps_the_server_until_it_is_forced(
    panel: CalagopusSandbox, api: Api, mode: Mode, text: str
) -> None:
    server = make_server(panel, api)
    panel.daemon_set(mode)
    answer = api("DELETE", f"{SERVERS}/{server.uuid}", {})
    assert answer.status_code == 417
    assert errors(answer) == [f"failed to delete server: {text.format(uuid=server.uuid)}"]
    assert api("DELETE", f"{SERVERS}/{server.uuid}", {"force": True}).status_code == 200
    assert not panel.state.servers
    assert not panel.state.links


def test_a_server_that_the_daemon_forgot_needs_force(panel: CalagopusSandbox, api: Api) -> None:
    server = make_server(panel, api)
    panel.panel.daemons.of(server.node).servers.clear()
    answer = api("DELETE", f"{SERVERS}/{server.uuid}", {})
    assert errors(answer) == [
        "failed to delete server: wings api status code 404 Not Found: server not found"
    ]
    assert server.uuid in panel.state.servers


def test_a_failing_backup_is_an_error_although_the_server_is_gone(panel: CalagopusSandbox, api: Api) -> None:
    server = make_server(panel, api)
    path = f"/api/client/servers/{server.uuid}/backups"
    made = api("POST", path, {"ignored_files": []}).json()["backup"]["uuid"]
    panel.backup_finish(made)
    panel.settings.backups_fail = True
    answer = api("DELETE", f"{SERVERS}/{server.uuid}", {"delete_backups": True})
    assert answer.status_code == 417
    assert errors(answer)[0].startswith("failed to delete backup: wings api status code 500")
    assert panel.state.servers == {}
    assert panel.state.backups[made].server is None


def test_usage_is_as_old_as_the_cache_allows(panel: CalagopusSandbox, api: Api) -> None:
    panel.settings.resource_cache = 15
    server = make_server(panel, api)
    path = f"/api/client/servers/{server.uuid}/resources"
    assert api("GET", path).json()["resources"]["state"] == "running"
    panel.power_set(server.uuid, "offline")
    assert api("GET", path).json()["resources"]["state"] == "running"
    panel.advance(16)
    assert api("GET", path).json()["resources"]["state"] == "offline"


def test_a_deployment_asks_for_ports_no_longer_than_three_seconds(panel: CalagopusSandbox, api: Api) -> None:
    panel.daemon_set("hang", seconds=None)
    call = Background(api, "POST", f"{SERVERS}/deploy", deploy_body(panel))
    while call.waits:
        panel.advance(0.5)
        time.sleep(0.01)
    reason = "timed out asking the node which ports are in use"
    assert errors(call.answer()) == [f"could not deploy server: {reason}"]


def test_stopping_the_panel_ends_a_hang(panel: CalagopusSandbox, api: Api) -> None:
    panel.daemon_set("hang", seconds=None)
    body = server_body(panel)
    begun = time.monotonic()
    try:
        Background(api, "POST", SERVERS, body)
        waiting(panel, 1)
    finally:
        panel.stop()
    assert time.monotonic() - begun < 5
    panel.start()
    assert api("GET", f"{SERVERS}/external/bb:1").json()["server"]["status"] == "installing"
