"""The composition root as a Django app: it wires libraries together once all apps are loaded."""

from typing import Any

from django.apps import AppConfig, apps
from django.db.backends.signals import connection_created
from django.db.models.signals import post_migrate


class SiteConfig(AppConfig):
    """Connects sign-in, logs and the cache table; holds no models."""

    name = "billingbridge"
    verbose_name = "Site"

    def ready(self) -> None:
        """Connect receivers and take the libraries' own leaking pages out of the admin."""
        from billingbridge import admin_site, logging, second_factor, stores

        connection_created.connect(stores.insert_in_one_step, dispatch_uid="billingbridge.insert_in_one_step")
        admin_site.secure_sign_in()
        admin_site.hide_library_models()
        second_factor.connect()
        logging.connect_jobs()
        # Django tells this only of apps with models; this one has none.
        post_migrate.connect(_create_cache_table, sender=apps.get_app_config("provisioning"))


def _create_cache_table(*, using: str, **kwargs: Any) -> None:
    """Make the shared cache's table after each migration of the main database, where it is missing."""
    from django.conf import settings
    from django.core.management import call_command

    if using == "default" and not settings.REDIS_URL:
        alias = "cache" if "cache" in settings.DATABASES else "default"
        call_command("createcachetable", database=alias, verbosity=0)
