"""Customers and their accounts on panels; what is held says why, and what to do."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from provisioning import selectors
from provisioning.admin.actions import ActionForm, ActionsAdmin, Cleaned, StaffAction
from provisioning.admin.base import ReadOnlyAdmin
from provisioning.models import Customer, PanelAccount
from provisioning.reconcile.accounts import account_unlink
from provisioning.templatetags.bb import badge, when

HELD = (
    "A held account waits for a person: the panel has a user that may be somebody else's. Compare the two on "
    "the panel. Then mend the panel's user, or link it under Panels, Link existing accounts, and press "
    "Try again now on the service."
)


class UnlinkForm(ActionForm):
    """Why the link goes."""

    note = forms.CharField(label="Why", max_length=200)


def _unlink(row: PanelAccount, data: Cleaned, request: HttpRequest) -> str:
    words = f"{row.customer} is no longer linked on “{row.panel}”."
    account_unlink(row=row, note=data["note"])
    return words


@admin.register(Customer)
class CustomerAdmin(ReadOnlyAdmin):
    """Clients of the billing systems."""

    empty = "Customers come with the first event of their subscription."
    list_display = ("email", "full_name", "connection", "billing_user_id", "email_verified")
    list_filter = ("connection",)
    search_fields = ("email_folded__startswith", "=billing_user_id", "=mark")
    search_help_text = "E-mail address (its beginning), billing user id or mark"
    ordering = ("-id",)
    list_select_related = ("connection",)

    @admin.display(description="Name")
    def full_name(self, row: Customer) -> str:
        """First and last name."""
        return f"{row.first_name} {row.last_name}".strip() or "-"

    def found(self, request: HttpRequest, pk: str, rows: QuerySet[Any] | None = None) -> Any:
        """One customer."""
        return super().found(request, pk, Customer.objects.select_related("connection"))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """The page of one customer: who, which services, which accounts."""
        row = self.found(request, object_id)
        services = selectors.services().filter(customer=row).select_related("product", "customer")
        return self.render(
            request,
            "customer.html",
            row.email,
            row,
            customer=row,
            services=[(item, selectors.word_of(item)) for item in services.order_by("-id")[:100]],
            accounts=row.accounts.select_related("panel")[:50],
        )


@admin.register(PanelAccount)
class PanelAccountAdmin(ActionsAdmin, ReadOnlyAdmin):
    """Customers' users on panels."""

    empty = "Accounts come with each customer's first server. Existing ones are linked on the panel's page."
    staff_actions = (
        StaffAction(
            "unlink",
            "Remove the link",
            "provisioning.delete_panelaccount",
            "The bridge forgets that this user on the panel is this customer's. The panel's user stays. With "
            "the customer's next order the account is looked for again, by the safe rules.",
            _unlink,
            form=UnlinkForm,
            danger=True,
        ),
    )

    list_display = ("who", "standing", "panel", "panel_user_id", "mark", "held_because")
    list_filter = ("state", "panel")
    search_fields = ("customer__email_folded__startswith", "=panel_user_id", "=mark")
    search_help_text = "E-mail address (its beginning), the panel's user id or mark"
    ordering = ("-id",)
    list_select_related = ("panel", "customer")
    fields = (
        "explanation",
        "customer",
        "panel",
        "standing",
        "held_because",
        "panel_user_id",
        "uuid",
        "mark",
        "email",
        "username",
        "created_by_us",
        "linked",
    )
    readonly_fields = fields

    @admin.display(description="Customer")
    def who(self, row: PanelAccount) -> str:
        """Whose account."""
        return row.customer.email

    @admin.display(description="State")
    def standing(self, row: PanelAccount) -> str:
        """Wanted, linked or held."""
        return badge(row.state, row.get_state_display())

    @admin.display(description="What this means")
    def explanation(self, row: PanelAccount) -> str:
        """In words."""
        words = {
            "held": HELD,
            "linked": "This user on the panel belongs to this customer.",
            "wanted": "The account is to be found or made with the customer's next server.",
        }
        return words[row.state]

    def row_url(self, row: PanelAccount) -> str:
        """The list: the row itself is gone."""
        return reverse("admin:provisioning_panelaccount_changelist")

    @admin.display(description="Linked")
    def linked(self, row: PanelAccount) -> str:
        """When."""
        return when(row.linked_at, "not yet")
