"""The pages that the product form fetches while it is filled in: entries to pick, what hangs on a choice.

None of them saves the product. What holds the form's values is a POST, so that no value reaches a log.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render

from provisioning.admin.actions import acting_staff
from provisioning.admin.config import ConfigAdmin
from provisioning.admin.product_capacity import capacity_card
from provisioning.admin.product_fields import ASKED, IMAGE, VARIABLES, name_of_path, to_form
from provisioning.admin.product_form import STARTUP, ProductForm, product_form
from provisioning.admin.product_layout import EGG, NEST
from provisioning.admin.product_lists import Choice, PanelLists
from provisioning.admin.product_variables import variable_problem
from provisioning.choices import ItemKind
from provisioning.drivers import registry
from provisioning.drivers.lists import PICKS
from provisioning.exceptions import BillingBridgeError
from provisioning.lib.http_errors import HttpError
from provisioning.models import Panel
from provisioning.reconcile.lists import egg_details_load, snapshot_ensure, snapshot_start

READY = "bb-lists-ready"
"""What the browser is told when lists have come for a form that had none."""
PARTS = (EGG, IMAGE, STARTUP)
Views = list[tuple[str, str, Any]]


class ProductPickers(ConfigAdmin):
    """What the product form asks for while it is open; for those who may add or change products."""

    change_form_template = "admin/provisioning/product_form.html"

    def pages(self) -> Views:
        """The form's own addresses."""
        return [
            ("form/options/", "provisioning_product_options", self.options_view),
            ("form/document/", "provisioning_product_document", self.document_view),
            ("form/parts/", "provisioning_product_parts", self.parts_view),
            ("form/variable/", "provisioning_product_variable", self.variable_view),
            ("form/lists/", "provisioning_product_lists", self.lists_view),
            *super().pages(),
        ]

    def above(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        """Where the product fits, and by how old lists."""
        lists = PanelLists(row.panel)
        card = capacity_card(row) if lists.ready else None
        return super().above(request, row) | {"capacity": card, "lists_age": lists.age}

    def chosen_panel(self, request: HttpRequest, obj: Any = None) -> Panel | None:
        """The panel that is chosen, else the stored one, else the first."""
        chosen = request.POST.get("panel") or request.GET.get("panel") or (obj.panel_id if obj else None)
        rows = Panel.objects.order_by("retired", "name")
        wanted = str(chosen or "")
        usable = wanted.isascii() and wanted.isdigit() and len(wanted) < 19
        return (rows.filter(pk=wanted).first() if usable else None) or rows.first()

    def form_for(self, panel: Panel | None, *, read_only: bool = False) -> type[ProductForm]:
        """The form of that panel's driver; without the document's fields for those who may only look."""
        driver = panel.driver if panel else registry.driver_choices()[0][0]
        return product_form(driver, panel, read_only=read_only)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """The form with the driver's fields, picking from the panel's lists."""
        may = self.has_change_permission(request, obj) if change else self.has_add_permission(request)
        kwargs["form"] = self.form_for(self.chosen_panel(request, obj), read_only=not may)
        return super().get_form(request, obj, change=change, **kwargs)

    def _allowed(self, request: HttpRequest) -> None:
        if not (self.has_add_permission(request) or self.has_change_permission(request)):
            raise PermissionDenied

    def _typed(self, request: HttpRequest, *, load: bool) -> ProductForm:
        """The form as it stands in the browser, unjudged: what was typed is what it begins with."""
        self._allowed(request)
        kind = self.form_for(self.chosen_panel(request))
        plain = kind()
        typed = {
            name: field.widget.value_from_datadict(request.POST, request.FILES, name)
            for name, field in plain.fields.items()
        }
        for item in kind.spec.fields:
            name = name_of_path(item.path)
            if isinstance(typed[name], list | dict):
                typed[name] = to_form(item, typed[name])
        if request.headers.get("HX-Trigger-Name") == "panel":
            # Ids of one panel say nothing on another.
            typed.update({name_of_path(path): "" for path in PICKS if name_of_path(path) in typed})
        problem = self._load_egg(kind.lists, typed) if load else ""
        form = kind(initial=typed)
        if form.lists.ready and form.egg is None:
            # The egg of another nest is none of this one's.
            form = kind(initial={**typed, name_of_path(EGG): ""})
        form.egg_problem = problem
        return form

    def _load_egg(self, lists: PanelLists, values: Mapping[str, Any]) -> str:
        """Has the chosen egg's variables read where the lists leave them out; says why that failed."""
        egg = lists.egg(*(str(values[name_of_path(path)] or "") for path in (NEST, EGG)))
        if lists.panel is None or egg is None or egg.variables is not None:
            return ""
        try:
            egg_details_load(lists.panel, egg.id)
        except (BillingBridgeError, HttpError) as error:
            return str(getattr(error, "detail", "") or error)
        return ""

    # --- views --------------------------------------------------------------------------------------

    def options_view(self, request: HttpRequest) -> HttpResponse:
        """The entries of a list that fit what was typed, at most fifty. Raises Http404 for no such list."""
        self._allowed(request)
        lists = PanelLists(self.chosen_panel(request))
        kind, text = request.GET.get("kind", ""), request.GET.get("q", "")[:80]
        nest, egg = (request.GET.get(name_of_path(path), "") for path in (NEST, EGG))
        if kind == "image":
            found, more = _images(lists, nest, egg, text), False
        elif kind in lists.kinds:
            found, more = lists.search(kind, nest if kind == ItemKind.EGG else "", text, hints=True)
        else:
            raise Http404(f"There is no list “{kind[:20]}”.")
        context = {"options": found, "more": more, "list": request.GET.get("list", "")[:80]}
        return render(request, "admin/provisioning/product_options.html", context)

    def document_view(self, request: HttpRequest) -> HttpResponse:
        """The document's part of the form, for another panel, or once lists have come."""
        form = self._typed(request, load=False)
        return render(request, "admin/provisioning/product_document.html", {"form": form})

    def parts_view(self, request: HttpRequest) -> HttpResponse:
        """What hangs on nest and egg: eggs, image, startup command, variables. May ask the panel once."""
        form = self._typed(request, load=True)
        fields = [form[name_of_path(path)] for path in PARTS if name_of_path(path) in form.fields]
        return render(request, "admin/provisioning/product_parts.html", {"form": form, "fields": fields})

    def variable_view(self, request: HttpRequest) -> HttpResponse:
        """What is wrong with one variable's value, while it is typed."""
        self._allowed(request)
        column, _, env = request.headers.get("HX-Trigger-Name", "").partition(":")
        nest, egg = (request.POST.get(name_of_path(path), "") for path in (NEST, EGG))
        lists = PanelLists(self.chosen_panel(request))
        item = lists.egg(nest, egg)
        variable = next((each for each in (item.variables or () if item else ()) if each.env == env), None)
        problem = ""
        if variable and column:
            blank = f"{name_of_path(VARIABLES)}_blank:{env}" in request.POST
            value = request.POST.get(f"{name_of_path(VARIABLES)}:{env}", "").strip()
            asked = f"{name_of_path(ASKED)}:{env}" in request.POST
            text = value if value or blank else None
            problem = variable_problem(variable, text, asked=asked, boolean_words=lists.boolean_words)
        return render(request, "admin/provisioning/product_problem.html", {"problem": problem})

    def lists_view(self, request: HttpRequest) -> HttpResponse:
        """How old the lists are; a POST has them read anew. Tells the browser when they have come."""
        self._allowed(request)
        lists = PanelLists(self.chosen_panel(request))
        problem = ""
        if request.method == "POST" and lists.panel:
            try:
                with acting_staff(request):
                    (snapshot_ensure if request.POST.get("opened") else snapshot_start)(lists.panel)
            except BillingBridgeError as error:
                problem = error.detail or error.public
            lists = PanelLists(lists.panel)
        had = "no" if "no" in (request.GET.get("had"), request.POST.get("had")) else "yes"
        context = {"lists": lists, "problem": problem, "had": had, "asked": request.method == "POST"}
        answer = render(request, "admin/provisioning/product_lists.html", context)
        if lists.ready and had == "no":
            answer["HX-Trigger"] = READY
        return answer


def _images(lists: PanelLists, nest: str, egg: str, text: str) -> list[Choice]:
    found = lists.egg(nest, egg)
    images = [Choice(image, label, image) for label, image in found.images] if found else []
    return [each for each in images if text.lower() in f"{each.name} {each.key}".lower()]
