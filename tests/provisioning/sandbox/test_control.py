"""The control API, the counters and the page."""

import ast
import itertools
import sys
import threading
from pathlib import Path

import pytest
import requests

import provisioning.sandbox as package
from provisioning.sandbox.calls import CallLog, CallRecord
from provisioning.sandbox.seed import seed_servers
from provisioning.sandbox.server import PanelSandbox
from tests.provisioning.sandbox.client import SERVERS, USERS, Api, make_server, make_user


def test_calls_are_counted_by_method_and_pattern(panel: PanelSandbox, api: Api) -> None:
    server = make_server(api)
    for _ in range(2):
        api.shown(f"{SERVERS}/{server['id']}")
    api("GET", "/api/application/nope")
    assert panel.calls.counter["GET", f"{SERVERS}/{{server}}"] == 2
    assert panel.calls.count(method="POST") == 2
    assert panel.calls.count(path="/servers") == 3
    shown = api.control("GET", "/calls")
    assert (shown["total"], len(shown["calls"])) == (5, 5)
    assert shown["calls"][-1]["status"] == 404
    assert {"method": "POST", "pattern": SERVERS, "count": 1} in shown["counts"]
    assert [call["status"] for call in api.control("GET", "/calls", {"ending": "/nope"})["calls"]] == [404]
    api.control("DELETE", "/calls")
    assert len(panel.calls) == 0


def test_calls_can_be_looked_at_while_others_come_in() -> None:
    log, ended = CallLog(), threading.Event()

    def call() -> None:
        numbers = itertools.count()
        while not ended.is_set():
            log.add(CallRecord(0.0, "GET", "/", f"/{next(numbers) % 9000}", 200))

    calling = threading.Thread(target=call)
    calling.start()
    try:
        for _ in range(80):
            assert len(log.kept()) <= sum(number for *_, number in log.counts())
    finally:
        ended.set()
        calling.join()


def test_control_and_page_are_neither_counted_nor_faulty(panel: PanelSandbox, api: Api) -> None:
    api.control("POST", "/faults", {"kind": "error", "count": None})
    assert api("GET", "/").status_code == 200
    assert api.control("GET", "/state")["servers"] == []
    assert len(panel.calls) == 0


def test_a_browsers_other_wishes_do_not_count(panel: PanelSandbox, api: Api) -> None:
    panel.faults.add("error")
    assert api("GET", "/favicon.ico").status_code == 404
    assert len(panel.calls) == 0
    assert api("GET", USERS).status_code == 500


def test_faults_over_http(api: Api) -> None:
    made = api.control(
        "POST", "/faults", {"kind": "forbidden", "path": "/users", "count": None, "seconds": 2}
    )
    assert api.control("GET", "/faults")["faults"][0]["path"] == "/users"
    assert api("GET", USERS).status_code == 403
    assert api.control("DELETE", f"/faults/{made['id']}") == {"faults": []}
    api.control("POST", "/faults", {"kind": "error", "count": None})
    assert api.control("DELETE", "/faults") == {"faults": []}
    assert api("GET", USERS).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "text"),
    [
        ("GET", "/nothing", None, 404, "No such command"),
        ("POST", "/faults", {"kind": "sleepy"}, 422, "Unknown fault"),
        ("POST", "/faults", {"kind": "error", "colour": "red"}, 422, "colour"),
        ("POST", "/daemon", {"mode": "tired"}, 422, "none of: ok"),
        ("POST", "/installs", {"outcome": "maybe"}, 422, "success"),
        ("POST", "/settings", {"colour": "red"}, 422, "unique_external_ids"),
        ("POST", "/servers/9/install", {}, 404, "9"),
        ("POST", "/backups/x/finish", {}, 404, "x"),
    ],
)
def test_wrong_commands_get_a_sentence(
    api: Api, method: str, path: str, body: object, status: int, text: str
) -> None:
    answer = api(method, f"/_sandbox{path}", body)
    assert answer.status_code == status
    assert text in answer.json()["error"]


