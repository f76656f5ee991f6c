"""Services: the list that staff live in, and one page that tells a service's whole story."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin import SimpleListFilter
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet, TextField
from django.db.models.functions import Cast
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html

from provisioning import selectors
from provisioning.admin import truths
from provisioning.admin.actions import ActionsAdmin, acting_staff
from provisioning.admin.base import ReadOnlyAdmin
from provisioning.admin.service_actions import ACTIONS
from provisioning.admin.timeline import story
from provisioning.choices import SuspendReason
from provisioning.exceptions import BillingBridgeError
from provisioning.lib import clock
from provisioning.models import Service
from provisioning.reconcile.preview import apply_reviewed, preview
from provisioning.templatetags.bb import badge


class WordFilter(SimpleListFilter):
    """State in one word."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """The seven words."""
        return [(word.value, str(word.label)) for word in selectors.Word]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Services in that state."""
        return selectors.services_in(queryset, self.value() or "") if self.value() else queryset


class DueFilter(SimpleListFilter):
    """What happens within a day by time alone."""

    title = "due within 24 hours"
    parameter_name = "due"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Suspending and deleting."""
        return [("suspend", "to be suspended"), ("delete", "to be deleted")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """The same services as the dashboard counts."""
        rules = {"suspend": selectors.suspending, "delete": selectors.deleting}
        rule = rules.get(self.value() or "")
        return queryset.filter(rule(clock.now())) if rule else queryset


class ReasonFilter(SimpleListFilter):
    """Why suspended."""

    title = "reason of suspension"
    parameter_name = "reason"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """The closed list of reasons."""
        return [(reason.value, str(reason.label)) for reason in SuspendReason]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Services with that reason. As text, because SQLite has no containment of JSON."""
        if self.value() not in SuspendReason.values:
            return queryset
        rows: QuerySet[Any] = queryset.annotate(reasons_text=Cast("suspend_reasons", TextField()))
        return rows.filter(reasons_text__contains=f'"{self.value()}"')


class TrialFilter(SimpleListFilter):
    """The test servers of *Try it*: hidden unless asked for."""

    title = "trials"
    parameter_name = "trials"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """With what was sold, or alone."""
        return [("also", "sold services and trials"), ("only", "trials alone")]

    def choices(self, changelist: Any) -> Iterator[Any]:
        """The first choice hides them."""
        first, *others = super().choices(changelist)
        yield {**first, "display": "sold services"}
        yield from others

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """What was sold, trials alone, or both."""
        if self.value() == "also":
            return queryset
        return queryset.filter(is_trial=self.value() == "only")


OF_TRIALS = ("retry", "skip")
"""What staff may do with a test service; its trial does the rest, and is stopped on its own page."""


