"""Ways to the pages, by what people type and click; no address holds a number that is guessed."""

from __future__ import annotations

from playwright.sync_api import Locator, Page

ADMIN = "/admin/provisioning"


def service(page: Page, billing_id: str) -> None:
    """A service's page, found by its billing id."""
    page.goto(f"{ADMIN}/service/?q={billing_id}")
    page.locator("#result_list").get_by_role("link", name=f"MC-{billing_id}").first.click()
    heading(page, "Three truths").wait_for()


def event(page: Page, billing_id: str, kind: str) -> None:
    """The page of a service's newest event of that type."""
    service(page, billing_id)
    page.get_by_role("link", name=kind, exact=True).first.click()
    heading(page, "Payload").wait_for()


def operation(page: Page, billing_id: str, kind: str) -> None:
    """The page of a service's newest operation of that kind."""
    service(page, billing_id)
    page.get_by_role("link", name=f" {kind}").first.click()
    heading(page, "Steps").wait_for()


def terminate(page: Page) -> None:
    """The page that asks before a service is ended."""
    service(page, "12346")
    page.get_by_role("link", name="Terminate service").click()
    page.get_by_label("Type the name").wait_for()


def panel(page: Page) -> None:
    """The demo's one panel."""
    page.goto(f"{ADMIN}/panel/")
    page.get_by_role("link", name="fra-1").first.click()
    page.get_by_role("link", name="Test connection").wait_for()


def product(page: Page) -> None:
    """The form of the story's first product."""
    page.goto(f"{ADMIN}/product/")
    page.get_by_role("link", name="Fire Elemental 2 GB").first.click()
    page.get_by_role("link", name="Preview payload").wait_for()


def heading(page: Page, name: str) -> Locator:
    """A heading by its words."""
    return page.get_by_role("heading", name=name)


def chapter(page: Page, words: str) -> Locator:
    """The first chapter of the timeline that says these words."""
    return page.locator("article").filter(has_text=words).first


def state(page: Page) -> Locator:
    """The first line of a page of ours: its state, and what that means."""
    return page.locator(".bb-lead").first
