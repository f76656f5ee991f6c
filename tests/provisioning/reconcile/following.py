"""A changed product on a bridge: saved as staff do it, with or without the services that were sold before."""

from __future__ import annotations

from typing import Any

from provisioning import audit
from provisioning.choices import ActorKind
from provisioning.lifecycle.product_versions import product_follow_start, product_version_store
from provisioning.models import Product, ProductFollow, ProductVersion
from tests.bridge import Bridge


def change(bridge: Bridge, *, follow: bool, **limits: int) -> Any:
    """Ada saves the small product with other limits. Returns the follow, or the version if none follow."""
    product = Product.objects.get(pk=bridge.product.pk)
    product.document = {
        **product.document,
        "limits": {**product.document["limits"], **limits},
    }
    product.save()
    with audit.acting_as(ActorKind.STAFF, "ada"):
        version = product_version_store(product=product)
        return product_follow_start(version=version) if follow else version


def followed(bridge: Bridge, **limits: int) -> ProductFollow:
    """The change, with all that follows from it."""
    made: ProductFollow = change(bridge, follow=True, **limits)
    bridge.jobs.drain()
    bridge.settle()
    made.refresh_from_db()
    return made


def versions(bridge: Bridge) -> list[int]:
    """The numbers of the small product's versions."""
    rows = ProductVersion.objects.filter(product=bridge.product).order_by("number")
    return list(rows.values_list("number", flat=True))


def sold(bridge: Bridge, billing_id: str = "12345") -> int:
    """The number of the version that a service has."""
    version = bridge.service(billing_id).product_version
    assert version is not None
    return version.number
