"""A customer's account on the panel, by the safe rules: nobody is linked to a stranger (DESIGN rule 6).

POST first, look only after a conflict, of which the panel does not say what it is about. Looked for by our
mark, then by the exact, case-folded, whole e-mail over all pages; never by user name, never onto an
administrator. No password is sent: the panel mails its own link, which lives for 20 minutes.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterator
from typing import Any

from provisioning.drivers.calagopus import reading
from provisioning.drivers.calagopus.client import Client, path
from provisioning.drivers.errors import AccountHeld, Conflict, Rejected, Unknown
from provisioning.drivers.trouble import NotThere
from provisioning.drivers.types import Account, AccountWant
from provisioning.lib.names import fold_email, person_name

NAME_TRIES = 4
LONGEST_NAME = 15
LONGEST_SEARCH = 128
_SAFE = re.compile(r"[A-Za-z0-9.@+-]+")


class Accounts:
    """The users of one panel."""

    def __init__(self, client: Client, provider: str) -> None:
        """Works on one panel for one job; `provider` is billing as identity provider, or empty."""
        self._client, self._provider = client, provider

    def all(self) -> list[Account]:
        """Every user, over all pages."""
        return [reading.account(item) for item in self._client.pages("users", path("users"))]

    def ensure(self, want: AccountWant) -> Account:
        """Makes the account, or finds it after a conflict (CAL-05, CAL-06). Raises AccountHeld, Rejected."""
        found = self._made(want)
        if self._provider and want.identity:
            self._identify(found, want.identity)
        return found

    def _made(self, want: AccountWant) -> Account:
        for username in usernames(want):
            try:
                data = self._client.create("user", path("users"), _create_body(want, username))
                return _marked(reading.account(data, created=True), want.mark)
            except Conflict:
                found = self._existing(want)
                if found is not None:
                    return found
        raise AccountHeld(f"The panel refuses every user name that we tried, as taken, for {want.email}.")

    def _existing(self, want: AccountWant) -> Account | None:
        """The account that a conflict was about; None if it was about the user name."""
        ours = self._by_mark(want.mark)
        if ours is not None:
            return _no_admin(ours)
        match = self._by_email(want.email)
        if match is None:
            return None
        _check_linkable(match, want)
        return self._patch(match, {"external_id": want.mark}, want)

    def _by_mark(self, mark: str) -> Account | None:
        data = self._client.find("user", path("users", "external", mark))
        return None if data is None else _marked(reading.account(data), mark)

    def _by_email(self, email: str) -> Account | None:
        """The one account whose whole address is equal; the panel's search is a partial match."""
        needle = max(_SAFE.findall(email), key=len, default="")[:LONGEST_SEARCH]
        if not needle:
            # An empty search would show everybody.
            raise Rejected("The customer has no usable e-mail address.", fields=("email",))
        wanted = fold_email(email)
        items = self._client.pages("users", path("users"), {"search": needle})
        exact = [found for found in map(reading.account, items) if fold_email(found.email) == wanted]
        if len(exact) > 1:
            raise AccountHeld(f"Several panel users have the address {email}. Link the right one by hand.")
        return exact[0] if exact else None

    def update(self, account_id: str, want: AccountWant) -> Account:
        """Carries e-mail, names and mark over. Raises AccountHeld for an admin, a stranger, a conflict."""
        found = _no_admin(self._look(account_id))
        if found.mark not in ("", want.mark, want.former_mark):
            raise AccountHeld(
                f"Panel user {found.id} has the external id “{found.mark}”, not “{want.mark}”: "
                "it isn't this customer's."
            )
        wanted = {
            "email": want.email,
            "name_first": person_name(want.first_name, found.first_name or found.username),
            "name_last": person_name(want.last_name, found.last_name or "-"),
            "external_id": want.mark,
        }
        shown = (found.email, found.first_name, found.last_name, found.mark)
        pairs = zip(wanted.items(), shown, strict=True)
        changed = {name: value for (name, value), before in pairs if value != before}
        return self._patch(found, changed, want) if changed else found

    def _look(self, account_id: str) -> Account:
        try:
            found = reading.account(self._client.get("user", path("users", account_id)))
        except NotThere as error:
            raise AccountHeld(f"Panel user {account_id} is gone. Link the customer again.") from error
        if found.id != account_id:
            raise Unknown(
                f"Asked for panel user {account_id}, the panel showed {found.id}.", maybe_done=False
            )
        return found

    def _patch(self, found: Account, body: dict[str, Any], want: AccountWant) -> Account:
        try:
            self._client.order("PATCH", path("users", found.id), body)
        except Conflict as conflict:
            raise AccountHeld(
                f"Panel user {found.id} can't become {want.email}: {conflict.detail} "
                "Another account has it. Decide which one is the customer's."
            ) from conflict
        # The answer to a change says nothing of what there is now.
        return _marked(_no_admin(self._look(found.id)), want.mark)

    # --- signing in with billing (CAL-41) ----------------------------------------------------------

    def _identify(self, found: Account, identity: str) -> None:
        """Links the account to the billing identity; one that somebody has already goes to staff."""
        where = path("users", found.id, "oauth-links")
        try:
            self._client.create(
                "oauth_link", where, {"oauth_provider_uuid": self._provider, "identifier": identity}
            )
        except NotThere as error:
            raise Rejected(
                "The panel has no such identity provider. Choose another on the panel's page.",
                fields=("oauth_provider",),
                reason="panel_provider",
            ) from error
        except Conflict as error:
            # Raised for a link that is there already, and for one that another user has (section 4.8).
            if not self._is_linked(where, identity):
                raise AccountHeld(
                    f"Panel user {found.username} can't sign in with billing: the identity “{identity}” is "
                    "another panel user's, or this one has another identity. Put it right in the panel."
                ) from error

    def _is_linked(self, where: str, identity: str) -> bool:
        for item in self._client.pages("oauth_links", where):
            provider = item.get("oauth_provider")
            known = provider.get("uuid") if isinstance(provider, dict) else None
            if known == self._provider and item.get("identifier") == identity:
                return True
        return False


