"""Panels: write-only keys, the connection test, the mass brake, and linking accounts that exist."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.module_loading import import_string

from provisioning.admin.actions import ActionForm, StaffAction, acting_staff
from provisioning.admin.config import ConfigAdmin
from provisioning.admin.dashboard import panel_state
from provisioning.admin.drift import PANEL_ACTIONS, drift_pass_of
from provisioning.admin.lists import PANEL_LIST_ACTIONS, lists_words
from provisioning.admin.panel_form import PanelForm
from provisioning.drivers import registry
from provisioning.drivers.lists import ListKind
from provisioning.exceptions import BillingBridgeError
from provisioning.lib import clock
from provisioning.lib.http_errors import HttpError
from provisioning.models import Operation, Panel, PanelGate
from provisioning.reconcile import brake as brakes
from provisioning.reconcile import panels
from provisioning.reconcile.lists import snapshot_start
from provisioning.templatetags.bb import badge

LINKS_SHOWN = 500


class ReleaseForm(ActionForm):
    """The number of parked operations, typed."""

    count = forms.IntegerField(min_value=1, label="Type how many are parked")


def _unpark(row: Panel, data: Any, request: HttpRequest) -> str:
    panels.panel_unpark(row)
    return f"“{row}” is called again; all that waited for it goes on."


def _parked(row: Panel) -> bool:
    gate: PanelGate | None = getattr(row, "gate", None)
    return gate is not None and gate.parked_at is not None


@admin.register(Panel)
class PanelAdmin(ConfigAdmin):
    """Installed control panels."""

    empty = (
        "A panel is an installed control panel that the bridge calls. You need its address and an API key."
    )
    form = PanelForm
    list_display = ("name", "standing", "driver", "url", "key_end")
    list_filter = ("driver", "observe_only", "retired")
    search_fields = ("name", "url")
    ordering = ("name",)
    list_select_related = ("gate",)
    change_form_outer_before_template = "admin/provisioning/panel_before.html"
    fieldsets = (
        (None, {"fields": ("name", "driver", "url", "new_key", "language", "identity_provider", "version")}),
        ("What the bridge may do", {"fields": ("observe_only", "retired", "rate_per_minute")}),
        (
            "Mass brake",
            {
                "fields": (
                    ("deletes_hour_floor", "deletes_hour_percent"),
                    ("deletes_day_floor", "deletes_day_percent"),
                    ("creates_hour_floor", "creates_hour_percent"),
                    ("creates_day_floor", "creates_day_percent"),
                    "second_person",
                ),
                "description": "So many servers may be deleted and made: the number, or the percentage of "
                "the panel's servers, whichever is more. What goes beyond it is parked.",
            },
        ),
        ("Network and marks", {"fields": ("allow_private", "allow_plain_http", "prefix_user_marks")}),
    )
    staff_actions = (
        StaffAction(
            "unpark",
            "Unpark",
            "provisioning.act_connect",
            "The panel refused our key and is not called any more. Unpark it once the key works again.",
            _unpark,
            shown=_parked,
        ),
        *PANEL_ACTIONS,
        *PANEL_LIST_ACTIONS,
    )

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Places to sign in stand there only for a panel that has such."""
        sets = super().get_fieldsets(request, obj)
        if obj is None or ListKind.OAUTH_PROVIDER in registry.get(obj.driver).list_kinds():
            return sets
        (title, first), *others = sets
        fields = tuple(name for name in first["fields"] if name != "identity_provider")
        return [(title, {**first, "fields": fields}), *others]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Panel]:
        """Panels with their gates."""
        rows: QuerySet[Panel] = super().get_queryset(request)
        return rows.select_related("gate", "drift_pass", "snapshot")

    @admin.display(description="State")
    def standing(self, row: Panel) -> str:
        """Answering, silent, parked."""
        big, _, tone = panel_state(row, getattr(row, "gate", None), clock.now())
        return badge({"bad": "problem", "warn": "warning"}.get(tone, "ok"), big)

    @admin.display(description="Key")
    def key_end(self, row: Panel) -> str:
        """The last four characters."""
        return f"…{row.key_hint}"

    def refusal(self, row: Panel) -> str:
        """A panel that anything hangs on is retired, never deleted."""
        if row.services.exists():
            return f"“{row}” has services. Tick “retired” instead: it takes no new servers, and keeps these."
        if row.products.exists() or row.accounts.exists() or row.operations.exists():
            return f"Products or accounts still point to “{row}”. Tick “retired” instead, or move them first."
        return ""

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Saves; a new key ends a parking, and a new address has the lists read again."""
        super().save_model(request, obj, form, change)
        if not change:
            form.check_new()
        if form.warning:
            messages.warning(request, form.warning)
        if change and "new_key" in form.changed_data:
            with acting_staff(request):
                panels.panel_unpark(obj)
            messages.info(request, "The new key is in use. Test the connection now.")
        if change and {"driver", "url"} & set(form.changed_data):
            # Whatever products were chosen from was another panel's.
            with acting_staff(request):
                snapshot_start(obj)

    def above(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        """The panel's state."""
        return self._state(request, row)

    def _state(self, request: HttpRequest, row: Panel) -> dict[str, Any]:
        gate = getattr(row, "gate", None)
        big, words, tone = panel_state(row, gate, clock.now())
        return {
            "panel": row,
            "panel_badge": {"bad": "problem", "warn": "warning"}.get(tone, "ok"),
            "panel_word": big,
            "panel_words": words,
            "gate": gate,
            "brake": brakes.brake_status(row),
            "creates": brakes.brake_status(row, brakes.CREATES),
            "drift": drift_pass_of(row),
            "lists": lists_words(getattr(row, "snapshot", None)),
            "may_connect": request.user.has_perm("provisioning.act_connect"),
            "may_brake": request.user.has_perm("provisioning.act_brake"),
            "offered": self.offered(request, row),
        }

    def pages(self) -> list[tuple[str, str, Any]]:
        """Connection test, brakes, accounts."""
        return [
            ("<str:pk>/test/", "provisioning_panel_test", self.test_view),
            ("<str:pk>/brake/", "provisioning_panel_brake", self.brake_view),
            ("<str:pk>/brake/creates/", "provisioning_panel_creates", self.creates_view),
            ("<str:pk>/accounts/", "provisioning_panel_accounts", self.accounts_view),
            *super().pages(),
        ]

    def _for(self, request: HttpRequest, pk: str, right: str) -> Panel:
        row: Panel = self.found(request, pk)
        if not request.user.has_perm(f"provisioning.{right}"):
            raise PermissionDenied
        return row

    def test_view(self, request: HttpRequest, pk: str) -> HttpResponse:
        """Asks the panel and says in plain words what works and what does not."""
        row = self._for(request, pk, "act_connect")
        report, problem = None, ""
        if request.method == "POST":
            try:
                with acting_staff(request):
                    report = panels.test_connection(row)
                    self.tell(request, "tested", f"The connection to “{row}” was tested: {_verdict(report)}.")
            except (BillingBridgeError, HttpError) as error:
                problem = getattr(error, "detail", "") or str(error)
        return self.render(
            request,
            "panel_test.html",
            f"Test connection: {row}",
            row,
            panel=row,
            report=report,
            problem=problem,
            back=self.row_url(row),
        )

    def brake_view(self, request: HttpRequest, pk: str) -> HttpResponse:
        """Releases exactly as many parked deletes as are typed, after a fresh second factor (B14)."""
        return self._brake_view(request, pk, brakes.DELETES)

    def creates_view(self, request: HttpRequest, pk: str) -> HttpResponse:
        """The same for parked creates."""
        return self._brake_view(request, pk, brakes.CREATES)

    def _brake_view(self, request: HttpRequest, pk: str, brake: brakes.Brake) -> HttpResponse:
        row = self._for(request, pk, "act_brake")
        if not import_string(settings.FRESH_FACTOR)(request):
            return HttpResponseRedirect(import_string(settings.FRESH_FACTOR_URL)(request.get_full_path()))
        form = ReleaseForm(request.POST if request.method == "POST" else None, row=row)
        form.fields["count"].label = f"Type how many {brake.noun} are parked"
        if request.method == "POST" and form.is_valid() and self._release(request, row, form, brake):
            return HttpResponseRedirect(self.row_url(row))
        return self.render(
            request,
            "panel_brake.html",
            f"Parked {brake.noun}: {row}",
            row,
            panel=row,
            form=form,
            kind=brake,
            brake=brakes.brake_status(row, brake),
            parked=_parked_operations(row, brake),
            last=brakes.last_release(row, brake),
            back=self.row_url(row),
        )

    def _release(self, request: HttpRequest, row: Panel, form: ReleaseForm, brake: brakes.Brake) -> bool:
        count = form.cleaned_data["count"]
        try:
            with acting_staff(request):
                brakes.brake_release(panel=row, count=count, user=request.user, brake=brake)
        except BillingBridgeError as error:
            form.add_error(None, error.detail)
            return False
        messages.success(request, f"{count} {brake.noun} are released. Each is still judged by itself.")
        return True

    def accounts_view(self, request: HttpRequest, pk: str) -> HttpResponse:
        """Proposes links, and makes those that are ticked; each is judged afresh when it is made."""
        row = self._for(request, pk, "act_connect")
        proposals, problem = None, ""
        if request.method == "POST":
            try:
                proposals = panels.propose_links(row)
            except (BillingBridgeError, HttpError) as error:
                problem = getattr(error, "detail", "") or str(error)
        if proposals is not None and "link" in request.POST:
            return self._link(request, row, proposals)
        return self.render(
            request,
            "panel_accounts.html",
            f"Link existing accounts: {row}",
            row,
            panel=row,
            proposals=proposals[:LINKS_SHOWN] if proposals is not None else None,
            problem=problem,
            back=self.row_url(row),
        )

    def _link(self, request: HttpRequest, row: Panel, proposals: list[panels.Proposal]) -> HttpResponse:
        ticked = set(request.POST.getlist("chosen"))
        chosen = [item for item in proposals if item.ok and f"{item.customer.pk}-{item.account_id}" in ticked]
        with acting_staff(request):
            count = panels.accounts_link(chosen, panel=row)
            self.tell(request, "linked", f"{count} existing accounts of “{row}” were linked.")
        left = len(ticked) - count
        messages.success(
            request, f"{count} accounts are linked." + (f" {left} no longer fit." if left else "")
        )
        return HttpResponseRedirect(reverse("admin:provisioning_panelaccount_changelist"))


def _verdict(report: Any) -> str:
    wrong = sum(not finding.ok for finding in report.findings)
    return f"{wrong} findings" if wrong else "all is well"


def _parked_operations(panel: Panel, brake: brakes.Brake) -> list[Operation]:
    rows = brakes.parked(panel, brake)
    return list(rows.select_related("service__product", "service__customer").order_by("id")[:200])
