"""A sold product that is changed: staff see what it means and choose; versions, and how a follow goes."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.contrib.admin.utils import flatten_fieldsets
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Prefetch, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from provisioning.admin.actions import acting_staff
from provisioning.admin.config import ConfigAdmin
from provisioning.choices import DesiredState, FollowItemState
from provisioning.drivers import registry
from provisioning.drivers.document_lines import document_lines
from provisioning.lifecycle.product_versions import (
    product_follow_start,
    product_follow_stop,
    product_version_current,
    product_version_store,
    services_behind,
    services_sold,
)
from provisioning.models import Operation, Product, ProductFollow, ProductFollowItem, ProductVersion
from provisioning.reconcile.follow import follow_failed, follow_progress, follow_waiting
from provisioning.reconcile.follow_plans import FollowPlan, follow_plan
from provisioning.selectors import span

NONE, ALL, EDIT = "none", "all", "edit"
OURS = ("csrfmiddlewaretoken", "follow_choice", "follow_seen", "follow_note")
VERSIONS_SHOWN = 20
NAMED = 50
MAY = "provisioning.act_follow"


@dataclass(frozen=True)
class VersionRow:
    """One version as the product's page shows it."""

    version: ProductVersion
    services: int
    lines: list[str]
    follow: ProductFollow | None


def lines_between(before: Product | ProductVersion, after: Product | ProductVersion) -> list[str]:
    """What differs between two states of a product, for people."""
    specs = [registry.get(row.panel.driver).spec for row in (after, before)]
    lines = document_lines(before.document, after.document, specs)
    if before.panel_id != after.panel_id:
        lines.insert(0, f"Panel: {before.panel} → {after.panel}")
    return lines


def _checksum(before: Product, after: Product) -> str:
    states = [[row.panel_id, row.document] for row in (before, after)]
    return hashlib.sha256(json.dumps(states, sort_keys=True).encode()).hexdigest()[:12]


def version_rows(product: Product) -> list[VersionRow]:
    """The newest versions with how many services are on each: three queries, however many there are."""
    live = Q(services__terminated_at=None) & ~Q(services__desired_state=DesiredState.ABSENT)
    live &= Q(services__is_trial=False)
    follows = Prefetch("follows", ProductFollow.objects.order_by("-pk"), to_attr="newest_follows")
    rows = ProductVersion.objects.filter(product=product).select_related("panel").defer("panel__api_key")
    counted = rows.annotate(live=Count("services", filter=live)).prefetch_related(follows)
    found = list(counted.order_by("-number")[: VERSIONS_SHOWN + 1])
    older = [*found[1:], None]
    return [
        VersionRow(
            row,
            vars(row)["live"],
            lines_between(before, row) if before else [],
            next(iter(vars(row)["newest_follows"]), None),
        )
        for row, before in zip(found, older, strict=False)
    ][:VERSIONS_SHOWN]


