"""The OpenAPI document, and a page to browse it that loads nothing from elsewhere."""

from __future__ import annotations

from typing import Any

from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.authentication import SessionAuthentication

from provisioning.api.authentication import TokenAuthentication
from provisioning.api.permissions import StaffOrMachine


class SchemaView(SpectacularAPIView):
    """The document, for staff and machine users."""

    authentication_classes: list[Any] = [TokenAuthentication, SessionAuthentication]
    permission_classes: list[Any] = [StaffOrMachine]


class DocsView(SpectacularSwaggerSplitView):
    """The page, for staff. Its script is a file of its own: the content policy allows no inline one."""

    authentication_classes: list[Any] = [SessionAuthentication]
    permission_classes: list[Any] = [StaffOrMachine]
    template_name = "provisioning/api_docs.html"
    url_name = "api:schema"
