"""Which endpoint an address leads to and which secrets it has, remembered for a moment.

Reading both takes longer than all other checks of a webhook together. What staff change (a secret removed,
an endpoint switched off) holds in every process within `KEPT_SECONDS`.
"""

from __future__ import annotations

import datetime as dt
import time
import uuid
from dataclasses import dataclass

from provisioning.models import EndpointSecret, WebhookEndpoint

KEPT_SECONDS = 1.0


@dataclass(frozen=True)
class Door:
    """An endpoint that is switched on, and its secrets, newest first, also those that have ended."""

    endpoint: WebhookEndpoint
    secrets: tuple[EndpointSecret, ...]

    def valid_secrets(self, now: dt.datetime) -> list[str]:
        """The secrets that have not ended, newest first."""
        return [row.value for row in self.secrets if row.ends_at is None or row.ends_at > now]


_kept: dict[uuid.UUID, tuple[float, Door]] = {}
"""Doors by address, each with when it was read; never more of them than there are endpoints."""


def door_at(address: uuid.UUID) -> Door | None:
    """The door at this address, or None: strangers' addresses are not remembered."""
    now = time.monotonic()
    read_at, door = _kept.get(address, (float("-inf"), None))
    if door is not None and now - read_at < KEPT_SECONDS:
        return door
    _kept.pop(address, None)
    endpoint = WebhookEndpoint.objects.filter(address=address, enabled=True).first()
    if endpoint is None:
        return None
    door = Door(endpoint, tuple(endpoint.secrets.order_by("-id")))
    _kept[address] = (now, door)
    return door
