"""Creating: the exact body, the pinned port, egg defaults, and what each refusal leads to."""

from __future__ import annotations

from typing import Any

import pytest

from provisioning.drivers.errors import Conflict, DaemonDown, NoCapacity, Rejected, Unknown
from provisioning.drivers.types import ABSENT, ChangeKind, Observed, Runtime, ServerRef, ServerState
from provisioning.exceptions import SpecProblem
from provisioning.sandbox.daemon import Mode
from provisioning.sandbox.faults import Kind
from tests.provisioning.drivers.pterodactyl.bench import AUTO, Bench, desired, made, want


def create(work: Bench, **fields: Any) -> Observed:
    """One create through the driver."""
    found = work.apply(ChangeKind.CREATE, desired(**fields), ABSENT)
    assert isinstance(found, Observed)
    return found


@pytest.mark.req("CAL-01", "CAL-21")
def test_a_new_customers_server_costs_three_calls(work: Bench) -> None:
    made(work)
    # The engine's look by the mark, the account and the server: egg and ports are remembered.
    work.notes.store("allocations", "1", [2, 3])
    account = work.driver.account_ensure(want(mark="8", email="grace@example.com", username="grace_8"))
    pinned = work.driver.pin(desired(pinned={}))
    assert work.driver.observe(ServerRef("test-shop-101")) is ABSENT
    found = create(work, mark="test-shop-101", owner=account.id, pinned=pinned)
    assert work.calls() == 3
    assert (found.state, found.owner, found.extra["allocation"]) == (ServerState.INSTALLING, account.id, 2)


@pytest.mark.req("CAL-30")
def test_egg_defaults_are_sent_and_names_match_in_any_case(work: Bench) -> None:
    work.driver.account_ensure(want())
    found = create(work, runtime=Runtime(variables={"minecraft_version": "1.20.4", "NO_SUCH": "x"}))
    # Left out, the panel would have stored each of them as empty (trap 5).
    assert found.extra["environment"] == {
        "MINECRAFT_VERSION": "1.20.4",
        "SERVER_JARFILE": "server.jar",
        "DL_PATH": "",
        "BUILD_NUMBER": "latest",
    }


@pytest.mark.req("CAL-25", "CAL-27", "CAL-28")
def test_overrides_and_options_arrive(work: Bench) -> None:
    work.driver.account_ensure(want())
    found = create(
        work,
        runtime=Runtime(image="example.com/java:8", startup="java -jar x.jar"),
        options={"skip_scripts": True, "start_on_completion": True, "oom_killer": True, "threads": "0-3,5"},
    )
    assert (found.extra["image"], found.extra["startup"]) == ("example.com/java:8", "java -jar x.jar")
    assert (found.extra["oom_disabled"], found.extra["threads"]) == (False, "0-3,5")
    assert work.server().skip_scripts
    assert work.server().start_on_completion


@pytest.mark.req("CAL-21")
def test_auto_lets_the_panel_choose(work: Bench) -> None:
    work.driver.account_ensure(want())
    target = {**AUTO, "port_range": ["25570-25572"]}
    assert work.driver.pin(desired(target=target)) == {}
    found = create(work, target=target, pinned={})
    port = work.panel.world.state.allocations[found.extra["allocation"]].port
    assert 25570 <= port <= 25572


@pytest.mark.req("CAL-21", "CAL-42")
def test_the_pin_is_the_first_free_port_that_nobody_holds(work: Bench) -> None:
    made(work)
    work.notes.taken.add("2")
    assert work.driver.pin(desired(pinned={})) == {"allocation": 3}
    assert work.driver.pin(desired(pinned={})) == {"allocation": 4}
    assert work.calls() == 1
    # All remembered ones are held: the panel is asked once more, then it's full.
    work.notes.taken |= {str(number) for number in range(1, 41)}
    with pytest.raises(NoCapacity, match="Node 1 has no free allocation"):
        work.driver.pin(desired(pinned={}))
    assert work.calls() == 1


def test_free_ports_are_read_over_all_pages(work: Bench) -> None:
    rows = work.panel.world.state.allocations
    for number in range(41, 1241):
        rows[number] = type(rows[1])(number, rows[1].created_at, rows[1].updated_at, 1, "192.0.2.9", number)
    work.driver.pin(desired(pinned={}))
    assert len(work.notes.recall("allocations", "1") or []) == 1220
    assert [query["filter[server_id]"] for query in work.wire.asked] == [0, 0, 0]


def test_a_port_that_the_panel_shows_as_assigned_is_never_chosen(work: Bench) -> None:
    work.wire.replace = (b'"assigned":false', b'"assigned":true')
    with pytest.raises(NoCapacity):
        work.driver.pin(desired(pinned={}))


@pytest.mark.req("CAL-42")
def test_a_port_that_was_taken_meanwhile_is_given_back(work: Bench) -> None:
    work.driver.account_ensure(want())
    pinned = work.driver.pin(desired(pinned={}))
    work.panel.world.state.allocations[1].server_id = 99
    with pytest.raises(Conflict) as caught:
        create(work, pinned=pinned)
    assert caught.value.fields == ("allocation",)
    assert work.notes.released == ["1"]
    # The next pin asks the panel again instead of trusting the old list.
    assert work.driver.pin(desired(pinned={})) == {"allocation": 2}


@pytest.mark.req("CAL-07")
def test_a_second_server_with_the_same_mark_is_a_conflict(work: Bench) -> None:
    made(work)
    with pytest.raises(Conflict) as caught:
        create(work, pinned={"allocation": 2})
    assert caught.value.fields == ("external_id",)
    assert work.notes.released == []
    assert len(work.panel.world.state.servers) == 1


