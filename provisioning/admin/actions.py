"""Staff actions: each has a page that says its effect, its own permission, and a record under staff's name.

An action calls one writer. What the writer refuses is shown as its own sentence, on the same page.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.module_loading import import_string
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminPasswordWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
)

from provisioning import audit
from provisioning.admin.base import StaffAdmin
from provisioning.choices import ActorKind
from provisioning.exceptions import BillingBridgeError

Cleaned = Mapping[str, Any]
PLAIN = (forms.TextInput, forms.NumberInput, forms.Select, forms.SelectMultiple)
WIDGETS: tuple[tuple[type[forms.Field], type[forms.Widget]], ...] = (
    (forms.MultipleChoiceField, UnfoldAdminCheckboxSelectMultipleWidget),
    (forms.ChoiceField, UnfoldAdminSelectWidget),
    (forms.IntegerField, UnfoldAdminIntegerFieldWidget),
    (forms.CharField, UnfoldAdminTextInputWidget),
)


class ActionForm(forms.Form):
    """What an action asks for. `row` is the object that it is about, for forms that depend on it."""

    def __init__(self, *args: Any, row: Any, **kwargs: Any) -> None:
        """Takes the object and gives the fields the theme's look."""
        super().__init__(*args, **kwargs)
        self.row = row
        self.prepare()
        for field in self.fields.values():
            _dress(field)

    def prepare(self) -> None:
        """Where a form fits its fields to the object."""


def _dress(field: forms.Field) -> None:
    if type(field.widget) is forms.PasswordInput:
        field.widget = UnfoldAdminPasswordWidget(attrs={"autocomplete": "off"})
        return
    for kind, widget in WIDGETS:
        if isinstance(field, kind) and type(field.widget) in PLAIN:
            choices = getattr(field, "choices", None)
            field.widget = widget()
            if choices is not None:
                field.choices = choices  # type: ignore[attr-defined]
            return


class TypedNameForm(ActionForm):
    """For what destroys: the object's name has to be typed."""

    name = forms.CharField(label="Type the name")

    def prepare(self) -> None:
        """Says which name."""
        self.fields["name"].help_text = f"Type {self.row} to confirm."

    def clean_name(self) -> str:
        """The typed name. Refuses any other."""
        typed: str = self.cleaned_data["name"]
        if typed != str(self.row):
            raise forms.ValidationError(f"That is not the name. It is {self.row}.")
        return typed


@dataclass(frozen=True)
class StaffAction:
    """One verb. `run` calls the writer and returns the sentence that staff read afterwards."""

    slug: str
    label: str
    permission: str
    effect: str
    run: Callable[[Any, Cleaned, HttpRequest], str]
    form: type[ActionForm] = ActionForm
    danger: bool = False
    fresh: bool = False
    """Whether it wants the second factor once more, just before."""
    shown: Callable[[Any], bool] = lambda row: True
    outlook: Callable[[Any], str] = lambda row: ""
    """What would come of it for this very row: dates, say."""


class ActionsAdmin(StaffAdmin):
    """A model whose rows have actions, each on a page of its own."""

    staff_actions: tuple[StaffAction, ...] = ()
    change_form_outer_before_template = "admin/provisioning/offered.html"

    def pages(self) -> list[tuple[str, str, Callable[..., HttpResponse]]]:
        """The confirmation page of every action."""
        name = f"{self.opts.app_label}_{self.opts.model_name}_action"
        return [("<str:pk>/do/<slug:slug>/", name, self.action_view), *super().pages()]

    def offered(self, request: HttpRequest, row: Any) -> list[dict[str, Any]]:
        """The actions that this person may press on this row now."""
        return [
            {"label": action.label, "danger": action.danger, "url": self.action_url(row, action.slug)}
            for action in self.staff_actions
            if request.user.has_perm(action.permission) and action.shown(row)
        ]

    def above(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        """What stands above a row's form: what can be pressed, and whatever a page adds."""
        return {"offered": self.offered(request, row)}

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: Any = None,
    ) -> HttpResponse:
        """The form, with what belongs above it."""
        context = dict(extra_context or {})
        if object_id:
            context.update(self.above(request, self.found(request, object_id)))
        answer: HttpResponse = super().changeform_view(request, object_id, form_url, context)
        return answer

    def action_url(self, row: Any, slug: str) -> str:
        """The address of an action's page."""
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_action", args=[row.pk, slug])

    def row_url(self, row: Any) -> str:
        """The page that an action leads back to."""
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=[row.pk])

    def action_view(self, request: HttpRequest, pk: str, slug: str) -> HttpResponse:
        """Asks, then does it once, then leads back. GET changes nothing."""
        action = next((known for known in self.staff_actions if known.slug == slug), None)
        if action is None:
            raise Http404(f"There is no action “{slug}”.")
        row = self.found(request, pk)
        if not request.user.has_perm(action.permission):
            raise PermissionDenied
        if action.fresh and not import_string(settings.FRESH_FACTOR)(request):
            return HttpResponseRedirect(import_string(settings.FRESH_FACTOR_URL)(request.get_full_path()))
        form = action.form(request.POST if request.method == "POST" else None, row=row)
        if request.method == "POST" and form.is_valid() and self._perform(request, action, row, form):
            return HttpResponseRedirect(self.row_url(row))
        title = f"{action.label}: {row}"
        return self.render(
            request,
            "action.html",
            title,
            row,
            action=action,
            outlook=action.outlook(row),
            form=form,
            back=self.row_url(row),
        )

    def _perform(self, request: HttpRequest, action: StaffAction, row: Any, form: ActionForm) -> bool:
        try:
            with acting_staff(request):
                words = action.run(row, form.cleaned_data, request)
        except BillingBridgeError as error:
            form.add_error(None, error.detail or error.public)
            return False
        messages.success(request, words)
        return True


def acting_staff(request: HttpRequest) -> Any:
    """Everything recorded inside is recorded under this person's name."""
    return audit.acting_as(ActorKind.STAFF, request.user.get_username())
