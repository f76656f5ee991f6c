"""The recorded panel's own document: what it allows, and that recording and sandbox fit it."""

import json

import pytest
import requests

from provisioning.sandbox.calagopus.server import CalagopusSandbox
from provisioning.sandbox.http import Request
from tests.contract.calagopus_replay import Exchange, recorded
from tests.contract.openapi import answer_problems, operation, request_problems, watch

NODE = "/api/admin/nodes/0de00000-0000-4000-8000-000000000000"
MISFITS = {
    "route.trailing_slash",  # routed all the same
    "response.accept_xml.success",
    "users.create.unknown_member",
    "servers.update.allocation_is_ignored",
    "servers.logs",  # no JSON
    "servers.logs.install",
    "client.power.signal",  # the document does not know the alias
    "transport.content_type.upper_case",  # its body was kept as a text
}


def is_kept(exchange: Exchange) -> bool:
    """Whether the panel took a call of the two APIs and answered with JSON."""
    told = exchange.path.startswith(("/api/admin", "/api/client"))
    return exchange.is_plain and told and exchange.status == 200 and exchange.answer is not None


TAKEN = [exchange for exchange in recorded() if is_kept(exchange)]


def request(method: str, path: str, body: object = None, query: str = "") -> Request:
    """A request as the sandbox's server would hand it on."""
    return Request(method, path, query, {}, b"" if body is None else json.dumps(body).encode(), "")


@pytest.mark.parametrize("exchange", TAKEN, ids=lambda exchange: exchange.name)
def test_what_the_panel_took_and_gave_fits_its_document(exchange: Exchange) -> None:
    path = exchange.path.partition("?")[0]
    found = answer_problems(exchange.method, path, exchange.status, exchange.answer)
    found += request_problems(request(exchange.method, path, exchange.body))
    assert bool(found) == (exchange.name in MISFITS), found


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        (request("GET", "/api/admin/nothing"), "not in the document"),
        (request("GET", "/api/admin/servers", query="filter[name]=x"), "unknown query member filter[name]"),
        (request("PATCH", NODE, {"memory": "1"}), "is not of type"),
        (request("PATCH", NODE, {"colour": "red"}), "unknown member colour"),
        (request("POST", "/api/admin/locations", {}), "'name' is a required property"),
        (request("GET", NODE, {"a": 1}), "has a body, and needs none"),
    ],
    ids=["call", "query", "type", "member", "missing", "body"],
)
def test_a_misfit_is_named(sent: Request, text: str) -> None:
    assert any(text in problem for problem in request_problems(sent))


@pytest.mark.parametrize(
    "path",
    [
        "/api/admin/system/overview",
        "/api/admin/stats/general",
        "/api/admin/nests/eggs",
        "/api/client/account",
    ],
)
def test_answers_that_were_not_recorded_fit_as_well(path: str) -> None:
    with CalagopusSandbox() as panel:
        headers = {"Authorization": f"Bearer {panel.application_key}"}
        answer = requests.get(panel.url + path, headers=headers, timeout=5)
    assert operation("GET", path) is not None
    assert answer_problems("GET", path, answer.status_code, answer.json()) == []


def test_a_watched_sandbox_collects_what_does_not_fit() -> None:
    with CalagopusSandbox() as panel:
        problems = watch(panel)
        with requests.Session() as session:
            session.headers["Authorization"] = f"Bearer {panel.application_key}"
            assert session.get(f"{panel.url}/api/admin/servers?per_page=1", timeout=5).status_code == 200
            assert problems == []
            session.get(f"{panel.url}/api/admin/servers?external_id=1", timeout=5)
    assert problems == ["GET /api/admin/servers: unknown query member external_id"]