@pytest.mark.parametrize(
    ("mode", "status"), [("refused", 504), ("5xx", 500), ("4xx", 409), ("4xx", 422), ("404", 404)]
)
def test_a_dead_daemon_means_that_nothing_was_made(work: Bench, mode: Mode, status: int) -> None:
    work.driver.account_ensure(want())
    work.panel.daemon_set(mode, status=status)
    with pytest.raises(DaemonDown) as caught:
        create(work)
    assert not caught.value.maybe_done
    assert work.driver.observe(ServerRef("test-shop-100")) is ABSENT
    work.panel.daemon_set("ok")
    assert create(work).mark == "test-shop-100"


def test_a_lost_answer_says_that_it_may_be_done(work: Bench) -> None:
    work.driver.account_ensure(want())
    work.panel.faults.add("lost", method="POST", path="/servers$")
    with pytest.raises(Unknown) as caught:
        create(work)
    assert caught.value.maybe_done
    assert isinstance(work.driver.observe(ServerRef("test-shop-100")), Observed)


@pytest.mark.parametrize(("field", "limit"), [("memory", 10**6), ("disk", 10**7)])
def test_no_room_in_the_location(work: Bench, field: str, limit: int) -> None:
    work.driver.account_ensure(want())
    limits = {**desired().limits, field: limit}
    with pytest.raises(NoCapacity, match="No nodes"):
        create(work, target=AUTO, pinned={}, limits=limits)


def test_a_stale_egg_is_refreshed_once(work: Bench) -> None:
    work.driver.account_ensure(want())
    stale = {"id": 5, "nest": 1, "name": "Paper", "image": "old", "startup": "old", "variables": []}
    work.notes.store("egg", "1:5", stale)
    work.calls()
    assert create(work).extra["environment"]["SERVER_JARFILE"] == "server.jar"
    assert work.calls() == 3


@pytest.mark.req("CAL-30")
def test_a_variable_that_breaks_its_rule_is_refused_in_words(work: Bench) -> None:
    work.driver.account_ensure(want())
    work.calls()
    with pytest.raises(Rejected, match="Server Jar File variable") as caught:
        create(work, runtime=Runtime(variables={"SERVER_JARFILE": "no jar"}))
    assert caught.value.fields == ("environment.SERVER_JARFILE",)
    # The egg was fresh: asking again could not help.
    assert work.calls() == 2


def test_a_refusal_that_is_not_about_the_egg_is_final(work: Bench) -> None:
    made(work)
    with pytest.raises(Rejected, match=r"limits\.io"):
        create(work, mark="test-shop-101", limits={**desired().limits, "io": 5}, pinned={"allocation": 2})
    assert work.calls() == 1


@pytest.mark.parametrize("kind", ["lost", "cut", "wrong_types", "bad_gateway", "error_in_ok"])
def test_trouble_before_the_post_says_that_nothing_was_made(work: Bench, kind: Kind) -> None:
    work.driver.account_ensure(want())
    work.panel.faults.add(kind, method="GET", path="/eggs/")
    with pytest.raises(Unknown) as caught:
        create(work)
    assert not caught.value.maybe_done


def test_a_vanished_egg_is_named(work: Bench) -> None:
    work.driver.account_ensure(want())
    with pytest.raises(Rejected, match="no egg 77 in nest 1"):
        create(work, target={"nest": 1, "egg": 77, "node": 1})


@pytest.mark.req("CAL-22")
@pytest.mark.parametrize("name", ["memory", "disk", "cpu", "swap", "io"])
def test_a_missing_limit_never_becomes_unlimited(work: Bench, name: str) -> None:
    limits = {key: value for key, value in desired().limits.items() if key != name}
    with pytest.raises(SpecProblem) as caught:
        create(work, limits=limits)
    assert list(caught.value.problems) == [f"limits.{name}"]
    assert work.panel.calls.count("POST") == 0


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"owner": ""}, "owner"),
        ({"pinned": {}}, "target.node"),
        ({"target": {"nest": 1, "egg": 5, "locations": []}}, "target"),
    ],
)
def test_what_is_not_settled_is_not_sent(work: Bench, fields: dict[str, Any], problem: str) -> None:
    with pytest.raises(SpecProblem) as caught:
        create(work, **fields)
    assert problem in caught.value.problems
    assert work.panel.calls.count("POST") == 0


def test_preview_is_the_body_that_is_sent(work: Bench) -> None:
    made(work)
    body = work.driver.preview(desired())
    assert body["allocation"] == {"default": 1}
    assert "deploy" not in body
    assert body["user"] == 2
    assert body["feature_limits"] == {"databases": 1, "allocations": 2, "backups": 3}
    example = work.driver.preview(desired(owner="", pinned={}))
    assert example["user"] == "the customer's panel account"
    assert example["allocation"] == {"default": "the first free allocation of node 1"}
    auto = work.driver.preview(desired(target={**AUTO, "port_range": [25565]}))
    assert auto["deploy"] == {"locations": [1], "dedicated_ip": False, "port_range": ["25565"]}
    assert "allocation" not in auto
    assert work.calls() == 0


@pytest.mark.parametrize("swap", [(b"test-shop-101", b"test-shop-999"), (b'"user":2', b'"user":1')])
def test_another_server_in_the_answer_is_not_taken_for_ours(work: Bench, swap: tuple[bytes, bytes]) -> None:
    made(work)
    # As if something between us and the panel had mixed up two answers.
    work.wire.replace = swap
    with pytest.raises(Unknown, match="another server") as caught:
        create(work, mark="test-shop-101", pinned={"allocation": 2})
    assert caught.value.maybe_done
