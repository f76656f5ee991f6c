"""How the product form lays the document out: groups of rows, or the facts for those who may only look."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django import forms
from django.forms.boundfield import BoundField

from provisioning.admin.product_fields import ASKED, VARIABLES, form_name, tick_name
from provisioning.drivers.spec import ProductSpec, SpecField

PLACE = "doc_target_place"
NEST, EGG, NODE, AUTO = "target.nest", "target.egg", "target.node", "target.locations"
FEATURES = ("databases", "allocations", "backups", "schedules", "feature_limits")
GROUPS = {
    "run": "What runs",
    "where": "Where",
    "limits": "How much",
    "features": "Feature limits",
    "options": "Options",
}
OF_SECTION = {"target": "where", "runtime": "run"}


@dataclass(frozen=True)
class Row:
    """One field, and the tick *unlimited* beside it. `only` says with which place it is shown."""

    field: BoundField
    tick: BoundField | None = None
    only: str = ""

    @property
    def is_tick(self) -> bool:
        """Whether it is a tick alone, with its words behind it."""
        return isinstance(self.field.field, forms.BooleanField)

    @property
    def is_choice(self) -> bool:
        """Whether it is a few radio buttons."""
        return isinstance(self.field.field.widget, forms.RadioSelect)


@dataclass(frozen=True)
class Group:
    """A heading and its rows."""

    key: str
    title: str
    rows: list[Row]


def group_of(spec: SpecField) -> str:
    """Under which heading a field stands: what runs, where, how much, or an option."""
    if spec.path in (NEST, EGG):
        return "run"
    if spec.name in FEATURES and spec.section != "target":
        return "features"
    return OF_SECTION.get(spec.section, spec.section)


def groups(form: forms.BaseForm, spec: ProductSpec) -> list[Group]:
    """The document's rows; the egg's variables have a table of their own."""
    rows: dict[str, list[Row]] = {key: [] for key in GROUPS}
    for item in spec.fields:
        if form_name(item) in form.fields and item.path not in (VARIABLES, ASKED):
            rows.setdefault(group_of(item), []).extend(_rows(form, item))
    return [Group(key, GROUPS.get(key, key.capitalize()), found) for key, found in rows.items() if found]


def _rows(form: forms.BaseForm, item: SpecField) -> Iterator[Row]:
    if item.path == NODE and PLACE in form.fields:
        yield Row(form[PLACE])
    only = "node" if item.path == NODE else "auto" if AUTO in (item.path, item.only_with) else ""
    yield Row(form[form_name(item)], form[tick_name(item)] if item.unlimited else None, only)


def facts(spec: ProductSpec, document: dict[str, Any]) -> list[tuple[str, str]]:
    """The document in words, for those who may not change it."""
    found = []
    for item in spec.fields:
        section = document.get(item.section) or {}
        value = "unlimited" if section.get(item.tick) else section.get(item.name)
        if value not in (None, "", [], {}):
            found.append((item.label, _words(value, item.unit)))
    return found


def _words(value: Any, unit: str) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{name}={text}" for name, text in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return f"{value} {unit}".strip() if isinstance(value, int) else str(value)
