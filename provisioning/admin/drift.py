"""Drift: each difference with what can be pressed, and how each panel's last check ended."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin import SimpleListFilter
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from provisioning.admin.actions import ActionForm, ActionsAdmin, Cleaned, StaffAction
from provisioning.admin.base import ReadOnlyAdmin
from provisioning.choices import DriftKind
from provisioning.lib import clock
from provisioning.lib.redact import redact
from provisioning.models import Drift, DriftPass, Panel, Service
from provisioning.reconcile import drift_staff
from provisioning.templatetags.bb import badge, when

PANELS_SHOWN = 50
WATCH = "It is gone from the list after the next check."


class StandingFilter(SimpleListFilter):
    """What stands, unless something else is asked for."""

    title = "shown"
    parameter_name = "shown"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """The other lists."""
        return [("foreign", "not ours"), ("ignored", "ignored"), ("gone", "gone again"), ("all", "all")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Only those."""
        now, shown = clock.now(), self.value()
        standing = queryset.filter(resolved_at=None)
        foreign, ignored = Q(kind=DriftKind.FOREIGN), Q(ignored_until__gt=now)
        lists = {
            None: standing.exclude(foreign).exclude(ignored),
            "foreign": standing.filter(foreign),
            "ignored": standing.filter(ignored),
            "gone": queryset.filter(resolved_at__isnull=False),
        }
        return lists.get(shown, queryset)


class IgnoreForm(ActionForm):
    """Until when, and why."""

    until = forms.DateField(
        widget=forms.DateInput(attrs={"type": "date", "class": "bb-input"}),
        help_text="From this day on (UTC) it is counted again, if it is still there.",
    )
    because = forms.CharField(label="Why", max_length=300, help_text="For your colleagues.")


class AdoptForm(ActionForm):
    """Whose server it is: by the billing id, which is typed because data is at stake."""

    billing_id = forms.CharField(label="Billing service id", max_length=120)

    def prepare(self) -> None:
        """Says which one the server's mark names, if it names one."""
        if self.row.service:
            self.fields["billing_id"].help_text = f"Its mark names {self.row.service.billing_id}."

    def clean_billing_id(self) -> Service:
        """The service of this panel's products with that id."""
        typed = self.cleaned_data["billing_id"].strip()
        panel = self.row.panel
        sold_here = Q(product_version__panel=panel) | Q(product_version=None, product__panel=panel)
        rows = Service.objects.filter(sold_here, billing_id=typed)
        found = list(rows.select_related("product__panel", "product_version__panel")[:2])
        if len(found) != 1:
            many = "Several services have" if found else "No service on this panel has"
            raise forms.ValidationError(f"{many} that billing id. Adopt it on the service's own page.")
        return found[0]


def _ignore(row: Drift, data: Cleaned, request: HttpRequest) -> str:
    until = dt.datetime.combine(data["until"], dt.time(), dt.UTC)
    drift_staff.drift_ignore(drift=row, until=until, because=data["because"], user=request.user)
    return f"Ignored until {until:%d %b %Y}."


def _fix(row: Drift, data: Cleaned, request: HttpRequest) -> str:
    drift_staff.drift_fix(drift=row)
    return f"{row.service} is put right now; its timeline says when. {WATCH}"


def _adopt(row: Drift, data: Cleaned, request: HttpRequest) -> str:
    drift_staff.drift_adopt(drift=row, service=data["billing_id"])
    return f"Server {row.server_id} is read now, and taken only if its mark and owner fit. {WATCH}"


def _standing(row: Drift) -> bool:
    return row.resolved_at is None


ACTIONS = (
    StaffAction(
        "fix",
        "Fix",
        "provisioning.act_retry",
        "The service is looked at afresh, and its limits and state become what was sold.",
        _fix,
        shown=lambda row: _standing(row) and row.kind in drift_staff.FIXABLE,
    ),
    StaffAction(
        "adopt",
        "Adopt",
        "provisioning.act_relink",
        "You say which service this server belongs to. It is read first, and refused if it carries another "
        "mark or belongs to another customer. From then on it may be changed and, at the end, deleted by "
        "the bridge.",
        _adopt,
        form=AdoptForm,
        shown=lambda row: _standing(row) and row.kind in drift_staff.ADOPTABLE,
    ),
    StaffAction(
        "ignore",
        "Ignore until",
        "provisioning.act_drift",
        "It is left out of counts and mails until a day. Nothing changes on the panel.",
        _ignore,
        form=IgnoreForm,
        shown=_standing,
    ),
)


