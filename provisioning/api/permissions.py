"""Who may read what: Django's own *view* permission of each model, for staff and machine users alike."""

from __future__ import annotations

from rest_framework.permissions import BasePermission, DjangoModelPermissions
from rest_framework.request import Request
from rest_framework.throttling import UserRateThrottle
from rest_framework.views import APIView

from provisioning.models import ApiToken


class StaffOrMachine(BasePermission):
    """A token's user, or a member of staff: a customer's session reads nothing here."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Whether the caller is one of the two."""
        return isinstance(request.auth, ApiToken) or bool(getattr(request.user, "is_staff", False))


class ViewPermission(DjangoModelPermissions):
    """Reading needs `view_<model>`, which Django's own class leaves out."""

    perms_map = {
        "GET": ["%(app_label)s.view_%(model_name)s"],
        "HEAD": ["%(app_label)s.view_%(model_name)s"],
        "OPTIONS": ["%(app_label)s.view_%(model_name)s"],
    }


class CallerThrottle(UserRateThrottle):
    """Ten reads a second for each caller, over any minute."""

    rate = "600/min"
    scope = "api"
