"""What staff may press on a service's page: each calls one writer of `lifecycle.staff` (T83-43)."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Any

from django import forms
from django.http import HttpRequest

from provisioning.admin.actions import ActionForm, Cleaned, StaffAction, TypedNameForm
from provisioning.admin.product_follow import lines_between
from provisioning.choices import STAFF_REASONS, DesiredState, Outcome, Resource, SuspendReason
from provisioning.exceptions import TransitionError
from provisioning.lib import clock
from provisioning.lifecycle import staff
from provisioning.lifecycle.policy import decide
from provisioning.lifecycle.product_versions import service_follow, version_shows
from provisioning.lifecycle.refresh import facts_of
from provisioning.models import Operation, Service
from provisioning.selectors import newest_of

WATCH = "Watch the timeline: it says when the panel has confirmed it."
ENDED_WELL = (Outcome.SUCCEEDED, Outcome.UNCHANGED, Outcome.SUPERSEDED, Outcome.SKIPPED)


class SuspendForm(ActionForm):
    """Why, and a note for colleagues."""

    reason = forms.ChoiceField(choices=[(reason.value, reason.label) for reason in STAFF_REASONS])
    note = forms.CharField(
        required=False, max_length=300, help_text="For your colleagues; customers don't see it."
    )


class HoldForm(ActionForm):
    """A date, or none."""

    until = forms.DateField(
        required=False,
        widget=forms.DateInput(attrs={"type": "date", "class": "bb-input"}),
        help_text="Not suspended as overdue before this day begins (UTC). Empty: take the hold away.",
    )


class PinForm(ActionForm):
    """Which limit, and to what."""

    resource = forms.ChoiceField(choices=Resource.choices)
    value = forms.IntegerField(
        help_text="In the unit that the list names. 0 means unlimited for memory, disk and CPU."
    )
    note = forms.CharField(required=False, max_length=300)


class UnpinForm(ActionForm):
    """Which of the pins."""

    resource = forms.ChoiceField()

    def prepare(self) -> None:
        """Offers the pins that there are."""
        pins = [(pin.resource, str(pin)) for pin in self.row.pins.all()]
        self.fields["resource"].choices = pins  # type: ignore[attr-defined]


class RelinkForm(TypedNameForm):
    """Which server on the panel; the name is typed because another server's data is at stake."""

    server_id = forms.CharField(
        label="Server id on the panel",
        max_length=60,
        help_text="As in the address of its page in the panel's admin area: a number, or the whole uuid.",
    )
    field_order = ("server_id", "name")


class SkipForm(ActionForm):
    """What was done by hand."""

    note = forms.CharField(max_length=300, help_text="What you did by hand, or why it need not be done.")


def _suspend(row: Service, data: Cleaned, request: HttpRequest) -> str:
    staff.service_suspend(service=row, reason=SuspendReason(data["reason"]), note=data["note"])
    return f"{row} is to be suspended. {WATCH}"


def _unsuspend(row: Service, data: Cleaned, request: HttpRequest) -> str:
    staff.service_unsuspend(service=row)
    row.refresh_from_db()
    if row.desired_state == DesiredState.SUSPENDED:
        return "The suspension by staff is lifted. The service stays suspended: billing demands it."
    return f"{row} is to run again. {WATCH}"


def _terminate(row: Service, data: Cleaned, request: HttpRequest) -> str:
    staff.service_terminate(service=row)
    row.refresh_from_db()
    until = f"{row.undo_until:%d %b %Y %H:%M} UTC" if row.undo_until else "staff decide"
    return f"{row} has ended. Its server is suspended now, kept until {until}, and can be undone until then."


def _undo_outlook(row: Service) -> str:
    """Until when an end that is pressed now can be undone, by the very rule that would set it."""
    now = clock.now()
    decision = decide(dataclasses.replace(facts_of(row), ended_by_staff_at=now), now)
    if decision.undo_until is None:
        return ""
    return f"If you press it now, it can be undone until {decision.undo_until:%d %b %Y %H:%M} UTC."


def _undo(row: Service, data: Cleaned, request: HttpRequest) -> str:
    staff.service_undo(service=row)
    return f"The end of {row} is undone. {WATCH}"


def _retry(row: Service, data: Cleaned, request: HttpRequest) -> str:
    staff.service_retry(service=row)
    return f"{row} is tried again now. {WATCH}"


def _hold(row: Service, data: Cleaned, request: HttpRequest) -> str:
    day = data["until"]
    until = dt.datetime.combine(day, dt.time(), dt.UTC) if day else None
    staff.service_hold(service=row, until=until)
    return f"{row} is not suspended as overdue before {day:%d %b %Y}." if day else "The hold is taken away."


def _pin(row: Service, data: Cleaned, request: HttpRequest) -> str:
    resource = Resource(data["resource"])
    staff.service_pin(service=row, resource=resource, value=data["value"], note=data["note"])
    return f"{resource.label} is pinned to {data['value']}. {WATCH}"


def _unpin(row: Service, data: Cleaned, request: HttpRequest) -> str:
    resource = Resource(data["resource"])
    staff.service_unpin(service=row, resource=resource)
    return f"The pin on {resource.label} is removed: product and add-ons decide again."


def _follow(row: Service, data: Cleaned, request: HttpRequest) -> str:
    version = service_follow(service=row)
    return f"{row} follows its product to {version}; the timeline shows each step."


