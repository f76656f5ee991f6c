"""API tokens, this installation, its heartbeats, and the people who may sign in."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, Permission, User
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from provisioning import audit
from provisioning.admin.actions import ActionForm, ActionsAdmin, Cleaned, StaffAction, acting_staff
from provisioning.admin.base import ReadOnlyAdmin, TitledList
from provisioning.admin.rights import manageable, may_manage
from provisioning.api.tokens import api_token_create
from provisioning.lib import clock
from provisioning.models import ApiToken, Heartbeat, Installation
from provisioning.reconcile.restored import restored_confirm
from provisioning.templatetags.bb import badge, when

TOKEN_DAYS = 365
OWN_APPS = ("auth", "provisioning", "upsell")
RIGHTS = ("is_superuser", "groups", "user_permissions")


class TokenForm(ActionForm):
    """Whose token, what for, until when."""

    user = forms.ChoiceField(help_text="The machine user; it sees what its rights allow.")
    name = forms.CharField(max_length=80, help_text="What will use it, for example Grafana.")
    days = forms.IntegerField(label="Valid for (days)", min_value=1, max_value=TOKEN_DAYS, initial=90)

    def prepare(self) -> None:
        """Offers active users who may not do more than the person who asks."""
        users = manageable(self.row).filter(is_active=True).order_by("username")[:200]
        self.fields["user"].choices = [(str(user.pk), str(user)) for user in users]  # type: ignore[attr-defined]


def _end_token(row: ApiToken, data: Cleaned, request: HttpRequest) -> str:
    ApiToken.objects.filter(pk=row.pk).update(ends_at=clock.now())
    audit.record(service=None, action="api_token_ended", message=f"API token “{row}” was ended.")
    return f"“{row}” is not accepted any more."


@admin.register(ApiToken)
class ApiTokenAdmin(ActionsAdmin, ReadOnlyAdmin):
    """Tokens of machine users: only a hash is kept."""

    empty = "A token lets a machine read over the API. Make a machine user first: manage.py create_api_token."
    list_display = ("name", "user", "ending", "ends", "used")
    search_fields = ("name", "=user__username")
    ordering = ("-id",)
    list_select_related = ("user",)
    fields = ("name", "user", "ending", "ends", "used", "created_at")
    readonly_fields = fields
    change_list_template = "admin/provisioning/apitoken_list.html"
    staff_actions = (
        StaffAction(
            "end",
            "End token",
            "provisioning.change_apitoken",
            "The token is refused from the next request on.",
            _end_token,
            danger=True,
            shown=lambda row: row.ends_at > clock.now(),
        ),
    )

    @admin.display(description="Token")
    def ending(self, row: ApiToken) -> str:
        """The last four characters."""
        return f"…{row.hint}"

    @admin.display(description="Ends")
    def ends(self, row: ApiToken) -> str:
        """When it is refused."""
        return when(row.ends_at)

    @admin.display(description="Last used")
    def used(self, row: ApiToken) -> str:
        """When it was last shown to us."""
        return when(row.last_used_at)

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        """The list, with the button that makes one."""
        may_add = request.user.has_perm("provisioning.add_apitoken")
        return super().changelist_view(request, {**(extra_context or {}), "may_make_token": may_add})

    def pages(self) -> list[tuple[str, str, Any]]:
        """The page that makes a token."""
        return [("make/", "provisioning_apitoken_make", self.make_view), *super().pages()]

    def make_view(self, request: HttpRequest) -> HttpResponse:
        """Makes a token and shows it once, in the answer to this very request."""
        if not request.user.has_perm("provisioning.add_apitoken"):
            raise PermissionDenied
        form = TokenForm(request.POST if request.method == "POST" else None, row=request.user)
        shown = self._make(request, form) if request.method == "POST" and form.is_valid() else ""
        return self.render(
            request,
            "secret.html",
            "New API token",
            form=form,
            secret=shown,
            done=bool(shown),
            what="token",
            lead="A token lets a machine read over the API. It is shown once, when it is made.",
            back=self.list_url(),
        )

    def _make(self, request: HttpRequest, form: TokenForm) -> str:
        data = form.cleaned_data
        ends_at = clock.now() + dt.timedelta(days=data["days"])
        user = User.objects.get(pk=data["user"])
        with acting_staff(request):
            return api_token_create(user=user, name=data["name"], ends_at=ends_at)[1]


class ConfirmIdForm(ActionForm):
    """The installation's name, typed."""

    name = forms.CharField(label="Type the installation's name")

    def prepare(self) -> None:
        """Says which name."""
        self.fields["name"].help_text = f"Type {settings.INSTALLATION_ID} to confirm."

    def clean_name(self) -> str:
        """The typed name. Refuses any other."""
        typed: str = self.cleaned_data["name"]
        if typed != settings.INSTALLATION_ID:
            raise forms.ValidationError(f"That is not the name. It is {settings.INSTALLATION_ID}.")
        return typed


def installation_observe(*, installation: Installation, observe_only: bool) -> None:
    """Stops all changes on all panels, or allows them again."""
    Installation.objects.filter(pk=installation.pk).update(observe_only=observe_only)
    words = "looks on only: no panel is changed" if observe_only else "may change panels again"
    audit.record(service=None, action="installation.observe", message=f"The installation {words}.")


def installation_adopt(*, installation: Installation) -> None:
    """Says that this database belongs to the installation that the environment names."""
    before = installation.installation_id
    Installation.objects.filter(pk=installation.pk).update(installation_id=settings.INSTALLATION_ID)
    message = f"This database belongs to “{settings.INSTALLATION_ID}” now; before, to “{before}”."
    audit.record(service=None, action="installation.adopt", message=message)


