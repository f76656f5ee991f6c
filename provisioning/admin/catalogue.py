"""Billing connections and grace policies."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db import transaction
from django.db.models import Max
from django.http import HttpRequest

from provisioning.admin.base import PlainInline
from provisioning.admin.config import ConfigAdmin
from provisioning.admin.spans import SpanField, span_text
from provisioning.models import BillingConnection, GracePolicy, GracePolicyVersion, Service
from provisioning.selectors import capped
from provisioning.templatetags.bb import when

WINDOWS = ("warn_after", "suspend_after", "undo_window")


@admin.register(BillingConnection)
class BillingConnectionAdmin(ConfigAdmin):
    """Installations of billing systems."""

    empty = "A billing connection is one installation of your billing system."
    list_display = ("name", "key", "made")
    search_fields = ("name", "key")
    ordering = ("name",)
    fields = ("name", "key")

    @admin.display(description="Added", ordering="created_at")
    def made(self, row: BillingConnection) -> str:
        """When."""
        return when(row.created_at)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """The key is final: servers on panels carry it."""
        return ("key",) if obj else ()

    def refusal(self, row: BillingConnection) -> str:
        """A connection that anything came from is kept."""
        if row.customers.exists() or row.products.exists() or row.endpoints.exists():
            return f"“{row}” has products, customers or endpoints. Disable its endpoints instead."
        return ""


class GracePolicyForm(forms.ModelForm):  # type: ignore[type-arg]
    """A policy with the windows of its version in force."""

    warn_after = SpanField(help_text="From the first failed payment to the warning mail. 0 s: at once.")
    suspend_after = SpanField(help_text="From the first failed payment to the suspension.")
    undo_window = SpanField(
        help_text="From the end of a service to its deletion. Until then it can be undone."
    )

    class Meta:
        model = GracePolicy
        fields = ("name",)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Shows the version in force."""
        super().__init__(*args, **kwargs)
        version = self.instance.current() if self.instance.pk else GracePolicyVersion()
        for name in WINDOWS:
            self.initial.setdefault(name, getattr(version, name))

    def clean(self) -> dict[str, Any]:
        """Refuses a warning that comes after what it warns of."""
        data = super().clean() or {}
        warn, suspend = data.get("warn_after"), data.get("suspend_after")
        if warn is not None and suspend is not None and warn > suspend:
            self.add_error("warn_after", "The warning must come before the suspension.")
        return data

    @property
    def windows_changed(self) -> bool:
        """Whether a new version is needed."""
        return any(name in self.changed_data for name in WINDOWS)


@transaction.atomic
def policy_version_add(*, policy: GracePolicy, windows: dict[str, Any]) -> GracePolicyVersion:
    """Adds the next version; the ones before stay as they are, for the grace periods that run under them."""
    GracePolicy.objects.select_for_update().get(pk=policy.pk)
    last = policy.versions.aggregate(last=Max("number"))["last"] or 0
    return GracePolicyVersion.objects.create(policy=policy, number=last + 1, **windows)


class VersionInline(PlainInline):
    """The versions: made by saving a change above, never changed, for running grace periods stand on them."""

    model = GracePolicyVersion
    fields = ("number", "windows", "made")
    readonly_fields = fields
    ordering = ("-number",)
    verbose_name_plural = "Versions"

    @admin.display(description="Windows")
    def windows(self, row: GracePolicyVersion) -> str:
        """In words."""
        return (
            f"warn after {span_text(row.warn_after)}, suspend after {span_text(row.suspend_after)}, "
            f"delete {span_text(row.undo_window)} after the end"
        )

    @admin.display(description="Since")
    def made(self, row: GracePolicyVersion) -> str:
        """When it came into force."""
        return when(row.created_at)


@admin.register(GracePolicy)
class GracePolicyAdmin(ConfigAdmin):
    """When an unpaid service is warned and suspended, and how long an end can be undone."""

    empty = "A grace policy says when an unpaid service is suspended, and for how long an end can be undone."
    form = GracePolicyForm
    list_display = ("name", "in_force")
    search_fields = ("name",)
    ordering = ("name",)
    fields = ("name", *WINDOWS, "used_by")
    readonly_fields = ("used_by",)
    inlines = (VersionInline,)

    @admin.display(description="In force")
    def in_force(self, row: GracePolicy) -> str:
        """The newest version in words."""
        version = row.current()
        return f"v{version.number}: suspend after {span_text(version.suspend_after)}"

    @admin.display(description="Who a change hits")
    def used_by(self, row: GracePolicy | None) -> str:
        """How many services use it, and how many keep their version because a period has begun."""
        if row is None or row.pk is None:
            return "Nobody yet."
        using = Service.objects.filter(product__grace_policy=row, terminated_at=None)
        return (
            f"{capped(using)} services use this policy. {capped(using.filter(policy__isnull=False))} of them "
            "are in a grace period or undo window that has begun: they keep the version they began with."
        )

    def get_inlines(self, request: HttpRequest, obj: Any) -> Any:
        """A new policy has no versions yet."""
        return super().get_inlines(request, obj) if obj else ()

    def refusal(self, row: GracePolicy) -> str:
        """A policy in use is kept."""
        return f"Products use “{row}”. Give them another policy first." if row.products.exists() else ""

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Saves the name; changed windows become a new version."""
        super().save_model(request, obj, form, change)
        if change and not form.windows_changed:
            return
        windows = {name: form.cleaned_data[name] for name in WINDOWS}
        version = policy_version_add(policy=obj, windows=windows)
        self.tell(request, "version", f"Grace policy {version} is in force for what becomes due from now on.")
        messages.info(request, self.used_by(obj))
