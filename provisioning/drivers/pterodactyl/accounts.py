"""A customer's account on the panel, by the safe rules: nobody is linked to a stranger (DESIGN rule 6).

POST first, look only after a conflict. Looked for by our mark, then by the exact, case-folded, whole e-mail
over all pages; never by user name, never onto an administrator. Nothing sends a password: the panel mails its
own set-password link. A lost answer is harmless, because the next try meets the mark.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from provisioning.drivers.errors import AccountHeld, Conflict, Rejected, Unknown
from provisioning.drivers.pterodactyl import reading
from provisioning.drivers.pterodactyl.client import Client, path
from provisioning.drivers.trouble import NotThere
from provisioning.drivers.types import Account, AccountWant
from provisioning.lib.names import fold_email, panel_username, person_name

PAGE = 100
NAME_TRIES = 4
_SAFE = re.compile(r"[A-Za-z0-9.@+-]+")


class Accounts:
    """The users of one panel."""

    def __init__(self, client: Client) -> None:
        """Works on one panel for one job."""
        self._client = client

    def all(self) -> list[Account]:
        """Every user, over all pages."""
        items = self._client.pages("user", path("users"), {"sort": "id"}, size=PAGE)
        return [reading.account(item) for item in items]

    def ensure(self, want: AccountWant) -> Account:
        """Makes the account, or finds it after a conflict (CAL-05, CAL-06). Raises AccountHeld, Rejected."""
        for username in _usernames(want):
            try:
                return self._create(_create_body(want, username))
            except Conflict as conflict:
                if conflict.fields != ("username",):
                    return self._existing(want, conflict)
        raise AccountHeld(f"The panel refuses every user name that we tried, as taken, for {want.email}.")

    def _create(self, body: dict[str, Any]) -> Account:
        try:
            data = self._client.write("user", "POST", path("users"), body)
        except Rejected as refusal:
            if refusal.fields != ("language",):
                raise
            # A stock panel has English only; the account matters more than its language.
            without = {name: value for name, value in body.items() if name != "language"}
            data = self._client.write("user", "POST", path("users"), without)
        return _marked(reading.account(data, created=True), body["external_id"])

    def _existing(self, want: AccountWant, conflict: Conflict) -> Account:
        ours = self._by_mark(want.mark)
        if ours is not None:
            return _no_admin(ours)
        match = self._by_email(want.email) if "email" in conflict.fields else None
        if match is None:
            raise Unknown(f"The panel says “{conflict.detail}”, but shows no such account.", maybe_done=False)
        _check_linkable(match, want)
        return self._link(match, want)

    def _by_mark(self, mark: str) -> Account | None:
        data = self._client.find("user", path("users", "external", mark))
        found = reading.account(data) if data is not None else None
        if found is not None and found.mark != mark:
            # The panel's database takes “a7” and “A7” for the same: such an account is somebody else's.
            raise AccountHeld(
                f"Panel user {found.id} has the external id “{found.mark}”, "
                f"which the panel takes for “{mark}”. Change one of them by hand."
            )
        return found

    def _by_email(self, email: str) -> Account | None:
        """The one account whose whole address is equal; the panel's filter is a partial match (trap 3)."""
        needle = max(_SAFE.findall(email), key=len, default="")
        if not needle:
            # An empty filter would show everybody (trap 3).
            raise Rejected("The customer has no usable e-mail address.", fields=("email",))
        params = {"filter[email]": needle, "sort": "id"}
        items = self._client.pages("user", path("users"), params, size=PAGE)
        wanted = fold_email(email)
        exact = [found for found in map(reading.account, items) if fold_email(found.email) == wanted]
        if len(exact) > 1:
            raise AccountHeld(f"Several panel users have the address {email}. Link the right one by hand.")
        return exact[0] if exact else None

    def _link(self, found: Account, want: AccountWant) -> Account:
        body = {**_unchanged(found), "external_id": want.mark}
        return self._patch(found.id, body, want)

    def update(self, account_id: str, want: AccountWant) -> Account:
        """Carries e-mail, names and mark over. Raises AccountHeld for an admin, a stranger, a conflict."""
        try:
            data = self._client.get("user", path("users", account_id))
        except NotThere as error:
            raise AccountHeld(f"Panel user {account_id} is gone. Link the customer again.") from error
        found = _no_admin(reading.account(data))
        _check_ours(found, account_id, want)
        body = _update_body(found, want)
        if body == {**_unchanged(found), "external_id": found.mark}:
            return found
        return self._patch(found.id, body, want)

    def _patch(self, account_id: str, body: dict[str, Any], want: AccountWant) -> Account:
        try:
            data = self._client.write("user", "PATCH", path("users", account_id), body)
        except Conflict as conflict:
            raise AccountHeld(
                f"Panel user {account_id} can't become {want.email}: {conflict.detail} "
                "Another account has it. Decide which one is the customer's."
            ) from conflict
        return _marked(reading.account(data), want.mark)


