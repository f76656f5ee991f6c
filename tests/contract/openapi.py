"""Holds requests and answers to the OpenAPI document of the real Calagopus panel.

The document is not exact: query members with defaults count as mandatory (they do not here), some schemas
are named and missing (they fit everything), and it knows no lengths. So a request must fit here *and* be
taken by the sandbox.
"""

import json
import re
from functools import cache
from typing import Any
from urllib.parse import parse_qsl

from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from provisioning.sandbox.base import PanelServer
from provisioning.sandbox.calagopus.public import openapi_document
from provisioning.sandbox.http import Request, Response

Found = dict[str, Any]


@cache
def document() -> Found:
    """The document, read once; what it refers to and lacks fits everything."""
    # With a schema missing, two branches of a choice may fit at once.
    found: Found = json.loads(json.dumps(openapi_document()).replace('"oneOf"', '"anyOf"'))
    named = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(found)))
    for name in named:
        found["components"]["schemas"].setdefault(name, {})
    return found


@cache
def _paths() -> list[tuple[re.Pattern[str], Found]]:
    """The document's paths as expressions; those with fewer parameters first."""
    paths = sorted(document()["paths"].items(), key=lambda pair: pair[0].count("{"))
    return [(re.compile(re.sub(r"\{\w+\}", "[^/]+", path)), methods) for path, methods in paths]


def operation(method: str, path: str) -> Found | None:
    """What the document says about a call; None where it does not know it."""
    for expression, methods in _paths():
        if expression.fullmatch(path) and method.lower() in methods:
            found: Found = methods[method.lower()]
            return found
    return None


def request_problems(request: Request) -> list[str]:
    """Where a request does not fit the document: unknown call, query member, body or member of the body."""
    where = f"{request.method} {request.path}"
    known = operation(request.method, request.path)
    if known is None:
        return [f"{where}: not in the document"]
    return [
        f"{where}: {text}" for text in (*_query_problems(request, known), *_body_problems(request, known))
    ]


def _query_problems(request: Request, known: Found) -> list[str]:
    sent = {name for name, _ in parse_qsl(request.query_string, keep_blank_values=True)}
    members = {p["name"] for p in known.get("parameters", []) if p["in"] == "query"}
    return [f"unknown query member {name}" for name in sorted(sent - members)]


def _body_problems(request: Request, known: Found) -> list[str]:
    schema = _schema(known.get("requestBody", {}))
    if schema is None:
        return ["has a body, and needs none"] if request.body not in (b"", b"{}") else []
    body = json.loads(request.body or b"{}")
    unknown = body.keys() - schema.get("properties", {}).keys() if isinstance(body, dict) else set()
    return [*(f"unknown member {name}" for name in sorted(unknown)), *_misfits(schema, body)]


def answer_problems(method: str, path: str, status: int, body: Any) -> list[str]:
    """Where an answer does not fit the document."""
    known = operation(method, path)
    schema = _schema((known or {}).get("responses", {}).get(str(status), {}))
    return [f"{method} {path}: {status} is not in the document"] if schema is None else _misfits(schema, body)


def _schema(part: Found) -> Found | None:
    found: Found | None = part.get("content", {}).get("application/json", {}).get("schema")
    return found


def _misfits(schema: Found, value: Any) -> list[str]:
    whole = {**schema, "components": document()["components"]}
    return [
        f"{error.json_path}: {error.message[:200]}"
        for error in Draft202012Validator(whole).iter_errors(value)
    ]


def watch(panel: PanelServer) -> list[str]:
    """From now on, what is wrong with the requests that a sandbox gets is collected in this list."""
    problems: list[str] = []

    def app(request: Request) -> Response:
        if request.path.startswith("/api/"):
            problems.extend(request_problems(request))
        return panel.answer(request)

    panel.server.app = app
    return problems
