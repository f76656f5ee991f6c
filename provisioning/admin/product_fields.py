"""A product document's fields as form fields: names, units, placeholders, and both ways of the values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanWidget,
)

from provisioning.admin.product_lists import Choice
from provisioning.admin.product_widgets import LinesOrTable, ManyPicker, Picker, Suggested, TicksOrText
from provisioning.drivers.spec import FieldKind, SpecField

LISTS = (FieldKind.INTEGER_LIST, FieldKind.TEXT_LIST)
VARIABLES, ASKED = "runtime.variables", "runtime.customer_variables"
IMAGE = "runtime.image"


def form_name(spec: SpecField) -> str:
    """The form's name of a document field."""
    return name_of_path(spec.path)


def name_of_path(path: str) -> str:
    """The form's name of the field at this path."""
    return f"doc_{path.replace('.', '_')}"


def tick_name(spec: SpecField) -> str:
    """The form's name of the tick that says *unlimited*."""
    return f"{form_name(spec)}_unlimited"


class Judged(forms.Field):
    """Marked as required where it is, and judged by the document's own rules alone."""

    def validate(self, value: Any) -> None:
        """Nothing: the spec says it better."""


class JudgedText(Judged, forms.CharField):
    """A text."""


class JudgedNumber(Judged, forms.IntegerField):
    """A whole number."""


class JudgedLoose(Judged):
    """Variables or names: whatever the widget makes of them, text or what a table holds."""

    def __init__(self, *, read: Callable[[str], Any], **kwargs: Any) -> None:
        """`read` makes of a text what a table would have given."""
        super().__init__(**kwargs)
        self._read = read

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Compares what would be stored."""
        return bool(self._stored(initial) != self._stored(data))

    def _stored(self, value: Any) -> Any:
        try:
            return value if isinstance(value, dict | list) else self._read(str(value or ""))
        except ValueError:
            return value


class Picked(Judged):
    """Entries of a panel's list, by their ids; no choice is refused here, the panel judges."""

    def offer(self, choices: list[Choice]) -> None:
        """What a browser without scripts can choose from."""
        blank = [] if isinstance(self.widget, ManyPicker) else [("", "---------")]
        known = dict.fromkeys((each.key, each.name) for each in choices)
        self.widget.choices = [*blank, *known]

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Compares ids as texts."""
        return keys_of(initial) != keys_of(data)


def keys_of(value: Any) -> list[str]:
    """One id, several, or none, as texts."""
    values = value if isinstance(value, list | tuple) else [value]
    return [str(item) for item in values if item not in (None, "")]


def make_field(spec: SpecField) -> forms.Field:
    """The form field of a document field; the document's own rules are checked by its spec."""
    label = f"{spec.label} ({spec.unit})" if spec.unit else spec.label
    common: dict[str, Any] = {"label": label, "help_text": spec.help, "required": spec.required}
    if spec.kind is FieldKind.BOOLEAN:
        return forms.BooleanField(widget=UnfoldBooleanWidget(), **{**common, "required": False})
    if spec.kind is FieldKind.INTEGER:
        return JudgedNumber(widget=UnfoldAdminIntegerFieldWidget(attrs=_placeholder(spec)), **common)
    if spec.kind is FieldKind.MAPPING:
        common["help_text"] = f"One NAME=value per line. {spec.help}".strip()
        return JudgedLoose(read=pairs, widget=LinesOrTable(attrs={"rows": 4}), **common)
    if spec.kind is FieldKind.LONG_TEXT:
        return JudgedText(widget=UnfoldAdminTextareaWidget(attrs={"rows": 3, **_placeholder(spec)}), **common)
    if spec.kind in LISTS:
        common["help_text"] = f"Separated by commas. {spec.help}".strip()
    if spec.path == ASKED:
        return JudgedLoose(read=words, widget=TicksOrText(name_of_path(VARIABLES)), **common)
    return JudgedText(widget=UnfoldAdminTextInputWidget(attrs=_placeholder(spec)), **common)


def picked_field(spec: SpecField) -> Picked:
    """The same field where the panel's lists are known."""
    widget = ManyPicker() if spec.kind in LISTS else Picker()
    return Picked(label=spec.label, help_text=spec.help, required=spec.required, widget=widget)


def image_field(spec: SpecField) -> JudgedText:
    """An image: any, with the egg's own as suggestions."""
    return JudgedText(label=spec.label, help_text=spec.help, required=False, widget=Suggested())


def _placeholder(spec: SpecField) -> dict[str, str]:
    text = spec.placeholder or ("" if spec.default in (None, "", [], {}) else str(spec.default))
    return {"placeholder": text} if text else {}


def to_form(spec: SpecField, value: Any) -> Any:
    """A document's value as the form shows it."""
    if value is None:
        return None
    if spec.kind in LISTS:
        return ", ".join(str(item) for item in value)
    if spec.kind is FieldKind.MAPPING:
        return "\n".join(f"{name}={text}" for name, text in value.items())
    return value


def from_form(spec: SpecField, value: Any) -> Any:
    """What was typed as the document keeps it. Raises ValueError with a sentence."""
    if spec.kind in LISTS:
        return value if isinstance(value, list) else words(value)
    if spec.kind is FieldKind.MAPPING:
        return value if isinstance(value, dict) else pairs(str(value or ""))
    return value


def words(value: Any) -> list[str]:
    """Texts that commas separate."""
    return [part.strip() for part in str(value or "").split(",") if part.strip()]


def pairs(text: str) -> dict[str, str]:
    """`NAME=value` lines. Raises ValueError that shows the wrong one."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    wrong = [line for line in lines if "=" not in line or line.startswith("=")]
    if wrong:
        raise ValueError(f"“{wrong[0][:60]}” is no NAME=value.")
    return dict(line.split("=", 1) for line in lines)
