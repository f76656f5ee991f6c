"""All 118 recorded exchanges of a Pterodactyl 1.11.7 against the sandbox, a test for each."""

from collections.abc import Iterator

import pytest

from provisioning.sandbox.server import PanelSandbox
from provisioning.sandbox.world import Settings
from tests.contract.replay import RATES, Answer, Exchange, differences, play_all, recorded

EXCHANGES = recorded()
NAMES = [exchange.name for exchange in EXCHANGES]


@pytest.fixture(scope="session")
def played() -> Iterator[list[tuple[Exchange, Answer]]]:
    """The whole recording, replayed once and in order, whatever order the tests run in."""
    settings = Settings(application_limit=240, client_limit=720)
    with PanelSandbox(settings=settings, fleet=False) as panel:
        yield play_all(panel)


def test_the_recording_is_whole() -> None:
    assert len(EXCHANGES) == 118
    assert len(set(NAMES)) == 118


@pytest.mark.parametrize("name", NAMES)
def test_answer_is_the_recorded_one(played: list[tuple[Exchange, Answer]], name: str) -> None:
    exchange, answer = played[NAMES.index(name)]
    assert answer.status == exchange.status, answer.body
    assert answer.headers.get("content-type") == exchange.headers.get("content-type")
    if "__text__" not in (exchange.answer or {}):
        assert differences(exchange.answer, answer.body) == []


@pytest.mark.parametrize("name", NAMES)
def test_rate_headers_are_the_recorded_ones(played: list[tuple[Exchange, Answer]], name: str) -> None:
    exchange, answer = played[NAMES.index(name)]
    assert answer.headers.get(RATES[0]) == exchange.headers.get(RATES[0])
    assert (RATES[1] in answer.headers) == (RATES[1] in exchange.headers)
    assert ("retry-after" in answer.headers) == ("retry-after" in exchange.headers)


@pytest.mark.parametrize("api", ["application", "client"])
def test_remaining_calls_fall_by_one_a_call(played: list[tuple[Exchange, Answer]], api: str) -> None:
    limited = [a for e, a in played if e.api == api and RATES[1] in a.headers and e.name != "rate_limited"]
    left = [int(answer.headers[RATES[1]]) for answer in limited]
    assert left == list(range(left[0], left[0] - len(left), -1))
    assert left[0] == int(limited[0].headers[RATES[0]]) - 1
