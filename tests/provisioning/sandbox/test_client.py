"""The Client API (contract section 8)."""

from collections.abc import Iterator

import pytest

from provisioning.sandbox.pterodactyl.permissions import KEYS
from provisioning.sandbox.server import PanelSandbox
from provisioning.sandbox.world import Server, Subuser
from tests.provisioning.sandbox.client import Api, add_key, add_user, errors, make_server

CLIENT = "/api/client"
LATER = "please try again later."


@pytest.fixture
def server(panel: PanelSandbox, api: Api) -> Server:
    """Ada's installed and running server."""
    made = make_server(api, start_on_completion=True)
    return panel.state.servers[made["id"]]


@pytest.fixture
def owner(panel: PanelSandbox, server: Server) -> Iterator[Api]:
    """Ada's own client key."""
    with Api(panel.url, add_key(panel, "ptlc_", server.owner_id).token) as caller:
        yield caller


@pytest.fixture
def friend(panel: PanelSandbox, server: Server) -> Iterator[Api]:
    """Linus, who may start the server and read its backups."""
    linus = add_user(panel, "linus")
    row = Subuser(*panel.world.stamp("subusers"), server.id, linus.id, ["control.start", "backup.read"])
    panel.world.state.subusers[row.id] = row
    with Api(panel.url, add_key(panel, "ptlc_", linus.id).token) as caller:
        yield caller


def path_of(server: Server, rest: str = "") -> str:
    return f"{CLIENT}/servers/{server.identifier}{rest}"


def test_a_server_is_named_by_short_id_or_uuid_only(client: Api, server: Server) -> None:
    assert client.shown(path_of(server))["internal_id"] == server.id
    assert client.shown(f"{CLIENT}/servers/{server.uuid}")["identifier"] == server.identifier
    assert client("GET", f"{CLIENT}/servers/{server.id}").status_code == 404


@pytest.mark.parametrize(
    ("kind", "admin", "ada"),
    [("", 0, 1), ("?type=owner", 0, 1), ("?type=admin", 1, 0), ("?type=admin-all", 1, 0)],
)
def test_lists_by_type(client: Api, owner: Api, kind: str, admin: int, ada: int) -> None:
    assert len(client("GET", f"{CLIENT}{kind}").json()["data"]) == admin
    assert len(owner("GET", f"{CLIENT}{kind}").json()["data"]) == ada


def test_who_may_see_a_server(panel: PanelSandbox, owner: Api, friend: Api, server: Server) -> None:
    assert owner("GET", path_of(server)).json()["meta"] == {
        "is_server_owner": True,
        "user_permissions": ["*"],
    }
    assert friend("GET", path_of(server)).status_code == 200
    assert len(friend("GET", CLIENT).json()["data"]) == 1
    stranger = add_key(panel, "ptlc_", add_user(panel, "grace").id)
    with Api(panel.url, stranger.token) as grace:
        answer = grace("GET", path_of(server))
    assert errors(answer)[0][1] == "The requested resource does not exist on this server."


@pytest.mark.parametrize(
    ("state", "text"),
    [
        ("suspended", "This server is currently suspended"),
        ("installing", "has not yet completed its installation process"),
        ("install_failed", "has not yet completed its installation process"),
        ("restoring_backup", "is currently restoring from a backup"),
    ],
)
def test_the_state_gate(client: Api, server: Server, state: str, text: str) -> None:
    server.status = state
    assert client.shown(path_of(server))["status"] == state
    for rest in ("/resources", "/backups", "/users"):
        answer = client("GET", path_of(server, rest))
        assert (answer.status_code, errors(answer)[0][0]) == (409, "ServerStateConflictException")
        assert text in errors(answer)[0][1]


def test_maintenance_closes_the_gate(panel: PanelSandbox, client: Api, server: Server) -> None:
    panel.state.nodes[server.node_id].maintenance_mode = True
    assert "under maintenance" in errors(client("GET", path_of(server, "/resources")))[0][1]
    assert client.shown(path_of(server))["is_node_under_maintenance"] is True


def test_power_and_usage(client: Api, server: Server) -> None:
    for signal, state in (
        ("stop", "offline"),
        ("start", "running"),
        ("kill", "offline"),
        ("restart", "running"),
    ):
        assert client("POST", path_of(server, "/power"), {"signal": signal}).status_code == 204
        assert client.shown(path_of(server, "/resources"))["current_state"] == state


def test_a_subuser_needs_the_permission(friend: Api, server: Server) -> None:
    assert friend("POST", path_of(server, "/power"), {"signal": "start"}).status_code == 204
    assert friend("POST", path_of(server, "/power"), {"signal": "stop"}).status_code == 403
    assert friend("POST", path_of(server, "/power"), {"signal": "explode"}).status_code == 403
    assert friend("GET", path_of(server, "/backups")).status_code == 200
    assert friend("POST", path_of(server, "/backups"), {}).status_code == 403
    assert friend("GET", path_of(server, "/users")).status_code == 403


