"""Pages of the site itself: the way in, and errors in plain words."""

from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views import defaults

API = "/api/"


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """The form's token was missing or old; the reason is for logs, not for people."""
    message = _("This form was open for too long or was sent from another site. Reload it and try again.")
    return render(request, "403.html", {"message": message}, status=403)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """A page for people; below `/api/` the API's own form of an error."""
    if request.path_info.startswith(API):
        return _api_error(
            404, "not_found", "There is nothing at this address. /api/docs/ lists those there are."
        )
    return defaults.page_not_found(request, exception)


def broken(request: HttpRequest) -> HttpResponseBase:
    """A page for people; below `/api/` the API's own form of an error. The cause is in the log alone."""
    if request.path_info.startswith(API):
        return _api_error(500, "error", "Something broke on our side. Try again in a minute.")
    return defaults.server_error(request)


def _api_error(status: int, code: str, message: str) -> JsonResponse:
    return JsonResponse({"error": {"code": code, "message": message}}, status=status)
