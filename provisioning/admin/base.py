"""What all staff pages share: lists that never count a whole table, read-only pages, checked actions."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.http import urlencode
from unfold.admin import ModelAdmin, TabularInline
from unfold.views import ChangeList

from provisioning.admin.navigation import name_of
from provisioning.selectors import CAP

PAGES_AHEAD = 5


class CappedPaginator(Paginator):  # type: ignore[type-arg]
    """Counts as far as the pages that are offered, and says *1000+* beyond.

    The count grows with the page that is open, so that every row can be reached and no table is counted.
    """

    template_name = "admin/provisioning/pagination.html"
    ceiling = CAP

    @cached_property
    def count(self) -> int:
        """Rows up to the ceiling and one."""
        rows: QuerySet[Model] = self.object_list  # type: ignore[assignment]
        return rows.order_by()[: self.ceiling + 1].count()

    @property
    def words(self) -> str:
        """The count for people."""
        return f"{self.ceiling}+" if self.count > self.ceiling else str(self.count)


class StaffList(ChangeList):  # type: ignore[misc]
    """A list whose admin looks up, for the rows of one page only, what their cells need."""

    def get_results(self, request: HttpRequest) -> None:
        """Reads the page, then lets the admin attach to it."""
        super().get_results(request)
        self.result_list: Any = self.model_admin.attach(self.result_list)
        # The theme would print the capped number beside the title as if it were the whole.
        self.full_result_count = self.result_count


class NeverChanged:
    """What the bridge writes: staff look, and change nothing."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never: the bridge writes these rows."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never: what is recorded stays as it was."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never: a record that can be deleted proves nothing."""
        return False


class PlainInline(NeverChanged, TabularInline):  # type: ignore[misc]
    """Rows to look at, without a title line of their own.

    The theme for Python 3.11 calls the switch `hide_title`; the newer one `show_title`, and warns of the old.
    """

    extra = 0


setattr(
    PlainInline, *(("hide_title", True) if hasattr(TabularInline, "hide_title") else ("show_title", False))
)


class TitledList:
    """A list whose page is called what the sidebar calls it, and that says what will stand in it.

    *History* leads to the field by field record of that row: the theme's own knows of these pages alone.
    """

    empty = ""

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """The list, under its name."""
        opts = self.opts  # type: ignore[attr-defined]
        title = {"title": name_of(opts)}
        answer: HttpResponse = super().changelist_view(  # type: ignore[misc]
            request, {**title, **(extra_context or {})}
        )
        return answer

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: Any = None
    ) -> HttpResponseRedirect:
        """Leads to the row's changes. Raises Http404 or PermissionDenied."""
        row = self.get_object(request, object_id)  # type: ignore[attr-defined]
        if row is None:
            raise Http404
        if not self.has_view_permission(request, row):  # type: ignore[attr-defined]
            raise PermissionDenied
        of_row = {"content_type": ContentType.objects.get_for_model(row).pk, "object_pk": row.pk}
        return HttpResponseRedirect(f"{reverse('admin:auditlog_logentry_changelist')}?{urlencode(of_row)}")


class StaffAdmin(TitledList, ModelAdmin):  # type: ignore[misc]
    """The base of every page: capped lists, no full counts, extra pages through `pages`."""

    paginator = CappedPaginator
    show_full_result_count = False
    list_per_page = 50
    list_filter_submit = False

    def get_paginator(self, request: HttpRequest, *args: Any, **kwargs: Any) -> CappedPaginator:
        """The paginator, counting a few pages beyond the one that is open."""
        made = CappedPaginator(*args, **kwargs)
        opened = request.GET.get("p", "")
        page = int(opened) if opened.isascii() and opened.isdigit() and len(opened) < 7 else 1
        made.ceiling = max(CAP, (page + PAGES_AHEAD) * self.list_per_page)
        return made

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[StaffList]:
        """The list that attaches."""
        return StaffList

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Folds what was typed: e-mail addresses are stored folded, and ids are compared without case."""
        found: tuple[QuerySet[Any], bool] = super().get_search_results(
            request, queryset, search_term.casefold()
        )
        return found

    def attach(self, rows: Any) -> Any:
        """What the cells of one page need beyond the query."""
        return rows

    def pages(self) -> list[tuple[str, str, Callable[..., HttpResponse]]]:
        """Extra pages as (route below the model's address, URL name, view)."""
        return []

    def get_urls(self) -> list[URLPattern]:
        """The theme's addresses, with our own before them."""
        ours = [
            path(route, self.admin_site.admin_view(view), name=name) for route, name, view in self.pages()
        ]
        return [*ours, *super().get_urls()]

    def found(self, request: HttpRequest, pk: str, rows: QuerySet[Any] | None = None) -> Any:
        """The row, for those who may see it. Raises Http404 or PermissionDenied."""
        rows = self.get_queryset(request) if rows is None else rows
        row = rows.filter(pk=pk).first() if pk.isascii() and pk.isdigit() and len(pk) < 19 else None
        if row is None:
            raise Http404(f"No {self.opts.verbose_name} has the number {pk[:20]}.")
        if not self.has_view_permission(request, row):
            raise PermissionDenied
        return row

    def render(
        self, request: HttpRequest, template: str, title: str, row: Any = None, **context: Any
    ) -> TemplateResponse:
        """A page inside the theme; `row` is what it is about, for the way back at the top."""
        base = {**self.admin_site.each_context(request), "opts": self.opts, "title": title, "original": row}
        return TemplateResponse(request, f"admin/provisioning/{template}", {**base, **context})

    def list_url(self) -> str:
        """The address of this model's list."""
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist")


class ReadOnlyAdmin(NeverChanged, StaffAdmin):
    """Pages of such rows."""

    actions = None
