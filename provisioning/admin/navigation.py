"""The sidebar, and what the theme asks us for. Named in settings.UNFOLD by dotted path."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse

GROUPS: tuple[tuple[str, tuple[tuple[str, str, str], ...]], ...] = (
    (
        "Work",
        (
            ("Services", "dns", "service"),
            ("Operations", "account_tree", "operation"),
            ("Events", "inbox", "event"),
            ("Drift", "difference", "drift"),
            ("Customers", "group", "customer"),
            ("Panel accounts", "badge", "panelaccount"),
        ),
    ),
    (
        "Set-up",
        (
            ("Panels", "lan", "panel"),
            ("Products", "inventory_2", "product"),
            ("Grace policies", "event_upcoming", "gracepolicy"),
            ("Billing connections", "receipt_long", "billingconnection"),
            ("Webhook endpoints", "webhook", "webhookendpoint"),
            ("API tokens", "key", "apitoken"),
        ),
    ),
    (
        "Records",
        (
            ("Audit", "history_edu", "auditentry"),
            ("Changes", "edit_note", "logentry"),
            ("Mails", "mail", "notification"),
            ("Heartbeats", "monitor_heart", "heartbeat"),
            ("Installation", "home_storage", "installation"),
        ),
    ),
)


OF_OTHERS: dict[str, tuple[str, str]] = {"logentry": ("auditlog", "provisioning.view_auditentry")}
"""Models of libraries that stand in the sidebar: app and the right to look at them."""

NAMES = {model: title for _, items in GROUPS for title, _, model in items} | {"user": "Staff"}
"""What each model is called wherever people read it: in the sidebar, above its list, on the way back."""


def name_of(opts: Any) -> str:
    """The name of a model's list."""
    return NAMES.get(opts.model_name, str(opts.verbose_name_plural).capitalize())


def sidebar(request: HttpRequest) -> list[dict[str, Any]]:
    """The groups of the sidebar, each item only for those who may see its model."""
    dashboard = {"title": "Dashboard", "icon": "space_dashboard", "link": reverse("admin:index")}
    groups: list[dict[str, Any]] = [{"title": "", "items": [dashboard]}]
    for title, items in GROUPS:
        shown = [_item(*item) for item in items if request.user.has_perm(_app_and_right(item[2])[1])]
        if shown:
            groups.append({"title": title, "separator": True, "items": shown})
    if request.user.has_perm("auth.view_user"):
        people = {"title": "Staff", "icon": "shield_person", "link": reverse("admin:auth_user_changelist")}
        groups.append({"title": "", "separator": True, "items": [people]})
    return groups


def _item(title: str, icon: str, model: str) -> dict[str, str]:
    app = _app_and_right(model)[0]
    return {"title": title, "icon": icon, "link": reverse(f"admin:{app}_{model}_changelist")}


def _app_and_right(model: str) -> tuple[str, str]:
    return OF_OTHERS.get(model, ("provisioning", f"provisioning.view_{model}"))


def favicon(request: HttpRequest) -> str:
    """The project's mark."""
    return static("img/mark.svg")


def stylesheet(request: HttpRequest) -> str:
    """Our own few rules beside the theme's."""
    return static("admin_bb/admin.css")
