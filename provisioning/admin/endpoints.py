"""Webhook endpoints and their secrets: shown once when made, two valid while one replaces the other."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from provisioning import audit
from provisioning.admin.actions import ActionForm, StaffAction, acting_staff
from provisioning.admin.base import PlainInline
from provisioning.admin.config import ConfigAdmin
from provisioning.admin.spans import SpanField
from provisioning.choices import SignatureScheme
from provisioning.lib import clock
from provisioning.lib.netlist import parse_networks
from provisioning.models import EndpointSecret, WebhookEndpoint
from provisioning.templatetags.bb import when
from provisioning.webhooks.signatures import decode_secret, generate_secret

SHORTEST_HMAC = 24


class EndpointForm(forms.ModelForm):  # type: ignore[type-arg]
    """An endpoint; its networks are read once here, so that a typing error shuts nobody out at night."""

    class Meta:
        model = WebhookEndpoint
        fields = ("connection", "name", "scheme", "hmac_header", "networks", "verifies_email", "enabled")
        labels = {"scheme": "Signature", "hmac_header": "HMAC header"}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """A list of networks is short."""
        super().__init__(*args, **kwargs)
        if "networks" in self.fields:
            self.fields["networks"].widget.attrs["rows"] = 4

    def clean_networks(self) -> str:
        """The list as typed, if it can be read."""
        text: str = self.cleaned_data["networks"]
        try:
            parse_networks(text)
        except ValueError as error:
            raise forms.ValidationError(str(error)) from error
        return text


class SecretForm(ActionForm):
    """A new secret: made by us, or brought by the billing system."""

    own = forms.CharField(
        label="Secret of the sender",
        required=False,
        widget=forms.PasswordInput(),
        help_text="Empty: we make one. Fill it in if the billing system has made one already.",
    )
    old_ends = SpanField(
        label="The present secrets end in",
        initial=dt.timedelta(days=1),
        help_text="Time to change the secret at the sender. 0 s: they end now.",
    )

    def prepare(self) -> None:
        """A password field keeps its look: nothing typed is ever shown."""
        if not valid_secrets(self.row).exists():
            self.fields["old_ends"].required = False
            self.fields["old_ends"].widget = forms.HiddenInput()

    def clean_own(self) -> str:
        """The sender's secret, if it is strong enough. The message never holds it."""
        own: str = self.cleaned_data["own"].strip()
        if own and self.row.scheme == SignatureScheme.STANDARD:
            try:
                decode_secret(own)
            except ValueError as error:
                raise forms.ValidationError(str(error)) from error
        elif own and len(own) < SHORTEST_HMAC:
            raise forms.ValidationError(f"Use at least {SHORTEST_HMAC} characters.")
        return own


def valid_secrets(endpoint: WebhookEndpoint) -> Any:
    """The secrets that are accepted now."""
    return endpoint.secrets.filter(Q(ends_at=None) | Q(ends_at__gt=clock.now()))


@transaction.atomic
def endpoint_secret_add(*, endpoint: WebhookEndpoint, value: str, old_ends: dt.timedelta) -> EndpointSecret:
    """Adds a secret and gives those before it an end. At most two are valid: older ones end now."""
    now = clock.now()
    WebhookEndpoint.objects.select_for_update().get(pk=endpoint.pk)
    valid = list(valid_secrets(endpoint).order_by("-id"))
    for number, secret in enumerate(valid):
        ends = now + old_ends if number == 0 else now
        secret.ends_at = min(ends, secret.ends_at or ends)
        secret.save(update_fields=["ends_at"])
    made = EndpointSecret.objects.create(endpoint=endpoint, value=value)
    audit.record(
        service=None,
        action="endpoint.secret",
        message=f"A new secret ({made}) was added to endpoint “{endpoint}”; {len(valid)} older got an end.",
    )
    return made


def _end_old(row: WebhookEndpoint, data: Any, request: HttpRequest) -> str:
    newest = valid_secrets(row).order_by("-id").first()
    count = valid_secrets(row).exclude(pk=newest.pk if newest else None).update(ends_at=clock.now())
    audit.record(
        service=None, action="endpoint.secret", message=f"{count} old secrets of “{row}” were ended."
    )
    return f"{count} old secrets are ended; only the newest is accepted."


