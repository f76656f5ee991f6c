"""What was not recorded of the panel's other tables: changes, refusals, single looks."""

import json
from typing import Any

import pytest

from provisioning.sandbox.calagopus.server import CalagopusSandbox
from tests.provisioning.sandbox.calagopus.calling import SERVERS, USERS, errors, make_server, make_user
from tests.provisioning.sandbox.client import Api

KEYS = "/api/client/account/api-keys"
PROVIDERS = "/api/admin/oauth-providers"
KEY: dict[str, Any] = {
    "name": "another", "allowed_ips": [], "user_permissions": [], "admin_permissions": [],
    "server_permissions": [], "expires": None,
}  # fmt: skip
TRANSFER: dict[str, Any] = {
    "allocation_uuids": [], "backups": [], "delete_source_backups": False, "archive_format": "tar",
    "multiplex_channels": 0,
}  # fmt: skip


def first(table: dict[str, Any]) -> str:
    """The uuid of a table's oldest row."""
    return next(iter(table))


@pytest.mark.parametrize(
    ("path", "table", "key"),
    [
        ("nests", "nests", "nest"),
        ("locations", "locations", "location"),
        ("nodes", "nodes", "node"),
        ("backup-configurations", "backup_configurations", "backup_configuration"),
        ("oauth-providers", "oauth_providers", "oauth_provider"),
        ("users", "users", "user"),
    ],
)
def test_each_table_shows_one_row(panel: CalagopusSandbox, api: Api, path: str, table: str, key: str) -> None:
    uuid = first(getattr(panel.state, table))
    shown = api("GET", f"/api/admin/{path}/{uuid}").json()[key]
    listed = api("GET", f"/api/admin/{path}").json()[table]["data"]
    assert shown["uuid"] == uuid
    assert shown in listed


def test_a_location_lists_its_nodes(panel: CalagopusSandbox, api: Api) -> None:
    place = first(panel.state.locations)
    nodes = api("GET", f"/api/admin/locations/{place}/nodes").json()["nodes"]
    assert [node["name"] for node in nodes["data"]] == ["node-1", "node-2"]


def test_an_egg_is_changed_in_part(panel: CalagopusSandbox, api: Api) -> None:
    egg = next(iter(panel.state.eggs.values()))
    path = f"/api/admin/nests/{egg.nest}/eggs/{egg.uuid}"
    body = {"docker_images": {"Java 8": "games/java:8"}, "features": []}
    assert api("PATCH", path, body).json() == {}
    shown = api("GET", path).json()["egg"]
    assert (shown["docker_images"], shown["features"], shown["name"]) == (
        body["docker_images"],
        [],
        "Bungeecord",
    )
    assert errors(api("PATCH", path, {"name": "Paper"})) == ["egg with name already exists"]


def test_deleting_an_egg_takes_its_variables(panel: CalagopusSandbox, api: Api) -> None:
    egg = next(iter(panel.state.eggs.values()))
    assert panel.state.variables_of(egg.uuid)
    assert api("DELETE", f"/api/admin/nests/{egg.nest}/eggs/{egg.uuid}").status_code == 200
    assert panel.state.variables_of(egg.uuid) == []


def test_an_egg_belongs_to_its_nest(panel: CalagopusSandbox, api: Api) -> None:
    egg, other = first(panel.state.eggs), list(panel.state.nests)[1]
    assert errors(api("GET", f"/api/admin/nests/{other}/eggs/{egg}")) == ["egg not found"]
    assert api("DELETE", f"/api/admin/nests/{other}", {}).status_code == 200
    assert other not in panel.state.nests


def test_allocations_are_changed_and_kept_while_held(panel: CalagopusSandbox, api: Api) -> None:
    server = make_server(panel, api)
    (held,) = panel.state.holders()
    path = f"/api/admin/nodes/{server.node}/allocations"
    assert api("PATCH", path, {"uuids": [held], "ip_alias": "play.example.com"}).status_code == 200
    assert panel.state.allocations[held].ip_alias == "play.example.com"
    assert api("DELETE", path, {"uuids": [held]}).json() == {"deleted": 0}
    found = api("GET", f"{path}?search=play.example").json()["allocations"]["data"]
    assert [row["server"]["uuid"] for row in found] == [server.uuid]


def test_a_nodes_token_can_be_renewed(panel: CalagopusSandbox, api: Api) -> None:
    node = first(panel.state.nodes)
    before = api("GET", f"/api/admin/nodes/{node}/token").json()
    after = api("POST", f"/api/admin/nodes/{node}/reset-token", {}).json()
    assert before.keys() == after.keys()
    assert before["token"] != after["token"] == panel.state.nodes[node].token


def test_a_node_goes_with_its_allocations(panel: CalagopusSandbox, api: Api) -> None:
    node = first(panel.state.nodes)
    assert api("DELETE", f"/api/admin/nodes/{node}").status_code == 200
    assert {a.node for a in panel.state.allocations.values()} == set(panel.state.nodes)
    assert api("GET", f"/api/admin/nodes/{first(panel.state.nodes)}/system/overview").status_code == 200