def _observe(row: Installation, data: Cleaned, request: HttpRequest) -> str:
    installation_observe(installation=row, observe_only=True)
    return "From now on panels are looked at and not changed. What is due waits."


def _work(row: Installation, data: Cleaned, request: HttpRequest) -> str:
    installation_observe(installation=row, observe_only=False)
    return "Panels are changed again. What waited goes on by itself."


def _adopt(row: Installation, data: Cleaned, request: HttpRequest) -> str:
    installation_adopt(installation=row)
    return f"This database belongs to “{settings.INSTALLATION_ID}” now."


def _go_on(row: Installation, data: Cleaned, request: HttpRequest) -> str:
    restored_confirm(installation=row)
    return "Panels are changed again. What waited is tried now."


@admin.register(Installation)
class InstallationAdmin(ActionsAdmin, ReadOnlyAdmin):
    """Which installation this database belongs to, and whether it only looks on."""

    list_display = ("installation_id", "standing", "made")
    fields = ("installation_id", "environment_id", "standing", "made")
    readonly_fields = fields
    staff_actions = (
        StaffAction(
            "observe",
            "Observe only",
            "provisioning.change_installation",
            "No panel is changed any more, whatever billing says, until you allow it again. Nothing is lost.",
            _observe,
            shown=lambda row: not row.observe_only,
        ),
        StaffAction(
            "work",
            "Allow changes",
            "provisioning.change_installation",
            "Everything that waited is done now, deletes included.",
            _work,
            form=ConfirmIdForm,
            danger=True,
            shown=lambda row: row.observe_only,
        ),
        StaffAction(
            "restored",
            "Go on after the restore",
            "provisioning.change_installation",
            "A backup of the database was restored. Press this when you have looked at what would be done: "
            "everything that waited is done now, deletes included.",
            _go_on,
            form=ConfirmIdForm,
            danger=True,
            fresh=True,
            shown=lambda row: row.restored_at is not None,
        ),
        StaffAction(
            "adopt",
            "This database is ours",
            "provisioning.change_installation",
            "Say this only if no other installation works with a copy of this database: two that change the "
            "same panels delete each other's servers.",
            _adopt,
            form=ConfirmIdForm,
            danger=True,
            shown=lambda row: row.installation_id != settings.INSTALLATION_ID,
        ),
    )

    @admin.display(description="State")
    def standing(self, row: Installation) -> str:
        """Whether panels are changed."""
        if row.restored_at:
            return badge("warning", "restored from a backup: changes nothing")
        return badge("warning", "observe only") if row.observe_only else badge("ok", "changes panels")

    @admin.display(description="Made")
    def made(self, row: Installation) -> str:
        """When the database was made."""
        return when(row.created_at)

    @admin.display(description="The environment says")
    def environment_id(self, row: Installation) -> str:
        """INSTALLATION_ID."""
        return settings.INSTALLATION_ID


@admin.register(Heartbeat)
class HeartbeatAdmin(ReadOnlyAdmin):
    """Which parts live."""

    empty = "Ticker, sweep and workers show here that they live. Start them with make run."
    list_display = ("name", "standing", "age", "holder", "note")
    ordering = ("name",)

    @admin.display(description="State")
    def standing(self, row: Heartbeat) -> str:
        """Whether it is late."""
        late = (clock.now() - row.beat_at).total_seconds() > settings.HEALTH_MAX_LAG_SECONDS
        return badge("problem", "late") if late else badge("ok", "lives")

    @admin.display(description="Last beat")
    def age(self, row: Heartbeat) -> str:
        """When."""
        return when(row.beat_at)


def own_rights() -> QuerySet[Permission]:
    """The rights that staff can be given."""
    rows = Permission.objects.filter(content_type__app_label__in=OWN_APPS)
    return rows.select_related("content_type").order_by("content_type__model", "codename")


admin.site.unregister(User)
admin.site.unregister(Group)


@admin.register(User)
class UserAdmin(TitledList, DjangoUserAdmin, ModelAdmin):  # type: ignore[misc,type-arg]
    """Staff and machine users."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    filter_horizontal = ()

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Rights on the project's own tables and on people: those of libraries give nothing here."""
        if db_field.name == "user_permissions":
            kwargs["queryset"] = own_rights()
        return super().formfield_for_manytomany(db_field, request, **kwargs)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Not those who may do more: a new password would be the way into their rights."""
        allowed: bool = super().has_change_permission(request, obj)
        return allowed and (obj is None or may_manage(request.user, obj))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Rights are handed out by superusers alone."""
        fields = tuple(super().get_readonly_fields(request, obj))
        return fields if request.user.is_superuser else (*fields, *RIGHTS)

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """People are deactivated: what they did stays under their name."""
        self.message_user(request, "Untick “active” instead: the audit keeps what this person did.", "error")
        return HttpResponseRedirect(reverse("admin:auth_user_change", args=[object_id]))

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """No bulk delete."""
        return {
            name: item for name, item in super().get_actions(request).items() if name != "delete_selected"
        }


@admin.register(Group)
class GroupAdmin(TitledList, DjangoGroupAdmin, ModelAdmin):  # type: ignore[misc]
    """Sets of rights, made by superusers alone: who changes a group changes what its members may do."""

    filter_horizontal = ()

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Superusers."""
        return bool(request.user.is_superuser)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Superusers."""
        return bool(request.user.is_superuser)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Superusers."""
        return bool(request.user.is_superuser)

    def formfield_for_manytomany(
        self, db_field: Any, request: HttpRequest | None = None, **kwargs: Any
    ) -> Any:
        """The same rights as a person can be given."""
        return super().formfield_for_manytomany(db_field, request, **{**kwargs, "queryset": own_rights()})