class SecretInline(PlainInline):
    """The secrets by their last four characters; each was shown once, when it was made."""

    model = EndpointSecret
    fields = ("end_of_it", "made", "ends")
    readonly_fields = fields
    ordering = ("-id",)
    verbose_name_plural = "Secrets"

    @admin.display(description="Secret")
    def end_of_it(self, row: EndpointSecret) -> str:
        """The last four characters."""
        return str(row)

    @admin.display(description="Made")
    def made(self, row: EndpointSecret) -> str:
        """When."""
        return when(row.created_at)

    @admin.display(description="Ends")
    def ends(self, row: EndpointSecret) -> str:
        """When, if ever."""
        return when(row.ends_at, "no end")


@admin.register(WebhookEndpoint)
class WebhookEndpointAdmin(ConfigAdmin):
    """Addresses that billing systems post to."""

    empty = (
        "A webhook endpoint is an address that your billing system posts to. Add a billing connection first."
    )
    form = EndpointForm
    list_display = ("name", "connection", "scheme", "enabled", "verifies_email", "secret_count")
    list_filter = ("connection", "scheme", "enabled")
    search_fields = ("name",)
    ordering = ("name",)
    list_select_related = ("connection",)
    inlines = (SecretInline,)
    change_form_outer_before_template = "admin/provisioning/endpoint_before.html"
    staff_actions = (
        StaffAction(
            "end-old",
            "End old secrets",
            "provisioning.change_webhookendpoint",
            "Only the newest secret is accepted from now on. Do this once the sender uses it.",
            _end_old,
            shown=lambda row: valid_secrets(row).count() > 1,
        ),
    )

    @admin.display(description="Secrets")
    def secret_count(self, row: WebhookEndpoint) -> str:
        """How many are stored."""
        return str(row.secrets.count())

    def get_inlines(self, request: HttpRequest, obj: Any) -> Any:
        """A new endpoint has no secrets yet."""
        return super().get_inlines(request, obj) if obj else ()

    def refusal(self, row: WebhookEndpoint) -> str:
        """An endpoint that received anything is kept."""
        return f"“{row}” has received events. Untick “enabled” instead." if row.events.exists() else ""

    def above(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        """What can be pressed, and the address to copy."""
        return super().above(request, row) | {
            "endpoint": row,
            "address": settings.PUBLIC_URL + reverse("webhook", args=[row.address]),
            "may_change": self.has_change_permission(request, row),
        }

    def pages(self) -> list[tuple[str, str, Any]]:
        """The page that makes a secret."""
        return [
            ("<str:pk>/secret/", "provisioning_webhookendpoint_secret", self.secret_view),
            *super().pages(),
        ]

    def secret_view(self, request: HttpRequest, pk: str) -> HttpResponse:
        """Makes a secret and shows it once, in the answer to this very request."""
        row = self.found(request, pk)
        if not self.has_change_permission(request, row):
            raise PermissionDenied
        form = SecretForm(request.POST if request.method == "POST" else None, row=row)
        shown = ""
        if request.method == "POST" and form.is_valid():
            value = form.cleaned_data["own"] or generate_secret()
            shown = "" if form.cleaned_data["own"] else value
            ends = form.cleaned_data["old_ends"] or dt.timedelta(0)
            with acting_staff(request):
                endpoint_secret_add(endpoint=row, value=value, old_ends=ends)
            form = SecretForm(None, row=row)
            return self._secret_page(request, row, form, shown, done=True)
        return self._secret_page(request, row, form, shown, done=False)

    def _secret_page(
        self, request: HttpRequest, row: WebhookEndpoint, form: SecretForm, shown: str, *, done: bool
    ) -> HttpResponse:
        return self.render(
            request,
            "secret.html",
            f"New secret: {row}",
            row,
            form=form,
            secret=shown,
            done=done,
            what="secret",
            lead="The secret by which the sender signs. It is shown once, when it is made, and never again.",
            back=self.row_url(row),
        )
