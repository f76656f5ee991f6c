"""The closed table: each known answer means one thing, everything else is Unknown (DESIGN rule 2)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from requests.structures import CaseInsensitiveDict

from provisioning.drivers.errors import (
    AuthFailed,
    Busy,
    Conflict,
    DaemonDown,
    DriverError,
    NoCapacity,
    RateLimited,
    Rejected,
    Unknown,
    Unreachable,
)
from provisioning.drivers.pterodactyl.driver import PterodactylDriver
from provisioning.drivers.pterodactyl.failures import meaning
from provisioning.drivers.trouble import NotThere, plain, transport_meaning
from provisioning.lib.http import Answer, HttpError, Kind

UNEXPECTED = "An unexpected error was encountered while processing this request, please try again."
DAEMON = "DaemonConnectionException"
TAKEN = 'Could not save: {"allocation_id":["The allocation id has already been taken."]}'


def answer(status: int, body: object, headers: dict[str, str] | None = None) -> Answer:
    """An answer with a JSON body, or with a text as it is."""
    raw = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    return Answer(status=status, headers=CaseInsensitiveDict(headers or {}), body=raw, elapsed_ms=1)


def error(status: int, code: str, detail: str = "words", **meta: str) -> Answer:
    """The panel's error body with one entry."""
    entry: dict[str, Any] = {"code": code, "status": str(status), "detail": detail}
    return answer(status, {"errors": [{**entry, "meta": meta} if meta else entry]})


def invalid(field: str, rule: str) -> Answer:
    """422 for one field."""
    return error(422, "ValidationException", f"{field} is wrong.", source_field=field, rule=rule)


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        (error(401, "AuthenticationException"), AuthFailed),
        (error(403, "AccessDeniedHttpException"), AuthFailed),
        (error(400, "TwoFactorAuthRequiredException"), AuthFailed),
        (error(404, "NotFoundHttpException"), NotThere),
        (error(404, "NotFoundHttpException", "The route api/application/x could not be found."), Unknown),
        (error(404, "SomethingElse"), Unknown),
        (error(504, DAEMON), DaemonDown),
        (error(404, DAEMON), DaemonDown),
        (error(422, DAEMON), DaemonDown),
        (error(409, "ConflictHttpException"), Busy),
        (error(409, "ServerStateConflictException"), Busy),
        (error(400, "NoViableNodeException"), NoCapacity),
        (error(400, "NoViableAllocationException"), NoCapacity),
        (error(400, "DisplayException"), Rejected),
        (error(500, "DisplayException"), Unknown),
        (error(400, "InvalidFilterQuery"), Unknown),
        (error(400, "BadRequestHttpException"), Unknown),
        (error(405, "MethodNotAllowedHttpException"), Unknown),
        (error(419, "HttpException"), Unknown),
        (error(500, "QueryException", UNEXPECTED), Unknown),
        (error(500, "NotFoundHttpException"), Unknown),
        (error(500, "AuthenticationException"), Unknown),
        (error(500, "UniqueConstraintViolationException"), Unknown),
        (error(500, "DataValidationException"), Unknown),
        (error(500, "DataValidationException", TAKEN), Conflict),
        (error(429, "ThrottleRequestsException"), RateLimited),
        (answer(429, "<html>slow down</html>"), RateLimited),
        (invalid("email", "unique"), Conflict),
        (invalid("allocation.default", "exists"), Conflict),
        (invalid("user", "exists"), Rejected),
        (invalid("limits.memory", "min"), Rejected),
        (answer(302, "", {"Location": "https://panel.example.com/auth/login"}), Unknown),
        (answer(401, "<html>Sign in</html>"), Unknown),
        (answer(403, "<html>Firewall</html>"), Unknown),
        (answer(404, "<html>Not found</html>"), Unknown),
        (answer(404, ""), Unknown),
        (answer(404, {"errors": []}), Unknown),
        (answer(404, {"errors": "NotFoundHttpException"}), Unknown),
        (answer(404, ["NotFoundHttpException"]), Unknown),
        (answer(200, {"errors": [{"code": "QueryException", "status": "500", "detail": "x"}]}), Unknown),
        (answer(502, "<html><title>502 Bad Gateway</title></html>"), Unknown),
        (answer(404, "[" * 100_000), Unknown),
    ],
)
def test_what_an_answer_means(given: Answer, kind: type[DriverError]) -> None:
    assert type(meaning(given)) is kind


