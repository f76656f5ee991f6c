"""Every main page on a laptop and a phone, light and dark: nothing serious for axe, nothing cut.

`SCREENSHOTS=1 make browser PYTEST_ARGS=tests/browser/test_looks.py` takes the pictures of the documents anew.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, StorageState

from tests.browser import places
from tests.browser.conftest import DESKTOP, Window
from tests.browser.demo import ROOT, Demo
from tests.browser.eyes import breaches, too_wide

SCREENSHOTS = ROOT / "docs" / "screenshots"
MOST_BYTES = 250_000
TALLEST = 1500
SIZES = {"desktop": DESKTOP, "phone": (390, 844)}
WIDTHS = {"desktop": (683, 1366), "phone": (360, 390)}
"""A laptop at 200 % and at 100 %; the smallest phone and a usual one (CSS pixels)."""
SCHEMES = ("light", "dark")
WHOLE_SETS = ("dashboard", "service")
"""Pictured in all four ways; the others on a light laptop and a dark phone."""
NOT_PICTURED = ("terminate", "staff")
PLACES: Mapping[str, Callable[[Page], object]] = {
    "sign-in": lambda page: page.goto("/accounts/login/"),
    "dashboard": lambda page: page.goto("/admin/"),
    "services": lambda page: page.goto(f"{places.ADMIN}/service/"),
    "service": lambda page: places.service(page, "12346"),
    "ended-service": lambda page: places.service(page, "12345"),
    "event": lambda page: places.event(page, "12346", "subscription.created"),
    "operation": lambda page: places.operation(page, "12345", "terminate"),
    "terminate": places.terminate,
    "panel": places.panel,
    "product": places.product,
    "staff": lambda page: page.goto("/admin/auth/user/1/change/"),
}


@pytest.fixture(scope="module")
def windows(
    chromium: Browser, signed: StorageState, demo: Demo
) -> Iterator[Callable[[str, str, bool], Window]]:
    """One window per size, scheme and whether staff have signed in, made when asked for."""
    made: dict[tuple[str, str, bool], Window] = {}

    def window(size: str, scheme: str, staff: bool) -> Window:
        width, height = SIZES[size]
        looks = {"viewport": {"width": width, "height": height}, "color_scheme": scheme, "base_url": demo.web}
        key = (size, scheme, staff)
        return made.setdefault(key, made.get(key) or Window(chromium, signed if staff else None, **looks))

    yield window
    assert [words for each in made.values() for words in each.close()] == []


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", [*PLACES, "sandbox"])
def test_page(
    windows: Callable[[str, str, bool], Window], demo: Demo, name: str, size: str, scheme: str
) -> None:
    """No serious finding, no sideways scrolling; the console is asked when the windows close."""
    page = windows(size, scheme, name != "sign-in").page()
    if name == "sandbox":
        page.goto(demo.panel)
    else:
        PLACES[name](page)
    page.evaluate("document.fonts.ready")
    picture(page, name, size, scheme)
    assert breaches(page) == []
    assert too_wide(page, WIDTHS[size]) == []
    page.close()


def picture(page: Page, name: str, size: str, scheme: str) -> None:
    """Takes the page's picture for the documents, if that was asked for."""
    wanted = name in WHOLE_SETS or (size, scheme) in (("desktop", "light"), ("phone", "dark"))
    if not os.environ.get("SCREENSHOTS") or not wanted or name in NOT_PICTURED:
        return
    width, height = SIZES[size]
    needed = int(page.evaluate("document.scrollingElement.scrollHeight"))
    page.set_viewport_size({"width": width, "height": max(height, min(needed, TALLEST))})
    SCREENSHOTS.mkdir(exist_ok=True)
    path = SCREENSHOTS / f"{name}-{size}-{scheme}.png"
    page.screenshot(path=path)
    assert path.stat().st_size < MOST_BYTES, path


def test_pictures_are_small() -> None:
    """A clone stays light: no committed picture is larger than the limit."""
    pictures: list[Path] = sorted(SCREENSHOTS.glob("*.png"))
    assert [path.name for path in pictures if path.stat().st_size >= MOST_BYTES] == []
    assert {"dashboard-desktop-light.png", "service-phone-dark.png"} <= {path.name for path in pictures}
