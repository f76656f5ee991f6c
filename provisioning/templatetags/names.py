"""The way back at the top of staff pages, in the sidebar's own words."""

from __future__ import annotations

from functools import cache
from typing import Any

from django import template
from django.apps import apps

register = template.Library()


@cache
def _names() -> dict[str, str]:
    """What the theme calls a list -> what the sidebar calls it."""
    # The theme loads all tags while the admin itself is still being loaded.
    from provisioning.admin.navigation import name_of

    return {str(model._meta.verbose_name_plural): name_of(model._meta) for model in apps.get_models()}


@register.filter
def way_back(parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The list and the row: the app above them is no place that people know. A row's name stays as it is."""
    if len(parts) < 2:
        return parts
    listed = {**parts[1], "title": _names().get(str(parts[1]["title"]), parts[1]["title"])}
    return [listed, *parts[2:]]
