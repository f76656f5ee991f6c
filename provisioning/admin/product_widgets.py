"""Inputs of the product form: a list that is searched while typing, and a table of variables.

Without scripts a picker is a plain select, or a text input; `static/js/picker.js` puts the search before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django import forms
from django.template.loader import render_to_string
from django.utils.datastructures import MultiValueDict
from django.utils.safestring import SafeString, mark_safe
from unfold.widgets import INPUT_CLASSES, SELECT_CLASSES, UnfoldAdminTextareaWidget

INPUT = " ".join(INPUT_CLASSES)
SELECT = " ".join(SELECT_CLASSES)
MARK = "__table"
"""Says that the variables came as a table, and not as lines of text."""


@dataclass(frozen=True)
class Search:
    """Where a picker looks: the address, the inputs that narrow it, and what it is called."""

    url: str
    include: str
    label: str
    required: bool = False
    refresh: str = ""
    """The address that redraws what hangs on this choice."""


class _FromOurs:
    """Renders from the project's own templates: Django's forms look into packages alone."""

    template_name: str
    search: Search | None = None
    free = many = False

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        """The widget's own context, and how it is searched."""
        context: dict[str, Any] = super().get_context(name, value, attrs)  # type: ignore[misc]
        swapped = context["widget"]["attrs"].pop("hx-swap-oob", None)
        return {
            **context,
            "search": self.search,
            "free": self.free,
            "many": self.many,
            "swapped": swapped,
            "input_class": INPUT,
        }

    def _render(self, template_name: str, context: Mapping[str, Any], renderer: Any = None) -> SafeString:
        return mark_safe(render_to_string(template_name, dict(context)))  # noqa: S308  # escaped by the template


class Picker(_FromOurs, forms.Select):
    """One entry of a list."""

    template_name = "admin/provisioning/product_picker.html"

    def __init__(self) -> None:
        """With the theme's look."""
        super().__init__(attrs={"class": SELECT})


class ManyPicker(_FromOurs, forms.SelectMultiple):
    """Several entries of a list."""

    template_name = "admin/provisioning/product_picker.html"
    many = True

    def __init__(self) -> None:
        """With the theme's look."""
        super().__init__(attrs={"class": SELECT, "size": "5"})


class Suggested(_FromOurs, forms.TextInput):
    """Any text; some are suggested."""

    template_name = "admin/provisioning/product_picker.html"
    free = True

    def __init__(self) -> None:
        """With the theme's look."""
        super().__init__(attrs={"class": INPUT})


class LinesOrTable(UnfoldAdminTextareaWidget):  # type: ignore[misc]
    """Variables: `NAME=value` lines, or the cells of a table (`<name>:<variable>`)."""

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        """A mapping from a table, text from lines. A blank cell keeps the egg's, unless said otherwise."""
        if not data.get(f"{name}{MARK}"):
            return super().value_from_datadict(data, files, name)
        cells = dict(cells_of(data, name))
        blank = dict(cells_of(data, f"{name}_blank"))
        return {env: text for env, text in cells.items() if text or env in blank}


class TicksOrText(forms.TextInput):
    """Names: separated by commas, or the ticks of a table (`<name>:<variable>`)."""

    def __init__(self, table: str) -> None:
        """`table` is the name of the field with the table's mark."""
        super().__init__(attrs={"class": INPUT})
        self._table = table

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        """A list from ticks, text from text."""
        if not data.get(f"{self._table}{MARK}"):
            return super().value_from_datadict(data, files, name)
        return [env for env, _ in cells_of(data, name)]


def cells_of(data: MultiValueDict[str, str], name: str) -> Iterable[tuple[str, str]]:
    """The cells of a column, by the name of their variable."""
    start = f"{name}:"
    return ((key[len(start) :], str(data[key]).strip()) for key in data if key.startswith(start))
