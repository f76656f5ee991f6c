"""Keys, rights, rate windows and the answers that are not JSON (contract sections 0 and 1)."""

from datetime import timedelta

import pytest

from provisioning.sandbox.server import PanelSandbox
from tests.provisioning.sandbox.client import SERVERS, USERS, Api, add_key, add_user, errors, user_body

CLIENT = "/api/client"
LOCATIONS = "/api/application/locations"


def test_keys_have_48_characters_and_their_prefix(panel: PanelSandbox) -> None:
    assert [(key[:5], len(key)) for key in (panel.application_key, panel.client_key)] == [
        ("ptla_", 48),
        ("ptlc_", 48),
    ]


@pytest.mark.parametrize("scheme", ["", "Basic ", "Bearer x"])
def test_no_key_or_a_wrong_one_is_401_without_rate_headers(panel: PanelSandbox, scheme: str) -> None:
    panel.world.settings.application_limit = 240
    with Api(panel.url, "") as nobody:
        key = "" if scheme == "" else panel.application_key
        answer = nobody("GET", USERS, Authorization=f"{scheme}{key}")
    assert errors(answer) == [("AuthenticationException", "Unauthenticated.")]
    assert "x-ratelimit-limit" not in answer.headers


def test_the_secret_half_of_a_key_counts(panel: PanelSandbox) -> None:
    with Api(panel.url, panel.application_key[:-1] + "!") as caller:
        assert caller("GET", USERS).status_code == 401


def test_an_expired_key_is_401(panel: PanelSandbox, api: Api) -> None:
    key = next(k for k in panel.state.keys.values() if k.is_application)
    key.expires_at = panel.world.now() + timedelta(seconds=5)
    assert api("GET", USERS).status_code == 200
    panel.advance(10)
    assert api("GET", USERS).status_code == 401


@pytest.mark.parametrize(("networks", "status"), [(["127.0.0.0/8"], 200), (["192.0.2.1"], 403)])
def test_a_key_bound_to_networks(panel: PanelSandbox, api: Api, networks: list[str], status: int) -> None:
    next(k for k in panel.state.keys.values() if k.is_application).allowed_ips = networks
    assert api("GET", USERS).status_code == status


def test_a_client_key_of_an_administrator_works_on_both(client: Api) -> None:
    assert client("GET", USERS).status_code == 200
    assert client("GET", CLIENT).status_code == 200


def test_a_client_key_of_somebody_else_does_not(panel: PanelSandbox) -> None:
    key = add_key(panel, "ptlc_", add_user(panel, "ada").id)
    with Api(panel.url, key.token) as caller:
        answer = caller("GET", USERS)
        assert caller("GET", CLIENT).status_code == 200
    assert errors(answer)[0][1] == "This account does not have permission to access the API."


@pytest.mark.parametrize(
    ("rights", "method", "path", "status"),
    [
        ({"users": 1}, "GET", USERS, 200),
        ({"users": 1}, "POST", USERS, 403),
        ({"users": 2}, "GET", USERS, 403),
        ({"users": 2}, "POST", USERS, 422),
        ({"users": 3}, "GET", SERVERS, 403),
        ({"servers": 2}, "POST", SERVERS, 422),
        ({"nodes": 1}, "GET", "/api/application/nodes/deployable?memory=1&disk=1", 200),
        ({"nodes": 3}, "GET", "/api/application/nodes/1/allocations", 403),
    ],
)
def test_rights_of_application_keys(
    panel: PanelSandbox, rights: dict[str, int], method: str, path: str, status: int
) -> None:
    key = add_key(panel, "ptla_", **rights)
    with Api(panel.url, key.token) as caller:
        assert caller(method, path, {} if method == "POST" else None).status_code == status


def test_an_include_without_the_right_is_the_null_object(panel: PanelSandbox) -> None:
    key = add_key(panel, "ptla_", nodes=1)
    with Api(panel.url, key.token) as caller:
        shown = caller.shown("/api/application/nodes/1?include=location,servers")
    kinds = {name: item["object"] for name, item in shown["relationships"].items()}
    assert kinds == {"location": "null_resource", "servers": "null_resource"}