def _usernames(want: AccountWant) -> Iterator[str]:
    """The wished user name, then others that are the same in each try."""
    yield want.username or panel_username(want.email, want.mark)
    for number in range(2, NAME_TRIES + 1):
        yield panel_username(want.email, f"{want.mark}#{number}")


def _create_body(want: AccountWant, username: str) -> dict[str, Any]:
    # The external id is a text (trap 17). Without a password the panel mails its set-password link.
    body = {
        "email": want.email,
        "external_id": str(want.mark),
        "username": username,
        "first_name": person_name(want.first_name, username),
        "last_name": person_name(want.last_name, "-"),
    }
    return {**body, "language": want.language} if want.language else body


def _unchanged(found: Account) -> dict[str, Any]:
    """What a PATCH must repeat, because it isn't partial: left out, it is refused (contract section 3)."""
    return {
        "email": found.email,
        "username": found.username,
        "first_name": person_name(found.first_name, found.username),
        "last_name": person_name(found.last_name, "-"),
    }


def _update_body(found: Account, want: AccountWant) -> dict[str, Any]:
    return {
        "email": want.email,
        "username": found.username,
        "first_name": person_name(want.first_name, found.first_name or found.username),
        "last_name": person_name(want.last_name, found.last_name or "-"),
        "external_id": want.mark,
    }


def _check_linkable(found: Account, want: AccountWant) -> None:
    who = f"Panel user {found.id} ({found.username}) has the address {want.email}"
    if found.is_admin:
        raise AccountHeld(f"{who} and is an administrator of the panel: it is never given to a customer.")
    if found.mark and found.mark != want.former_mark:
        raise AccountHeld(f"{who}, but belongs to another customer (external id “{found.mark}”).")
    if not want.email_verified:
        raise AccountHeld(
            f"{who}, but billing doesn't say that the customer's address is verified. "
            "Make sure that it is theirs, then link the account by hand."
        )


def _check_ours(found: Account, account_id: str, want: AccountWant) -> None:
    if found.id != account_id:
        raise Unknown(f"Asked for panel user {account_id}, the panel showed {found.id}.", maybe_done=False)
    if found.mark not in ("", want.mark, want.former_mark):
        raise AccountHeld(
            f"Panel user {found.id} has the external id “{found.mark}”, not “{want.mark}”: "
            "it isn't this customer's."
        )


def _no_admin(found: Account) -> Account:
    if found.is_admin:
        raise AccountHeld(
            f"Panel user {found.id} ({found.username}) is an administrator of the panel: "
            "it is never given to a customer. Take its rights or its external id away."
        )
    return found


def _marked(found: Account, mark: str) -> Account:
    if found.mark != mark:
        raise Unknown(f"Panel user {found.id} should have the external id “{mark}”, but has “{found.mark}”.")
    return found
