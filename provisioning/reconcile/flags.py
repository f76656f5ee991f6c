"""Products that their panel no longer fits: flagged after each reading of its lists, and what waits for that.

The flags are computed from the stored lists (`lists.product_flags`); no panel is called here.
"""

from __future__ import annotations

import hashlib

from django.db import transaction
from django.db.models import Q

from provisioning import audit
from provisioning.choices import Outcome
from provisioning.exceptions import PanelWaiting
from provisioning.lib import clock
from provisioning.lifecycle.product_versions import version_shows
from provisioning.lists import product_flags
from provisioning.models import Operation, Panel, Product, ProductVersion, Service
from provisioning.notifications import staff_notify

FLAGGED = "product_flagged"
SECONDS_TO_LOOK = 900.0
"""How long an order of a flagged product waits before it looks by itself; it is woken when the flags go."""


def flag_wait(service: Service) -> None:
    """Lets no new order through that its panel no longer fits, before any call. Raises PanelWaiting."""
    product = service.product
    words = " ".join(_order_flags(service))
    if not words:
        return
    raise PanelWaiting(
        f"The panel has changed under product “{product}”: {words} Correct the product and save it with its "
        "services following, or put it right on the panel and refresh its lists: this order then goes on by "
        "itself.",
        reason="product_flagged",
        seconds=SECONDS_TO_LOOK,
    )


def _order_flags(service: Service) -> list[str]:
    """Of what the order was sold: the product's own, or a version's, which may be an older one."""
    product, sold = service.product, service.sold
    if product is None or sold is None:
        return []
    if isinstance(sold, ProductVersion) and not version_shows(sold, product):
        return product_flags(sold)
    flags: list[str] = product.flags
    return flags


def products_flag(*, panel: Panel) -> int:
    """Judges every product of the panel against its lists. Returns how many are flagged now.

    Orders of older versions have no flags of their own: they look for themselves.
    """
    rows = Product.objects.filter(panel=panel).select_related("panel").order_by("pk")
    flagged = sum(product_flag(product=row) for row in rows)
    _wake(Q(service__product_version__panel=panel))
    return flagged


def product_flag(*, product: Product) -> bool:
    """Judges one product, tells staff what is new, wakes its orders once nothing is. Returns if flagged."""
    flags = product_flags(product)
    if flags != product.flags:
        with transaction.atomic():
            since = (product.flagged_at or clock.now()) if flags else None
            Product.objects.filter(pk=product.pk).update(flags=flags, flagged_at=since)
            product.flags, product.flagged_at = flags, since
            _tell(product)
            if not flags:
                _wake(Q(service__product=product))
    return bool(flags)


def _tell(product: Product) -> None:
    words = " ".join(product.flags)
    verb = f"was flagged: {words}" if words else "fits its panel again."
    audit.record(service=None, action="product.flagged", message=f"Product “{product}” {verb}")
    if not product.flagged_at:
        return
    what = hashlib.sha256(words.encode()).hexdigest()[:12]
    staff_notify(
        key=f"{FLAGGED}:{product.pk}:{product.flagged_at:%Y-%m-%dT%H:%M:%S}:{what}",
        template=FLAGGED,
        context={
            "product": product.name,
            "product_id": product.pk,
            "panel": product.panel.name,
            "words": words,
        },
    )


def _wake(orders: Q) -> None:
    """What waited for the flags alone is due now."""
    now = clock.now()
    waiting = Operation.objects.filter(orders, outcome=Outcome.WAITING, reason=FLAGGED)
    Service.objects.filter(pk__in=waiting.values("service")).update(next_check_at=now)
    waiting.update(next_attempt_at=now)
