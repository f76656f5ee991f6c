"""Create: on a node with the allocation that we chose, or where the panel chooses (CAL-01, CAL-21 to 30)."""

from __future__ import annotations

from typing import Any

import pytest

from provisioning.drivers.calagopus import mapping
from provisioning.drivers.errors import Conflict, NoCapacity, Rejected, Unknown, WrongServer
from provisioning.drivers.types import ABSENT, ChangeKind, LostLooks, Observed, Runtime, ServerState
from provisioning.exceptions import SpecProblem
from tests.provisioning.drivers.calagopus.bench import LIMITS, Bench, desired, egg, made, pinned, target, want

CREATED, DEPLOYED = "POST admin/servers", "POST admin/servers/deploy"


@pytest.fixture
def ada(work: Bench) -> Bench:
    """Ada has her account."""
    work.driver.account_ensure(want())
    work.calls()
    return work


def create(work: Bench, **fields: Any) -> Observed:
    """One create through the driver."""
    found = work.apply(ChangeKind.CREATE, pinned(work, desired(work, **fields)), ABSENT)
    assert isinstance(found, Observed)
    return found


@pytest.mark.req("CAL-01", "CAL-21", "CAL-22")
def test_a_server_on_a_node_gets_its_first_free_allocation(ada: Bench) -> None:
    found = create(ada)
    assert (found.mark, found.name, found.state) == ("test-shop-100", "Server-100", ServerState.INSTALLING)
    assert found.extra["allocation"] == "192.0.2.1:25565"
    row = ada.server()
    assert (row.node, row.owner) == (found.extra["node"], found.owner)
    assert row.limits == {
        "cpu": 100,
        "memory": 1024,
        "memory_overhead": 0,
        "swap": 0,
        "disk": 5120,
        "io_weight": 500,
    }
    assert row.feature_limits == {"allocations": 2, "databases": 1, "backups": 3, "schedules": 4}
    assert found.limits == LIMITS


@pytest.mark.req("CAL-21")
def test_what_is_learnt_once_is_not_asked_again(ada: Bench) -> None:
    create(ada)
    assert len(ada.calls()) == 4  # allocations, egg, variables, create
    create(ada, mark="test-shop-101")
    assert ada.calls() == [CREATED]
    assert len({row.primary for row in ada.panel.state.servers.values()}) == 2


@pytest.mark.req("CAL-25", "CAL-27", "CAL-28")
def test_every_option_reaches_the_panel(ada: Bench) -> None:
    backups = next(iter(ada.panel.state.backup_configurations))
    options = {
        "skip_scripts": True,
        "start_on_completion": True,
        "hugepages": True,
        "kvm": True,
        "pinned_cpus": "0, 2,3",
        "backup_configuration": backups,
    }
    found = create(ada, options=options, runtime=Runtime("games/java:17", "java -jar x.jar", {}))
    body = ada.wire.bodies[-1]
    assert (body["skip_installer"], body["start_on_completion"], body["pinned_cpus"]) == (
        True,
        True,
        [0, 2, 3],
    )
    extra = found.extra
    assert (extra["hugepages"], extra["kvm"], extra["pinned_cpus"]) == (True, True, [0, 2, 3])
    assert (extra["backup_configuration"], extra["image"]) == (backups, "games/java:17")
    assert extra["startup"] == "java -jar x.jar"
    assert found.state is ServerState.ACTIVE


@pytest.mark.req("CAL-22", "CAL-25")
def test_blanks_are_the_panels_and_the_eggs_own(ada: Bench) -> None:
    limits = {name: value for name, value in LIMITS.items() if name != "io"}
    found = create(ada, limits={**limits, "swap": -1})
    paper = egg(ada.panel)
    assert (found.limits["io"], found.limits["swap"]) == (None, -1)
    assert found.extra["image"] == next(iter(paper.docker_images.values()))
    assert found.extra["startup"] == paper.startup_commands["Default"]


@pytest.mark.req("CAL-30")
def test_variables_match_in_any_letter_case_and_others_take_the_default(ada: Bench) -> None:
    create(ada, runtime=Runtime(variables={"server_jarfile": "paper.jar", "NO_SUCH": "x"}))
    assert ada.wire.bodies[-1]["variables"] == [{"env_variable": "SERVER_JARFILE", "value": "paper.jar"}]


@pytest.mark.req("CAL-30")
def test_a_refused_variable_is_tried_once_more_with_a_fresh_egg(ada: Bench) -> None:
    with pytest.raises(Rejected) as caught:
        create(ada, runtime=Runtime(variables={"VIEW_DISTANCE": ""}))
    assert caught.value.fields == ("environment.VIEW_DISTANCE",)
    assert ada.panel.calls.count("POST", "/servers$") == 1
    ada.calls()
    with pytest.raises(Rejected):
        create(ada, runtime=Runtime(variables={"VIEW_DISTANCE": "99"}))
    assert ada.calls().count(CREATED) == 2


