"""The web server's own look at the settings: Django runs no system checks under WSGI."""

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured


def refuse_wrong_settings() -> None:
    """Raise ImproperlyConfigured with one sentence a line if a setting is missing or wrong."""
    problems: list[str] = settings.SETTINGS_PROBLEMS
    if problems:
        raise ImproperlyConfigured("Not started.\n" + "\n".join(problems))
