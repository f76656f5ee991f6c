"""Pages by cursor: a page costs the same at the end of a million rows as at the beginning."""

from rest_framework.pagination import CursorPagination


class Pages(CursorPagination):
    """50 rows unless `page_size` asks for others, 200 at most; newest first unless `ordering` says else."""

    page_size = 50
    max_page_size = 200
    page_size_query_param = "page_size"
    ordering = "-id"