def usernames(want: AccountWant) -> Iterator[str]:
    """User names of 3 to 15 letters, digits and underscores, the same in each try (section 4.7)."""
    local = unicodedata.normalize("NFKD", want.email.partition("@")[0]).encode("ascii", "ignore").decode()
    base = re.sub(r"[^a-z0-9]+", "_", local.lower()).strip("_") or "user"
    for number in range(NAME_TRIES):
        text = f"{want.mark}#{number}"
        ending = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:6]
        yield f"{base[: LONGEST_NAME - 7].strip('_')}_{ending}"


def _create_body(want: AccountWant, username: str) -> dict[str, Any]:
    return {
        "external_id": str(want.mark),
        "username": username,
        "email": want.email,
        "name_first": person_name(want.first_name, username),
        "name_last": person_name(want.last_name, "-"),
        "admin": False,
        "language": want.language or "en",
        "send_email": True,
    }


def _check_linkable(found: Account, want: AccountWant) -> None:
    who = f"Panel user {found.id} ({found.username}) has the address {want.email}"
    if found.is_admin:
        raise AccountHeld(f"{who} and has rights over the panel: it is never given to a customer.")
    if found.mark and found.mark != want.former_mark:
        raise AccountHeld(f"{who}, but belongs to another customer (external id “{found.mark}”).")
    if not want.email_verified:
        raise AccountHeld(
            f"{who}, but billing doesn't say that the customer's address is verified. "
            "Make sure that it is theirs, then link the account by hand."
        )


def _no_admin(found: Account) -> Account:
    if found.is_admin:
        raise AccountHeld(
            f"Panel user {found.id} ({found.username}) has rights over the panel: "
            "it is never given to a customer. Take its rights or its external id away."
        )
    return found


def _marked(found: Account, mark: str) -> Account:
    if found.mark != mark:
        raise Unknown(f"Panel user {found.id} should have the external id “{mark}”, but has “{found.mark}”.")
    return found