@pytest.mark.req("CAL-26", "CAL-42")
@pytest.mark.parametrize("name", ["ab", "x" * 256])
def test_a_name_of_a_wrong_length_is_said_before_anything_is_sent(ada: Bench, name: str) -> None:
    with pytest.raises(SpecProblem, match="3 to 255"):
        create(ada, name=name)
    assert ada.panel.calls.count("POST") == 0


def test_a_missing_limit_never_becomes_unlimited(ada: Bench) -> None:
    with pytest.raises(SpecProblem, match=r"limits\.memory"):
        create(ada, limits={"disk": 1, "cpu": 1, "swap": 0})


# --- the allocation --------------------------------------------------------------------------------------


@pytest.mark.req("CAL-42")
def test_a_full_node_is_said(ada: Bench) -> None:
    ada.panel.world.state.allocations.clear()
    with pytest.raises(NoCapacity, match="no free allocation"):
        create(ada)


@pytest.mark.req("CAL-21")
def test_an_allocation_of_another_node_is_never_chosen(ada: Bench) -> None:
    second = ada.node(1).uuid
    for _ in range(3):
        wish = pinned(ada, desired(ada, target=target(ada.panel, node=second)))
        assert ada.panel.state.allocations[wish.pinned["allocation"]].node == second


@pytest.mark.req("CAL-07", "CAL-42")
def test_a_second_create_of_the_same_choice_is_refused_by_the_panel(ada: Bench) -> None:
    wish = pinned(ada, desired(ada))
    ada.apply(ChangeKind.CREATE, wish, ABSENT)
    with pytest.raises(Conflict) as caught:
        ada.apply(ChangeKind.CREATE, wish, ABSENT)
    assert caught.value.fields == ("allocation",)
    assert len(ada.panel.state.servers) == 1
    # It is ours: the choice stays, whatever a stale look says.
    assert not ada.driver.pin_taken(wish)


def test_an_allocation_that_somebody_else_took_is_given_up(ada: Bench) -> None:
    wish = pinned(ada, desired(ada))
    assert not ada.driver.pin_taken(wish)
    ada.apply(ChangeKind.CREATE, wish, ABSENT)
    ada.server().external_id = "manual"
    assert ada.driver.pin_taken(wish)
    ada.panel.world.state.allocations.pop(wish.pinned["allocation"])
    ada.panel.world.state.links.clear()
    assert ada.driver.pin_taken(wish)


# --- Auto ------------------------------------------------------------------------------------------------


@pytest.mark.req("CAL-21")
@pytest.mark.parametrize(
    ("rule", "sent"),
    [
        ({}, (False, 1, 65535)),
        ({"ports": "25570-25580"}, (False, 25570, 25580)),
        ({"ports": "25570", "dedicated_ip": True}, (True, 25570, 25570)),
    ],
    ids=["any", "range", "dedicated"],
)
def test_auto_always_says_which_ports(ada: Bench, rule: dict[str, Any], sent: tuple[bool, int, int]) -> None:
    found = create(ada, target=target(ada.panel, auto=True, **rule))
    rules = ada.wire.bodies[-1]["deployment"]["allocations"]
    primary = rules["primary"]
    assert (rules["dedicated"], primary["start_port"], primary["end_port"]) == sent
    assert DEPLOYED in ada.calls()
    assert sent[1] <= int(found.extra["allocation"].rpartition(":")[2]) <= sent[2]
    assert ada.driver.remarks == []


@pytest.mark.req("CAL-42")
@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        ("nodes", "have no node"),
        ("closed", "closed for deployment"),
        ("memory", "room enough"),
        ("ports", "free port"),
    ],
)
def test_no_place_is_said_in_our_words_and_the_panels(ada: Bench, spoil: str, words: str) -> None:
    wish = desired(ada, target=target(ada.panel, auto=True))
    state = ada.panel.world.state
    if spoil == "nodes":
        state.nodes.clear()
    for node in state.nodes.values():
        node.deployment_enabled = spoil != "closed"
        node.memory = 10 if spoil == "memory" else node.memory
    if spoil == "ports":
        state.allocations.clear()
    with pytest.raises(NoCapacity, match=words) as caught:
        ada.apply(ChangeKind.CREATE, wish, ABSENT)
    assert "It says “" in caught.value.detail
    assert ada.panel.state.servers == {}


def test_over_allocation_is_a_choice(ada: Bench) -> None:
    for node in ada.panel.world.state.nodes.values():
        node.memory = 10
    found = create(ada, target=target(ada.panel, auto=True, allow_overallocation=True))
    assert found.limits["memory"] == 1024


