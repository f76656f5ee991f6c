"""Changes: one PATCH for all, a second apart, proven by a look; later checks (CAL-02, CAL-03)."""

from __future__ import annotations

from typing import Any

import pytest

from provisioning.drivers.calagopus.mapping import runtime_sign
from provisioning.drivers.errors import Unknown, WrongServer
from provisioning.drivers.types import (
    ChangeKind,
    Desired,
    LaterCheck,
    Observed,
    Runtime,
    ServerRef,
    ServerState,
    Wanted,
)
from provisioning.exceptions import PanelWaiting
from provisioning.lib import clock
from provisioning.lib.http import Answer, HttpError
from tests.provisioning.drivers.calagopus.bench import LIMITS, Bench, desired, made

PATCH, GET, DELETE = (
    "PATCH admin/servers/{server}",
    "GET admin/servers/{server}",
    "DELETE admin/servers/{server}",
)
PUT, USAGE = "PUT admin/servers/{server}/variables", "GET admin/nodes/{node}/servers/resources"


def carried_out(work: Bench, wish: Desired, look: Observed) -> Observed:
    """All changes of the plan, as the engine applies them; nothing is left."""
    plan = work.driver.plan(wish, look)
    assert plan
    for change in plan.changes:
        seen = work.driver.apply(change, wish, look)
        assert isinstance(seen, Observed)
        look = seen
    return look


@pytest.mark.req("CAL-02")
def test_suspend_and_unsuspend_are_two_calls_each(work: Bench) -> None:
    look = made(work)
    off = carried_out(work, desired(work, state=Wanted.SUSPENDED), look)
    assert (off.state, work.calls()) == (ServerState.SUSPENDED, [PATCH, GET])
    assert work.wire.bodies == [{"suspended": True}]
    clock.shift(60)
    on = carried_out(work, desired(work), off)
    assert (on.state, work.calls()) == (ServerState.ACTIVE, [PATCH, GET])


@pytest.mark.req("CAL-03")
def test_a_resize_sends_nested_objects_whole_in_two_calls(work: Bench) -> None:
    look = made(work)
    server = work.server()
    after = carried_out(work, desired(work, limits={**LIMITS, "memory": 2048, "backups": 5}), look)
    assert work.calls() == [PATCH, GET]
    (body,) = work.wire.bodies
    assert body == {
        "limits": {
            "cpu": 100,
            "memory": 2048,
            "memory_overhead": 0,
            "swap": 0,
            "disk": 5120,
            "io_weight": 500,
        },
        "feature_limits": {"allocations": 2, "databases": 1, "backups": 5, "schedules": 4},
    }
    assert (after.limits["memory"], after.limits["backups"]) == (2048, 5)
    assert server.limits["io_weight"] == 500


def test_what_the_product_leaves_open_stays_as_it_was_seen(work: Bench) -> None:
    look = made(work)
    carried_out(work, desired(work, limits={"memory": 2048}), look)
    assert work.server().limits == {
        "cpu": 100,
        "memory": 2048,
        "memory_overhead": 0,
        "swap": 0,
        "disk": 5120,
        "io_weight": 500,
    }
    assert work.server().feature_limits["schedules"] == 4


@pytest.mark.req("CAL-03", "CAL-30")
def test_everything_that_changes_goes_in_one_patch(work: Bench) -> None:
    look = made(work, runtime=Runtime(variables={"SERVER_JARFILE": "a.jar", "VIEW_DISTANCE": "12"}))
    applied = Runtime(variables={"SERVER_JARFILE": "a.jar", "VIEW_DISTANCE": "12"}).as_json()
    wish = desired(
        work,
        state=Wanted.SUSPENDED,
        limits={**LIMITS, "disk": 9000},
        runtime=Runtime("games/java:17", "", {"SERVER_JARFILE": "b.jar"}),
        runtime_applied=applied,
    )
    after = carried_out(work, wish, look)
    assert work.calls() == [PUT, PATCH, GET]
    values = {item["env_variable"]: item["value"] for item in work.wire.bodies[0]["variables"]}
    assert values == {"SERVER_JARFILE": "b.jar", "VIEW_DISTANCE": "10"}
    assert set(work.wire.bodies[1]) == {"suspended", "limits", "feature_limits", "image"}
    assert (after.state, after.extra["image"]) == (ServerState.SUSPENDED, "games/java:17")
    assert after.extra["runtime"] == runtime_sign(wish.runtime)


def test_a_customers_own_image_stays_where_the_product_says_nothing_new(work: Bench) -> None:
    look = made(work)
    work.server().image = "games/java:11"
    wish = desired(
        work, runtime=Runtime(variables={"VIEW_DISTANCE": "8"}), runtime_applied=Runtime().as_json()
    )
    carried_out(work, wish, look)
    assert work.server().image == "games/java:11"
    assert work.wire.bodies[-1] == {}