@pytest.mark.parametrize(
    ("method", "path", "key", "status"),
    [
        ("GET", USERS, "", 302),
        ("POST", USERS, "admin", 302),
        ("GET", f"{USERS}/99", "admin", 404),
        ("PUT", USERS, "admin", 405),
    ],
)
def test_without_a_json_accept_errors_are_redirects_or_pages(
    panel: PanelSandbox, method: str, path: str, key: str, status: int
) -> None:
    with Api(panel.url, panel.application_key if key else "", accept="*/*") as caller:
        answer = caller(method, path)
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("text/html")
    assert ("location" in answer.headers) == (status == 302)


@pytest.mark.parametrize(
    "headers",
    [
        {"Cookie": "pterodactyl_session=x"},
        {"Origin": "http://localhost"},
        {"Referer": "http://127.0.0.1:8000/x"},
    ],
)
def test_a_browser_session_needs_its_token_to_write(api: Api, headers: dict[str, str]) -> None:
    assert errors(api("POST", USERS, user_body(), **headers)) == [("HttpException", "CSRF token mismatch.")]
    assert api("GET", USERS, **headers).status_code == 200


def test_malformed_json_is_400_and_forms_are_read(panel: PanelSandbox, api: Api) -> None:
    headers = {"Content-Type": "application/json"}
    broken = api.session.post(panel.url + USERS, data=b"{", headers=headers, timeout=5)
    assert errors(broken)[0][0] == "BadRequestHttpException"
    form = {k: str(v) for k, v in user_body().items()}
    assert api.session.post(panel.url + USERS, data=form, timeout=5).status_code == 201
    text = api.session.post(
        panel.url + USERS, data=b'{"email":"x"}', headers={"Content-Type": "text/plain"}, timeout=5
    )
    assert text.json()["errors"][0]["meta"]["rule"] == "required"


@pytest.mark.parametrize(
    ("method", "path", "code", "detail"),
    [
        (
            "GET",
            "/api/application/nope",
            "NotFoundHttpException",
            "The route api/application/nope could not be found.",
        ),
        (
            "PUT",
            USERS,
            "MethodNotAllowedHttpException",
            "The PUT method is not supported for route api/application/users. "
            "Supported methods: GET, HEAD, POST.",
        ),
    ],
)
def test_unknown_routes_and_methods(api: Api, method: str, path: str, code: str, detail: str) -> None:
    assert errors(api(method, path)) == [(code, detail)]


def test_no_limit_no_headers(api: Api) -> None:
    assert "x-ratelimit-limit" not in api("GET", USERS).headers


def test_one_window_for_all_keys_of_a_user_and_each_api(panel: PanelSandbox, api: Api, client: Api) -> None:
    panel.world.settings.application_limit, panel.world.settings.client_limit = 3, 5
    left = [caller("GET", USERS).headers["x-ratelimit-remaining"] for caller in (api, client, api)]
    assert left == ["2", "1", "0"]
    refused = client("GET", USERS)
    assert refused.status_code == 429
    assert (refused.headers["x-ratelimit-remaining"], int(refused.headers["retry-after"]) <= 60) == (
        "0",
        True,
    )
    assert int(refused.headers["x-ratelimit-reset"]) > panel.world.time()
    assert client("GET", CLIENT).headers["x-ratelimit-remaining"] == "4"


def test_a_window_lasts_a_minute(panel: PanelSandbox, api: Api) -> None:
    panel.world.settings.application_limit = 1
    assert [api("GET", USERS).status_code for _ in range(2)] == [200, 429]
    panel.advance(61)
    assert api("GET", USERS).status_code == 200


def test_exhausting_and_resetting_windows(panel: PanelSandbox, api: Api) -> None:
    panel.world.settings.application_limit = 9
    panel.panel.throttle.exhaust()
    assert api("GET", USERS).status_code == 429
    panel.panel.throttle.reset()
    assert api("GET", USERS).status_code == 200


@pytest.mark.parametrize("path", [LOCATIONS, f"{LOCATIONS}/99"])
def test_answers_404_count_as_well(panel: PanelSandbox, api: Api, path: str) -> None:
    panel.world.settings.application_limit = 9
    assert api("GET", path).headers["x-ratelimit-remaining"] == "8"
