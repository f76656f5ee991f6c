"""Resource add-ons: packages, frozen quotes, purchases, and what they grant (requirements UPS-*).

Nothing is sold yet. The app exists so that the layers above provisioning have their place.
"""

from django.apps import AppConfig


class UpsellConfig(AppConfig):
    """Registers the add-on shop."""

    name = "upsell"
    verbose_name = "Add-ons"
