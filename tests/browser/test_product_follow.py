"""A sold product is changed: the page that asks, the follow as it goes, the versions; laptop and phone.

`SCREENSHOTS=1 make browser PYTEST_ARGS=tests/browser/test_product_follow.py` takes its pictures anew.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from pytest_django.live_server_helper import LiveServer

from provisioning.sandbox.server import PanelSandbox
from tests.bridge import Bridge
from tests.browser.conftest import DESKTOP, Window
from tests.browser.demo import ROOT
from tests.browser.eyes import breaches, too_wide
from tests.browser.test_product_form import state_of
from tests.conftest import Jobs
from tests.provisioning.admin.staffing import signed_in

PICTURES = ROOT / "docs" / "screenshots"
LOOKS = {"desktop": (DESKTOP, "light"), "phone": ((390, 844), "dark")}
WIDTHS = {"desktop": (683, 1366), "phone": (360, 390)}
TALLEST = 1500
PICTURED = ("ask", "progress")


@pytest.fixture(scope="module", autouse=True)
def _beside_the_browser() -> Iterator[None]:
    """Lets this thread use the database: the browser's driver runs a loop of its own in it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        yield


@pytest.fixture
def shop(transactional_db: None, jobs: Jobs) -> Iterator[Bridge]:
    """Three running services of one product, and an order that waits."""
    with PanelSandbox() as panel:
        bridge = Bridge(panel, jobs)
        for name in ("ada", "grace", "linus"):
            bridge.buy(subscription_id=f"{name}-1", customer_email=f"{name}@example.com")
        for row in [row for row in panel.state.allocations.values() if row.server_id is None]:
            del panel.state.allocations[row.id]
        bridge.say("subscription.created", subscription_id="ada-2")
        yield bridge


@pytest.fixture(params=LOOKS)
def look(
    request: pytest.FixtureRequest, chromium: Browser, shop: Bridge, live_server: LiveServer
) -> Iterator[tuple[str, Page]]:
    """A tab of Ada's; the console is asked at the end."""
    (width, height), scheme = LOOKS[request.param]
    staff = state_of(signed_in(superuser=True, username="ada"), live_server.url)
    looks: dict[str, Any] = {"viewport": {"width": width, "height": height}, "color_scheme": scheme}
    window = Window(chromium, staff, base_url=live_server.url, **looks)
    yield request.param, window.page()
    assert window.close() == []


def checked(page: Page, size: str, name: str) -> None:
    """Takes the picture if asked to; nothing serious for axe, nothing cut."""
    page.evaluate("document.fonts.ready")
    if name in PICTURED and os.environ.get("SCREENSHOTS"):
        page.screenshot(
            path=PICTURES / f"product-follow-{name}-{size}.png", animations="disabled", clip=_clip(page)
        )
    assert breaches(page) == []
    assert too_wide(page, WIDTHS[size]) == []


def _clip(page: Page) -> Any:
    """The page from its top, or its lower end where it is taller than a picture may be."""
    size = page.viewport_size or {"width": 0, "height": 0}
    whole = max(size["height"], int(page.evaluate("document.scrollingElement.scrollHeight")))
    page.set_viewport_size({"width": size["width"], "height": whole})
    tall = min(TALLEST, whole)
    return {"x": 0, "y": whole - tall, "width": size["width"], "height": tall}


def test_services_follow_a_change(shop: Bridge, look: tuple[str, Page]) -> None:
    """Asked before anything is saved; the follow's page moves by itself, and the product tells it later."""
    size, page = look
    page.goto(f"/admin/provisioning/product/{shop.product.pk}/change/")
    page.get_by_role("spinbutton", name="Memory (MiB)").fill("2048")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Nothing is saved yet.")).to_be_visible()
    expect(page.get_by_text("Memory: 1024 MiB → 2048 MiB")).to_be_visible()
    page.get_by_text("Look at 3 of them").click()
    checked(page, size, "ask")
    page.get_by_label("Why").fill("More memory for the same price")
    page.get_by_role("button", name="Save, and 4 services follow").press("Enter")
    expect(page.get_by_text("0 of 4 services have version 2.")).to_be_visible()
    shop.jobs.drain()
    expect(page.get_by_text("3 of 4 services have version 2.")).to_be_visible()
    expect(page.get_by_text("no free allocation")).to_be_visible()
    checked(page, size, "progress")
    page.get_by_role("button", name="Stop").press("Enter")
    expect(page.get_by_text("Stopped. 0 services stay as they were sold.")).to_be_visible()
    page.get_by_role("link", name="Open the product").click()
    expect(page.get_by_role("heading", name="Versions")).to_be_visible()
    page.get_by_role("heading", name="Versions").scroll_into_view_if_needed()
    expect(page.get_by_text("More memory for the same price")).to_be_visible()
    checked(page, size, "versions")
    assert sorted(server.memory for server in shop.servers()) == [2048] * 3
