"""The 592 lines recorded from a Calagopus 1.1.4 against the sandbox, in order, a test for each."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import requests

from provisioning.sandbox.calagopus.errors import PanelError
from provisioning.sandbox.calagopus.server import CalagopusSandbox
from provisioning.sandbox.calagopus.throttle import Throttle
from provisioning.sandbox.calagopus.world import Settings
from provisioning.sandbox.core import InstallPolicy
from tests.contract.calagopus_replay import Answer, Exchange, Replay, differences, recorded
from tests.contract.calagopus_story import AFTER, BEFORE, HEADERS, authorisation

EXCHANGES = {exchange.name: exchange for exchange in recorded()}
LEFT_OUT = {
    "key.create.four_at_once": "four calls race for a lock of 5 ms: chance decides",
    "servers.deploy.six_at_once": "six calls race for a port: chance decides",
    "daemon.saw.eight_updates_in_a_row": "counts how often chance changed an order",
    **{name: "milliseconds of the recording machine" for name in EXCHANGES if name.startswith("sequence.")},
}
QUIET = ("daemon.saw.servers.variables.update", "daemon.saw.servers.allocations.add")
PORTS = ("overallocation", "maintenance", "assign_to_variable", "assign_to_variable.allocations")
LIMITED = [name for name in EXCHANGES if name.startswith("rate.limited")]
MADE_UP = (
    "client.subusers.create.new_person",
    "users.list.after_subuser_of_new_person",
    "client.subusers.list",
)
IGNORED: dict[str, frozenset[str]] = {
    "permissions": frozenset({"*"}),  # its sentences are the panel's own
    **{f"servers.deploy.{name}": frozenset({"port"}) for name in PORTS},
    "daemon.saw.client.startup.variables.update": frozenset({"name", "description"}),  # from a cache of 5 s
    **dict.fromkeys(LIMITED, frozenset({"*"})),  # the seconds that are left
    "backups_fail.nodes.backups": frozenset({"name"}),
    **dict.fromkeys(MADE_UP, frozenset({"username"})),
    "client.backups.create.second": frozenset({"name"}),
    "client.activity": frozenset({"total", "name"}),
    "activity.admin": frozenset({"total"}),
    **dict.fromkeys(("client.account.activity", "users.activity"), frozenset({"identifier"})),
    "servers.deploy.assign_to_variable.variables": frozenset({"value"}),
    # The panel believed what it knew of a node for ten seconds.
    "servers.deploy.maintenance": frozenset({"port", "maintenance_enabled"}),
}
PLAYED = [name for name in EXCHANGES if name not in LEFT_OUT]
Outcome = dict[str, Answer | None]


def quiet(replay: Replay, exchange: Exchange) -> Answer:
    """Nothing reached a daemon since the last claimed line but what that line already told."""
    replay.panel.settle()
    verb = "variables" if "variables" in exchange.name else "allocations"
    heard = [c for c in replay.heard() if verb in c.path]
    return Answer(0, {}, heard if heard else None, None)


def gave_up(replay: Replay, exchange: Exchange) -> Answer:
    """A caller that hangs up before the silent daemon has answered."""
    with pytest.raises(requests.ReadTimeout):
        replay.session.post(
            f"{replay.panel.url}{exchange.path}",
            json=replay.mapped(exchange.body),
            headers={"Authorization": f"Bearer {replay.panel.application_key}"},
            timeout=0.15,
        )
    return Answer(0, {}, exchange.answer, exchange.answer)


def locations(replay: Replay, count: int) -> list[int]:
    """So many calls in a row, by their status."""
    headers = {"Authorization": f"Bearer {replay.panel.application_key}"}
    url = f"{replay.panel.url}/api/admin/locations?per_page=1"
    return [replay.session.get(url, headers=headers, timeout=10).status_code for _ in range(count)]


def first_429(replay: Replay, exchange: Exchange) -> Answer:
    """Which call of a window is the first that fails."""
    replay.control("/settings", rate_limit=360)
    replay.control("/throttle", exhausted=False)
    statuses = locations(replay, 360)
    body = {**exchange.answer, "request_number": statuses.index(429) + 1}
    return Answer(statuses[-1], {}, body, exchange.answer)


def early_end(replay: Replay, exchange: Exchange) -> Answer:
    """A call in a window's last two seconds begins a new one."""
    replay.control("/clock", seconds=40)
    first = locations(replay, 300)
    replay.control("/clock", seconds=28.6)
    second = locations(replay, 300)
    body = {**exchange.answer, "answered_200": [first.count(200), second.count(200)]}
    return Answer(second[-1], {}, body, exchange.answer)