class ProductFollows(ConfigAdmin):
    """The part of a product's pages that is about what was sold before."""

    change_form_outer_after_template = "admin/provisioning/product_follow_versions.html"

    def pages(self) -> list[tuple[str, str, Any]]:
        """One follow, and the question whether services should follow now."""
        return [
            ("<str:pk>/follow/", "provisioning_product_follow_new", self.follow_new_view),
            ("<str:pk>/follow/<str:number>/", "provisioning_product_follow", self.follow_view),
            *super().pages(),
        ]

    def above(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        """The versions, and what could follow now."""
        versions = version_rows(row)
        newest = versions[0].version if versions else None
        behind = services_behind(newest).count() if newest else 0
        may = request.user.has_perm(MAY)
        more = {"versions": versions, "behind": behind, "may_follow": may and behind > 0}
        return super().above(request, row) | more

    # --- saving ------------------------------------------------------------------------------------

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: Any = None,
    ) -> HttpResponse:
        """Asks first, where a valid change of a sold product was posted; nothing is saved before."""
        if request.method == "POST" and object_id:
            row = self.found(request, object_id)
            if self.has_change_permission(request, row) and services_sold(row).exists():
                question = self._question(request, row)
                if question is not None:
                    return question
        return super().changeform_view(request, object_id, form_url, extra_context)

    def _question(self, request: HttpRequest, row: Product) -> HttpResponse | None:
        """The page that asks; None where there is nothing to ask, or it was answered."""
        before = Product.objects.select_related("panel").get(pk=row.pk)
        form = self._judged(request, row)
        if not form.is_valid():
            return None
        choice = request.POST.get("follow_choice", "")
        if choice == EDIT:
            form.add_error(None, "Nothing is saved yet. Change what you like, then save again.")
            return None
        if choice == ALL and not request.user.has_perm(MAY):
            raise PermissionDenied
        after: Product = form.instance
        lines, checksum = lines_between(before, after), _checksum(before, after)
        answered = choice in (NONE, ALL) and request.POST.get("follow_seen") == checksum
        if not lines or answered:
            return None
        version = ProductVersion(product=after, panel=after.panel, document=after.document)
        again = "The product was changed meanwhile. Look again at what would change." if choice else ""
        return self._ask(request, row, follow_plan(version), lines=lines, checksum=checksum, problem=again)

    def _judged(self, request: HttpRequest, row: Product) -> Any:
        """The form as posted. It asks the panel: once, and outside of the transaction that saves."""
        fields = flatten_fieldsets(self.get_fieldsets(request, row))
        kind = self.get_form(request, row, change=True, fields=fields)
        form = vars(request)["judged_form"] = kind(request.POST, request.FILES, instance=row)
        return form

    def _ask(self, request: HttpRequest, row: Product, plan: FollowPlan, **context: Any) -> HttpResponse:
        posted = [(name, value) for name, values in request.POST.lists() for value in values]
        return self.render(
            request,
            "product_follow.html",
            f"{row.name}: do sold services follow?",
            Product.objects.get(pk=row.pk),
            plan=plan,
            # As pairs: a template asks a counter for its key “items”, and gets 0.
            kinds=plan.kinds.most_common(),
            left=plan.left.most_common(),
            notes=plan.notes.most_common(),
            less=plan.less.most_common(),
            takes=span(plan.seconds) if plan.seconds >= 1 else "a second",
            kept=[(name, value) for name, value in posted if name not in OURS],
            may_follow=request.user.has_perm(MAY),
            back=self.row_url(row),
            **context,
        )

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """The form; the one that was judged already, where it was."""
        judged = vars(request).get("judged_form")
        if judged is not None:
            return lambda *args, **more: judged
        return super().get_form(request, obj, change=change, **kwargs)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Saves, stores the version that orders get from now on, and begins a follow if that was chosen."""
        super().save_model(request, obj, form, change)
        note = request.POST.get("follow_note", "").strip()
        with acting_staff(request):
            version = product_version_store(product=obj, note=note)
            choice = request.POST.get("follow_choice")
            if choice == ALL:
                vars(request)["follow"] = product_follow_start(version=version)
            elif choice == NONE:
                words = f"Saved as {version}, for new orders only: what was sold stays as it was."
                messages.info(request, words)

    def response_change(self, request: HttpRequest, obj: Any) -> HttpResponse:
        """Leads to the follow that was begun, if one was."""
        answer: HttpResponse = super().response_change(request, obj)
        follow: ProductFollow | None = vars(request).get("follow")
        return HttpResponseRedirect(self.follow_url(obj, follow)) if follow else answer

    def follow_url(self, row: Product, follow: ProductFollow) -> str:
        """The page that shows how a follow goes."""
        return reverse("admin:provisioning_product_follow", args=[row.pk, follow.pk])

    # --- later, and how it goes --------------------------------------------------------------------

    def follow_new_view(self, request: HttpRequest, pk: str) -> HttpResponse:
        """Shows what following the newest version would do now; the button begins it."""
        row = self.found(request, pk, Product.objects.select_related("panel"))
        if not request.user.has_perm(MAY):
            raise PermissionDenied
        if request.method != "POST":
            newest = ProductVersion.objects.filter(product=row).order_by("-number").first()
            version = newest or ProductVersion(product=row, panel=row.panel, document=row.document)
            return self._ask(request, row, follow_plan(version), version=version)
        with acting_staff(request):
            follow = product_follow_start(version=product_version_current(product=row))
        return HttpResponseRedirect(self.follow_url(row, follow))

    def follow_view(self, request: HttpRequest, pk: str, number: str) -> HttpResponse:
        """How many services are done, wait, failed or were left. Its button stops what was not begun."""
        row = self.found(request, pk)
        follow = self._follow(row, number)
        if request.method == "POST":
            return self._stop(request, row, follow)
        return self.render(
            request,
            "product_follow_progress.html",
            f"Services follow: {row.name}",
            row,
            product=row,
            follow=follow,
            stands=follow_progress(follow),
            failed=_named(follow_failed(follow)),
            slow=_named(follow_waiting(follow)),
            left=_left(follow),
            may_stop=follow.running and request.user.has_perm(MAY),
            back=self.row_url(row),
        )

    def _follow(self, row: Product, number: str) -> ProductFollow:
        usable = number.isascii() and number.isdigit() and len(number) < 19
        rows = ProductFollow.objects.filter(version__product=row).select_related("version")
        follow = rows.filter(pk=number).first() if usable else None
        if follow is None:
            raise Http404("There is no such follow of this product.")
        return follow

    def _stop(self, request: HttpRequest, row: Product, follow: ProductFollow) -> HttpResponse:
        if not request.user.has_perm(MAY):
            raise PermissionDenied
        with acting_staff(request):
            left = product_follow_stop(follow=follow)
        messages.success(request, f"Stopped. {left} services stay as they were sold.")
        return HttpResponseRedirect(self.follow_url(row, follow))


def _named(rows: QuerySet[ProductFollowItem]) -> list[tuple[ProductFollowItem, Operation | None]]:
    """The first of them, each with the operation that says why; two queries."""
    items = list(rows.select_related("service__product").order_by("pk")[:NAMED])
    found = Operation.objects.filter(service__in=[item.service_id for item in items]).order_by("pk")
    newest = {row.service_id: row for row in found}
    return [(item, newest.get(item.service_id)) for item in items]


def _left(follow: ProductFollow) -> list[tuple[str, int]]:
    rows = ProductFollowItem.objects.filter(follow=follow, state=FollowItemState.LEFT)
    return list(rows.values_list("words").annotate(number=Count("pk")).order_by("-number"))
