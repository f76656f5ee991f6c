"""Where a deployment lands: capacity, switches, ports, and each of the panel's reasons not to."""

from typing import Any

import pytest

from provisioning.sandbox.calagopus.rows import Allocation, Location, Server
from provisioning.sandbox.calagopus.server import CalagopusSandbox
from tests.provisioning.sandbox.calagopus.calling import LIMITS, RULES, SERVERS, deploy_body, errors
from tests.provisioning.sandbox.client import Api

DEPLOY = f"{SERVERS}/deploy"
SELECTED = "in the selected location(s)"


def deployed(
    panel: CalagopusSandbox, api: Api, rules: dict[str, Any] | None = None, **changes: Any
) -> Server:
    """The row of a server that the panel placed."""
    answer = api("POST", DEPLOY, deploy_body(panel, rules, **changes))
    assert answer.status_code == 200, answer.text
    return panel.state.servers[answer.json()["server"]["uuid"]]


def reason(panel: CalagopusSandbox, api: Api, rules: dict[str, Any] | None = None, **deployment: Any) -> str:
    """Why it was not placed."""
    body = deploy_body(panel, rules)
    body["deployment"] |= deployment
    (text,) = errors(api("POST", DEPLOY, body))
    return text.removeprefix("could not deploy server: ")


def ports(panel: CalagopusSandbox, server: Server) -> list[int]:
    """A server's ports, the primary first."""
    links = panel.state.server_links(server)
    return [panel.state.allocations[link.allocation].port for link in links]


def test_the_least_used_node_is_taken_where_chance_is_off(panel: CalagopusSandbox, api: Api) -> None:
    body = deploy_body(panel)
    body["deployment"]["randomness"] = 0
    for _ in range(4):
        assert api("POST", DEPLOY, body).status_code == 200
    names = [panel.state.nodes[s.node].name for s in panel.state.servers.values()]
    assert names == ["node-1", "node-2", "node-1", "node-2"]


def test_suspended_servers_count_for_a_part(panel: CalagopusSandbox, api: Api) -> None:
    first = deployed(panel, api, limits={**LIMITS, "memory": 40000})
    first.suspended = True
    for node in panel.state.nodes.values():
        node.deployment_enabled = node.uuid == first.node
    room = 65536 - 20000
    body = deploy_body(panel, limits={**LIMITS, "memory": room + 1})
    assert "memory" in errors(api("POST", DEPLOY, body))[0]
    assert api("POST", DEPLOY, deploy_body(panel, limits={**LIMITS, "memory": room})).status_code == 200


@pytest.mark.parametrize(
    ("limits", "lacking"),
    [
        ({"memory": 65537}, f"no node {SELECTED} has enough unallocated memory"),
        ({"disk": 512001}, f"no node {SELECTED} has enough unallocated disk"),
        ({"memory": 65537, "disk": 512001}, f"no node {SELECTED} has enough unallocated memory or disk"),
    ],
)
def test_what_no_node_has(panel: CalagopusSandbox, api: Api, limits: dict[str, int], lacking: str) -> None:
    answer = api("POST", DEPLOY, deploy_body(panel, limits={**LIMITS, **limits}))
    assert errors(answer) == [f"could not deploy server: {lacking}"]


def test_memory_here_and_disk_there_is_not_enough(panel: CalagopusSandbox, api: Api) -> None:
    one, other = panel.state.nodes.values()
    one.memory, other.disk = 512, 512
    text = f"no single node {SELECTED} has enough unallocated memory and disk at the same time"
    assert reason(panel, api) == text


def test_nothing_is_unlimited_but_zero(panel: CalagopusSandbox, api: Api) -> None:
    for node in panel.state.nodes.values():
        node.memory = node.disk = 0
    assert deployed(panel, api, limits={**LIMITS, "memory": 10**9, "disk": 10**9})


