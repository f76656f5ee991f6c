"""The product form: columns, and the document that the panel's driver declares, typed field by field."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django import forms
from django.forms.boundfield import BoundField
from django.urls import reverse
from unfold.widgets import CHECKBOX_CLASSES, UnfoldAdminRadioSelectWidget, UnfoldBooleanWidget

from provisioning.admin.product_fields import (
    ASKED,
    IMAGE,
    VARIABLES,
    form_name,
    from_form,
    image_field,
    keys_of,
    make_field,
    name_of_path,
    pairs,
    picked_field,
    tick_name,
    to_form,
    words,
)
from provisioning.admin.product_layout import AUTO, EGG, NEST, NODE, PLACE, Group, Row, facts, groups
from provisioning.admin.product_lists import PanelLists
from provisioning.admin.product_variables import VariableRow, variable_rows
from provisioning.admin.product_widgets import INPUT, MARK, Search
from provisioning.drivers import registry
from provisioning.drivers.errors import DriverError
from provisioning.drivers.lists import PICKS, EggItem, ListKind
from provisioning.drivers.spec import FieldKind, ProductSpec, SpecField
from provisioning.exceptions import PanelWaiting, SpecProblem
from provisioning.lib.http_errors import HttpError
from provisioning.models import Panel, Product
from provisioning.reconcile import panels

NAMES_HELP = "Servers are named by this and billing's service id, for example Server-1001."
STARTUP = "runtime.startup"
PLACES = (("node", "On one node"), ("auto", "Auto: the panel picks a node in the locations"))
REDRAWS = (NEST, EGG)
"""The choices that others hang on."""


class ProductForm(forms.ModelForm):  # type: ignore[type-arg]
    """A product with its document. `warning` says what could not be checked."""

    spec: ProductSpec
    lists: PanelLists
    read_only = False
    warning = ""
    input_class, tick_class = INPUT, " ".join(CHECKBOX_CLASSES)
    egg_problem = ""
    """Why the egg's variables could not be read."""

    class Meta:
        model = Product
        fields = ("connection", "billing_product_id", "name", "kind", "grace_policy", "name_prefix", "panel")
        labels = {"connection": "Billing connection", "billing_product_id": "Billing's product id"}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Fills the document's fields from the stored one, or with the defaults."""
        super().__init__(*args, **kwargs)
        if "name_prefix" in self.fields:
            self.fields["name_prefix"].help_text = NAMES_HELP
        if "panel" in self.fields:
            if self.lists.panel and self.instance.pk is None:
                self.initial.setdefault("panel", self.lists.panel.pk)
            _redraw_whole(self.fields["panel"].widget)
        for spec in self.spec.fields:
            if form_name(spec) in self.fields:
                self._begin(spec)
        if PLACE in self.fields:
            self.initial.setdefault(PLACE, "auto" if self._section("target").get("locations") else "node")
        self._offer_lists()

    def _section(self, name: str) -> Mapping[str, Any]:
        return (self.instance.document or {}).get(name) or {}

    def _begin(self, spec: SpecField) -> None:
        section = self._section(spec.section)
        value = section.get(spec.name, self._default(spec))
        ticked = bool(section.get(spec.tick))
        self.initial.setdefault(form_name(spec), None if ticked else to_form(spec, value))
        if spec.unlimited:
            self.initial.setdefault(tick_name(spec), ticked)

    def _default(self, spec: SpecField) -> Any:
        # A number's default stands in the empty field as its placeholder.
        return None if spec.kind is FieldKind.INTEGER else spec.default

    # --- lists --------------------------------------------------------------------------------------

    def _offer_lists(self) -> None:
        for spec in self.spec.fields:
            kind, name = PICKS.get(spec.path), form_name(spec)
            if name not in self.fields:
                continue
            if kind and self.lists.offers(kind):
                self._offer(spec, kind)
            elif spec.path == IMAGE and self.lists.offers(ListKind.EGG):
                self._suggest_images(spec)
            elif spec.path == STARTUP and self.egg:
                self.fields[name].widget.attrs["placeholder"] = self.egg.startup

    def _offer(self, spec: SpecField, kind: ListKind) -> None:
        name = form_name(spec)
        field = picked_field(spec)
        if name in self.initial and spec.kind in (FieldKind.INTEGER_LIST, FieldKind.TEXT_LIST):
            self.initial[name] = words(self.initial[name])
        parent = self.value(NEST) if kind is ListKind.EGG else ""
        chosen = self.lists.named(kind, keys_of(self._typed(name, field)))
        field.offer([*chosen, *self.lists.first(kind, parent)])
        field.widget.search = Search(
            url=f"{reverse('admin:provisioning_product_options')}?kind={kind.value}",
            include=f"#id_panel, #id_{name_of_path(NEST)}" if kind is ListKind.EGG else "#id_panel",
            label=spec.label,
            required=spec.required,
            refresh=reverse("admin:provisioning_product_parts") if spec.path in REDRAWS else "",
        )
        self.fields[name] = field

    def _suggest_images(self, spec: SpecField) -> None:
        field = image_field(spec)
        images = self.egg.images if self.egg else ()
        field.widget.attrs["placeholder"] = next((image for _, image in images), "")
        field.widget.search = Search(
            url=f"{reverse('admin:provisioning_product_options')}?kind=image",
            include=f"#id_panel, #id_{name_of_path(NEST)}, #id_{name_of_path(EGG)}",
            label=spec.label,
        )
        self.fields[form_name(spec)] = field

    def _typed(self, name: str, field: forms.Field) -> Any:
        if self.is_bound:
            return field.widget.value_from_datadict(self.data, self.files, self.add_prefix(name))
        return self.initial.get(name)

    def value(self, path: str) -> str:
        """The one id that is chosen at this path now, as text; empty where there is none."""
        name = name_of_path(path)
        field = self.fields.get(name)
        return next(iter(keys_of(self._typed(name, field))), "") if field else ""

    @property
    def egg(self) -> EggItem | None:
        """The chosen egg, as the lists have it."""
        if not hasattr(self, "_egg"):
            self._egg = self.lists.egg(self.value(NEST), self.value(EGG))
        return self._egg

    @property
    def variables(self) -> list[VariableRow] | None:
        """The egg's variables, with our values; None where they are not known, and text has to do."""
        if self.egg is None or self.egg.variables is None or name_of_path(VARIABLES) not in self.fields:
            return None
        values, asked = self._typed_variables(), self._typed_asked()
        words = self.lists.boolean_words
        return variable_rows(self.egg.variables, values, asked, judged=self.is_bound, boolean_words=words)

    @property
    def groups(self) -> list[Group]:
        """The document's rows under their headings; none for those who may only look."""
        return [] if self.read_only else groups(self, self.spec)

    @property
    def facts(self) -> list[tuple[str, str]]:
        """The stored document in words."""
        return facts(self.spec, self.instance.document or {})

    @property
    def variables_field(self) -> BoundField:
        """The field that the table fills."""
        return self[name_of_path(VARIABLES)]

    @property
    def asked_field(self) -> BoundField:
        """The field of what customers choose, which the table fills, too."""
        return self[name_of_path(ASKED)]

    @property
    def text_rows(self) -> list[Row]:
        """The same two as text, where the egg's variables are not known."""
        return [Row(self.variables_field), Row(self.asked_field)]

    @property
    def variables_mark(self) -> str:
        """The input that says that the variables come as a table."""
        return f"{name_of_path(VARIABLES)}{MARK}"

    def _typed_variables(self) -> dict[str, str]:
        value = self._typed(name_of_path(VARIABLES), self.fields[name_of_path(VARIABLES)])
        try:
            return value if isinstance(value, dict) else pairs(str(value or ""))
        except ValueError:
            return {}

    def _typed_asked(self) -> list[str]:
        value = self._typed(name_of_path(ASKED), self.fields[name_of_path(ASKED)])
        return value if isinstance(value, list) else words(value)

    # --- saving -------------------------------------------------------------------------------------

    def document(self) -> dict[str, dict[str, Any]]:
        """The document as typed, not yet judged. Field errors are added on the way."""
        document: dict[str, dict[str, Any]] = {}
        for spec in self.spec.fields:
            section = document.setdefault(spec.section, {})
            try:
                value = from_form(spec, self.cleaned_data.get(form_name(spec)))
                section[spec.name] = None if self._does_not_apply(spec) else value
            except ValueError as error:
                self.add_error(form_name(spec), str(error))
            if spec.unlimited and self.cleaned_data.get(tick_name(spec)):
                section[spec.tick] = True
        return document

    def _does_not_apply(self, spec: SpecField) -> bool:
        place = self.cleaned_data.get(PLACE)
        if place == "node":
            return AUTO in (spec.path, spec.only_with)
        return place == "auto" and spec.path == NODE

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]
        try:
            document = self.spec.clean(self.document())
        except SpecProblem as error:
            self._add_problems(error.problems)
            return
        wrong = [row for row in self.variables or () if row.problem]
        if wrong:
            self.add_error(name_of_path(VARIABLES), " ".join(f"{row.env}: {row.problem}" for row in wrong))
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
        if self.cleaned_data.get(PLACE) == "auto":
            names[NODE] = names[AUTO]
        for path, sentence in problems.items():
            name = names.get(path)
            if name is None or name not in self.fields:
                self.add_error(None, f"{path}: {sentence}")
            elif name not in self.errors:
                self.add_error(name, sentence)