def test_a_provider_is_changed_and_removed_with_its_links(panel: CalagopusSandbox, api: Api) -> None:
    user, provider = make_user(api), first(panel.state.oauth_providers)
    path = f"{USERS}/{user}/oauth-links"
    made = api("POST", path, {"oauth_provider_uuid": provider, "identifier": "7"}).json()["oauth_link"]
    assert api("GET", f"{path}/{made['uuid']}").json()["oauth_link"] == made
    assert api("PATCH", f"{PROVIDERS}/{provider}", {"name": "Shop", "enabled": False}).status_code == 200
    shown = api("GET", f"{PROVIDERS}/{provider}").json()["oauth_provider"]
    assert (shown["name"], shown["enabled"], shown["client_id"]) == ("Shop", False, "bridge")
    assert api("DELETE", f"{PROVIDERS}/{provider}").status_code == 200
    assert panel.state.oauth_links == {}


def test_an_unknown_key_and_one_too_many(panel: CalagopusSandbox, api: Api) -> None:
    assert errors(api("GET", f"{KEYS}/identifier/c7sp_nothing")) == ["api key not found"]
    statuses = [api("POST", KEYS, {**KEY, "name": f"key-{n}"}).status_code for n in range(50)]
    assert statuses == [200] * 49 + [417]


def test_a_role_bounds_what_its_holder_can_hand_on(panel: CalagopusSandbox, api: Api) -> None:
    role = {"name": "Support", "require_two_factor": False, "admin_permissions": ["users.read"],
            "server_permissions": []}  # fmt: skip
    made = api("POST", "/api/admin/roles", role).json()["role"]
    assert api("GET", f"/api/admin/roles/{made['uuid']}").json()["role"] == made
    (text,) = errors(api("POST", "/api/admin/roles", {**role, "admin_permissions": ["all"]}))
    assert json.loads(text)["errors"] == ["admin_permissions: invalid permission: all"]
    user = make_user(api)
    api("PATCH", f"{USERS}/{user}", {"role_uuid": made["uuid"]})
    lists = {"user_permissions": ["api-keys.create"], "admin_permissions": ["users.read", "users.update"]}
    token = api("POST", KEYS, {**KEY, **lists}, Calagopus_User=user).json()["key"]
    with Api(panel.url, token) as holder:
        assert holder("GET", USERS).status_code == 200
        assert holder("PATCH", f"{USERS}/{user}", {"name_last": "Byron"}).status_code == 403
        refused = holder("POST", KEYS, {**KEY, "name": "more", "admin_permissions": ["users.update"]})
        assert errors(refused) == ["permissions: more permissions than self"]


@pytest.mark.parametrize(
    ("changes", "status", "text"),
    [
        ({"node_uuid": "00000000-0000-4000-8000-000000000000"}, 404, "node not found"),
        ({"allocation_uuid": "here"}, 400, "all allocations must belong to the destination node"),
        ({"allocation_uuid": "held"}, 409, "the primary allocation is already assigned to a server"),
    ],
)
def test_a_transfer_that_can_not_begin(
    panel: CalagopusSandbox, api: Api, changes: dict[str, str], status: int, text: str
) -> None:
    server = make_server(panel, api)
    there = next(uuid for uuid in panel.state.nodes if uuid != server.node)
    here = [a.uuid for a in panel.state.node_allocations(panel.state.nodes[server.node])]
    known = {"here": here[-1], "held": here[0]}
    body = {**TRANSFER, "node_uuid": there, **{k: known.get(v, v) for k, v in changes.items()}}
    answer = api("POST", f"{SERVERS}/{server.uuid}/transfer", body)
    assert (answer.status_code, errors(answer)) == (status, [text])


def test_a_server_that_installs_is_not_moved(panel: CalagopusSandbox, api: Api) -> None:
    panel.settings.installs.outcome = "never"
    server = make_server(panel, api)
    there = next(uuid for uuid in panel.state.nodes if uuid != server.node)
    answer = api("POST", f"{SERVERS}/{server.uuid}/transfer", {**TRANSFER, "node_uuid": there})
    assert errors(answer) == ["server is installing or restoring a backup and cannot be transferred"]


def test_extras_of_customers(panel: CalagopusSandbox, api: Api) -> None:
    server = make_server(panel, api)
    path = f"/api/client/servers/{server.uuid}"
    made = api("POST", f"{path}/backups", {"ignored_files": []}).json()["backup"]["uuid"]
    assert panel.server_key(server.short) == server.uuid
    panel.backup_finish(made, successful=False)
    assert api("GET", f"{path}/backups/{made}").json()["backup"]["is_successful"] is False
    assert api("DELETE", f"{path}/backups/{made}").status_code == 202
    panel.state.locations[panel.state.nodes[server.node].location].backup_configuration = None
    (text,) = errors(api("POST", f"{path}/backups", {"ignored_files": []}))
    assert text == "no backup configuration available, unable to create backup"
    panel.panel.daemons.of(server.node).servers.clear()
    assert errors(api("GET", f"{path}/resources")) == ["no resource usage data found for server"]
