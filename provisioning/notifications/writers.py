"""Writes the rows that become mails. The unique key is the promise of *once*."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.db import transaction

from provisioning.lib import clock
from provisioning.models import Notification, Operation, Service


def notification_write(
    *,
    key: str,
    template: str,
    recipients: list[str],
    context: Mapping[str, Any],
    service: Service | None = None,
    operation: Operation | None = None,
) -> bool:
    """Writes one mail unless this key was written before. Returns whether it was new."""
    now = clock.now()
    with transaction.atomic():
        _, made = Notification.objects.get_or_create(
            key=key,
            defaults={
                "template": template,
                "recipients": recipients,
                "context": dict(context),
                "service": service,
                "operation": operation,
                "created_at": now,
                "next_attempt_at": now,
            },
        )
    return made


def staff_notify(
    *,
    key: str,
    template: str,
    context: Mapping[str, Any],
    service: Service | None = None,
    operation: Operation | None = None,
) -> bool:
    """Tells staff once per key. With no STAFF_EMAILS set the row still stands on the dashboard."""
    return notification_write(
        key=key,
        template=template,
        recipients=list(settings.STAFF_EMAILS),
        context=context,
        service=service,
        operation=operation,
    )
