"""The product form: columns, and the document that the panel's driver declares, typed field by field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanWidget,
)

from provisioning.drivers import registry
from provisioning.drivers.errors import DriverError
from provisioning.drivers.spec import FieldKind, ProductSpec, SpecField
from provisioning.exceptions import PanelWaiting, SpecProblem
from provisioning.lib.http_errors import HttpError
from provisioning.models import Product
from provisioning.reconcile import panels

FEATURES = ("databases", "allocations", "backups")
GROUPS = {
    "target": "Where",
    "limits": "How much",
    "features": "Feature limits",
    "runtime": "Egg and runtime",
    "options": "Options",
}
NAMES_HELP = "Servers are named by this and billing's service id, for example Server-1001."
LISTS = (FieldKind.INTEGER_LIST, FieldKind.TEXT_LIST)


def form_name(spec: SpecField) -> str:
    """The form's name of a document field."""
    return f"doc_{spec.section}_{spec.name}"


def tick_name(spec: SpecField) -> str:
    """The form's name of the tick that says *unlimited*."""
    return f"{form_name(spec)}_unlimited"


def make_field(spec: SpecField) -> forms.Field:
    """The form field of a document field; the document's own rules are checked by its spec."""
    label = f"{spec.label} ({spec.unit})" if spec.unit else spec.label
    common: dict[str, Any] = {"label": label, "help_text": spec.help, "required": False}
    if spec.kind is FieldKind.BOOLEAN:
        return forms.BooleanField(widget=UnfoldBooleanWidget(), **common)
    if spec.kind is FieldKind.INTEGER:
        return forms.IntegerField(widget=UnfoldAdminIntegerFieldWidget(), **common)
    if spec.kind in (FieldKind.LONG_TEXT, FieldKind.MAPPING):
        if spec.kind is FieldKind.MAPPING:
            common["help_text"] = f"One NAME=value per line. {spec.help}".strip()
        return forms.CharField(widget=UnfoldAdminTextareaWidget(attrs={"rows": 4}), **common)
    if spec.kind in LISTS:
        common["help_text"] = f"Separated by commas. {spec.help}".strip()
    return forms.CharField(widget=UnfoldAdminTextInputWidget(), **common)


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
        return [part.strip() for part in str(value or "").split(",") if part.strip()]
    if spec.kind is FieldKind.MAPPING:
        return _pairs(str(value or ""))
    return value


def _pairs(text: str) -> dict[str, str]:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    wrong = [line for line in lines if "=" not in line or line.startswith("=")]
    if wrong:
        raise ValueError(f"“{wrong[0][:60]}” is no NAME=value.")
    return dict(line.split("=", 1) for line in lines)


class ProductForm(forms.ModelForm):  # type: ignore[type-arg]
    """A product with its document. `warning` says what could not be checked."""

    spec: ProductSpec
    warning = ""

    class Meta:
        model = Product
        fields = ("connection", "billing_product_id", "name", "kind", "grace_policy", "name_prefix", "panel")
        labels = {"connection": "Billing connection", "billing_product_id": "Billing's product id"}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Fills the document's fields from the stored one, or with the defaults."""
        super().__init__(*args, **kwargs)
        if "name_prefix" in self.fields:
            self.fields["name_prefix"].help_text = NAMES_HELP
        for spec in self.spec.fields:
            section: Mapping[str, Any] = (self.instance.document or {}).get(spec.section) or {}
            value = section.get(spec.name, spec.default)
            ticked = bool(section.get(spec.tick))
            self.initial.setdefault(form_name(spec), None if ticked else to_form(spec, value))
            if spec.unlimited:
                self.initial.setdefault(tick_name(spec), ticked)

    def document(self) -> dict[str, dict[str, Any]]:
        """The document as typed, not yet judged. Field errors are added on the way."""
        document: dict[str, dict[str, Any]] = {}
        for spec in self.spec.fields:
            section = document.setdefault(spec.section, {})
            try:
                section[spec.name] = from_form(spec, self.cleaned_data.get(form_name(spec)))
            except ValueError as error:
                self.add_error(form_name(spec), str(error))
            if spec.unlimited and self.cleaned_data.get(tick_name(spec)):
                section[spec.tick] = True
        return document

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]
        try:
            document = self.spec.clean(self.document())
        except SpecProblem as error:
            self._add_problems(error.problems)
            return
        if not self.errors:
            self.instance.document = document
            self._ask_panel()

    def _ask_panel(self) -> None:
        # Nest, egg, node and variables are the panel's to judge; one that is silent must not stop the work.
        try:
            problems = panels.check_product(self.instance)
        except (DriverError, PanelWaiting, HttpError) as error:
            self.warning = (
                f"The panel could not be asked, so this is saved unchecked: {getattr(error, 'detail', '')}"
            )
            return
        self._add_problems(problems)

    def _add_problems(self, problems: Mapping[str, str]) -> None:
        names = {spec.path: form_name(spec) for spec in self.spec.fields}
        for path, words in problems.items():
            name = names.get(path)
            if name is None or name not in self.fields:
                self.add_error(None, f"{path}: {words}")
            elif name not in self.errors:
                self.add_error(name, words)


def product_form(driver: str) -> type[ProductForm]:
    """The form class for products of this driver."""
    spec = registry.get(driver).spec
    fields: dict[str, Any] = {form_name(item): make_field(item) for item in spec.fields}
    for item in spec.fields:
        if item.unlimited:
            label = f"{item.label} unlimited"
            fields[tick_name(item)] = forms.BooleanField(
                label=label, required=False, widget=UnfoldBooleanWidget()
            )
    return type("DriverProductForm", (ProductForm,), {"spec": spec, **fields})


def document_groups(driver: str) -> list[tuple[str, dict[str, Any]]]:
    """The document's fields in groups, as the admin lays them out."""
    groups: dict[str, list[Any]] = {title: [] for title in GROUPS}
    for item in registry.get(driver).spec.fields:
        group = "features" if item.section == "limits" and item.name in FEATURES else item.section
        row = (form_name(item), tick_name(item)) if item.unlimited else form_name(item)
        groups.setdefault(group, []).append(row)
    return [(GROUPS.get(key, key), {"fields": rows}) for key, rows in groups.items() if rows]
