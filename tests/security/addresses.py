"""Every address that the site answers, read from the resolver, with a row put in where one is needed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from django.apps import apps
from django.db.models import Model
from django.urls import URLPattern, URLResolver, get_resolver

from provisioning.models import ProductFollow, ProductTrial, WebhookEndpoint

_HOLE = re.compile(r"\(\?P<(\w+)>(?:[^()]|\([^()]*\))*\)|<(?:\w+:)?(\w+)>")
SLUGS = {
    "provisioning/service": "terminate",
    "provisioning/operation": "skip",
    "provisioning/event": "replay",
    "provisioning/drift": "ignore",
    "provisioning/panel": "unpark",
    "provisioning/product": "copy",
    "provisioning/webhookendpoint": "end-old",
    "provisioning/apitoken": "end",
    "provisioning/installation": "observe",
}


def templates() -> list[str]:
    """Each address once, as a path with named holes: `/admin/provisioning/panel/{pk}/test/`."""
    found = {_template(route) for route in _routes(get_resolver().url_patterns)}
    return sorted(found)


def _routes(patterns: Sequence[Any], before: str = "") -> Iterator[str]:
    for item in patterns:
        route = before + str(item.pattern)
        if isinstance(item, URLResolver):
            yield from _routes(item.url_patterns, route)
        elif isinstance(item, URLPattern):
            yield route


def _template(route: str) -> str:
    plain = _HOLE.sub(lambda hole: "{" + (hole[1] or hole[2]) + "}", route)
    return "/" + re.sub(r"[\^$]|\\Z", "", plain)


def path(template: str) -> str:
    """The template with the first row of its model, and one of its actions."""
    return re.sub(r"\{(\w+)\}", lambda hole: str(_filled(template, hole[1])), template)


def _filled(template: str, hole: str) -> Any:
    if hole == "address":
        return WebhookEndpoint.objects.all()[0].address
    if hole == "number":
        kept: type[Model] = ProductTrial if "/try/" in template else ProductFollow
        return kept._default_manager.values_list("pk", flat=True).first() or 1
    if hole == "slug":
        return SLUGS.get("/".join(template.split("/")[2:4]), "nothing")
    if hole in ("app_label", "url", "content_type_id"):
        return {"app_label": "provisioning", "url": "nowhere", "content_type_id": "1"}[hole]
    return _first(template) if "webauthn" not in template else 1


def _first(template: str) -> int:
    parts = template.split("/")
    app, model = parts[2:4] if parts[1] == "admin" else ("provisioning", parts[3].rstrip("s"))
    if app == "r":
        return 1
    row = apps.get_model(app, model)._default_manager.order_by("pk").first()
    return int(row.pk) if row else 1