def _redraw_whole(widget: forms.Widget) -> None:
    inner = getattr(widget, "widget", widget)
    inner.attrs.update(
        {
            "hx-post": reverse("admin:provisioning_product_document"),
            "hx-trigger": "change",
            "hx-target": "#product-document",
            "hx-swap": "outerHTML settle:0ms",
        }
    )


def product_form(driver: str, panel: Panel | None = None, *, read_only: bool = False) -> type[ProductForm]:
    """The form class for products of this driver, picking from that panel's lists."""
    spec = registry.get(driver).spec
    fields: dict[str, Any] = {} if read_only else dict(_form_fields(spec))
    of_panel = {"spec": spec, "lists": PanelLists(panel), "read_only": read_only}
    return type("DriverProductForm", (ProductForm,), {**of_panel, **fields})


def _form_fields(spec: ProductSpec) -> Iterator[tuple[str, forms.Field]]:
    paths = {item.path for item in spec.fields}
    if {NODE, AUTO} <= paths:
        radio = UnfoldAdminRadioSelectWidget()
        yield PLACE, forms.ChoiceField(label="Servers go", choices=PLACES, required=False, widget=radio)
    for item in spec.fields:
        yield form_name(item), make_field(item)
        if item.unlimited:
            label = f"{item.label} unlimited"
            yield (
                tick_name(item),
                forms.BooleanField(label=label, required=False, widget=UnfoldBooleanWidget()),
            )
