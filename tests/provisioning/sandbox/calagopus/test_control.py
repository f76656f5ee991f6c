"""Controls, page and command line serve this panel as they serve any."""

import argparse

import pytest
import requests

from provisioning.sandbox.calagopus.server import CalagopusSandbox
from provisioning.sandbox.command import add_arguments, sandboxes
from tests.provisioning.sandbox.calagopus.calling import SERVERS, make_server, make_user
from tests.provisioning.sandbox.client import Api


def test_the_state_shows_what_panel_and_daemon_think(panel: CalagopusSandbox, api: Api) -> None:
    server = make_server(panel, api)
    panel.daemon_set("5xx")
    api("PATCH", f"{SERVERS}/{server.uuid}", {"suspended": True})
    (shown,) = api.control("GET", "/state")["servers"]
    assert (shown["id"], shown["external_id"], shown["status"]) == (server.uuid, "bb:1", None)
    assert (shown["suspended"], shown["daemon"]["suspended"], shown["power"]) == (True, False, "running")
    assert shown["daemon"]["build"]["memory_limit"] == shown["memory"] == 1024


def test_a_server_is_steered_by_its_short_uuid(panel: CalagopusSandbox, api: Api) -> None:
    panel.settings.installs.outcome = "never"
    server = make_server(panel, api)
    answer = api.control("POST", f"/servers/{server.short}/install", {"successful": False})
    assert answer == {"status": "install_failed"}
    assert api.control("POST", f"/servers/{server.short}/power", {"power": "running"}) == {"power": "running"}
    assert panel.daemon_view(server.uuid) is not None
    assert api("POST", "/_sandbox/servers/unknown/install", {}).status_code == 404


def test_a_power_that_the_daemon_can_not_have(panel: CalagopusSandbox, api: Api) -> None:
    server = make_server(panel, api)
    panel.panel.daemons.of(server.node).servers.clear()
    assert api("POST", f"/_sandbox/servers/{server.uuid}/power", {"power": "running"}).status_code == 404


def test_daemons_are_chosen_by_name_and_can_hang_without_end(panel: CalagopusSandbox, api: Api) -> None:
    api.control("POST", "/daemon", {"mode": "hang", "node": "node-2", "seconds": None})
    modes = {n.name: panel.panel.daemons.of(n.uuid).behaviour for n in panel.state.nodes.values()}
    assert modes["node-1"].mode == "ok"
    assert (modes["node-2"].mode, modes["node-2"].seconds) == ("hang", float("inf"))


def test_switches_are_this_panels_own(panel: CalagopusSandbox, api: Api) -> None:
    answer = api.control("POST", "/settings", {"sync_order": "reversed", "rate_limit": 100})
    assert (answer["sync_order"], answer["rate_limit"]) == ("reversed", 100)
    assert panel.settings.sync_order == "reversed"
    assert api("POST", "/_sandbox/settings", {"unique_external_ids": True}).status_code == 422


def test_the_page_shows_servers_users_and_what_the_daemon_does(panel: CalagopusSandbox, api: Api) -> None:
    make_user(api, "grace", "8")
    server = make_server(panel, api)
    page = requests.get(panel.url, timeout=5).text
    for text in (
        "Calagopus 1.1.4",
        server.short,
        "Ada&#x27;s server",
        "running",
        "grace@example.com",
        "25565",
    ):
        assert text in page
    panel.panel.daemons.of(server.node).servers.clear()
    assert "does not know it" in requests.get(panel.url, timeout=5).text


def test_calls_are_counted_by_their_pattern(panel: CalagopusSandbox, api: Api) -> None:
    server = make_server(panel, api)
    api("GET", f"{SERVERS}/{server.uuid}/")
    api("GET", "/nothing")
    patterns = {row["pattern"]: row["count"] for row in api.control("GET", "/calls")["counts"]}
    assert patterns["/api/admin/servers/{server}"] == 1
    assert patterns["/nothing"] == 1
    assert requests.get(f"{panel.url}/favicon.ico", timeout=5).status_code == 404


def options(*arguments: str) -> argparse.Namespace:
    """The command line's options, parsed."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args(["--panel", "calagopus", "--panel-port", "0", *arguments])


@pytest.mark.parametrize(("limit", "expected"), [((), 360), (("--rate-limit", "0"), None)])
def test_the_command_starts_it_with_its_bad_habits(limit: tuple[str, ...], expected: int | None) -> None:
    key = "c7sp_" + "a" * 43
    panel, _ = sandboxes(options("--application-key", key, "--install-seconds", "0.5", *limit))
    assert isinstance(panel, CalagopusSandbox)
    assert (panel.application_key, panel.keys) == (key, {"Admin": key})
    assert panel.settings.rate_limit == expected
    assert (panel.settings.sync_order, panel.settings.installs.delay) == ("random", 0.5)


def test_stopped_it_refuses_connections_and_comes_back(panel: CalagopusSandbox, api: Api) -> None:
    panel.stop()
    with pytest.raises(requests.ConnectionError):
        requests.get(panel.url, timeout=1)
    panel.start()
    assert api("GET", "/api/settings").json()["oobe_step"] is None
