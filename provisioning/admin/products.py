"""Products: billing's id mapped to a panel and a typed document, checked against the panel when saved."""

from __future__ import annotations

import copy
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse

from provisioning import audit
from provisioning.admin.actions import ActionForm, Cleaned, StaffAction, acting_staff
from provisioning.admin.lists import FlagFilter, flag_badge
from provisioning.admin.product_follow import ProductFollows
from provisioning.admin.product_pickers import ProductPickers
from provisioning.admin.product_trials import ProductTrials
from provisioning.exceptions import BillingBridgeError, TransitionError
from provisioning.lib.http_errors import HttpError
from provisioning.lifecycle.billing import services_link_product
from provisioning.lifecycle.product_versions import product_version_store
from provisioning.models import Product
from provisioning.reconcile import panels
from provisioning.reconcile.flags import product_flag

COLUMNS = ("connection", "billing_product_id", "name", "kind", "grace_policy", "name_prefix", "panel")


class CopyForm(ActionForm):
    """What the copy is for."""

    billing_product_id = forms.CharField(max_length=120, label="Billing's id of the new product")
    name = forms.CharField(max_length=120)


def product_copy(*, product: Product, billing_product_id: str, name: str) -> Product:
    """Makes a product like this one for another id of billing. Raises TransitionError if that is mapped."""
    with transaction.atomic():
        known = Product.objects.filter(connection=product.connection, billing_product_id=billing_product_id)
        if known.exists():
            raise TransitionError(f"Billing's “{billing_product_id}” is mapped already: to “{known[0]}”.")
        made = copy.copy(product)
        made.pk, made.billing_product_id, made.name = None, billing_product_id, name
        made._state = copy.copy(product._state)
        made._state.adding = True
        made.save(force_insert=True)
        product_version_store(product=made)
        audit.record(
            service=None, action="product.copy", message=f"“{made}” was made as a copy of “{product}”."
        )
    return made


def _copy(row: Product, data: Cleaned, request: HttpRequest) -> str:
    made = product_copy(product=row, billing_product_id=data["billing_product_id"], name=data["name"])
    return f"“{made}” is made. {_linked(services_link_product(product=made))}".strip()


def _linked(count: int) -> str:
    if not count:
        return ""
    return "1 waiting order goes on now." if count == 1 else f"{count} waiting orders go on now."


@admin.register(Product)
class ProductAdmin(ProductTrials, ProductFollows, ProductPickers):
    """The catalogue."""

    empty = (
        "A product says what billing's product id means on a panel. Add the panel and a grace policy first."
    )
    list_display = ("name", "flagged", "billing_product_id", "panel", "connection", "kind", "grace_policy")
    list_filter = (FlagFilter, "panel", "connection", "kind")
    search_fields = ("name", "=billing_product_id")
    ordering = ("name",)
    list_select_related = ("panel", "connection", "grace_policy")
    change_form_outer_before_template = "admin/provisioning/product_before.html"
    staff_actions = (
        StaffAction(
            "copy",
            "Copy product",
            "provisioning.add_product",
            "A product like this one is made for another id of billing.",
            _copy,
            form=CopyForm,
        ),
    )

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """The columns; the document is laid out by the form itself."""
        return [("What", {"fields": COLUMNS})]

    @admin.display(description="Fit")
    def flagged(self, row: Product) -> str:
        """Whether the panel has changed under it."""
        return flag_badge(row)

    def refusal(self, row: Product) -> str:
        """A product that was sold is kept."""
        if row.services.filter(is_trial=False).exists():
            return f"“{row}” was sold: its services need it. It may stay when billing sells it no more."
        if row.services.exists():
            return f"“{row}” was tried: the record of its trials needs it. It may stay as it is."
        return ""

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Saves; orders that waited for this product go on."""
        super().save_model(request, obj, form, change)
        if form.warning:
            messages.warning(request, form.warning)
        with acting_staff(request):
            product_flag(product=obj)
            count = services_link_product(product=obj)
        if count:
            messages.success(request, _linked(count))

    def above(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        """What can be pressed, and the product for its preview."""
        return super().above(request, row) | {"product": row}

    def pages(self) -> list[tuple[str, str, Any]]:
        """The payload preview."""
        return [("<str:pk>/preview/", "provisioning_product_preview", self.preview_view), *super().pages()]

    def preview_view(self, request: HttpRequest, pk: str) -> HttpResponse:
        """The exact payload that the panel would get for an example customer. Nothing is sent."""
        row = self.found(request, pk, Product.objects.select_related("panel", "connection"))
        payload, problem = None, ""
        try:
            payload = panels.preview_payload(row)
        except (BillingBridgeError, HttpError) as error:
            problem = getattr(error, "detail", "") or str(error)
        return self.render(
            request,
            "product_preview.html",
            f"What the panel will get: {row}",
            row,
            product=row,
            payload=payload,
            problem=problem,
            back=self.row_url(row),
        )
