"""Accounts by the safe rules: nobody is linked to a stranger (CAL-05, CAL-06, CAL-41)."""

from __future__ import annotations

from typing import Any

import pytest

from provisioning.drivers.calagopus.accounts import usernames
from provisioning.drivers.errors import AccountHeld, AuthFailed, DriverError, Rejected, Unknown
from provisioning.drivers.types import Account
from provisioning.sandbox.calagopus.rows import OAuthLink, Role
from provisioning.sandbox.calagopus.server import CalagopusSandbox
from tests.provisioning.drivers.calagopus.bench import Bench, bench, user, want

MADE, BY_MARK = "POST admin/users", "GET admin/users/external/{mark}"
SEARCHED, LINKED = "GET admin/users", "POST admin/users/{user}/oauth-links"


def stored(work: Bench, account: Account) -> Any:
    """The user as the panel stores it."""
    return work.panel.state.users[account.id]


@pytest.mark.req("CAL-01", "CAL-05")
def test_a_new_customer_is_one_call(work: Bench) -> None:
    account = work.driver.account_ensure(want())
    assert account.created
    assert work.calls() == [MADE]
    row = stored(work, account)
    assert (row.external_id, row.email, row.admin, row.language) == ("7", "ada@example.com", False, "en")
    # Without a password the panel mails its own set-password link.
    assert row.password is None
    assert [mail.to for mail in work.panel.state.mails] == ["ada@example.com"]


@pytest.mark.req("CAL-05")
def test_the_mark_finds_the_account_even_if_the_address_changed(work: Bench) -> None:
    first = work.driver.account_ensure(want())
    work.calls()
    again = work.driver.account_ensure(want(email="countess@example.com", email_verified=False))
    assert (again.id, again.created) == (first.id, False)
    assert work.calls() == [MADE, BY_MARK]


@pytest.mark.req("CAL-06")
def test_a_lost_answer_leads_to_the_same_account(work: Bench) -> None:
    work.panel.faults.add("lost", method="POST")
    with pytest.raises(Unknown) as caught:
        work.driver.account_ensure(want())
    assert caught.value.maybe_done
    assert work.driver.account_ensure(want(email_verified=False)).mark == "7"
    assert len(work.panel.state.users) == 2


@pytest.mark.req("CAL-06", "CAL-42")
def test_a_verified_address_links_the_existing_account(work: Bench) -> None:
    row = user(work.panel, email="ADA@example.com", username="countess")
    account = work.driver.account_ensure(want())
    assert (account.id, account.mark, account.created) == (row.uuid, "7", False)
    assert (row.external_id, row.email, row.username, row.name_last) == (
        "7",
        "ADA@example.com",
        "countess",
        "Hopper",
    )


def role(work: Bench) -> str:
    """A role that gives some right over the panel."""
    row = Role(*work.panel.world.stamp(), "Support", None, False, ["servers.read"], [])
    work.panel.world.state.roles[row.uuid] = row
    return row.uuid


@pytest.mark.req("CAL-06", "CAL-42")
@pytest.mark.parametrize(
    ("there", "wish", "words"),
    [
        ({"admin": True}, {}, "has rights over the panel"),
        ({"role": "support"}, {}, "has rights over the panel"),
        ({}, {"email_verified": False}, "isn't|doesn't say"),
        ({"external_id": "8"}, {}, "belongs to another customer"),
        ({"external_id": "7", "admin": True, "email": "x@example.com"}, {}, "has rights over the panel"),
    ],
    ids=["admin", "role", "unverified", "another-mark", "admin-with-our-mark"],
)
def test_a_doubtful_account_is_held_and_not_touched(
    work: Bench, there: dict[str, Any], wish: dict[str, Any], words: str
) -> None:
    there = {**there, **({"role": role(work)} if "role" in there else {})}
    row = user(work.panel, **{"email": "ada@example.com", **there})
    mark = row.external_id
    with pytest.raises(AccountHeld, match=words):
        work.driver.account_ensure(want(**wish))
    assert row.external_id == mark
    assert work.panel.calls.count("PATCH") == 0


