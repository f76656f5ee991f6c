"""What every page may show about this installation."""

from django.conf import settings
from django.http import HttpRequest


def site(request: HttpRequest) -> dict[str, object]:
    """The host's name and support address, for headers and footers."""
    return {"HOST_NAME": settings.HOST_NAME, "SUPPORT_EMAIL": settings.SUPPORT_EMAIL, "DEMO": settings.DEMO}
