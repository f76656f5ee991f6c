"""The app that provisions: registers drivers, handlers, signal receivers and the clock's source."""

from django.apps import AppConfig


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
        from provisioning.models.clock import configure_clock

        registry.load_all()
        configure_clock()
