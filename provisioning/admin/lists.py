"""The lists that products are chosen from, on a panel's page; and products that no longer fit them."""

from __future__ import annotations

from typing import Any

from django.contrib.admin import SimpleListFilter
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html

from provisioning.admin.actions import Cleaned, StaffAction
from provisioning.lib import clock
from provisioning.models import Panel, PanelSnapshot, Product
from provisioning.reconcile.lists import snapshot_start
from provisioning.selectors import span
from provisioning.templatetags.bb import badge


def _refresh(row: Panel, data: Cleaned, request: HttpRequest) -> str:
    snapshot_start(row)
    return (
        f"The lists of “{row}” are being read. This page shows how far that is; the former ones stay in use."
    )


PANEL_LIST_ACTIONS = (
    StaffAction(
        "refresh-lists",
        "Refresh lists",
        "provisioning.act_connect",
        "Nests, eggs, nodes and locations are read from the panel, page by page, after all that customers "
        "wait for. Products that no longer fit are flagged then. Nothing is changed on the panel.",
        _refresh,
    ),
)


def lists_words(row: PanelSnapshot | None) -> str:
    """How old the lists are and how the newest reading stands, in a sentence or two."""
    if row is None:
        return "Never read."
    age = f"Read {span((clock.now() - row.completed_at).total_seconds())} ago" if row.completed_at else ""
    if row.under_way:
        now = f"being read: {row.done_pages} of {max(row.total_pages, row.done_pages)} pages"
        return f"{age}, {now}." if age else f"{now.capitalize()}."
    if row.detail:
        return f"{age or 'Never read whole'}. The last reading failed: {row.detail}"
    return f"{age}, with {row.calls} calls."


class FlagFilter(SimpleListFilter):
    """Products that are flagged, and those that are not."""

    title = "fit"
    parameter_name = "flagged"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Both of them."""
        return [("yes", "Flagged"), ("no", "Fits its panel")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Product]) -> QuerySet[Product]:
        """The chosen ones."""
        if self.value() not in ("yes", "no"):
            return queryset
        return queryset.filter(flagged_at__isnull=self.value() == "no")


def flag_badge(row: Product) -> str:
    """A badge whose title says why; nothing for a product that fits."""
    if not row.flags:
        return ""
    return format_html('<span title="{}">{}</span>', " ".join(row.flags), badge("problem", "flagged"))