def steady(replay: Replay, exchange: Exchange) -> Answer:
    """Eight calls a second, with or without Redis behind the limiter."""
    replay.control("/settings", rate_redis=exchange.name.endswith("redis"))
    replay.control("/throttle", exhausted=False)
    calls, status = 0, 200
    while calls < 600 and status == 200:
        replay.panel.advance(1 / 8)
        calls, status = calls + 1, hit(replay.panel.panel.throttle)
    body = {**exchange.answer, "calls": calls, "last_status": status}
    return Answer(status, {}, body, exchange.answer)


def hit(throttle: Throttle) -> int:
    """The status that the limiter gives to a caller of this machine."""
    try:
        throttle.hit("127.0.0.1")
    except PanelError as error:
        return error.status
    return 200


SPECIAL: dict[str, Callable[[Replay, Exchange], Answer | None]] = {
    **dict.fromkeys(QUIET, quiet),
    "daemon_silent.servers.create.caller_gives_up_after_2_s": gave_up,
    "rate.first_429_is_request_number": first_429,
    "rate.window_ends_two_seconds_early": early_end,
    "rate.steady_8_per_second.memory": steady,
    "rate.steady_8_per_second.redis": steady,
}


def play(replay: Replay, exchange: Exchange) -> Answer | None:
    """What happened before the line, the line, what happened after it."""
    for step in BEFORE.get(exchange.name, ()):
        step(replay)
    if exchange.name in SPECIAL:
        answer = SPECIAL[exchange.name](replay, exchange)
    elif exchange.to_daemon:
        answer = replay.saw(exchange)
    else:
        headers = {**exchange.headers, **HEADERS.get(exchange.name, {})}
        answer = replay.play(replace(exchange, headers=headers), authorisation(replay, exchange))
    for step in AFTER.get(exchange.name, ()):
        step(replay)
    return answer


@pytest.fixture(scope="session")
def played() -> Iterator[Outcome]:
    """The whole recording, replayed once and in order, whatever order the tests run in."""
    settings = Settings(port_choice="highest", database_wait=0.0, installs=InstallPolicy(outcome="never"))
    with CalagopusSandbox(settings=settings, fleet=False) as panel:
        replay = Replay(panel)
        with replay.session:
            yield {name: play(replay, EXCHANGES[name]) for name in PLAYED}


def test_the_recording_is_whole() -> None:
    assert len(recorded()) == 592
    assert len(EXCHANGES) == 592
    assert set(LEFT_OUT) <= set(EXCHANGES)


@pytest.mark.parametrize("name", PLAYED)
def test_answer_is_the_recorded_one(played: Outcome, name: str) -> None:
    exchange, answer = EXCHANGES[name], played[name]
    assert answer is not None, "no daemon was told this"
    assert answer.status == exchange.status, answer.body
    assert differences(answer.expected, answer.body, ignored=IGNORED.get(name, frozenset())) == []
    for header in ("content-type", "allow", "x-ratelimit-limit", "x-ratelimit-remaining"):
        if exchange.is_plain and header in exchange.answered:
            assert answer.headers.get(header) == exchange.answered[header]
