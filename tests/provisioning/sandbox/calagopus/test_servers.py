"""Servers beyond the recording: marks, whole objects, variables and what customers may do."""

import pytest

from provisioning.sandbox.calagopus.seed import seed_servers
from provisioning.sandbox.calagopus.server import CalagopusSandbox
from tests.provisioning.sandbox.calagopus.calling import (
    LIMITS,
    SERVERS,
    errors,
    make_server,
    owner_of,
    server_body,
    told,
)
from tests.provisioning.sandbox.client import Api


def test_marks_are_never_unique(panel: CalagopusSandbox, api: Api) -> None:
    first, second = make_server(panel, api), make_server(panel, api)
    assert first.external_id == second.external_id == "bb:1"
    assert api("GET", f"{SERVERS}/external/bb:1").json()["server"]["uuid"] == first.uuid
    api("DELETE", f"{SERVERS}/{first.uuid}", {})
    assert api("GET", f"{SERVERS}/external/bb:1").json()["server"]["uuid"] == second.uuid


def test_two_creates_can_not_have_one_port(panel: CalagopusSandbox, api: Api) -> None:
    body = server_body(panel)
    assert api("POST", SERVERS, body).status_code == 200
    answer = api("POST", SERVERS, body)
    assert answer.status_code == 409
    assert errors(answer) == ["server with allocation(s) or external id already exists"]
    assert len(panel.state.servers) == 1


def test_an_allocation_of_another_node_is_taken_without_a_word(panel: CalagopusSandbox, api: Api) -> None:
    other = next(a for a in panel.state.allocations.values() if a.ip == "192.0.2.2")
    server = make_server(panel, api, allocation_uuid=other.uuid)
    assert server.node != other.node


def test_what_a_server_shows_is_the_link_and_not_the_allocation(panel: CalagopusSandbox, api: Api) -> None:
    body = server_body(panel)
    shown = api("POST", SERVERS, body).json()["server"]["allocation"]
    assert shown["uuid"] != body["allocation_uuid"]
    assert panel.state.links[shown["uuid"]].allocation == body["allocation_uuid"]


def test_limits_are_replaced_whole(panel: CalagopusSandbox, api: Api) -> None:
    server = make_server(panel, api, limits={**LIMITS, "io_weight": 500})
    smaller = {name: value for name, value in LIMITS.items() if name != "io_weight"}
    assert api("PATCH", f"{SERVERS}/{server.uuid}", {"limits": smaller}).status_code == 200
    assert panel.state.servers[server.uuid].limits["io_weight"] is None
    (text,) = errors(api("PATCH", f"{SERVERS}/{server.uuid}", {"limits": {"memory": 1}}))
    assert text.startswith("invalid payload: missing field `cpu`")


@pytest.mark.parametrize(("name", "kept"), [("name", True), ("suspended", True), ("external_id", False)])
def test_null_clears_only_what_may_be_null(panel: CalagopusSandbox, api: Api, name: str, kept: bool) -> None:
    server = make_server(panel, api)
    before = getattr(server, name)
    assert api("PATCH", f"{SERVERS}/{server.uuid}", {name: None}).status_code == 200
    after = getattr(panel.state.servers[server.uuid], name)
    assert after == (before if kept else None)


def test_variables_reach_the_daemon_with_the_next_patch(panel: CalagopusSandbox, api: Api) -> None:
    server = make_server(panel, api)
    changed = {"variables": [{"env_variable": "VANILLA_VERSION", "value": "1.21"}]}
    assert api("PUT", f"{SERVERS}/{server.uuid}/variables", changed).status_code == 200
    heard = told(panel, server).told["settings"]["environment"]
    assert heard["VANILLA_VERSION"] == "latest"
    api("PATCH", f"{SERVERS}/{server.uuid}", {})
    assert told(panel, server).told["settings"]["environment"]["VANILLA_VERSION"] == "1.21"


def test_a_deleted_server_frees_its_port(panel: CalagopusSandbox, api: Api) -> None:
    server = make_server(panel, api)
    node = f"/api/admin/nodes/{server.node}"
    assert api("GET", f"{node}/allocations/available").json()["allocations"]["total"] == 19
    assert api("DELETE", f"{SERVERS}/{server.uuid}", {}).status_code == 200
    assert api("GET", f"{node}/allocations/available").json()["allocations"]["total"] == 20
    assert panel.panel.daemons.of(server.node).servers == {}


def test_a_delete_without_a_content_type_is_refused(panel: CalagopusSandbox, api: Api) -> None:
    server = make_server(panel, api)
    answer = api("DELETE", f"{SERVERS}/{server.uuid}")
    assert errors(answer) == ["invalid payload: missing content type header"]
    assert server.uuid in panel.state.servers


def test_node_power_and_usage(panel: CalagopusSandbox, api: Api) -> None:
    server = make_server(panel, api)
    node = f"/api/admin/nodes/{server.node}/servers"
    body = {"servers": [server.uuid], "action": "stop"}
    assert api("POST", f"{node}/power", body).json() == {"affected": 1}
    usage = api("GET", f"{node}/resources").json()["resources"][server.uuid]
    assert (usage["state"], usage["memory_limit_bytes"]) == ("offline", 1024**3)


def test_pages_of_many_servers_are_complete(panel: CalagopusSandbox, api: Api) -> None:
    seed_servers(panel.world, 105, owner_id=owner_of(panel).uuid)
    pages = [api("GET", f"{SERVERS}?per_page=100&page={page}").json()["servers"] for page in (1, 2, 3)]
    assert [page["total"] for page in pages] == [105, 105, 0]
    marks = [row["external_id"] for page in pages for row in page["data"]]
    assert len(set(marks)) == 105
    assert marks[0] == "load-1"


def test_customers_see_no_marks_and_no_suspended_server(panel: CalagopusSandbox, api: Api) -> None:
    server = make_server(panel, api)
    owner = server.owner
    made = api(
        "POST",
        "/api/client/account/api-keys",
        {"name": "ada", "allowed_ips": [], "user_permissions": ["servers.read"], "admin_permissions": [],
         "server_permissions": ["control.start"], "expires": None},
        Calagopus_User=owner,
    )  # fmt: skip
    path = f"/api/client/servers/{server.uuid}"
    with Api(panel.url, made.json()["key"]) as ada:
        assert "external_id" not in ada("GET", path).json()["server"]
        assert ada("POST", f"{path}/power", {"action": "start"}).status_code == 200
        denied = "you do not have permission to perform this action: control.stop"
        assert errors(ada("POST", f"{path}/power", {"action": "kill"})) == [denied]
        api("PATCH", f"{SERVERS}/{server.uuid}", {"suspended": True})
        assert errors(ada("GET", f"{path}/resources")) == ["server is suspended"]
        assert errors(ada("GET", SERVERS)) == ["unauthorized"]


def test_a_snapshot_holds_what_the_daemons_know(panel: CalagopusSandbox, api: Api) -> None:
    server = make_server(panel, api)
    before = panel.world.snapshot()
    api("DELETE", f"{SERVERS}/{server.uuid}", {})
    panel.world.state = before
    assert told(panel, server).power == "running"
    assert api("DELETE", f"{SERVERS}/{server.uuid}", {}).status_code == 200