@pytest.mark.parametrize(
    ("given", "maybe_done"),
    [
        (error(504, DAEMON), False),
        (error(404, "NotFoundHttpException"), False),
        (error(500, "UniqueConstraintViolationException"), False),
        (error(500, "QueryException"), True),
        (answer(502, "<html></html>"), True),
        (answer(302, ""), True),
    ],
)
def test_only_a_proven_refusal_says_that_nothing_was_done(given: Answer, maybe_done: bool) -> None:
    found = meaning(given)
    assert isinstance(found, Unknown)
    assert found.maybe_done is maybe_done


def test_conflicts_name_their_fields() -> None:
    entries = [
        {
            "code": "ValidationException",
            "detail": f"{name} taken.",
            "meta": {"source_field": name, "rule": rule},
        }
        for name, rule in (("email", "unique"), ("username", "p_username"), ("external_id", "unique"))
    ]
    found = meaning(answer(422, {"errors": entries}))
    assert isinstance(found, Conflict)
    assert found.fields == ("email", "external_id")
    for free in (invalid("allocation.default", "exists"), error(500, "DataValidationException", TAKEN)):
        taken = meaning(free)
        assert isinstance(taken, Conflict)
        assert taken.fields == ("allocation",)


def test_refusals_carry_the_panels_sentences_and_fields() -> None:
    entries = [
        {
            "code": "ValidationException",
            "detail": "The <strong>jar</strong> is\nwrong.",
            "meta": {"source_field": "environment.JAR", "rule": rule},
        }
        for rule in ("regex", "string")
    ]
    found = meaning(answer(422, {"errors": entries}))
    assert isinstance(found, Rejected)
    assert found.detail == "The jar is wrong."
    assert found.fields == ("environment.JAR",)


def test_words_are_plain_short_and_hold_no_key() -> None:
    key = "ptla_" + "k" * 43
    text = plain(f"<p>Key {key}</p> " + "x" * 900)
    assert key not in text
    assert "<" not in text
    assert len(text) <= 500


@pytest.mark.parametrize(
    ("header", "seconds"), [("7", 7), ("999999", 3600), ("0", 1), ("soon", 60), ("-5", 60), (None, 60)]
)
def test_silence_is_kept_within_bounds(header: str | None, seconds: float) -> None:
    found = meaning(answer(429, "", {"Retry-After": header} if header else {}))
    assert isinstance(found, RateLimited)
    assert found.seconds == seconds


@pytest.mark.parametrize(
    ("kind", "maybe_processed", "expected", "reason"),
    [
        ("unreachable", False, Unreachable, "panel_unreachable"),
        ("timeout", True, Unknown, "panel_unknown"),
        ("lost", True, Unknown, "panel_unknown"),
        ("bad_answer", True, Unknown, "panel_unknown"),
        ("too_large", True, Unknown, "panel_unknown"),
        ("tls", False, Unreachable, "panel_tls"),
        ("refused_address", False, Unreachable, "panel_address"),
    ],
)
def test_what_no_answer_means(
    kind: Kind, maybe_processed: bool, expected: type[Unknown], reason: str
) -> None:
    found = transport_meaning(HttpError(kind, "words.", maybe_processed=maybe_processed))
    assert type(found) is expected
    assert (found.maybe_done, found.reason) == (maybe_processed, reason)


@pytest.mark.parametrize(
    ("given", "trouble"),
    [
        (error(500, "QueryException"), True),
        (answer(502, "<html></html>"), True),
        (answer(503, ""), True),
        (error(504, DAEMON), False),
        (error(500, "UniqueConstraintViolationException"), False),
        (error(404, "NotFoundHttpException"), False),
        (answer(200, {}), False),
    ],
)
def test_one_broken_node_does_not_open_the_breaker(given: Answer, trouble: bool) -> None:
    assert PterodactylDriver.panel_trouble(given) is trouble
