"""Versions of a product: stored once for each change, kept by what was sold, taken by what is sold next."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest
from django.apps import apps

from provisioning import audit
from provisioning.choices import ActorKind, BillingStatus, DesiredState
from provisioning.lifecycle.billing import service_link_product, services_link_product
from provisioning.lifecycle.product_versions import (
    follow_gather,
    product_follow_finish,
    product_follow_start,
    product_follow_stop,
    product_version_current,
    product_version_store,
    service_follow,
    services_behind,
    stays_because,
)
from provisioning.lifecycle.refresh import service_refresh
from provisioning.models import AuditEntry, Product, ProductVersion, Service
from tests import factories

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("jobs")]


def with_memory(product: Product, memory: int) -> Product:
    """The product with another limit, saved behind everybody's back."""
    row = Product.objects.get(pk=product.pk)
    row.document["limits"]["memory"] = memory
    row.save()
    return row


def test_a_version_is_stored_once_for_each_change() -> None:
    product = factories.product()
    first = product_version_current(product=product)
    assert product_version_current(product=product) == first
    assert not AuditEntry.objects.filter(action="product.version").exists()
    with audit.acting_as(ActorKind.STAFF, "ada"):
        second = product_version_store(product=with_memory(product, 2048), note="More memory " * 40)
    assert (second.number, second.created_by, len(second.note)) == (2, "ada", 300)
    assert AuditEntry.objects.get(action="product.version").actor == "ada"
    assert first.document["limits"]["memory"] == 1024


def test_what_is_empty_makes_no_version() -> None:
    product = factories.product()
    first = product_version_current(product=product)
    product.document = {
        **product.document,
        "options": {"threads": "", "start": False},
        "runtime": {"x": None},
    }
    product.save()
    assert product_version_current(product=product) == first


def test_a_stale_copy_of_a_product_does_not_bring_the_old_document_back() -> None:
    stale = factories.product()
    newest = product_version_store(product=with_memory(stale, 2048))
    assert product_version_current(product=stale) == newest
    assert ProductVersion.objects.count() == 1


def test_an_order_gets_the_present_version_and_keeps_it() -> None:
    product = factories.product()
    service = factories.service(product=product)
    Service.objects.update(product=None, product_version=None)
    services_link_product(product=with_memory(product, 2048))
    service.refresh_from_db()
    assert service.sold is not None
    assert service.sold.document["limits"]["memory"] == 2048
    with_memory(product, 4096)
    service_link_product(service=service)
    service = Service.objects.get(pk=service.pk)
    assert service.sold is not None
    assert service.sold.document["limits"]["memory"] == 2048


def test_a_service_without_a_version_is_given_one_at_its_next_reconcile() -> None:
    service = factories.service()
    assert service.sold == service.product
    assert not service_link_product(service=service)
    service = Service.objects.get(pk=service.pk)
    assert service.product_version == ProductVersion.objects.get()


def test_a_version_of_another_product_says_nothing() -> None:
    service, other = factories.service(), factories.product(billing_product_id="other")
    service.product_version = product_version_current(product=other)
    assert service.sold == service.product


def pending(service: Service) -> None:
    service.billing_status = BillingStatus.PENDING
    service.desired_state = DesiredState.NONE
    service.save()


def test_an_unpaid_service_follows_without_work_and_its_order_is_urgent_later() -> None:
    service = factories.service()
    pending(service)
    service_link_product(service=service)
    with_memory(service.product, 2048)  # type: ignore[arg-type]
    service_follow(service=service)
    service = Service.objects.get(pk=service.pk)
    assert (service.generation, service.followed_generation) == (0, None)
    service.billing_status = BillingStatus.ACTIVE
    service_refresh(service=service)
    assert (service.generation, service.follows) == (1, False)


@pytest.mark.parametrize(("observed", "slow"), [(0, True), (-1, False)])
def test_only_work_that_is_nothing_else_gives_way(observed: int, slow: bool) -> None:
    service = factories.service(desired_state="present", generation=3)
    Service.objects.update(observed_generation=3 + observed)
    service_link_product(service=service)
    with_memory(service.product, 2048)  # type: ignore[arg-type]
    service_follow(service=Service.objects.get())
    service = Service.objects.get()
    assert (service.generation, service.follows) == (4, slow)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, ""),
        ({"terminated_at": "2026-01-01T00:00:00Z"}, "It has ended."),
        ({"desired_state": "absent"}, "It has ended."),
        ({"server_id": "7"}, "no server is moved"),
        ({"create_sent_at": "2026-01-01T00:00:00Z"}, "no server is moved"),
    ],
)
def test_who_cannot_take_a_version_on_another_panel(fields: dict[str, Any], words: str) -> None:
    service = factories.service(**fields)
    assert service.product is not None
    assert words in stays_because(service, service.product, panel_id=0)
    assert bool(stays_because(service, service.product, panel_id=0)) == bool(words)
    assert "another product" in stays_because(service, factories.product(billing_product_id="b"), panel_id=0)


def test_a_follow_takes_in_who_is_behind_and_nobody_else() -> None:
    product = factories.product()
    old, ended, new = (factories.service(product=product) for _ in range(3))
    first = product_version_current(product=product)
    Service.objects.update(product_version=first)
    second = product_version_store(product=with_memory(product, 2048))
    third = product_version_store(product=with_memory(product, 4096))
    Service.objects.filter(pk=ended.pk).update(terminated_at="2026-01-01T00:00:00Z")
    Service.objects.filter(pk=new.pk).update(product_version=third)
    assert set(services_behind(third)) == {old}
    follow = product_follow_start(version=second)
    assert [item.service for item in follow.items.all()] == [old]
    assert follow_gather(follow) == 0
    assert product_follow_finish(follow=follow)
    assert not product_follow_finish(follow=follow)
    assert product_follow_stop(follow=follow) == 0


def test_the_migration_gives_each_service_its_product_as_it_is() -> None:
    migration = import_module("provisioning.migrations.0009_services_keep_versions")
    sold, unsold = factories.product(), factories.product(billing_product_id="unsold")
    service, unmapped = factories.service(product=sold), factories.service(product=sold)
    Service.objects.filter(pk=unmapped.pk).update(product=None)
    migration.keep_versions(apps, None)
    service.refresh_from_db()
    unmapped.refresh_from_db()
    assert service.product_version is not None
    assert (service.product_version.number, service.product_version.document) == (1, sold.document)
    assert service.product_version.panel == sold.panel
    assert unmapped.product_version is None
    assert unsold.versions.count() == 1
    migration.forget_versions(apps, None)
    assert not ProductVersion.objects.exists()
