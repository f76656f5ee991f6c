"""Every fault does to a client what it says, and to the panel no more than it says."""

import time

import pytest
import requests

from provisioning.sandbox.faults import KINDS, Kind
from provisioning.sandbox.server import PanelSandbox
from tests.provisioning.sandbox.client import SERVERS, USERS, Api, make_user, server_body, user_body

LOST = (requests.ConnectionError, requests.exceptions.ChunkedEncodingError)


def emails(panel: PanelSandbox) -> set[str]:
    return {user.email for user in panel.state.users.values()}


@pytest.mark.parametrize(
    ("kind", "status", "content_type"),
    [
        ("rate_limited", 429, "application/json"),
        ("error", 500, "application/json"),
        ("bad_gateway", 502, "text/html; charset=UTF-8"),
        ("redirect", 302, "text/html"),
        ("unauthorized", 401, "application/json"),
        ("forbidden", 403, "application/json"),
        ("error_in_ok", 200, "application/json"),
    ],
)
def test_an_answer_instead_of_the_work(
    panel: PanelSandbox, api: Api, kind: Kind, status: int, content_type: str
) -> None:
    panel.faults.add(kind)
    answer = api("POST", USERS, user_body())
    assert (answer.status_code, answer.headers["content-type"]) == (status, content_type)
    assert emails(panel) == {"admin@example.com"}
    assert api("POST", USERS, user_body()).status_code == 201


def test_rate_limited_names_the_seconds(panel: PanelSandbox, api: Api) -> None:
    panel.faults.add("rate_limited", seconds=7)
    answer = api("GET", USERS)
    assert answer.headers["retry-after"] == "7"
    assert answer.json()["errors"][0]["code"] == "ThrottleRequestsException"


def test_error_in_ok_has_an_error_body(panel: PanelSandbox, api: Api) -> None:
    panel.faults.add("error_in_ok")
    assert "errors" in api("GET", USERS).json()


@pytest.mark.parametrize(("kind", "done"), [("down", False), ("lost", True)])
def test_a_broken_connection_with_and_without_effect(
    panel: PanelSandbox, api: Api, kind: Kind, done: bool
) -> None:
    panel.faults.add(kind, method="POST")
    with pytest.raises(LOST):
        api("POST", USERS, user_body())
    assert ("ada@example.com" in emails(panel)) is done


def test_a_cut_body_breaks_off_although_the_work_is_done(panel: PanelSandbox, api: Api) -> None:
    panel.faults.add("cut", method="POST")
    begun = time.monotonic()
    with pytest.raises(LOST):
        api("POST", USERS, user_body())
    assert time.monotonic() - begun < 2, "the connection must end, not fall silent"
    assert "ada@example.com" in emails(panel)


def test_a_ghost_takes_effect_later(panel: PanelSandbox, api: Api) -> None:
    panel.faults.add("ghost", method="POST", seconds=30)
    with pytest.raises(LOST):
        api("POST", USERS, user_body())
    assert api("GET", f"{USERS}?filter[email]=ada").json()["data"] == []
    panel.advance(31)
    assert len(api("GET", f"{USERS}?filter[email]=ada").json()["data"]) == 1


def test_a_stale_read_shows_the_past_and_writes_work(panel: PanelSandbox, api: Api) -> None:
    fault = panel.faults.add("stale", count=None, seconds=60)
    user = make_user(api)
    assert api("GET", f"{USERS}/{user}").status_code == 404
    panel.advance(61)
    assert api("GET", f"{USERS}/{user}").status_code == 200
    api("DELETE", f"{USERS}/{user}")
    assert api("GET", f"{USERS}/{user}").status_code == 200
    panel.faults.clear(fault.id)
    assert api("GET", f"{USERS}/{user}").status_code == 404


def test_a_stale_read_is_no_older_than_asked(panel: PanelSandbox, api: Api) -> None:
    panel.faults.add("stale", seconds=2)
    user = make_user(api)
    panel.advance(5)
    assert api("GET", f"{USERS}/{user}").status_code == 200


def test_slow_answers_late(panel: PanelSandbox, api: Api) -> None:
    panel.faults.add("slow", seconds=0.15)
    answer = api("GET", USERS)
    assert answer.status_code == 200
    assert answer.elapsed.total_seconds() >= 0.15


def test_drip_sends_a_byte_at_a_time(panel: PanelSandbox, api: Api) -> None:
    panel.faults.add("drip", seconds=0.0005)
    answer = api("GET", "/api/application/locations")
    assert answer.json()["object"] == "list"
    panel.faults.add("drip", seconds=1)
    with pytest.raises(LOST):
        requests.get(f"{panel.url}/api/application/users", timeout=0.1)


def test_wrong_types_keep_the_envelope(panel: PanelSandbox, api: Api) -> None:
    panel.faults.add("wrong_types")
    answer = api("GET", f"{USERS}/1").json()
    assert answer["object"] == "user"
    assert not isinstance(answer["attributes"]["id"], int)
    assert not isinstance(answer["attributes"]["email"], str)


def test_huge_is_ten_megabytes(panel: PanelSandbox, api: Api) -> None:
    panel.faults.add("huge")
    assert int(api("HEAD", USERS).headers["content-length"]) > 10 * 1024 * 1024


def test_matching_by_method_and_path(panel: PanelSandbox, api: Api) -> None:
    panel.faults.add("error", method="POST|PATCH", path="/users$", count=None)
    assert api("GET", USERS).status_code == 200
    assert api("POST", SERVERS, {}).status_code == 422
    assert [api("POST", USERS, user_body()).status_code for _ in range(3)] == [500] * 3


def test_count_and_skip(panel: PanelSandbox, api: Api) -> None:
    panel.faults.add("error", skip=1, count=2)
    assert [api("GET", USERS).status_code for _ in range(4)] == [200, 500, 500, 200]
    assert panel.faults.active == []


def test_clearing_one_and_all(panel: PanelSandbox, api: Api) -> None:
    first = panel.faults.add("error", count=None)
    panel.faults.add("forbidden", count=None)
    panel.faults.clear(first.id)
    assert api("GET", USERS).status_code == 403
    panel.faults.clear()
    assert api("GET", USERS).status_code == 200


@pytest.mark.parametrize("arguments", [{"kind": "sleepy"}, {"kind": "error", "path": "("}])
def test_nonsense_is_refused(panel: PanelSandbox, arguments: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"Unknown fault|not a regular expression"):
        panel.faults.add(**arguments)  # type: ignore[arg-type]


def test_faults_are_noted_in_the_call_log(panel: PanelSandbox, api: Api) -> None:
    panel.faults.add("lost", method="POST", path="/servers$")
    owner = make_user(api)
    with pytest.raises(LOST):
        api("POST", SERVERS, server_body(owner))
    entry = panel.calls.entries[-1]
    assert (entry.method, entry.path, entry.status, entry.note) == ("POST", SERVERS, 0, "lost")
    assert [s.external_id for s in panel.state.servers.values()] == ["bb:1"]


def test_every_kind_is_known_by_name() -> None:
    assert len(KINDS) == 16