# --- lost answers ----------------------------------------------------------------------------------------


@pytest.mark.req("CAL-07")
@pytest.mark.parametrize("auto", [False, True])
def test_a_lost_create_is_found_by_a_look(ada: Bench, *, auto: bool) -> None:
    wish = pinned(ada, desired(ada, target=target(ada.panel, auto=auto)))
    ada.panel.faults.add("lost", method="POST")
    with pytest.raises(Unknown) as caught:
        ada.apply(ChangeKind.CREATE, wish, ABSENT)
    assert caught.value.maybe_done
    ada.calls()
    found = ada.driver.observe_lost(wish.mark, wish.owner, wish.pinned)
    assert isinstance(found, Observed)
    whole = "GET admin/users/{user}/servers"
    assert ada.calls() == ([whole] if auto else ["GET admin/servers/external/{mark}"])
    assert ada.driver.lost_looks(wish.pinned) == (LostLooks((0, 1, 8), 1) if auto else LostLooks())


def test_two_servers_of_one_mark_are_named_and_not_touched(ada: Bench) -> None:
    wish = desired(ada, target=target(ada.panel, auto=True))
    first = ada.apply(ChangeKind.CREATE, wish, ABSENT)
    second = ada.apply(ChangeKind.CREATE, wish, ABSENT)
    assert first
    assert second
    with pytest.raises(WrongServer, match=f"{first.server_id}, {second.server_id}") as caught:
        ada.driver.observe_lost(wish.mark, wish.owner, {})
    assert caught.value.reason == "two_servers"


@pytest.mark.parametrize("mode", ["refused", "5xx"])
def test_a_dead_daemon_leaves_the_create_unknown(ada: Bench, mode: Any) -> None:
    ada.panel.daemon_set(mode)
    with pytest.raises(Unknown) as caught:
        create(ada)
    assert caught.value.maybe_done
    assert ada.panel.state.servers == {}


# --- custom feature limits (CAL-24) ----------------------------------------------------------------------


@pytest.mark.req("CAL-24")
def test_custom_feature_limits_are_sent_and_read_back(ada: Bench) -> None:
    ada.panel.settings.extension_limits = ["plugins"]
    wish = {"feature_limits": "plugins:5,worlds:3"}
    found = create(ada, options=wish)
    assert found.extra["feature_limits"]["plugins"] == 5
    assert ada.driver.remarks == [
        "The panel keeps no feature limit “worlds”: none of its extensions knows it."
    ]
    # What the panel drops is not asked for again and again.
    ada.panel.install_finish(found.server_id)
    again = desired(ada, options=wish)
    assert ada.driver.plan(again, found) is None
    assert "worlds" in ada.driver.plan_notes(again, found)[0]


@pytest.mark.req("CAL-24")
def test_a_changed_custom_limit_is_a_resize(ada: Bench) -> None:
    ada.panel.settings.extension_limits = ["plugins"]
    look = made(ada, options={"feature_limits": "plugins:5"})
    wish = desired(ada, options={"feature_limits": "plugins:9"})
    plan = ada.driver.plan(wish, look)
    assert plan
    assert plan.lines() == ["~ plugins 5 → 9"]
    assert ChangeKind.RESIZE not in ada.driver.blind(look)
    after = ada.apply(ChangeKind.RESIZE, wish, look)
    assert after
    assert after.extra["feature_limits"]["plugins"] == 9
    assert ada.driver.plan(wish, after) is None


# --- preview ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("auto", [False, True])
def test_the_preview_is_what_a_create_would_send(ada: Bench, *, auto: bool) -> None:
    wish = desired(ada, target=target(ada.panel, auto=auto))
    shown = ada.driver.preview(wish)
    assert ada.panel.calls.count("POST") == 0
    wish = pinned(ada, wish)
    ada.apply(ChangeKind.CREATE, wish, ABSENT)
    sent = ada.wire.bodies[-1]
    if not auto:
        assert shown.pop("allocation_uuid").startswith("the first free allocation of node")
        sent.pop("allocation_uuid")
    assert shown == sent


def test_the_egg_that_is_gone_is_named(ada: Bench) -> None:
    gone = target(ada.panel, egg="00000000-0000-0000-0000-000000000000")
    with pytest.raises(Rejected, match="has no egg"):
        create(ada, target=gone)


def test_a_variable_given_up_by_the_product_takes_the_eggs_default(ada: Bench) -> None:
    known = {"variables": [{"env": "VIEW_DISTANCE", "default": "10", "name": "", "rules": ""}]}
    wish = desired(ada, runtime_applied={"variables": {"VIEW_DISTANCE": "12"}})
    assert mapping.changed_variables(known, wish) == [{"env_variable": "VIEW_DISTANCE", "value": "10"}]