@admin.register(Service)
class ServiceAdmin(ActionsAdmin, ReadOnlyAdmin):
    """The list and the page of services."""

    empty = (
        "Each subscription that billing tells of stands here. Map a product first, then make a "
        "webhook endpoint."
    )
    list_display = ("name", "state", "waits", "customer_email", "product_name", "next_date")
    list_filter = (
        WordFilter,
        DueFilter,
        "desired_state",
        "observed_state",
        "panel",
        "product",
        ReasonFilter,
        TrialFilter,
    )
    search_fields = ("=billing_id", "=external_id", "customer__email_folded__startswith", "=server_id")
    search_help_text = "Billing id, external id, e-mail address (its beginning) or server id"
    ordering = ("-id",)
    list_select_related = ("customer", "product", "panel", "connection")
    list_fullwidth = True
    staff_actions = ACTIONS
    list_display_links = ("name",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Service]:
        """Services with their word; what one page needs more is attached to that page alone."""
        return selectors.services().defer("registers", "runtime_applied", "failed_payments")

    def attach(self, rows: Any) -> list[Service]:
        """The newest operation of each row."""
        return selectors.operations_attach(rows)

    @admin.display(description="Service", ordering="id")
    def name(self, row: Service) -> str:
        """The name that the server has unless the customer chose another."""
        return format_html("{} {}", row, badge("trial")) if row.is_trial else str(row)

    @admin.display(description="State")
    def state(self, row: Service) -> str:
        """One word, one icon, one colour."""
        word = selectors.word_of(row)
        return badge(word.value, word.label)

    @admin.display(description="What is going on")
    def waits(self, row: Service) -> str:
        """The sentence."""
        return selectors.situation(row, selectors.newest_of(row), clock.now())

    @admin.display(description="Customer")
    def customer_email(self, row: Service) -> str:
        """Whose service it is."""
        return row.customer.email

    @admin.display(description="Product")
    def product_name(self, row: Service) -> str:
        """Our product, or billing's id of one that is not mapped."""
        return str(row.product) if row.product else f"{row.billing_product_id} (not mapped)"

    @admin.display(description="Next date")
    def next_date(self, row: Service) -> str:
        """What time alone will change, and when."""
        coming = selectors.next_date(row)
        return f"{coming[0]} {coming[1]:%d %b %Y}" if coming else "-"

    def offered(self, request: HttpRequest, row: Any) -> list[dict[str, Any]]:
        """What may be pressed now; a test service is its trial's."""
        found = super().offered(request, row)
        of_trials = {self.action_url(row, slug) for slug in OF_TRIALS}
        return [action for action in found if not row.is_trial or action["url"] in of_trials]

    def pages(self) -> list[tuple[str, str, Any]]:
        """The preview of what would be done now."""
        return [("<str:pk>/preview/", "provisioning_service_preview", self.preview_view), *super().pages()]

    def found(self, request: HttpRequest, pk: str, rows: QuerySet[Any] | None = None) -> Any:
        """One service with all that its page needs."""
        joined = selectors.services().select_related(
            "customer", "product__panel", "product_version__panel", "panel", "connection", "policy__policy"
        )
        row = super().found(request, pk, joined.prefetch_related("pins", "entitlements", "suspensions"))
        return selectors.operations_attach([row])[0]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """The page of one service. It changes nothing, whatever the method."""
        row = self.found(request, object_id)
        newest = selectors.newest_of(row)
        return self.render(
            request,
            "service.html",
            str(row),
            row,
            service=row,
            word=selectors.word_of(row),
            situation=selectors.situation(row, newest, clock.now()),
            moving=selectors.word_of(row) is selectors.Word.WAITING,
            wish=truths.wish(row),
            difference=truths.difference(row),
            limits=truths.limit_rows(row),
            coming=selectors.next_date(row),
            server_address=truths.server_address(row),
            offered=self.offered(request, row),
            preview_url=self._preview_url(request, row),
            chapters=story(row),
        )

    def _preview_url(self, request: HttpRequest, row: Service) -> str:
        may = request.user.has_perm("provisioning.act_retry")
        return reverse("admin:provisioning_service_preview", args=[row.pk]) if may else ""

    def preview_view(self, request: HttpRequest, pk: str) -> HttpResponse:
        """Shows what would be done now; POST does exactly that, or says that the world has changed."""
        row = self.found(request, pk)
        if not request.user.has_perm("provisioning.act_retry"):
            raise PermissionDenied
        if request.method == "POST" and self._apply(request, row):
            return HttpResponseRedirect(self.row_url(row))
        shown = preview(row)
        return self.render(
            request, "preview.html", f"Plan: {row}", row, preview=shown, back=self.row_url(row)
        )

    def _apply(self, request: HttpRequest, row: Service) -> bool:
        form = ChecksumForm(request.POST)
        if not form.is_valid():
            messages.error(request, "This plan has no checksum. Look at it again, then apply it.")
            return False
        try:
            with acting_staff(request):
                words = apply_reviewed(row, form.cleaned_data["checksum"])
        except BillingBridgeError as error:
            messages.error(request, error.detail or error.public)
            return False
        messages.success(request, words)
        return True


class ChecksumForm(forms.Form):
    """The checksum of the plan that was looked at."""

    checksum = forms.RegexField(r"^[0-9a-f]{1,64}$")
