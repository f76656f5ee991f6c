"""What the admin must not show, and how people get into it."""

from typing import Final

from allauth.account.decorators import secure_admin_login
from django.apps import apps
from django.contrib import admin

# Sign-in secrets, queue rows whose pickles could carry code, and a schedule form that would run any function.
HIDDEN_APPS: Final = ("account", "mfa", "django_q", "axes", "socialaccount")


def secure_sign_in() -> None:
    """Send the admin's own log-in to the site's, which asks for the second factor."""
    admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]


def hide_library_models() -> None:
    """Unregister every model of the HIDDEN_APPS; called when all admin modules are loaded."""
    for label in HIDDEN_APPS:
        if apps.is_installed(label) or label in apps.app_configs:
            for model in apps.get_app_config(label).get_models():
                if admin.site.is_registered(model):
                    admin.site.unregister(model)
