"""A thin HTTP client and typed factories of request bodies."""

from types import TracebackType
from typing import Any, Self

import requests

from provisioning.sandbox.server import PanelSandbox
from provisioning.sandbox.world import ApiKey, User, new_key, new_uuid

USERS, SERVERS = "/api/application/users", "/api/application/servers"
IMAGE = "ghcr.io/pterodactyl/yolks:java_21"


class Api:
    """Calls one panel with one key; never follows redirects."""

    def __init__(self, url: str, key: str, *, accept: str = "application/json") -> None:
        self.url = url
        self.session = requests.Session()
        self.session.headers.update({"Accept": accept})
        if key:
            self.session.headers["Authorization"] = f"Bearer {key}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.session.close()

    def __call__(self, method: str, path: str, body: object = None, **headers: str) -> requests.Response:
        """One call; header names are written with underscores."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.session.request(
            method, self.url + path, json=body, headers=named, timeout=5, allow_redirects=False
        )

    def made(self, path: str, body: object) -> dict[str, Any]:
        """The attributes of something created."""
        answer = self("POST", path, body)
        assert answer.status_code in (200, 201), answer.text
        attributes: dict[str, Any] = answer.json()["attributes"]
        return attributes

    def shown(self, path: str) -> dict[str, Any]:
        """The attributes of something read."""
        answer = self("GET", path)
        assert answer.status_code == 200, answer.text
        attributes: dict[str, Any] = answer.json()["attributes"]
        return attributes

    def control(self, method: str, path: str, body: object = None) -> Any:
        """The control API's answer."""
        answer = self(method, f"/_sandbox{path}", body)
        answer.raise_for_status()
        return answer.json()


def user_body(name: str = "ada", **changes: object) -> dict[str, object]:
    """The body of a new panel account."""
    head = {"email": f"{name}@example.com", "username": name, "first_name": name.title(), "last_name": "L"}
    return {**head, **changes}


def server_body(user: int, **changes: object) -> dict[str, object]:
    """The body of a new Vanilla server of 1024 MiB, placed automatically."""
    return {
        "external_id": "bb:1",
        "name": "Survival",
        "user": user,
        "egg": 4,
        "docker_image": IMAGE,
        "startup": "java -jar {{SERVER_JARFILE}}",
        "environment": {"SERVER_JARFILE": "server.jar", "VANILLA_VERSION": "latest"},
        "limits": {"memory": 1024, "swap": 0, "disk": 2048, "io": 500, "cpu": 100},
        "feature_limits": {"databases": 1, "allocations": 2, "backups": 1},
        "deploy": {"locations": [1], "dedicated_ip": False, "port_range": []},
        **changes,
    }


def build_body(allocation: int, **changes: object) -> dict[str, object]:
    """The body of a resize to 2048 MiB."""
    limits = {"memory": 2048, "swap": 0, "disk": 4096, "io": 500, "cpu": 200}
    features = {"databases": 2, "allocations": 3, "backups": 2}
    return {"allocation": allocation, "limits": limits, "feature_limits": features, **changes}


def make_user(api: Api, name: str = "ada", **changes: object) -> int:
    """A panel account; its id."""
    return int(api.made(USERS, user_body(name, **changes))["id"])


def make_server(api: Api, **changes: object) -> dict[str, Any]:
    """A server of a new account; its attributes."""
    owner = changes.pop("user", None) or make_user(api)
    return api.made(SERVERS, server_body(int(str(owner)), **changes))


def add_key(panel: PanelSandbox, prefix: str, user_id: int = 1, **permissions: int) -> ApiKey:
    """One more key of a user; with rights named, only these."""
    key = ApiKey(*panel.world.stamp("keys"), user_id, new_key(prefix))
    if permissions:
        key.permissions = permissions
    panel.world.state.keys[key.id] = key
    return key


def add_user(panel: PanelSandbox, name: str, *, root_admin: bool = False) -> User:
    """A user put straight into the tables."""
    stamp = panel.world.stamp("users")
    email = f"{name}@example.com"
    user = User(*stamp, new_uuid(), name, email, name.title(), "L", root_admin=root_admin)
    panel.world.state.users[user.id] = user
    return user


def errors(answer: requests.Response) -> list[tuple[str, str]]:
    """Code and detail of each error."""
    return [(item["code"], item["detail"]) for item in answer.json()["errors"]]
