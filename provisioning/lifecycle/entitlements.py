"""Extra resources on a service: granted and ended by whoever sells or gives them (add-ons, staff)."""

from __future__ import annotations

import datetime as dt

from django.db import transaction

from provisioning import audit
from provisioning.choices import Resource
from provisioning.lib import clock
from provisioning.lifecycle.refresh import service_refresh
from provisioning.models import Entitlement, Service


def entitlement_grant(
    *, service: Service, resource: Resource, amount: int, source: str, ends_at: dt.datetime | None = None
) -> Entitlement:
    """Grants `amount` (in the resource's unit) once per source: a repeated grant changes nothing."""
    with transaction.atomic():
        row = Service.objects.select_for_update(of=("self",)).get(pk=service.pk)
        entitlement, made = Entitlement.objects.get_or_create(
            service=row,
            source=source,
            defaults={"resource": resource, "amount": amount, "starts_at": clock.now(), "ends_at": ends_at},
        )
        if made:
            text = f"+{amount} {resource.label} by {source}."
            audit.record(service=row, action="entitlement.grant", message=text, public=True)
            service_refresh(service=row, raise_generation=True)
        return entitlement


def entitlement_revoke(*, entitlement: Entitlement) -> None:
    """Ends an entitlement now. Ending it twice changes nothing."""
    with transaction.atomic():
        row = Service.objects.select_for_update(of=("self",)).get(pk=entitlement.service_id)
        now = clock.now()
        open_ones = Entitlement.objects.filter(pk=entitlement.pk).exclude(ends_at__lte=now)
        if open_ones.update(ends_at=now, closed_at=now):
            text = f"{entitlement} by {entitlement.source} has ended."
            audit.record(service=row, action="entitlement.revoke", message=text, public=True)
            service_refresh(service=row, raise_generation=True)
