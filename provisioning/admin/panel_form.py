"""The form of a panel: its key goes in and never comes out."""

from __future__ import annotations

import copy
from typing import Any

from django import forms
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldAdminSelectWidget

from provisioning.admin.product_fields import keys_of
from provisioning.admin.product_lists import PanelLists
from provisioning.choices import ItemKind
from provisioning.drivers import registry
from provisioning.drivers.errors import DriverError
from provisioning.exceptions import PanelWaiting
from provisioning.models import Panel
from provisioning.reconcile import panels

ALLOWANCES = {
    "deletes_hour_floor": "Deletes an hour",
    "deletes_hour_percent": "or % of its servers",
    "deletes_day_floor": "Deletes a day",
    "deletes_day_percent": "or % of its servers",
    "creates_hour_floor": "New servers an hour",
    "creates_hour_percent": "or % of its servers",
    "creates_day_floor": "New servers a day",
    "creates_day_percent": "or % of its servers",
}
"""The columns of the mass brakes, and what the form calls them."""

FIELDS = (
    "name",
    "driver",
    "url",
    "language",
    "identity_provider",
    "version",
    "observe_only",
    "retired",
    "rate_per_minute",
    *ALLOWANCES,
    "second_person",
    "allow_private",
    "allow_plain_http",
    "prefix_user_marks",
)
"""All that people may type, but the key: that field is not among them, so that no form can show it."""

ELSEWHERE = "Type the key again: the stored one is not sent to another address, nor over plain HTTP."
NO_PROVIDERS = (
    "The lists, read {} ago, have no place to sign in. If the panel has one, give the key the right to read "
    "OAuth providers, then press Refresh lists; or type its id. Blank: none."
)
ASKED_OF = frozenset({"language", "driver", "url"})
"""What decides whether the panel has the language."""


class PanelForm(forms.ModelForm):  # type: ignore[type-arg]
    """A panel. Its key goes in and never comes out."""

    new_key = forms.CharField(
        label="API key",
        required=False,
        strip=True,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "off"}),
    )

    warning = ""
    """What could not be checked."""

    class Meta:
        model = Panel
        fields = FIELDS
        labels = {**ALLOWANCES, "second_person": "A second person releases what is parked"}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Says what of the stored key may be said."""
        super().__init__(*args, **kwargs)
        self._offer_providers()
        field = self.fields.get("new_key")
        if field is None:
            return
        field.required = self.instance.pk is None
        hint = self.instance.key_hint if self.instance.pk else ""
        field.help_text = (
            f"The stored key ends in …{hint}. Leave empty to keep it." if hint else "Kept encrypted."
        )

    def _offer_providers(self) -> None:
        """Places to sign in are chosen by name, once the panel's lists have any (CAL-41)."""
        field, lists = self.fields.get("identity_provider"), PanelLists(self.instance)
        if field is None or self.instance.pk is None or not lists.offers(ItemKind.OAUTH_PROVIDER):
            return
        offered = lists.every(ItemKind.OAUTH_PROVIDER)
        if not offered:
            # The key may lack the right to list them: an id that people know can still be typed.
            field.help_text = NO_PROVIDERS.format(lists.age)
            return
        kept = lists.named(ItemKind.OAUTH_PROVIDER, keys_of(self.instance.identity_provider))
        names = {each.key: each.name for each in (*kept, *offered)}
        field.widget = UnfoldAdminSelectWidget(choices=[("", "---------"), *names.items()])
        field.help_text = f"Where customers sign in with billing's account. Lists read {lists.age} ago."

    def clean_new_key(self) -> str:
        """The key, if its shape can be right. The message never holds it."""
        key: str = self.cleaned_data["new_key"]
        driver = self.data.get("driver") or self.instance.driver
        if key and driver in dict(registry.driver_choices()):
            problem = registry.get(driver).key_problem(key)
            if problem:
                raise forms.ValidationError(problem)
        return key

    def clean(self) -> dict[str, Any]:
        """Refuses to carry the stored key to another address: who types the address must know the key."""
        data = super().clean() or {}
        if self.instance.pk and not data.get("new_key") and self._leads_elsewhere(data):
            self.add_error("new_key", ELSEWHERE)
        return data

    def _leads_elsewhere(self, data: dict[str, Any]) -> bool:
        moved = str(data.get("url", self.instance.url)).rstrip("/") != self.instance.url.rstrip("/")
        return moved or bool(data.get("allow_plain_http") and not self.instance.allow_plain_http)

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]
        if self.errors or self.instance.pk is None:
            # A new panel has no rate budget yet: it is asked once it is saved.
            return
        self._check_provider()
        if ASKED_OF.intersection(self.changed_data):
            for name, words in self._language_problems().items():
                self.add_error(name, words)

    def _check_provider(self) -> None:
        """A provider for several shops is refused; one that was there before stops no other change."""
        words = panels.provider_problem(self.instance)
        if words and "identity_provider" in self.changed_data:
            self.add_error("identity_provider", words)
        elif words:
            self._warn(f"{panels.NOBODY_SIGNS_IN} {words}")

    def check_new(self) -> None:
        """Asks a panel that has just been saved for the first time; what it says is a warning (CAL-10)."""
        for words in self._language_problems().values():
            self._warn(words)

    def _language_problems(self) -> dict[str, str]:
        row = copy.copy(self.instance)
        # Another address must never see the stored key.
        row.api_key = self.cleaned_data.get("new_key") or row.api_key
        try:
            return panels.check_row(row)
        except (DriverError, PanelWaiting) as error:
            self._warn(f"The panel could not be asked about its language: {error.detail}")
            return {}

    def _warn(self, words: str) -> None:
        self.warning = f"{self.warning} {words}".strip()

    def save(self, commit: bool = True) -> Any:
        """Takes the new key over, if there is one."""
        if self.cleaned_data.get("new_key"):
            self.instance.api_key = self.cleaned_data["new_key"]
        return super().save(commit)