@pytest.mark.req("CAL-06")
@pytest.mark.parametrize("email", ["xada@example.com", "ada@example.com.au"])
def test_a_similar_address_is_somebody_else(work: Bench, email: str) -> None:
    # The panel's search is a partial match; a taken user name is what leads to it.
    row = user(work.panel, email=email, username=next(usernames(want())))
    account = work.driver.account_ensure(want())
    assert account.created
    assert SEARCHED in work.calls()
    assert row.external_id is None


def test_the_wildcards_of_a_search_are_not_sent(work: Bench) -> None:
    user(work.panel, email="a_d%a@example.com")
    work.driver.account_ensure(want(email="a_d%a@example.com"))
    searches = [asked["search"] for asked in work.wire.asked if "search" in asked]
    assert searches == ["a@example.com"]


@pytest.mark.req("CAL-06")
def test_a_taken_user_name_is_no_match_and_another_is_tried(work: Bench) -> None:
    first = next(usernames(want()))
    row = user(work.panel, username=first.upper())
    account = work.driver.account_ensure(want())
    assert account.created
    assert account.username not in (first, row.username)
    assert work.calls() == [MADE, BY_MARK, SEARCHED, MADE]


def test_every_user_name_taken_is_held(work: Bench) -> None:
    for number, name in enumerate(usernames(want())):
        user(work.panel, username=name, email=f"{number}@example.com")
    with pytest.raises(AccountHeld, match="every user name"):
        work.driver.account_ensure(want())


@pytest.mark.parametrize(
    ("email", "mark"),
    [("ada@example.com", "7"), ("Ünïcode.Very.Long.Name@example.com", "x" * 80), ("+@example.com", "ü/7")],
)
def test_user_names_fit_the_panel_and_never_change(email: str, mark: str) -> None:
    names = list(usernames(want(email=email, mark=mark)))
    assert names == list(usernames(want(email=email, mark=mark)))
    assert len(set(names)) == 4
    for name in names:
        assert 3 <= len(name) <= 15
        assert name.isascii()
        assert name.replace("_", "").isalnum()


@pytest.mark.req("CAL-10", "CAL-42")
def test_a_language_that_the_panel_lacks_is_named(work: Bench) -> None:
    with pytest.raises(Rejected) as caught:
        work.driver.account_ensure(want(language="cs"))
    assert (caught.value.reason, caught.value.fields) == ("panel_language", ("language",))
    assert "invalid language: cs" in caught.value.detail
    assert len(work.panel.state.users) == 1


def test_a_customer_without_names_gets_some(work: Bench) -> None:
    row = stored(work, work.driver.account_ensure(want(first_name="", last_name="")))
    assert row.name_first
    assert row.name_last == "-"


# --- carrying changes over -------------------------------------------------------------------------------


@pytest.mark.req("CAL-05")
def test_a_changed_address_and_mark_are_carried_over(work: Bench) -> None:
    account = work.driver.account_ensure(want(mark="c-1"))
    work.calls()
    after = work.driver.account_update(account.id, want(email="new@example.com", mark="7", former_mark="c-1"))
    assert (after.email, after.mark) == ("new@example.com", "7")
    assert work.wire.bodies[-1] == {"email": "new@example.com", "external_id": "7"}
    assert work.calls() == ["GET admin/users/{user}", "PATCH admin/users/{user}", "GET admin/users/{user}"]
    again = work.driver.account_update(account.id, want(email="new@example.com"))
    assert again == after
    assert work.calls() == ["GET admin/users/{user}"]


