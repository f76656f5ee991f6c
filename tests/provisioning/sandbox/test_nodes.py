"""Locations, nodes, allocations, nests, eggs (contract sections 4 and 5)."""

import pytest

from provisioning.sandbox.server import PanelSandbox
from tests.provisioning.sandbox.client import Api, errors, make_server

API = "/api/application"
NODES, LOCATIONS = f"{API}/nodes", f"{API}/locations"


def node_body(**changes: object) -> dict[str, object]:
    head = {"name": "node-3", "location_id": 1, "fqdn": "n3.example.com", "scheme": "https", "memory": 1024}
    sizes = {"memory_overallocate": 0, "disk": 10240, "disk_overallocate": 0}
    return {**head, **sizes, "daemon_sftp": 2022, "daemon_listen": 8080, **changes}


def test_locations_live_and_die(api: Api) -> None:
    made = api.made(LOCATIONS, {"short": "us-1"})
    path = f"{LOCATIONS}/{made['id']}"
    assert made["long"] is None
    assert api("PATCH", path, {"short": "us-2", "long": "US"}).json()["attributes"]["short"] == "us-2"
    assert api.shown(path)["long"] == "US"
    assert api("DELETE", path).status_code == 204
    assert errors(api("DELETE", f"{LOCATIONS}/1"))[0][0] == "HasActiveNodesException"


def test_nodes_live_and_die(panel: PanelSandbox, api: Api) -> None:
    made = api.made(NODES, node_body(public=False))
    path = f"{NODES}/{made['id']}"
    assert (made["public"], made["upload_size"]) == (False, 100)
    assert (
        api("PATCH", path, node_body(maintenance_mode=True)).json()["attributes"]["maintenance_mode"] is True
    )
    settings = api("GET", f"{path}/configuration").json()
    assert (settings["uuid"], len(settings["token"]), len(settings["token_id"])) == (made["uuid"], 64, 16)
    api("POST", f"{path}/allocations", {"ip": "192.0.2.9", "ports": ["25565"]})
    assert api("DELETE", path).status_code == 204
    assert all(a.node_id != made["id"] for a in panel.state.allocations.values())


def test_a_node_with_servers_stays(api: Api) -> None:
    server = make_server(api)
    assert errors(api("DELETE", f"{NODES}/{server['node']}"))[0][0] == "HasActiveServersException"


@pytest.mark.parametrize(
    ("changes", "field", "rule"),
    [
        ({"location_id": 99}, "location_id", "exists"),
        ({"name": "a/b"}, "name", "regex"),
        ({"memory": 0}, "memory", "min"),
        ({"daemon_sftp": 70000}, "daemon_sftp", "between"),
        ({"upload_size": 2000}, "upload_size", "between"),
    ],
)
def test_refused_nodes(api: Api, changes: dict[str, object], field: str, rule: str) -> None:
    answer = api("POST", NODES, node_body(**changes)).json()
    assert [item["meta"] for item in answer["errors"]] == [{"source_field": field, "rule": rule}]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("memory=1024&disk=1024", ["node-1", "node-2"]),
        ("memory=1024&disk=1024&location_ids[]=1&page=1&per_page=1", ["node-1"]),
        ("memory=0&disk=0", ["node-1", "node-2"]),
    ],
)
def test_deployable_nodes(api: Api, query: str, names: list[str]) -> None:
    answer = api("GET", f"{NODES}/deployable?{query}").json()
    assert [item["attributes"]["name"] for item in answer["data"]] == names
    assert ("meta" in answer) == ("page" in query)


@pytest.mark.parametrize(
    ("query", "status"),
    [("memory=999999&disk=1", 400), ("memory=1&disk=1&location_ids[]=9", 400), ("disk=1", 422)],
)
def test_no_deployable_node(api: Api, query: str, status: int) -> None:
    assert api("GET", f"{NODES}/deployable?{query}").status_code == status


@pytest.mark.parametrize(("overallocate", "fits"), [(0, 65536), (-1, 64880), (10, 72089)])
def test_overallocation_is_percent_and_minus_one_is_not_unlimited(
    panel: PanelSandbox, api: Api, overallocate: int, fits: int
) -> None:
    for node in panel.state.nodes.values():
        node.memory_overallocate = overallocate
    assert api("GET", f"{NODES}/deployable?memory={fits}&disk=1").status_code == 200
    assert api("GET", f"{NODES}/deployable?memory={fits + 1}&disk=1").status_code == 400


