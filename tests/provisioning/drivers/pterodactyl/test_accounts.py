"""Accounts by the safe rules: nobody is linked to a stranger (CAL-05, CAL-06, field rows 3, 12, 26)."""

from __future__ import annotations

from typing import Any

import pytest

from provisioning.drivers.errors import AccountHeld, DriverError, Rejected, Unknown
from provisioning.drivers.types import Account
from provisioning.lib.names import panel_username
from tests.provisioning.drivers.pterodactyl.bench import Bench, user, want


def stored(work: Bench, account: Account) -> Any:
    """The user as the panel stores it."""
    return work.panel.world.state.users[int(account.id)]


@pytest.mark.req("CAL-01", "CAL-05")
def test_a_new_customer_is_one_call(work: Bench) -> None:
    account = work.driver.account_ensure(want())
    assert account.created
    assert work.calls() == 1
    row = stored(work, account)
    assert (row.external_id, row.email, row.root_admin) == ("7", "ada@example.com", False)
    # Without a password the panel mails its own set-password link.
    assert row.password is None
    assert [mail.to for mail in work.panel.world.state.mails] == ["ada@example.com"]


@pytest.mark.req("CAL-05")
def test_the_mark_finds_the_account_even_if_the_address_changed(work: Bench) -> None:
    first = work.driver.account_ensure(want())
    again = work.driver.account_ensure(want(email="countess@example.com", email_verified=False))
    assert again.id == first.id
    assert not again.created
    assert len(work.panel.world.state.users) == 2


@pytest.mark.req("CAL-06")
def test_a_lost_answer_leads_to_the_same_account(work: Bench) -> None:
    work.panel.faults.add("lost", method="POST")
    with pytest.raises(Unknown) as caught:
        work.driver.account_ensure(want())
    assert caught.value.maybe_done
    assert work.driver.account_ensure(want(email_verified=False)).mark == "7"
    assert len(work.panel.world.state.users) == 2


@pytest.mark.req("CAL-06")
def test_a_verified_address_links_the_existing_account(work: Bench) -> None:
    row = user(work.panel, email="ADA@example.com", username="countess", last_name="")
    account = work.driver.account_ensure(want())
    assert (account.id, account.mark, account.created) == (str(row.id), "7", False)
    # PATCH is not partial: what was there is still there.
    assert (row.email, row.username, row.first_name, row.last_name) == (
        "ADA@example.com",
        "countess",
        "Grace",
        "-",
    )
    assert work.calls() == 4


@pytest.mark.req("CAL-06")
@pytest.mark.parametrize(
    ("existing", "wanted", "words"),
    [
        ({}, {"email_verified": False}, "verified"),
        ({"root_admin": True}, {}, "administrator"),
        ({"external_id": "8"}, {}, "another customer"),
    ],
)
def test_held_for_staff(work: Bench, existing: dict[str, Any], wanted: dict[str, Any], words: str) -> None:
    row = user(work.panel, email="ada@example.com", **existing)
    with pytest.raises(AccountHeld, match=words):
        work.driver.account_ensure(want(**wanted))
    assert row.external_id == existing.get("external_id")
    assert work.panel.calls.count("PATCH") == 0


@pytest.mark.req("CAL-06")
def test_our_own_former_mark_is_replaced(work: Bench) -> None:
    row = user(work.panel, email="ada@example.com", external_id="test-shop-c-xyz")
    assert work.driver.account_ensure(want(former_mark="test-shop-c-xyz")).id == str(row.id)
    assert row.external_id == "7"


def test_a_partial_match_is_a_stranger(work: Bench) -> None:
    # The panel's filter would show “lada@example.com” for “ada@example.com”.
    stranger = user(work.panel, email="lada@example.com", username="lada")
    account = work.driver.account_ensure(want())
    assert account.id != str(stranger.id)
    assert account.created


def test_the_exact_address_is_found_behind_many_pages_of_lookalikes(work: Bench) -> None:
    for number in range(250):
        user(work.panel, email=f"{number}-ada@example.com", username=f"ada{number}")
    row = user(work.panel, email="ada@example.com")
    work.calls()
    assert work.driver.account_ensure(want()).id == str(row.id)
    assert work.panel.calls.count("GET", "/users$") == 3


@pytest.mark.parametrize(
    ("email", "asked"),
    [
        ("ada+x@example.com", "ada+x@example.com"),
        ("a,da@example.com", "da@example.com"),
        ("100%ada@example.com", "ada@example.com"),
        ("a_da@example.com", "da@example.com"),
        ("ad\\a@example.com", "a@example.com"),
    ],
)
def test_addresses_that_the_filter_would_misread(work: Bench, email: str, asked: str) -> None:
    user(work.panel, email="linus@example.com", username="linus")
    row = user(work.panel, email=email)
    assert work.driver.account_ensure(want(email=email)).id == str(row.id)
    # A comma would be an “or”, a per cent sign or an underscore a wildcard.
    assert [query["filter[email]"] for query in work.wire.asked if "filter[email]" in query] == [asked]


def test_answers_about_another_account_are_not_taken(work: Bench) -> None:
    work.wire.replace = (b'"external_id":"7"', b'"external_id":"8"')
    with pytest.raises(Unknown, match="should have the external id “7”"):
        work.driver.account_ensure(want())
    work.wire.replace = (b'"id":2,', b'"id":3,')
    with pytest.raises(Unknown, match="showed 3"):
        work.driver.account_update("2", want())


