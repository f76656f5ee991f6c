"""The same faults as for any panel, in this panel's words."""

import pytest
import requests

from provisioning.sandbox.calagopus.server import CalagopusSandbox
from provisioning.sandbox.faults import Kind
from tests.provisioning.sandbox.calagopus.calling import (
    SERVERS,
    USERS,
    make_server,
    make_user,
    server_body,
    user_body,
)
from tests.provisioning.sandbox.client import Api

LOST = (requests.ConnectionError, requests.exceptions.ChunkedEncodingError)


def emails(panel: CalagopusSandbox) -> set[str]:
    return {user.email for user in panel.state.users.values()}


@pytest.mark.parametrize(
    ("kind", "status", "text"),
    [
        ("rate_limited", 429, '{"errors":["you are ratelimited, retry in 1s"]}'),
        ("error", 500, '{"errors":["internal server error"]}'),
        ("bad_gateway", 502, "<html>"),
        ("redirect", 302, ""),
        ("unauthorized", 401, '{"errors":["invalid api key"]}'),
        ("forbidden", 403, '{"errors":["you do not have permission'),
        ("error_in_ok", 200, '{"errors":["internal server error"]}'),
    ],
)
def test_an_answer_instead_of_the_work(
    panel: CalagopusSandbox, api: Api, kind: Kind, status: int, text: str
) -> None:
    panel.faults.add(kind)
    answer = api("POST", USERS, user_body())
    assert answer.status_code == status
    assert answer.text.startswith(text)
    assert emails(panel) == {"admin@example.com"}
    assert api("POST", USERS, user_body()).status_code == 200


def test_rate_limited_names_the_seconds(panel: CalagopusSandbox, api: Api) -> None:
    panel.faults.add("rate_limited", seconds=7)
    answer = api("GET", USERS)
    assert answer.headers["retry-after"] == "7"
    assert (answer.headers["x-ratelimit-limit"], answer.headers["x-ratelimit-remaining"]) == ("360", "0")


@pytest.mark.parametrize(("kind", "done"), [("down", False), ("lost", True), ("cut", True)])
def test_a_broken_connection_with_and_without_effect(
    panel: CalagopusSandbox, api: Api, kind: Kind, done: bool
) -> None:
    panel.faults.add(kind, method="POST")
    with pytest.raises(LOST):
        api("POST", USERS, user_body())
    assert ("ada@example.com" in emails(panel)) is done


def test_a_ghost_create_takes_effect_later_and_is_a_second_server(panel: CalagopusSandbox, api: Api) -> None:
    body = server_body(panel, allocation_uuid=None)
    panel.faults.add("ghost", method="POST", path="/servers$", seconds=30)
    with pytest.raises(LOST):
        api("POST", SERVERS, body)
    assert api("GET", f"{SERVERS}/external/bb:1").status_code == 404
    make_server(panel, api)
    panel.advance(31)
    assert [s.external_id for s in panel.state.servers.values()] == ["bb:1", "bb:1"]


def test_a_replica_that_lags_shows_the_past(panel: CalagopusSandbox, api: Api) -> None:
    fault = panel.faults.add("stale", count=None, seconds=60)
    user = make_user(api)
    assert api("GET", f"{USERS}/external/7").status_code == 404
    panel.advance(61)
    assert api("GET", f"{USERS}/external/7").status_code == 200
    panel.faults.clear(fault.id)
    assert api("DELETE", f"{USERS}/{user}").status_code == 200


def test_wrong_types_keep_the_outer_keys(panel: CalagopusSandbox, api: Api) -> None:
    panel.faults.add("wrong_types")
    answer = api("GET", USERS).json()
    assert not isinstance(answer["users"]["total"], int)
    assert not isinstance(answer["users"]["data"][0]["email"], str)


@pytest.mark.parametrize("kind", ["slow", "drip"])
def test_an_answer_that_comes_slowly_is_right(panel: CalagopusSandbox, api: Api, kind: Kind) -> None:
    panel.faults.add(kind, seconds=0.0002)
    assert api("GET", "/api/languages").json()["languages"][0] == "ar"