def test_everything_can_be_steered_over_http(panel: PanelSandbox, api: Api, client: Api) -> None:
    assert api.control("POST", "/installs", {"delay": 5, "outcome": "never"}) == {
        "delay": 5,
        "outcome": "never",
    }
    server = make_server(api)
    assert api.control("POST", f"/servers/{server['id']}/install", {"successful": False}) == {
        "status": "install_failed"
    }
    api.control("POST", "/daemon", {"mode": "refused", "node": server["node"]})
    assert api("POST", f"{SERVERS}/{server['id']}/suspend").status_code == 504
    api.control("POST", "/daemon", {"mode": "ok"})
    assert api.control("POST", f"/servers/{server['id']}/power", {"power": "running"}) == {"power": "running"}
    changed = api.control("POST", "/settings", {"unique_external_ids": False, "application_limit": 5})
    assert (changed["unique_external_ids"], changed["application_limit"]) == (False, 5)
    api.control("POST", "/throttle", {"exhausted": True})
    assert api("GET", USERS).status_code == 429
    api.control("POST", "/throttle", {})
    assert api("GET", USERS).status_code == 200
    before = panel.world.time()
    api.control("POST", "/clock", {"seconds": 100})
    assert panel.world.time() >= before + 100
    backup = client.made(f"/api/client/servers/{server['identifier']}/backups", {})
    api.control("POST", f"/backups/{backup['uuid']}/finish", {"successful": False})
    assert next(iter(panel.state.backups.values())).completed_at is not None


def test_state_shows_servers_users_and_mails(api: Api) -> None:
    server = make_server(api)
    state = api.control("GET", "/state")
    assert [(s["id"], s["external_id"], s["status"]) for s in state["servers"]] == [
        (server["id"], "bb:1", None)
    ]
    assert [user["email"] for user in state["users"]] == ["admin@example.com", "ada@example.com"]
    assert state["mails"] == [{"to": "ada@example.com", "subject": "Account Created"}]


def test_the_page_shows_everything_escaped_and_no_key(panel: PanelSandbox, api: Api) -> None:
    make_server(api, name="<b>Survival</b>")
    panel.faults.add("lost", path="<i>")
    page = requests.get(panel.url, timeout=5).text
    for text in (
        "&lt;b&gt;Survival",
        "ada@example.com",
        "bb:1",
        "lost",
        f'<td>POST</td><td class="path">{USERS}',
    ):
        assert text in page
    assert "<b>Survival" not in page
    assert "<i>" not in page
    assert panel.application_key not in page
    assert panel.client_key not in page


def test_an_empty_page_says_so(panel: PanelSandbox) -> None:
    page = requests.get(panel.url, timeout=5).text
    assert "No server yet." in page
    assert "prefers-color-scheme: dark" in page


def test_the_page_loads_itself_again_only_when_asked(panel: PanelSandbox) -> None:
    assert 'http-equiv="refresh"' not in requests.get(panel.url, timeout=5).text
    assert 'http-equiv="refresh"' in requests.get(f"{panel.url}/?live=1", timeout=5).text


def test_many_servers_are_listed_by_pages(panel: PanelSandbox, api: Api) -> None:
    seed_servers(panel.world, 250, owner_id=make_user(api), mark="bb:{}")
    page = api("GET", f"{SERVERS}?per_page=100&page=3").json()
    assert (page["meta"]["pagination"]["total"], len(page["data"])) == (250, 50)
    assert page["data"][-1]["attributes"]["external_id"] == "bb:250"
    assert api("DELETE", f"{SERVERS}/250").status_code == 204


def test_it_imports_nothing_of_ours() -> None:
    folder = Path(package.__file__).parent
    names = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names.add(node.module or "")
    own = {name for name in names if name.startswith("provisioning.sandbox")}
    assert {name.split(".")[0] for name in names - own} <= sys.stdlib_module_names
