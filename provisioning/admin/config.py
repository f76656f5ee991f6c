"""What the pages of the set-up share: sentences instead of failed deletes, and an audit line per change."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from provisioning import audit
from provisioning.admin.actions import ActionsAdmin, acting_staff


class ConfigAdmin(ActionsAdmin):
    """A row of the set-up. What is in use is kept; who changed which fields stands in the audit."""

    actions = None

    def refusal(self, row: Any) -> str:
        """Why this row can't be deleted, and what to do instead; empty if it can."""
        return ""

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """Deletes, or says in a sentence why not."""
        words = self.refusal(self.found(request, object_id))
        if words and self.has_delete_permission(request):
            messages.error(request, words)
            address = reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=[object_id])
            return HttpResponseRedirect(address)
        answer: HttpResponse = super().delete_view(request, object_id, extra_context)
        return answer

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Saves and records who changed what, by the names of the fields: never their values."""
        super().save_model(request, obj, form, change)
        fields = ", ".join(form.changed_data) or "nothing"
        verb = f"changed ({fields})" if change else "added"
        self.tell(request, "changed" if change else "added", f"{self._kind()} “{obj}” was {verb}.")

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        """Deletes and records it."""
        name = str(obj)
        super().delete_model(request, obj)
        self.tell(request, "deleted", f"{self._kind()} “{name}” was deleted.")

    def tell(self, request: HttpRequest, verb: str, message: str) -> None:
        """One line in the audit under this person's name."""
        with acting_staff(request):
            audit.record(service=None, action=f"config.{self.opts.model_name}.{verb}"[:60], message=message)

    def _kind(self) -> str:
        return str(self.opts.verbose_name).capitalize()
