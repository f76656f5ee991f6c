"""Security keys, with a virtual one: enrolled, used to sign in, removed; and what is said where none works.

Browsers tie a key to a host name, so these pages are opened under `localhost`, not under 127.0.0.1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, CDPSession, Page, expect

from tests.browser.conftest import Window, sign_in
from tests.browser.demo import Demo
from tests.browser.eyes import breaches

KEYS = "/accounts/2fa/webauthn/"
TOUCHED = {
    "protocol": "ctap2",
    "transport": "usb",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


@pytest.fixture
def by_name(demo: Demo) -> str:
    """The demo's address by its host name."""
    return demo.web.replace("127.0.0.1", "localhost")


@pytest.fixture
def page(chromium: Browser, by_name: str) -> Iterator[Page]:
    """A tab in which nobody has signed in."""
    window = Window(chromium, None, base_url=by_name, viewport={"width": 390, "height": 844})
    yield window.page()
    assert window.close() == []


@pytest.fixture
def key(page: Page) -> tuple[CDPSession, str]:
    """A virtual security key that is touched as soon as it is asked for."""
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    made = session.send("WebAuthn.addVirtualAuthenticator", {"options": TOUCHED})
    return session, made["authenticatorId"]


def password(page: Page, demo: Demo) -> None:
    """The first factor."""
    page.goto("/accounts/login/")
    page.get_by_label("Username").fill("admin")
    page.get_by_label("Password").fill(demo.sign_in()["password"])
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("button", name="Use a security key")).to_be_visible()


def add(page: Page, name: str) -> None:
    """Asks for the key under a name."""
    page.goto(f"{KEYS}add/")
    page.get_by_label("Name").fill(name)
    page.get_by_role("button", name="Add key").click()


@pytest.mark.req("T83-40")
def test_a_key_is_enrolled_opens_the_admin_and_is_removed(
    page: Page, demo: Demo, by_name: str, key: tuple[CDPSession, str]
) -> None:
    """In place of a code, and only with its own secret: without the key nobody gets in."""
    sign_in(page, demo, demo.sign_in()["codes"][2], by_name)
    page.wait_for_url("**/admin/")
    add(page, "Ada's key")
    expect(page.get_by_text("Security key added.")).to_be_visible()
    add(page, "the same again")
    expect(page.get_by_role("alert")).to_contain_text("This key is registered already.")

    page.context.clear_cookies()
    password(page, demo)
    page.get_by_role("button", name="Use a security key").click()
    page.wait_for_url(re.compile(r"/admin/$"))

    page.goto(KEYS)
    expect(page.get_by_text("Ada's key")).to_be_visible()
    assert breaches(page) == []
    page.get_by_role("link", name="Remove").click()
    page.get_by_role("button", name="Remove").click()
    expect(page.get_by_text("Security key removed.")).to_be_visible()

    page.context.clear_cookies()
    password(page, demo)
    page.get_by_role("button", name="Use a security key").click()
    expect(page.get_by_role("alert")).to_be_visible()
    page.goto("/admin/")
    expect(page).to_have_url(re.compile("/accounts/"))


def test_under_a_bare_address_the_page_says_why(chromium: Browser, demo: Demo) -> None:
    """Browsers refuse there; a person reads it on the page, not in the console."""
    window = Window(chromium, None, base_url=demo.web)
    page = window.page()
    sign_in(page, demo, demo.sign_in()["codes"][3])
    page.wait_for_url("**/admin/")
    add(page, "Ada's key")
    expect(page.get_by_role("alert")).to_contain_text("only under a host name")
    assert breaches(page) == []
    assert window.close() == []
