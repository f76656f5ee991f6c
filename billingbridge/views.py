"""Pages of the site itself: the way in, and errors in plain words."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """The form's token was missing or old; the reason is for logs, not for people."""
    message = _("This form was open for too long or was sent from another site. Reload it and try again.")
    return render(request, "403.html", {"message": message}, status=403)