def test_commands_need_a_running_server(client: Api, server: Server) -> None:
    assert client("POST", path_of(server, "/command"), {"command": "say hi"}).status_code == 204
    server.power = "offline"
    answer = client("POST", path_of(server, "/command"), {"command": "say hi"})
    assert (answer.status_code, errors(answer)[0][0]) == (502, "HttpException")


@pytest.mark.parametrize("mode", ["refused", "404"])
def test_usage_of_a_failing_daemon_is_always_504(
    panel: PanelSandbox, client: Api, server: Server, mode: str
) -> None:
    panel.daemon_set(mode)  # type: ignore[arg-type]
    assert client("GET", path_of(server, "/resources")).status_code == 504


def test_hidden_variables_are_left_out(client: Api, api: Api, server: Server) -> None:
    made = make_server(
        api,
        user=server.owner_id,
        external_id="bb:2",
        egg=5,
        environment={"SERVER_JARFILE": "a.jar", "BUILD_NUMBER": "1"},
    )
    shown = client.shown(f"{CLIENT}/servers/{made['identifier']}")
    names = [v["attributes"]["env_variable"] for v in shown["relationships"]["variables"]["data"]]
    assert names == ["MINECRAFT_VERSION", "SERVER_JARFILE", "BUILD_NUMBER"]
    assert shown["invocation"] == "java -jar a.jar"


def test_subusers_come_and_go(panel: PanelSandbox, client: Api, server: Server) -> None:
    grace = add_user(panel, "grace")
    users = path_of(server, "/users")
    made = client.made(users, {"email": "Grace@example.com", "permissions": ["control.start", "no.such"]})
    assert (made["uuid"], made["permissions"]) == (grace.uuid, ["control.start", "websocket.connect"])
    one = f"{users}/{grace.uuid}"
    assert client.made(one, {"permissions": ["file.read"]})["permissions"] == [
        "file.read",
        "websocket.connect",
    ]
    assert client.shown(one)["email"] == "grace@example.com"
    assert client("DELETE", one).status_code == 204
    assert client("GET", one).status_code == 404
    assert grace.id in panel.state.users
    subjects = [mail.subject for mail in panel.state.mails if mail.to.lower() == "grace@example.com"]
    assert subjects == ["Added to Server", "Removed from Server"]


def test_an_unknown_address_becomes_an_account(panel: PanelSandbox, client: Api, server: Server) -> None:
    made = client.made(
        path_of(server, "/users"), {"email": "new.one@example.com", "permissions": ["file.read"]}
    )
    user = next(u for u in panel.state.users.values() if u.uuid == made["uuid"])
    assert user.username.startswith("newone")
    assert (len(user.username), user.first_name, user.last_name) == (9, "Server", "Subuser")


@pytest.mark.parametrize(
    "body", [{"email": "a@example.com", "permissions": []}, {"permissions": ["file.read"]}]
)
def test_refused_subusers(client: Api, server: Server, body: dict[str, object]) -> None:
    assert client("POST", path_of(server, "/users"), body).status_code == 422


def test_there_are_forty_permission_keys() -> None:
    assert len(KEYS) == 40


def test_a_backup_is_made_finished_and_removed(panel: PanelSandbox, client: Api, server: Server) -> None:
    backups = path_of(server, "/backups")
    made = client.made(backups, {"ignored": "*.log\ncache", "is_locked": True})
    assert made["name"].startswith("Backup at ")
    assert (made["ignored_files"], made["completed_at"], made["is_locked"]) == (
        ["*.log", "cache"],
        None,
        True,
    )
    panel.backup_finish(made["uuid"], size=99)
    done = client.shown(f"{backups}/{made['uuid']}")
    assert (done["is_successful"], done["bytes"], done["checksum"]) == (True, 99, "sha1:abc")
    assert errors(client("DELETE", f"{backups}/{made['uuid']}"))[0][0] == "BackupLockedException"
    next(iter(panel.state.backups.values())).is_locked = False
    assert client("DELETE", f"{backups}/{made['uuid']}").status_code == 204
    assert client("GET", backups).json()["meta"]["backup_count"] == 0


def test_backups_are_throttled_and_limited(panel: PanelSandbox, client: Api, server: Server) -> None:
    backups = path_of(server, "/backups")
    server.backup_limit = 2
    for _ in range(2):
        client.made(backups, {})
    refused = client("POST", backups, {})
    assert (refused.status_code, errors(refused)[0][0]) == (429, "TooManyRequestsHttpException")
    assert 0 < int(refused.headers["retry-after"]) <= 600
    panel.advance(601)
    assert errors(client("POST", backups, {}))[0][0] == "TooManyBackupsException"


def test_a_backup_of_another_server_is_404(
    panel: PanelSandbox, api: Api, client: Api, server: Server
) -> None:
    backup = client.made(path_of(server, "/backups"), {})
    other = make_server(api, user=server.owner_id, external_id="bb:2")
    answer = client("GET", f"{CLIENT}/servers/{other['identifier']}/backups/{backup['uuid']}")
    assert errors(answer)[0][1] == "The requested resource was not found for this server."