@pytest.mark.parametrize(
    ("there", "words"),
    [({"admin": True}, "has rights over the panel"), ({"external_id": "9"}, "isn't this customer's")],
)
def test_an_account_that_changed_hands_is_held(work: Bench, there: dict[str, Any], words: str) -> None:
    account = work.driver.account_ensure(want())
    for name, value in there.items():
        setattr(stored(work, account), name, value)
    with pytest.raises(AccountHeld, match=words):
        work.driver.account_update(account.id, want(email="new@example.com"))
    assert stored(work, account).email == "ada@example.com"


def test_an_address_that_another_account_has_is_held(work: Bench) -> None:
    account = work.driver.account_ensure(want())
    user(work.panel, email="new@example.com")
    with pytest.raises(AccountHeld, match="Another account has it"):
        work.driver.account_update(account.id, want(email="NEW@example.com"))


def test_an_account_that_is_gone_is_held(work: Bench) -> None:
    account = work.driver.account_ensure(want())
    del work.panel.world.state.users[account.id]
    with pytest.raises(AccountHeld, match="is gone"):
        work.driver.account_update(account.id, want())


# --- signing in with billing (CAL-41) --------------------------------------------------------------------


def linking(panel: CalagopusSandbox) -> Bench:
    """A driver whose panel row names the identity provider."""
    return bench(panel, identity_provider=next(iter(panel.state.oauth_providers)))


@pytest.mark.req("CAL-41")
def test_a_new_account_is_linked_to_the_billing_identity(panel: CalagopusSandbox) -> None:
    work = linking(panel)
    account = work.driver.account_ensure(want())
    assert work.calls() == [MADE, LINKED]
    (link,) = panel.state.oauth_links.values()
    assert (link.user, link.identifier) == (account.id, "7")


@pytest.mark.req("CAL-41")
def test_a_link_that_was_cut_short_is_made_by_the_next_try(panel: CalagopusSandbox) -> None:
    work = linking(panel)
    panel.faults.add("down", method="POST", path="oauth-links")
    with pytest.raises(DriverError):
        work.driver.account_ensure(want())
    work.driver.account_ensure(want())
    work.driver.account_ensure(want())
    assert [link.identifier for link in panel.state.oauth_links.values()] == ["7"]


@pytest.mark.req("CAL-41")
def test_an_identity_of_somebody_else_goes_to_staff(panel: CalagopusSandbox) -> None:
    work = linking(panel)
    provider = next(iter(panel.state.oauth_providers))
    link = OAuthLink(*panel.world.stamp(), user=user(panel).uuid, provider=provider, identifier="7")
    panel.world.state.oauth_links[link.uuid] = link
    with pytest.raises(AccountHeld, match="another panel user's"):
        work.driver.account_ensure(want())
    assert len(panel.state.oauth_links) == 1


@pytest.mark.req("CAL-41")
def test_an_account_with_another_customers_identity_goes_to_staff(panel: CalagopusSandbox) -> None:
    work = linking(panel)
    work.driver.account_ensure(want())
    (link,) = panel.state.oauth_links.values()
    panel.world.state.oauth_links[link.uuid].identifier = "99"
    with pytest.raises(AccountHeld, match="this one has another identity"):
        work.driver.account_ensure(want())
    assert [link.identifier for link in panel.state.oauth_links.values()] == ["99"]


def test_without_an_identity_nothing_is_linked(panel: CalagopusSandbox) -> None:
    work = linking(panel)
    work.driver.account_ensure(want(identity=""))
    assert work.calls() == [MADE]


def test_a_provider_that_is_gone_is_named(panel: CalagopusSandbox) -> None:
    work = linking(panel)
    panel.world.state.oauth_providers.clear()
    with pytest.raises(Rejected) as caught:
        work.driver.account_ensure(want())
    assert caught.value.reason == "panel_provider"


def test_a_key_without_the_right_says_which(panel: CalagopusSandbox) -> None:
    next(iter(panel.world.state.keys.values())).admin_permissions.remove("users.create")
    with pytest.raises(AuthFailed, match=r"users\.create"):
        bench(panel).driver.account_ensure(want())