def test_used_room_and_hidden_nodes_do_not_count(panel: PanelSandbox, api: Api) -> None:
    panel.state.nodes[2].public = False
    make_server(api)
    assert api.shown(f"{NODES}/1")["allocated_resources"] == {"memory": 1024, "disk": 2048}
    assert api("GET", f"{NODES}/deployable?memory=64513&disk=1").status_code == 400
    assert (
        api("GET", f"{NODES}/deployable?memory=64512&disk=1").json()["data"][0]["attributes"]["sum_memory"]
        == "1024"
    )


def test_allocations_are_added_once_and_filtered(api: Api) -> None:
    path = f"{NODES}/1/allocations"
    body = {"ip": "192.0.2.8/31", "ports": ["30000-30002", "40000"], "alias": "play.example.com"}
    assert [api("POST", path, body).status_code for _ in range(2)] == [204, 204]
    assert api("GET", f"{path}?filter[ip_alias]=PLAY").json()["meta"]["pagination"]["total"] == 8
    assert api("GET", f"{path}?filter[port]=40000").json()["meta"]["pagination"]["total"] == 2
    assert api("GET", f"{path}?filter[ip]=192.0.2.8").json()["meta"]["pagination"]["total"] == 4


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"ip": "192.0.2.8", "ports": ["80"]}, "InvalidPortMappingException"),
        ({"ip": "192.0.2.8", "ports": ["abc"]}, "InvalidPortMappingException"),
        ({"ip": "192.0.2.8", "ports": ["1000-1024"]}, "PortOutOfRangeException"),
        ({"ip": "192.0.2.8", "ports": ["20000-21000"]}, "TooManyPortsInRangeException"),
        ({"ip": "192.0.2.0/24", "ports": ["25565"]}, "CidrOutOfRangeException"),
        ({"ip": "192.0.2.8", "ports": [25565]}, "ValidationException"),
        ({"ip": "192.0.2.8", "ports": []}, "ValidationException"),
    ],
)
def test_refused_allocations(api: Api, body: dict[str, object], code: str) -> None:
    assert errors(api("POST", f"{NODES}/1/allocations", body))[0][0] == code


def test_free_allocations_by_filter_and_their_end(api: Api) -> None:
    server = make_server(api)
    path = f"{NODES}/{server['node']}/allocations"
    free = api("GET", f"{path}?filter[server_id]=0&per_page=500").json()
    mine = api("GET", f"{path}?filter[server_id]={server['id']}&include=server").json()["data"]
    assert free["meta"]["pagination"]["total"] == 19
    assert [a["attributes"]["id"] for a in mine] == [server["allocation"]]
    assert mine[0]["attributes"]["relationships"]["server"]["attributes"]["id"] == server["id"]
    assert errors(api("DELETE", f"{path}/{server['allocation']}"))[0][0] == "ServerUsingAllocationException"
    assert api("DELETE", f"{path}/{free['data'][0]['attributes']['id']}").status_code == 204
    other = 3 - server["node"]
    assert (
        api("DELETE", f"{NODES}/{other}/allocations/{free['data'][1]['attributes']['id']}").status_code == 404
    )


def test_nests_and_eggs(api: Api) -> None:
    eggs = {
        e["attributes"]["name"]: e["attributes"] for e in api("GET", f"{API}/nests/1/eggs").json()["data"]
    }
    paper = api.shown(f"{API}/nests/1/eggs/{eggs['Paper']['id']}?include=variables,nest")
    names = [v["attributes"]["env_variable"] for v in paper["relationships"]["variables"]["data"]]
    assert names == ["MINECRAFT_VERSION", "SERVER_JARFILE", "DL_PATH", "BUILD_NUMBER"]
    assert paper["relationships"]["nest"]["attributes"]["name"] == "Minecraft"
    assert paper["docker_image"] == next(iter(paper["docker_images"].values()))
    assert api("GET", f"{API}/nests/2/eggs/{paper['id']}").status_code == 404
    assert api("GET", f"{API}/nests/2/eggs").json()["data"] == []
    assert len(api.shown(f"{API}/nests/1?include=eggs")["relationships"]["eggs"]["data"]) == 5
