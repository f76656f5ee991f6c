"""Panel accounts (contract section 3)."""

import pytest

from provisioning.sandbox.server import PanelSandbox
from tests.provisioning.sandbox.client import USERS, Api, add_key, errors, make_server, make_user, user_body


def test_a_new_account_is_shown_and_gets_a_mail(panel: PanelSandbox, api: Api) -> None:
    made = api.made(USERS, user_body("Ada", external_id="7", email="Ada@Example.com"))
    assert (made["username"], made["email"], made["external_id"]) == ("ada", "Ada@Example.com", "7")
    assert (made["root_admin"], made["2fa"], made["language"]) == (False, False, "en")
    assert [(mail.to, mail.subject) for mail in panel.state.mails] == [("Ada@Example.com", "Account Created")]
    assert api.shown(f"{USERS}/external/7")["id"] == made["id"]


@pytest.mark.parametrize(
    ("changes", "field", "rule"),
    [
        ({"email": "ADA@example.com", "username": "other"}, "email", "unique"),
        ({"email": "o@example.com", "username": "ADA"}, "username", "unique"),
        ({"email": "o@example.com", "username": "other", "external_id": "7"}, "external_id", "unique"),
        ({"email": "o@example.com", "username": "other", "external_id": 8}, "external_id", "string"),
        ({"email": "o@example.com", "username": "ab"}, "username", "p_username"),
        ({"email": "o@example.com", "username": "a b c"}, "username", "p_username"),
        ({"email": "o@example.com", "username": "other", "language": "tlh"}, "language", "in"),
        ({"email": "o@example.com", "username": "other", "first_name": "  "}, "first_name", "required"),
        ({"email": "o@example.com", "username": "other", "last_name": "x" * 192}, "last_name", "between"),
        ({"email": "o@example.com", "username": "other", "root_admin": "true"}, "root_admin", "boolean"),
        ({"email": "no at sign", "username": "other"}, "email", "email"),
    ],
)
def test_refused_accounts(api: Api, changes: dict[str, object], field: str, rule: str) -> None:
    make_user(api, external_id="7")
    answer = api("POST", USERS, user_body("ada", **changes))
    assert answer.status_code == 422
    assert [item["meta"] for item in answer.json()["errors"]] == [{"source_field": field, "rule": rule}]


def test_update_keeps_what_is_optional_and_clears_what_is_null(panel: PanelSandbox, api: Api) -> None:
    path = f"{USERS}/{make_user(api, external_id='7', password='secret')}"
    kept = api("PATCH", path, user_body("ada", email="new@example.com", password="")).json()["attributes"]
    assert (kept["email"], kept["external_id"]) == ("new@example.com", "7")
    assert panel.state.users[kept["id"]].password == "secret"
    assert api("PATCH", path, user_body("ada", external_id=None)).json()["attributes"]["external_id"] is None


def test_slashes_are_escaped_and_errors_indented_as_php_does(api: Api) -> None:
    assert "\\/api\\/application\\/users\\/2" in api("POST", USERS, user_body()).text
    assert api("GET", f"{USERS}/99").text.startswith('{\n    "errors"')


def test_filters_are_partial_sorted_and_paged(api: Api) -> None:
    for name in ("ada", "grace", "linus"):
        make_user(api, name)
    found = api("GET", f"{USERS}?filter[email]=A@EX,linus&sort=-id").json()["data"]
    assert [item["attributes"]["username"] for item in found] == ["linus", "ada"]
    everybody = api("GET", f"{USERS}?filter[email]=&per_page=2&page=2").json()
    assert [item["attributes"]["username"] for item in everybody["data"]] == ["grace", "linus"]
    links = everybody["meta"]["pagination"]["links"]
    assert links == {"previous": f"{api.url}{USERS}?page=1"}, "the panel drops the rest of the query"


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("filter[name]=x", 400, "InvalidFilterQuery"),
        ("sort=name", 400, "InvalidSortQuery"),
        ("per_page=many", 500, "TypeError"),
    ],
)
def test_queries_that_fail(api: Api, query: str, status: int, code: str) -> None:
    answer = api("GET", f"{USERS}?{query}")
    assert (answer.status_code, errors(answer)[0][0]) == (status, code)


def test_per_page_zero_is_fifteen(api: Api) -> None:
    assert api("GET", f"{USERS}?per_page=0").json()["meta"]["pagination"]["per_page"] == 15


def test_an_owner_of_servers_stays(api: Api) -> None:
    server = make_server(api)
    answer = api("DELETE", f"{USERS}/{server['user']}")
    assert errors(answer)[0][0] == "DisplayException"
    assert api("DELETE", f"/api/application/servers/{server['id']}").status_code == 204
    assert api("DELETE", f"{USERS}/{server['user']}").status_code == 204
    assert api("GET", f"{USERS}/{server['user']}").status_code == 404


def test_a_deleted_user_takes_keys_along(panel: PanelSandbox, api: Api) -> None:
    user = make_user(api)
    add_key(panel, "ptlc_", user)
    api("DELETE", f"{USERS}/{user}")
    assert all(key.user_id != user for key in panel.state.keys.values())


@pytest.mark.parametrize("path", [f"{USERS}/0", f"{USERS}/ada", f"{USERS}/external/none"])
def test_strangers_are_404(api: Api, path: str) -> None:
    assert api("GET", path).status_code == 404


def test_servers_of_a_user_can_be_included(api: Api) -> None:
    server = make_server(api)
    shown = api.shown(f"{USERS}/{server['user']}?include=servers")
    assert [s["attributes"]["id"] for s in shown["relationships"]["servers"]["data"]] == [server["id"]]