def _is_behind(row: Service) -> bool:
    product = row.product
    return product is not None and _not_gone(row) and not version_shows(row.product_version, product)


def _follow_outlook(row: Service) -> str:
    if row.product is None or row.product_version is None:
        return ""
    return "; ".join(lines_between(row.product_version, row.product)) + "."


def _relink(row: Service, data: Cleaned, request: HttpRequest) -> str:
    staff.service_relink(service=row, server_id=data["server_id"].strip())
    return f"Server {data['server_id']} is read now. It is taken only if its mark and owner fit. {WATCH}"


def _recreate(row: Service, data: Cleaned, request: HttpRequest) -> str:
    staff.service_recreate(service=row)
    return f"A new server is to be made for {row}. {WATCH}"


def operation_skip(row: Operation, data: Cleaned, request: HttpRequest) -> str:
    """Closes an operation by staff's word. Raises TransitionError if it has ended."""
    staff.operation_skip(operation=row, note=data["note"])
    return f"{row.number} is closed: skipped."


def _skip_newest(row: Service, data: Cleaned, request: HttpRequest) -> str:
    newest = row.operations.order_by("-id").first()
    if newest is None:
        raise TransitionError("There is no operation to skip.")
    return operation_skip(newest, data, request)


def can_skip(operation: Operation | None) -> bool:
    """Whether an operation is still open, or waits for a person."""
    return operation is not None and operation.outcome not in ENDED_WELL


def _server_is_missing(row: Service) -> bool:
    """Only then may a new one be made: dropping the link to a server that runs would orphan it."""
    newest = newest_of(row)
    return newest is not None and newest.reason == "server_missing"


def _not_gone(row: Service) -> bool:
    return row.terminated_at is None


def _staff_suspended(row: Service) -> bool:
    return any(reason in row.suspend_reasons for reason in STAFF_REASONS)


def _has_newest_to_skip(row: Service) -> bool:
    return can_skip(newest_of(row))


def _action(slug: str, label: str, right: str, effect: str, run: Any, **more: Any) -> StaffAction:
    return StaffAction(slug, label, f"provisioning.act_{right}", effect, run, **more)


ACTIONS: tuple[StaffAction, ...] = (
    _action(
        "suspend",
        "Suspend service",
        "suspend",
        "The server is stopped and cannot be started until staff lift this. A payment does not lift it. "
        "Nothing is deleted.",
        _suspend,
        form=SuspendForm,
        shown=_not_gone,
    ),
    _action(
        "unsuspend",
        "Lift suspension",
        "suspend",
        "Every reason that staff set is lifted. What billing demands (overdue, cancelled) stays.",
        _unsuspend,
        shown=_staff_suspended,
    ),
    _action(
        "retry",
        "Try again now",
        "retry",
        "What waits is tried at once; what has ended is looked at once more.",
        _retry,
        shown=_not_gone,
    ),
    _action(
        "skip",
        "Skip operation",
        "retry",
        "The newest operation is closed without touching the panel. Do this when you did the work by hand.",
        _skip_newest,
        form=SkipForm,
        shown=_has_newest_to_skip,
    ),
    _action(
        "hold",
        "Hold",
        "suspend",
        "An unpaid service keeps running until a date that you choose.",
        _hold,
        form=HoldForm,
        shown=_not_gone,
    ),
    _action(
        "pin",
        "Pin a limit",
        "limits",
        "The limit that you type wins over product, options and add-ons until the pin is removed.",
        _pin,
        form=PinForm,
        shown=_not_gone,
    ),
    _action(
        "unpin",
        "Remove a pin",
        "limits",
        "Product, options and add-ons decide on this limit again.",
        _unpin,
        form=UnpinForm,
        shown=lambda row: bool(row.pins.all()),
    ),
    _action(
        "follow",
        "Follow the product",
        "limits",
        "The service was sold an older version of its product and gets the newest one. If that is on another "
        "panel, nothing is moved: move the server by hand, then link it.",
        _follow,
        shown=_is_behind,
        outlook=_follow_outlook,
    ),
    _action(
        "relink",
        "Link or adopt a server",
        "relink",
        "You say which server on the panel belongs to this service. It is read first, and refused if it "
        "carries another mark or belongs to another customer. From then on it may be changed and, "
        "at the end, deleted by the bridge.",
        _relink,
        form=RelinkForm,
        shown=lambda row: row.product_id is not None,
    ),
    _action(
        "recreate",
        "Make a new server",
        "relink",
        "Only if the server is gone for good: its link is dropped and an empty one is made. "
        "The data of the old one is not brought back.",
        _recreate,
        form=TypedNameForm,
        danger=True,
        shown=_server_is_missing,
    ),
    _action(
        "undo",
        "Undo the end",
        "terminate",
        "The service is wanted again and the server is started. Works as long as nothing was deleted.",
        _undo,
        shown=lambda row: row.ended_at is not None and row.terminated_at is None,
    ),
    _action(
        "terminate",
        "Terminate service",
        "terminate",
        "The service ends now: its server is suspended at once and deleted with all its files when the undo "
        "window is over. Until then “Undo the end” brings it back.",
        _terminate,
        form=TypedNameForm,
        danger=True,
        shown=lambda row: row.terminated_at is None and row.terminated_by_staff_at is None,
        outlook=_undo_outlook,
    ),
)
