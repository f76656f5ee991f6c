"""Whether what is stored encrypted can still be read: FIELD_KEYS may have been lost or changed (CAL-12)."""

from __future__ import annotations

from typing import Final

from provisioning.lib.crypto import DecryptError
from provisioning.models import EndpointSecret, Panel

LOST_KEYS: Final = (
    "Stored secrets cannot be read with FIELD_KEYS. Put the key that wrote them back, behind the new one; "
    "docs/settings.md says what to do if it is lost."
)


def lost_keys() -> str:
    """LOST_KEYS if the oldest panel key or endpoint secret cannot be read, else nothing.

    Two small queries. The oldest is what a key taken away too early leaves behind.
    """
    panels = Panel.objects.exclude(api_key="").order_by("pk").values_list("api_key", flat=True)
    secrets = EndpointSecret.objects.exclude(value="").order_by("pk").values_list("value", flat=True)
    try:
        panels.first(), secrets.first()
    except (DecryptError, ValueError):
        # ValueError: the keys themselves are unusable.
        return LOST_KEYS
    return ""
