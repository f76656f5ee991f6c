"""Extra resources are granted once per source, and end once."""

from __future__ import annotations

import datetime as dt
from types import ModuleType

import pytest

from provisioning.choices import Resource
from provisioning.lib import clock as project_clock
from provisioning.lifecycle.entitlements import entitlement_grant, entitlement_revoke
from provisioning.lifecycle.refresh import service_refresh
from provisioning.models import AuditEntry, Entitlement, Service
from tests.provisioning.lifecycle.cast import Shop

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop() -> Shop:
    """A shop in which Ada has ordered and paid."""
    made = Shop()
    made.orders()
    return made


def grant(shop: Shop, source: str = "purchase 5", ends_at: dt.datetime | None = None) -> Entitlement:
    """One GiB of memory for Ada's server."""
    return entitlement_grant(
        service=shop.service(), resource=Resource.MEMORY, amount=1024, source=source, ends_at=ends_at
    )


def test_once_per_source(shop: Shop) -> None:
    before = shop.service().generation
    assert grant(shop) == grant(shop) != grant(shop, "purchase 6")
    assert shop.service().generation == before + 2
    assert AuditEntry.objects.filter(action="entitlement.grant", public=True).count() == 2


def test_revoked_once(shop: Shop) -> None:
    entitlement = grant(shop)
    before = shop.service().generation
    for _ in range(2):
        entitlement_revoke(entitlement=entitlement)
    entitlement.refresh_from_db()
    assert entitlement.ends_at is not None
    assert entitlement.ends_at <= project_clock.now()
    assert shop.service().generation == before + 1


def test_the_end_comes_by_itself(shop: Shop, clock: ModuleType) -> None:
    Service.objects.update(next_check_at=None)
    ends_at = project_clock.now() + dt.timedelta(days=1)
    grant(shop, ends_at=ends_at)
    Service.objects.update(next_check_at=None)
    service_refresh(service=shop.service())
    before = shop.service()
    assert before.next_check_at == ends_at
    clock.shift(86_401)
    for _ in range(2):
        service_refresh(service=shop.service())
    assert shop.service().generation == before.generation + 1
    assert Entitlement.objects.get().closed_at is not None
