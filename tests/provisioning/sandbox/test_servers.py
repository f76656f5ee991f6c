"""Servers on the Application API (contract section 6)."""

from collections import Counter

import pytest

from provisioning.sandbox.server import PanelSandbox
from tests.provisioning.sandbox.client import (
    IMAGE,
    SERVERS,
    Api,
    build_body,
    errors,
    make_server,
    make_user,
    server_body,
)

STARTUP = {"startup": "run", "egg": 4, "image": IMAGE, "skip_scripts": False}
VARIABLES = {"SERVER_JARFILE": "a.jar", "VANILLA_VERSION": "1.20"}

DEPLOY = {"locations": [], "dedicated_ip": False, "port_range": []}


def without_deploy(owner: int, **changes: object) -> dict[str, object]:
    body = server_body(owner, **changes)
    del body["deploy"]
    return body


def metas(answer: object) -> list[tuple[str, str]]:
    assert isinstance(answer, dict)
    return [(item["meta"]["source_field"], item["meta"]["rule"]) for item in answer["errors"]]


def test_defaults_and_roundings_of_a_new_server(api: Api) -> None:
    limits = {"memory": "1024", "swap": -1, "disk": 1000.7, "io": 500, "cpu": 0, "threads": "0-1"}
    features = {"databases": None, "backups": None}
    made = make_server(api, limits=limits, feature_limits=features, description=None, oom_disabled=False)
    assert made["limits"] == {
        "memory": 1024,
        "swap": -1,
        "disk": 1001,
        "io": 500,
        "cpu": 0,
        "threads": "0-1",
        "oom_disabled": False,
    }
    assert made["feature_limits"] == {"databases": 0, "allocations": 0, "backups": 0}
    assert (made["description"], made["nest"]) == ("", 1)


@pytest.mark.parametrize(
    ("changes", "field", "rule"),
    [
        ({"external_id": 12}, "external_id", "string"),
        ({"user": 99}, "user", "exists"),
        ({"egg": 99}, "egg", "exists"),
        ({"docker_image": "a;b"}, "docker_image", "regex"),
        ({"environment": None}, "environment", "array"),
        ({"environment": {**VARIABLES, "SERVER_JARFILE": "x.exe"}}, "environment.SERVER_JARFILE", "regex"),
        ({"environment": {"SERVER_JARFILE": "x.jar"}}, "environment.VANILLA_VERSION", "required"),
        ({"limits": {"memory": 1, "disk": 1, "io": 9, "cpu": 1, "swap": 0}}, "limits.io", "between"),
        ({"limits": {"memory": 1, "disk": 1, "io": 10, "cpu": 1, "swap": -2}}, "limits.swap", "min"),
        ({"feature_limits": {"databases": 1}}, "feature_limits.backups", "present"),
        ({"deploy": {"locations": [1], "dedicated_ip": False}}, "deploy.port_range", "present"),
        ({"deploy": {**DEPLOY, "locations": [0]}}, "deploy.locations.0", "min"),
        ({"deploy": {**DEPLOY, "port_range": [25565]}}, "deploy.port_range.0", "string"),
    ],
)  # fmt: skip
def test_refused_servers(
    panel: PanelSandbox, api: Api, changes: dict[str, object], field: str, rule: str
) -> None:
    answer = api("POST", SERVERS, {**server_body(make_user(api)), **changes})
    assert metas(answer.json()) == [(field, rule)]
    assert panel.state.servers == {}


def test_the_environment_gets_no_defaults(api: Api) -> None:
    made = make_server(api, egg=5, environment={"SERVER_JARFILE": "server.jar", "BUILD_NUMBER": "latest"})
    environment = made["container"]["environment"]
    assert (environment["MINECRAFT_VERSION"], environment["DL_PATH"]) == ("", "")
    assert environment["P_SERVER_LOCATION"] == "eu-1"


def test_a_named_allocation_and_more(panel: PanelSandbox, api: Api) -> None:
    owner = make_user(api)
    made = api.made(SERVERS, without_deploy(owner, allocation={"default": 3, "additional": [4, 5]}))
    shown = api.shown(f"{SERVERS}/{made['id']}?include=allocations")
    ids = [a["attributes"]["id"] for a in shown["relationships"]["allocations"]["data"]]
    assert (made["allocation"], made["node"], ids) == (3, 1, [3, 4, 5])
    taken = api("POST", SERVERS, without_deploy(owner, external_id="bb:2", allocation={"default": 4}))
    assert metas(taken.json()) == [("allocation.default", "exists")]