def test_another_egg_keeps_its_runtime(work: Bench) -> None:
    look = made(work)
    other = {**desired(work).target, "egg": "00000000-0000-0000-0000-000000000000"}
    wish = desired(work, target=other, runtime=Runtime("x/y"), runtime_applied=Runtime().as_json())
    assert work.driver.plan(wish, look) is None
    assert "another egg" in work.driver.plan_notes(wish, look)[0]


def test_two_changes_of_one_server_are_a_second_apart(work: Bench) -> None:
    look = made(work)
    carried_out(work, desired(work, limits={**LIMITS, "memory": 2048}), look)
    work.again()
    wish = desired(work, state=Wanted.SUSPENDED)
    with pytest.raises(PanelWaiting) as caught:
        work.apply(ChangeKind.SUSPEND, wish, look)
    assert caught.value.reason == "change_pace"
    assert 0 < caught.value.seconds <= 1
    assert work.calls() == [PATCH, GET]
    clock.shift(1.1)
    work.again()
    work.apply(ChangeKind.SUSPEND, wish, look)
    assert work.calls() == [PATCH, GET]


def slow_patches(work: Bench, monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """The panel takes so long over each PATCH, for our clock."""
    send = work.wire.request

    def request(method: str, path: str, **kwargs: Any) -> Answer:
        answer = send(method, path, **kwargs)
        if method == "PATCH":
            clock.shift(seconds)
        return answer

    monkeypatch.setattr(work.wire, "request", request)


@pytest.mark.parametrize("seconds", [1.5, 35.0])
def test_the_second_and_the_series_count_from_the_end_of_a_slow_patch(
    work: Bench, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    look = made(work)
    slow_patches(work, monkeypatch, seconds)
    carried_out(work, desired(work, limits={**LIMITS, "memory": 2048}), look)
    work.again()
    wish = desired(work, state=Wanted.SUSPENDED)
    with pytest.raises(PanelWaiting) as caught:
        work.apply(ChangeKind.SUSPEND, wish, look)
    assert caught.value.reason == "change_pace"
    checks = work.driver.later_checks(frozenset({ChangeKind.SUSPEND}), wish, look)
    assert [check.kind for check in checks] == ["series", "suspend"]


def test_a_patch_without_an_answer_counts_from_where_we_gave_up(
    work: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = made(work)
    wish = desired(work, state=Wanted.SUSPENDED)

    def request(method: str, path: str, **kwargs: Any) -> Answer:
        clock.shift(35)
        raise HttpError("timeout", "No answer in 35 s.", maybe_processed=True)

    monkeypatch.setattr(work.wire, "request", request)
    for reason in ("panel_unknown", "change_pace"):
        with pytest.raises((Unknown, PanelWaiting)) as caught:
            work.apply(ChangeKind.SUSPEND, wish, look)
        assert caught.value.reason == reason


def suspended_at_machine(work: Bench) -> bool:
    """What the daemon believes of the one server."""
    view = work.panel.daemon_view(work.server().uuid)
    assert view
    return view.suspended


def test_a_series_ends_with_an_empty_patch(work: Bench) -> None:
    work.panel.settings.sync_delay = 0.5
    work.panel.settings.sync_order = "reversed"
    look = made(work)
    resized = carried_out(work, desired(work, limits={**LIMITS, "memory": 2048}), look)
    clock.shift(1.1)
    work.again()
    wish = desired(work, state=Wanted.SUSPENDED, limits={**LIMITS, "memory": 2048})
    checks = work.driver.later_checks(frozenset({ChangeKind.SUSPEND}), wish, resized)
    after = carried_out(work, wish, resized)
    work.panel.advance(1)
    work.panel.settle()
    # The older state arrived last, and stays.
    assert not suspended_at_machine(work)
    assert [(check.kind, check.seconds) for check in checks] == [("series", 2.0), ("suspend", 50.0)]
    assert work.driver.check_later(checks[0], after, tell=True)
    work.panel.advance(1)
    work.panel.settle()
    assert suspended_at_machine(work)
    assert work.wire.bodies[-1] == {}


def test_a_single_change_is_no_series(work: Bench) -> None:
    look = made(work)
    wish = desired(work, limits={**LIMITS, "schedules": 9})
    assert work.driver.later_checks(frozenset({ChangeKind.RESIZE}), wish, look) == []
    carried_out(work, wish, look)
    clock.shift(60)
    assert work.driver.later_checks(frozenset({ChangeKind.UNSUSPEND}), wish, look) == []
    clock.shift(-60)
    assert work.driver.later_checks(frozenset({ChangeKind.DELETE}), wish, look) == []


def test_the_mark_is_set_and_nothing_beside_it(work: Bench) -> None:
    look = made(work)
    work.server().external_id = None
    bare = work.driver.observe(ServerRef("", look.server_id))
    assert isinstance(bare, Observed)
    after = carried_out(work, desired(work, set_mark=True), bare)
    assert (after.mark, work.wire.bodies) == ("test-shop-100", [{"external_id": "test-shop-100"}])
    work.server().external_id = "other"
    clock.shift(60)
    with pytest.raises(WrongServer):
        work.apply(ChangeKind.MARK, desired(work, set_mark=True), bare)


def test_limits_may_rest_on_a_stored_look_unless_an_extension_has_some(work: Bench) -> None:
    look = made(work)
    quick = {ChangeKind.SUSPEND, ChangeKind.UNSUSPEND, ChangeKind.STARTUP}
    assert work.driver.blind(look) == quick | {ChangeKind.RESIZE}
    work.server().feature_limits["plugins"] = 3
    fresh = work.driver.observe(ServerRef(look.mark, look.server_id))
    assert isinstance(fresh, Observed)
    assert work.driver.blind(fresh) == quick
    clock.shift(60)
    carried_out(work, desired(work, limits={**LIMITS, "memory": 2048}), fresh)
    assert work.wire.bodies[-1]["feature_limits"]["plugins"] == 3


def test_a_change_of_a_server_that_is_gone_calls_for_a_look(work: Bench) -> None:
    look = made(work)
    work.apply(ChangeKind.DELETE, desired(work, state=Wanted.ABSENT), look)
    with pytest.raises(Unknown) as caught:
        work.apply(ChangeKind.SUSPEND, desired(work, state=Wanted.SUSPENDED), look)
    assert not caught.value.maybe_done


# --- what the machine made of it -------------------------------------------------------------------------


def at_machine(work: Bench, look: Observed, **fields: Any) -> None:
    """What the daemon knows and does, without the panel's knowledge."""
    view = work.panel.daemon_view(look.server_id)
    assert view
    view.power = fields.get("power", view.power)
    view.told["settings"]["suspended"] = fields.get("suspended", False)


@pytest.mark.req("CAL-02")
@pytest.mark.parametrize(("power", "well"), [("running", False), ("offline", True), ("stopping", True)])
def test_a_suspended_server_that_still_runs_is_told_again(work: Bench, power: str, *, well: bool) -> None:
    look = made(work)
    wish = desired(work, state=Wanted.SUSPENDED)
    (check,) = work.driver.later_checks(frozenset({ChangeKind.SUSPEND}), wish, look)
    after = carried_out(work, wish, look)
    assert 45 <= check.seconds <= 60
    at_machine(work, look, power=power)
    work.calls()
    assert work.driver.check_later(check, after, tell=False) is well
    assert work.calls() == [USAGE]
    assert work.driver.check_later(check, after, tell=True) is well
    assert work.calls() == ([USAGE] if well else [USAGE, PATCH])
    view = work.panel.daemon_view(look.server_id)
    assert view
    assert view.power != "running"


@pytest.mark.req("CAL-03")
@pytest.mark.parametrize(
    ("power", "known", "well"),
    [("running", 1024, False), ("running", 2048, True), ("running", 4096, True), ("offline", 1024, True)],
)
def test_a_running_server_with_its_old_limits_is_told_again(
    work: Bench, power: str, known: int, *, well: bool
) -> None:
    look = made(work)
    wish = desired(work, limits={**LIMITS, "memory": 2048})
    (check,) = work.driver.later_checks(frozenset({ChangeKind.RESIZE}), wish, look)
    after = carried_out(work, wish, look)
    assert check.data == {"memory": [1024, 2048]}
    at_machine(work, look, power=power)
    view = work.panel.daemon_view(look.server_id)
    assert view
    view.build["memory_limit"] = known
    assert work.driver.check_later(check, after, tell=True) is well
    assert view.build["memory_limit"] == (known if well else 2048)


def test_a_machine_that_is_away_or_does_not_know_it_proves_nothing(work: Bench) -> None:
    look = made(work)
    check = LaterCheck("suspend", 50)
    work.panel.panel.daemons.of(work.server().node).servers.clear()
    assert work.driver.check_later(check, look, tell=True)
    work.panel.daemon_set("refused")
    with pytest.raises(Unknown) as caught:
        work.driver.check_later(check, look, tell=True)
    assert not caught.value.maybe_done
