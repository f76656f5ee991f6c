"""What staff do in the admin, each on an order of its own: buttons ask, act once, show the result."""

from __future__ import annotations

import itertools
import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser import places
from tests.browser.demo import Demo
from tests.browser.places import chapter, state

_orders = itertools.count(20001)
SECONDS = 20_000
"""How long the panel may take to follow (milliseconds, as Playwright counts)."""


@pytest.fixture
def order(demo: Demo) -> str:
    """The billing id of a service that was just ordered, and runs."""
    billing_id = str(next(_orders))
    demo.send(billing_id, "subscription.created")
    demo.until_panel(f"MC-{billing_id}", "ready")
    return billing_id


def press(page: Page, label: str) -> None:
    """A button of the service's page leads to a page that asks."""
    page.get_by_role("link", name=label, exact=True).click()
    page.get_by_role("button", name=label, exact=True).wait_for()


def confirm(page: Page, label: str) -> None:
    """Yes."""
    page.get_by_role("button", name=label, exact=True).click()


@pytest.mark.req("T83-43")
def test_a_suspension_is_asked_for_done_and_lifted(page: Page, demo: Demo, order: str) -> None:
    """With its reason on the timeline, and shown by the panel itself; the page moves by itself."""
    places.service(page, order)
    press(page, "Suspend service")
    expect(page.locator(".bb-lead")).to_contain_text("Nothing is deleted")
    page.get_by_label("Reason").select_option(label="abuse")
    confirm(page, "Suspend service")
    demo.until_panel(f"MC-{order}", "suspended")
    expect(state(page)).to_contain_text("Suspended", timeout=SECONDS)
    expect(chapter(page, "abuse")).to_contain_text("admin")
    press(page, "Lift suspension")
    confirm(page, "Lift suspension")
    demo.until_panel(f"MC-{order}", "ready")
    expect(state(page)).to_contain_text("Running", timeout=SECONDS)


@pytest.mark.req("T83-43")
def test_terminating_asks_for_the_name_and_can_be_undone(page: Page, demo: Demo, order: str) -> None:
    """A wrong name changes nothing; the right one suspends first, and *undo* brings everything back."""
    places.service(page, order)
    press(page, "Terminate service")
    page.get_by_label("Type the name").fill("MC-99999")
    confirm(page, "Terminate service")
    expect(page.get_by_role("alert")).to_be_visible()
    assert "ready" in demo.panel_row(f"MC-{order}")
    page.get_by_label("Type the name").fill(f"MC-{order}")
    confirm(page, "Terminate service")
    expect(page.get_by_text("can be undone until then")).to_be_visible()
    press(page, "Undo the end")
    confirm(page, "Undo the end")
    demo.until_panel(f"MC-{order}", "ready")
    expect(state(page)).to_contain_text("Running", timeout=SECONDS)


def test_a_plan_is_shown_before_it_is_applied(page: Page, order: str) -> None:
    """Where nothing differs, the plan says so and offers nothing to press."""
    places.service(page, order)
    page.get_by_role("link", name="Preview plan").click()
    expect(page.get_by_text("The panel shows all that we want: nothing is to be done.")).to_be_visible()
    expect(page.get_by_role("button", name="Apply this plan")).to_have_count(0)


@pytest.mark.req("T83-30")
def test_a_panel_is_tested_in_plain_words(page: Page) -> None:
    """Every finding is a sentence; the key is never shown beyond its last four characters."""
    places.panel(page)
    expect(state(page)).to_contain_text("answering")
    assert page.get_by_label("API key").input_value() == ""
    expect(page.get_by_text(re.compile(r"The stored key ends in …\w{4}\."))).to_be_visible()
    assert "ptla_" not in page.content()
    page.get_by_role("link", name="Test connection").click()
    page.get_by_role("button", name="Test connection").click()
    expect(state(page).or_(page.get_by_text("All is well"))).to_have_count(2)
    findings = page.locator(".bb-plan li")
    assert findings.count() >= 3
    assert all(re.search(r"(Works|Problem)\s+\S+ \S+", words) for words in findings.all_inner_texts())
    assert "ptla_" not in page.content()


def test_a_product_shows_what_the_panel_would_get(page: Page) -> None:
    """The form in groups with units, and the exact payload for an example customer."""
    places.product(page)
    for group in ("What runs", "Egg variables", "Where", "How much", "Feature limits", "Options"):
        expect(page.get_by_role("heading", name=group)).to_be_visible()
    expect(page.get_by_label("Memory (MiB)", exact=True)).to_have_value("2048")
    page.get_by_role("link", name="Preview payload").click()
    expect(page.locator("pre")).to_contain_text('"memory": 2048')
    expect(page.get_by_text("Nothing was sent.")).to_be_visible()


def focused(page: Page) -> Locator:
    """What the keyboard stands on."""
    return page.locator(":focus")


def test_the_keyboard_reaches_the_main_action_and_shows_where_it_is(page: Page, order: str) -> None:
    """Tab leads to *Go to server* and on; what has the focus has an outline, and Enter presses it."""
    places.service(page, order)
    for _ in range(60):
        page.keyboard.press("Tab")
        if focused(page).count() and focused(page).inner_text().strip() == "Suspend service":
            break
    expect(focused(page)).to_have_text("Suspend service")
    outline = focused(page).evaluate("element => getComputedStyle(element).outlineStyle")
    assert outline == "solid"
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Suspend service")).to_be_visible()


def test_escape_closes_the_filters(page: Page) -> None:
    """No trap: what opens over the list closes again by the keyboard."""
    page.goto(f"{places.ADMIN}/service/")
    filters = page.get_by_role("link", name="Gone", exact=True)
    page.get_by_text("Filters").first.click()
    expect(filters).to_be_visible()
    page.keyboard.press("Escape")
    expect(filters).not_to_be_visible()