def test_automatic_placement_is_random_and_keeps_to_its_ports(panel: PanelSandbox, api: Api) -> None:
    owner = make_user(api)
    wanted = {"locations": [], "dedicated_ip": False, "port_range": ["25570-25574"]}
    made = [api.made(SERVERS, server_body(owner, external_id=f"bb:{n}", deploy=wanted)) for n in range(10)]
    ports = Counter(panel.state.allocations[s["allocation"]].port for s in made)
    assert ports == Counter(dict.fromkeys(range(25570, 25575), 2))
    full = api("POST", SERVERS, server_body(owner, external_id="bb:x", deploy=wanted))
    assert errors(full)[0][0] == "NoViableAllocationException"


def test_placement_does_not_go_by_order(panel: PanelSandbox, api: Api) -> None:
    panel.world.random.seed(3)
    owner = make_user(api)
    chosen = [api.made(SERVERS, server_body(owner, external_id=f"bb:{n}"))["allocation"] for n in range(4)]
    assert chosen != sorted(chosen)


def test_a_dedicated_address_is_one_that_nobody_uses(panel: PanelSandbox, api: Api) -> None:
    owner = make_user(api)
    wanted = {"locations": [], "dedicated_ip": True, "port_range": []}
    made = [api.made(SERVERS, server_body(owner, external_id=f"bb:{n}", deploy=wanted)) for n in range(2)]
    assert {s["node"] for s in made} == {1, 2}
    third = api("POST", SERVERS, server_body(owner, external_id="bb:x", deploy=wanted))
    assert errors(third)[0][0] == "NoViableAllocationException"


def test_a_full_node_is_told_before_the_environment_is_looked_at(api: Api) -> None:
    limits = {"memory": 999999, "swap": 0, "disk": 1, "io": 500, "cpu": 1}
    answer = api("POST", SERVERS, server_body(make_user(api), limits=limits, environment={}))
    assert errors(answer)[0][0] == "NoViableNodeException"


@pytest.mark.parametrize(("unique", "status"), [(True, 422), (False, 201)])
def test_external_ids_are_unique_unless_switched_off(
    panel: PanelSandbox, api: Api, unique: bool, status: int
) -> None:
    panel.world.settings.unique_external_ids = unique
    first = make_server(api, external_id="BB:1")
    assert api("POST", SERVERS, server_body(first["user"], external_id="bb:1")).status_code == status
    assert api.shown(f"{SERVERS}/external/bb:1")["id"] == first["id"]


def test_lists_filter_by_part_of_the_external_id(api: Api) -> None:
    owner = make_user(api)
    for mark in ("bb:1", "bb:10", "bb:2"):
        api.made(SERVERS, server_body(owner, external_id=mark))
    found = api("GET", f"{SERVERS}?filter[external_id]=bb:1").json()["data"]
    assert [s["attributes"]["external_id"] for s in found] == ["bb:1", "bb:10"]
    short = found[1]["attributes"]["identifier"]
    assert len(api("GET", f"{SERVERS}?filter[uuidShort]={short}").json()["data"]) == 1


def test_details_clear_what_is_left_out(api: Api) -> None:
    server = make_server(api, description="Grace's")
    path = f"{SERVERS}/{server['id']}/details"
    other = make_user(api, "grace")
    kept = api("PATCH", path, {"name": "New", "user": other, "external_id": "bb:1", "description": "d"})
    assert kept.json()["attributes"]["user"] == other
    cleared = api("PATCH", path, {"name": "New", "user": other}).json()["attributes"]
    assert (cleared["external_id"], cleared["description"]) == (None, "")
    assert metas(api("PATCH", path, {"name": "New", "user": 99}).json()) == [("user", "exists")]


def test_build_takes_flat_limits_and_nulls(api: Api) -> None:
    server = make_server(api)
    path = f"{SERVERS}/{server['id']}/build"
    flat = {"memory": 1, "swap": 2, "disk": 3, "io": 100, "cpu": 5, "threads": "0"}
    features = {"databases": None, "backups": None}
    body = {"allocation": server["allocation"], "oom_disabled": False, "feature_limits": features, **flat}
    built = api("PATCH", path, body).json()["attributes"]
    assert built["limits"] == {**flat, "oom_disabled": False}
    assert built["feature_limits"] == {"databases": None, "allocations": None, "backups": 0}
    again = api("PATCH", path, build_body(server["allocation"])).json()["attributes"]
    assert (again["limits"]["threads"], again["limits"]["oom_disabled"]) == ("0", False)


