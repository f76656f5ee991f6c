"""*Try it* in a browser: asked, watched while it moves by itself, found on the product; laptop and phone.

`SCREENSHOTS=1 make browser PYTEST_ARGS=tests/browser/test_product_trial.py` takes its picture anew.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from pytest_django.live_server_helper import LiveServer

from provisioning.choices import TrialStep
from provisioning.models import ProductTrial
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


@pytest.fixture(scope="module", autouse=True)
def _beside_the_browser() -> Iterator[None]:
    """Lets this thread use the database: the browser's driver runs a loop of its own in it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        yield


@pytest.fixture
def shop(transactional_db: None, jobs: Jobs) -> Iterator[Bridge]:
    """A product that nobody has bought yet."""
    with PanelSandbox() as panel:
        yield Bridge(panel, jobs)


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


def checked(page: Page, size: str, *, picture: bool = False) -> None:
    """Takes the picture if asked to; nothing serious for axe, nothing cut."""
    page.evaluate("document.fonts.ready")
    if picture and os.environ.get("SCREENSHOTS"):
        page.screenshot(path=PICTURES / f"product-trial-{size}.png", animations="disabled", full_page=True)
    assert breaches(page) == []
    assert too_wide(page, WIDTHS[size]) == []


def go_on(shop: Bridge, step: TrialStep | None) -> None:
    """The ticker's seconds go by until the trial is at that step, or over."""
    for _ in range(60):
        shop.settle(rounds=1, seconds=2)
        trial = ProductTrial.objects.get()
        if trial.finished_at or trial.step == step:
            return
    raise AssertionError("The trial came no further.")


@pytest.mark.req("T83-43")
def test_a_product_is_tried_and_watched(shop: Bridge, look: tuple[str, Page]) -> None:
    """The page moves by itself from the first step to *gone*, and the product keeps the trial."""
    size, page = look
    page.goto(f"/admin/provisioning/product/{shop.product.pk}/change/")
    page.get_by_role("link", name="Try it", exact=True).click()
    expect(page.get_by_text("A real test server is made on panel")).to_be_visible()
    checked(page, size)
    page.get_by_role("button", name="Try it now").press("Enter")
    expect(page.get_by_role("button", name="Stop and clean up")).to_be_visible()
    go_on(shop, TrialStep.RESIZE)
    resize = page.get_by_role("row").filter(has_text="Resize")
    expect(resize.get_by_text("under way")).to_be_visible()
    checked(page, size, picture=True)
    go_on(shop, None)
    expect(page.get_by_text("Every step was proven, and the test server is gone.")).to_be_visible()
    expect(page.get_by_text("under way")).to_have_count(0)
    checked(page, size)
    assert shop.servers() == []
    page.get_by_role("link", name="Open the product").click()
    expect(page.get_by_role("heading", name="Last trials")).to_be_visible()
    checked(page, size)
    page.goto("/admin/provisioning/service/?trials=only")
    expect(page.get_by_role("link", name="Server-try-")).to_be_visible()
    checked(page, size)