@admin.register(Drift)
class DriftAdmin(ActionsAdmin, ReadOnlyAdmin):
    """Differences that nobody asked for."""

    empty = "No difference stands: the panels show what was sold, as far as the last checks could see."
    list_display = ("label", "words_shown", "panel", "service", "server_id", "began", "seen")
    list_filter = (StandingFilter, "kind", "panel")
    search_fields = ("=server_id", "=service__billing_id", "=service__external_id")
    search_help_text = "Server id, billing id or external id"
    ordering = ("-since", "-id")
    list_select_related = ("service__product", "panel")
    list_before_template = "admin/provisioning/drift_before.html"
    staff_actions = ACTIONS

    @admin.display(description="Difference", ordering="kind")
    def label(self, row: Drift) -> str:
        """What kind, in a colour of its weight."""
        return badge(weight(row), row.get_kind_display())

    @admin.display(description="In words")
    def words_shown(self, row: Drift) -> str:
        """The sentence."""
        return redact(row.words, limit=300)

    @admin.display(description="Since", ordering="since")
    def began(self, row: Drift) -> str:
        """When it was found first."""
        return when(row.since)

    @admin.display(description="Last seen", ordering="last_seen_at")
    def seen(self, row: Drift) -> str:
        """When it was found last."""
        return when(row.last_seen_at)

    def found(self, request: HttpRequest, pk: str, rows: QuerySet[Any] | None = None) -> Any:
        """One difference with what its page names."""
        return super().found(
            request, pk, Drift.objects.select_related("service__product", "panel", "ignored_by")
        )

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """The list, with the last check of each panel above it."""
        rows = DriftPass.objects.select_related("panel").defer("panel__api_key").order_by("panel__name")
        may_check = request.user.has_perm("provisioning.act_drift")
        checks = [(row, check_url(row.panel) if may_check else "") for row in rows[:PANELS_SHOWN]]
        context = {
            **(extra_context or {}),
            "drift_checks": checks,
            "drift_words": drift_staff.drift_counts().words,
        }
        answer: HttpResponse = super().changelist_view(request, context)
        return answer

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """The page of one difference."""
        row = self.found(request, object_id)
        title = str(row.get_kind_display()).capitalize()
        offered = self.offered(request, row)
        return self.render(request, "drift.html", title, row, drift=row, weight=weight(row), offered=offered)


def weight(row: Drift) -> str:
    """The badge of a difference: how much it matters now."""
    if row.resolved_at:
        return "ok"
    return "warning" if row.kind in (DriftKind.FOREIGN, DriftKind.ORPHAN) else "problem"


# --- on a panel's page ------------------------------------------------------------------------------------


class UnfreezeForm(ActionForm):
    """The number of missing servers, typed."""

    count = forms.IntegerField(min_value=0, label="Type how many servers are missing")

    def prepare(self) -> None:
        """Says how many there are."""
        row = drift_pass_of(self.row)
        if row:
            self.fields["count"].help_text = f"{row.missing} are missing on “{self.row}”."


def drift_pass_of(panel: Panel) -> DriftPass | None:
    """The panel's pass, if there was one."""
    found: DriftPass | None = getattr(panel, "drift_pass", None)
    return found


def check_url(panel: Panel) -> str:
    """Where a check of this panel is asked for."""
    return reverse("admin:provisioning_panel_action", args=[panel.pk, "check-drift"])


def _check(row: Panel, data: Cleaned, request: HttpRequest) -> str:
    drift_staff.drift_check_now(panel=row)
    return f"The lists of “{row}” are being read. Look under Drift in a moment."


def _unfreeze(row: Panel, data: Cleaned, request: HttpRequest) -> str:
    drift_staff.panel_unfreeze(panel=row, count=data["count"])
    return f"Deletes on “{row}” go on. Each is still judged by its own proofs."


def _frozen(row: Panel) -> bool:
    found = drift_pass_of(row)
    return found is not None and found.frozen_at is not None


PANEL_ACTIONS = (
    StaffAction(
        "check-drift",
        "Check for drift",
        "provisioning.act_drift",
        "The lists of this panel are read whole and compared with what was sold. Nothing is changed on it.",
        _check,
    ),
    StaffAction(
        "unfreeze",
        "Unfreeze deletes",
        "provisioning.act_brake",
        "Too many servers were missing at once, so nothing is deleted on this panel. Unfreeze only if you "
        "know why they are missing: servers that are deleted do not come back.",
        _unfreeze,
        form=UnfreezeForm,
        danger=True,
        shown=_frozen,
    ),
)