def test_two_accounts_with_the_same_address_are_for_staff(work: Bench) -> None:
    for number, email in enumerate(("ada@example.com", "Ada@EXAMPLE.com")):
        user(work.panel, email=email, username=f"ada{number}")
    with pytest.raises(AccountHeld, match="Several"):
        work.driver.account_ensure(want())


def test_a_user_name_alone_never_links(work: Bench) -> None:
    row = user(work.panel, username="ada_7")
    account = work.driver.account_ensure(want())
    assert account.created
    assert account.username not in ("ada_7", "")
    assert row.external_id is None
    assert work.calls() == 2


def test_other_user_names_are_the_same_in_each_try(work: Bench) -> None:
    user(work.panel, username="ada_7")
    first = work.driver.account_ensure(want()).username
    del work.panel.world.state.users[3]
    assert work.driver.account_ensure(want()).username == first


def test_user_names_are_not_tried_for_ever(work: Bench) -> None:
    for name in ("ada_7", *(panel_username("ada@example.com", f"7#{number}") for number in (2, 3, 4))):
        user(work.panel, username=name, email=f"{name}@example.net")
    with pytest.raises(AccountHeld, match="user name"):
        work.driver.account_ensure(want())
    assert work.calls() == 4


def test_a_mark_in_another_case_is_held(work: Bench) -> None:
    user(work.panel, external_id="A7")
    with pytest.raises(AccountHeld, match="A7"):
        work.driver.account_ensure(want(mark="a7"))


def test_an_administrator_with_our_mark_is_held(work: Bench) -> None:
    user(work.panel, external_id="7", root_admin=True)
    with pytest.raises(AccountHeld, match="administrator"):
        work.driver.account_ensure(want())


@pytest.mark.req("CAL-06")
@pytest.mark.parametrize(
    ("first", "last"), [("", ""), ("🎮", "\u200b"), ("A", " "), ("A" * 60, "L" * 300), ("\x00\x1b", "\u202e")]
)
def test_names_from_strangers_never_fail_an_order(work: Bench, first: str, last: str) -> None:
    account = work.driver.account_ensure(want(first_name=first, last_name=last))
    assert account.first_name
    assert account.last_name


def test_a_language_that_the_panel_lacks_is_left_out(work: Bench) -> None:
    account = work.driver.account_ensure(want(language="de"))
    assert stored(work, account).language == "en"
    assert work.calls() == 2


def test_an_invalid_address_is_rejected_with_the_panels_words(work: Bench) -> None:
    with pytest.raises(Rejected, match="valid email") as caught:
        work.driver.account_ensure(want(email="not an address"))
    assert caught.value.fields == ("email",)


def test_a_conflict_without_a_visible_account_is_looked_at_again(work: Bench) -> None:
    user(work.panel, email="ada@example.com")
    work.panel.world.advance(10)
    work.panel.faults.add("stale", path="/users$", seconds=3600)
    # The list is from before the account: nothing may be concluded from it.
    work.panel.faults._past[0][1].users.pop(2)
    with pytest.raises(Unknown) as caught:
        work.driver.account_ensure(want())
    assert not caught.value.maybe_done


@pytest.mark.parametrize("method", ["POST", "GET", "PATCH"])
def test_trouble_on_the_way_never_makes_a_second_account(work: Bench, method: str) -> None:
    user(work.panel, email="ada@example.com")
    work.panel.faults.add("bad_gateway", method=method)
    with pytest.raises(DriverError):
        work.driver.account_ensure(want())
    assert work.driver.account_ensure(want()).mark == "7"
    assert len(work.panel.world.state.users) == 2


def test_update_carries_address_names_and_mark(work: Bench) -> None:
    account = work.driver.account_ensure(want(mark="test-shop-c-xyz"))
    work.calls()
    changed = want(email="countess@example.com", last_name="King", former_mark="test-shop-c-xyz")
    after = work.driver.account_update(account.id, changed)
    assert (after.email, after.last_name, after.mark) == ("countess@example.com", "King", "7")
    assert after.username == account.username
    assert work.calls() == 2


def test_update_without_a_change_writes_nothing(work: Bench) -> None:
    account = work.driver.account_ensure(want())
    work.calls()
    assert work.driver.account_update(account.id, want()).id == account.id
    assert work.panel.calls.count("PATCH") == 0


@pytest.mark.parametrize(
    ("existing", "words"),
    [
        ({"root_admin": True}, "administrator"),
        ({"external_id": "8"}, "isn't this customer's"),
    ],
)
def test_update_refuses_strangers(work: Bench, existing: dict[str, Any], words: str) -> None:
    row = user(work.panel, **existing)
    with pytest.raises(AccountHeld, match=words):
        work.driver.account_update(str(row.id), want())
    assert row.email == "grace@example.com"


def test_update_to_somebody_elses_address_is_held(work: Bench) -> None:
    user(work.panel, email="countess@example.com")
    account = work.driver.account_ensure(want())
    with pytest.raises(AccountHeld, match="already been taken"):
        work.driver.account_update(account.id, want(email="countess@example.com"))


def test_update_of_a_vanished_account_is_held(work: Bench) -> None:
    with pytest.raises(AccountHeld, match="gone"):
        work.driver.account_update("99", want())
