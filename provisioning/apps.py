"""The app that provisions: registers drivers, handlers, signal receivers and the clock's source."""

import os
from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class ProvisioningConfig(AppConfig):
    """Everything between a verified billing event and a confirmed state on a panel."""

    name = "provisioning"
    verbose_name = "Provisioning"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Connects what registers itself by being imported, and sets the one clock."""
        from provisioning import checks, signals  # noqa: F401
        from provisioning.drivers import registry
        from provisioning.inbox import handlers  # noqa: F401
        from provisioning.lib import failpoints
        from provisioning.models.clock import configure_clock

        registry.load_all()
        configure_clock()
        failpoints.start(os.environ)
        post_migrate.connect(_claim_database, sender=self)


def _claim_database(**_: Any) -> None:
    """A new database belongs to the installation that made it; a copied one keeps its first owner."""
    from django.conf import settings

    from provisioning.models import Installation

    if not Installation.objects.exists():
        Installation.objects.create(installation_id=settings.INSTALLATION_ID)