def test_switches_of_nodes(panel: CalagopusSandbox, api: Api) -> None:
    for node in panel.state.nodes.values():
        node.maintenance_enabled = True
    assert deployed(panel, api), "maintenance does not stop it"
    for node in panel.state.nodes.values():
        node.deployment_enabled = False
    assert reason(panel, api) == f"deployment is disabled on every node {SELECTED}"


def test_an_empty_location_has_no_nodes(panel: CalagopusSandbox, api: Api) -> None:
    place = Location(*panel.world.stamp(), "empty")
    panel.state.locations[place.uuid] = place
    assert reason(panel, api, location_uuids=[place.uuid]) == f"no nodes exist {SELECTED}"


def test_without_rules_there_is_no_port(panel: CalagopusSandbox, api: Api) -> None:
    body = deploy_body(panel)
    del body["deployment"]["allocations"]
    assert api("POST", DEPLOY, body).json()["server"]["allocation"] is None


def test_ports_are_picked_at_random_and_written_into_variables(panel: CalagopusSandbox, api: Api) -> None:
    primary = {"start_port": 25570, "end_port": 25579, "assign_to_variable": "VANILLA_VERSION"}
    server = deployed(panel, api, {**RULES, "primary": primary})
    (port,) = ports(panel, server)
    assert 25570 <= port <= 25579
    assert list(server.variables.values()) == [str(port)]


@pytest.mark.parametrize(("choice", "port"), [("lowest", 25565), ("highest", 25584)])
def test_the_choice_of_ports_can_be_fixed(panel: CalagopusSandbox, api: Api, choice: str, port: int) -> None:
    panel.settings.port_choice = choice
    assert ports(panel, deployed(panel, api)) == [port]


@pytest.mark.parametrize(
    ("mode", "second"),
    [
        ({"type": "random"}, 25566),
        ({"type": "range", "start_port": 25570, "end_port": 25580}, 25570),
        ({"type": "add_primary", "value": 3}, 25568),
    ],
)
def test_additional_ports(panel: CalagopusSandbox, api: Api, mode: dict[str, Any], second: int) -> None:
    panel.settings.port_choice = "lowest"
    assert ports(panel, deployed(panel, api, {**RULES, "additional": [{"mode": mode}]})) == [25565, second]


def test_an_additional_rule_that_nothing_satisfies(panel: CalagopusSandbox, api: Api) -> None:
    panel.settings.port_choice = "lowest"
    rules = {**RULES, "additional": [{"mode": {"type": "subtract_primary", "value": 1}}]}
    assert reason(panel, api, rules) == "a node could only satisfy 0 of the 1 required additional allocations"


def test_each_kind_of_rule_has_members_of_its_own(panel: CalagopusSandbox, api: Api) -> None:
    rules = {**RULES, "additional": [{"mode": {"type": "range"}}]}
    (text,) = errors(api("POST", DEPLOY, deploy_body(panel, rules)))
    assert text.startswith("invalid payload: missing field `start_port`")


def test_a_dedicated_address_is_one_that_nobody_uses(panel: CalagopusSandbox, api: Api) -> None:
    rules = {**RULES, "dedicated": True}
    first, second = deployed(panel, api, rules), deployed(panel, api, rules)
    assert first.node != second.node
    assert reason(panel, api, rules) == "only found 0 available dedicated allocations"
    node = panel.state.nodes[first.node]
    row = Allocation(*panel.world.stamp(), node.uuid, "192.0.2.99", 1000)
    panel.state.allocations[row.uuid] = row
    assert ports(panel, deployed(panel, api, rules)) == [1000]


def test_ports_that_the_machine_uses_are_not_free(panel: CalagopusSandbox, api: Api) -> None:
    panel.settings.ports_in_use = True
    assert reason(panel, api) == "only found 0 available allocations"


def test_a_node_without_its_daemon_is_passed_over(panel: CalagopusSandbox, api: Api) -> None:
    panel.daemon_set("refused", node_id="node-1")
    assert {panel.state.nodes[deployed(panel, api).node].name for _ in range(3)} == {"node-2"}
    panel.daemon_set("refused")
    assert reason(panel, api).startswith("error sending request for url (https://node-")
