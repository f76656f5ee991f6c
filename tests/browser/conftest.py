"""One demo, one browser and one sign-in for all of these tests."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, StorageState, sync_playwright

from tests.browser.demo import Demo, left_over
from tests.browser.eyes import Console

QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--no-first-run",
)
DESKTOP = (1366, 900)
CLICK_SECONDS = 15


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what lies here; the first test waits for the whole story."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.timeout(300))


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """The demo after its story. At the end Ctrl-C leaves no process behind."""
    running = Demo(tmp_path_factory.mktemp("browser"))
    try:
        running.until("Ctrl-C ends everything.")
        assert "All 8 steps confirmed" in running.said, running.said
        yield running
    finally:
        processes = running.processes()
        code = running.end()
    assert (code, left_over(processes)) == (0, set())


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, which asks nobody outside for anything."""
    path = shutil.which("chromium")
    assert path, "These tests need Chromium: apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=QUIET)
        yield browser
        browser.close()


def sign_in(page: Page, demo: Demo, code: str, web: str = "") -> None:
    """Through the pages that staff see: name and password, then a one-time code."""
    facts = demo.sign_in()
    page.goto(f"{web or demo.web}/admin/")
    page.get_by_label("Username").fill(facts["user"])
    page.get_by_label("Password").fill(facts["password"])
    page.get_by_role("button", name="Sign in").click()
    page.get_by_label("Code").fill(code)
    page.get_by_role("button", name="Sign in").click()


@pytest.fixture(scope="session")
def signed(chromium: Browser, demo: Demo) -> StorageState:
    """The cookies of a member of staff who has signed in."""
    context = chromium.new_context()
    page = context.new_page()
    sign_in(page, demo, demo.sign_in()["codes"][0])
    page.wait_for_url("**/admin/")
    state = context.storage_state()
    context.close()
    return state


class Window:
    """Opens pages as staff; every page's console is listened to."""

    def __init__(self, browser: Browser, state: StorageState | None, **looks: Any) -> None:
        self._context = browser.new_context(storage_state=state, reduced_motion="reduce", **looks)
        self._context.set_default_timeout(CLICK_SECONDS * 1000)
        self._consoles: list[Console] = []

    def page(self) -> Page:
        """A fresh tab."""
        page = self._context.new_page()
        self._consoles.append(Console(page))
        return page

    def close(self) -> list[str]:
        """Ends it and returns what the consoles complained of."""
        self._context.close()
        return [words for console in self._consoles for words in console.complaints]


@pytest.fixture
def page(chromium: Browser, signed: StorageState, demo: Demo) -> Iterator[Page]:
    """A tab of a member of staff on a laptop; relative addresses are the demo's."""
    width, height = DESKTOP
    window = Window(chromium, signed, viewport={"width": width, "height": height}, base_url=demo.web)
    yield window.page()
    assert window.close() == []