def test_build_needs_every_limit_inside_limits(api: Api) -> None:
    server = make_server(api)
    body = build_body(server["allocation"], limits={"memory": 1, "swap": 0, "io": 500, "cpu": 1})
    answer = api("PATCH", f"{SERVERS}/{server['id']}/build", body).json()
    assert metas(answer) == [("limits.disk", "required_with")]
    assert answer["errors"][0]["detail"] == "The limits.disk field is required when limits is present."


def test_allocations_are_swapped_with_care(panel: PanelSandbox, api: Api) -> None:
    server = api.made(SERVERS, without_deploy(make_user(api), allocation={"default": 1}))
    path = f"{SERVERS}/{server['id']}/build"
    assert "not currently assigned" in errors(api("PATCH", path, build_body(2)))[0][1]
    assert "no fallback" in errors(api("PATCH", path, build_body(1, remove_allocations=[1])))[0][1]
    swapped = api("PATCH", path, build_body(2, add_allocations=[2, 21], remove_allocations=[1])).json()
    assert swapped["attributes"]["allocation"] == 2
    assert [a.server_id for i, a in panel.state.allocations.items() if i in (1, 2, 21)] == [None, 1, None]
    fallback = api("PATCH", path, build_body(2, add_allocations=[3], remove_allocations=[2])).json()
    assert fallback["attributes"]["allocation"] == 3


def test_the_default_of_another_server_is_taken(api: Api) -> None:
    owner = make_user(api)
    for number in (1, 2):
        api.made(SERVERS, without_deploy(owner, external_id=f"bb:{number}", allocation={"default": number}))
    answer = api("PATCH", f"{SERVERS}/1/build", build_body(2)).json()
    assert metas(answer) == [("allocation", "unique")]


def test_startup_stores_all_variables_or_none(api: Api) -> None:
    path = f"{SERVERS}/{make_server(api)['id']}/startup"
    untouched = api("PATCH", path, {**STARTUP, "environment": {}}).json()["attributes"]
    assert untouched["container"]["environment"]["SERVER_JARFILE"] == "server.jar"
    changed = api("PATCH", path, {**STARTUP, "environment": VARIABLES}).json()["attributes"]
    assert changed["container"]["environment"]["VANILLA_VERSION"] == "1.20"
    assert changed["container"]["startup_command"] == "run"
    missing = api("PATCH", path, {**STARTUP, "environment": {"VANILLA_VERSION": "1.20"}})
    assert metas(missing.json()) == [("environment.SERVER_JARFILE", "required")]


def test_suspending_changes_state_and_stops_the_server(panel: PanelSandbox, api: Api) -> None:
    path = f"{SERVERS}/{make_server(api, start_on_completion=True)['id']}"
    api.shown(path)
    assert panel.state.servers[1].power == "running"
    api("POST", f"{path}/suspend")
    assert (api.shown(path)["status"], panel.state.servers[1].power) == ("suspended", "offline")
    assert api("PATCH", f"{path}/build", build_body(panel.state.servers[1].allocation_id)).status_code == 200
    api("POST", f"{path}/unsuspend")
    assert api.shown(path)["status"] is None


def test_deleting_frees_everything(panel: PanelSandbox, api: Api) -> None:
    server = make_server(api)
    assert api("DELETE", f"{SERVERS}/{server['id']}").status_code == 204
    assert all(a.server_id is None for a in panel.state.allocations.values())
    assert api("DELETE", f"{SERVERS}/{server['id']}").status_code == 404
    assert make_server(api, user=server["user"])["id"] == server["id"] + 1, "ids are never given out again"


def test_including_the_transfer_fails_as_on_the_panel(api: Api) -> None:
    make_server(api)
    answer = api("GET", f"{SERVERS}/1?include=transfer")
    assert (answer.status_code, errors(answer)[0][0]) == (500, "TypeError")
    nested = api.shown(f"{SERVERS}/1?include=node.location,unknown")["relationships"]
    assert list(nested) == ["node"]
    assert "location" in nested["node"]["attributes"]["relationships"]
