"""What is looked at on every page: the console, the width, and what axe finds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import ConsoleMessage, Page

ALLOWED: Mapping[str, str] = {}
"""axe's rule → why the theme's own breach of it stays. Empty: the theme breaks no serious rule."""
SERIOUS = ("serious", "critical")
_axe = Axe()


class Console:
    """Collects what a page's console complains of: script errors, refused loads, broken content policy."""

    def __init__(self, page: Page) -> None:
        self.complaints: list[str] = []
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.complaints.append(f"script: {error}"))

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type == "error" or "Content Security Policy" in message.text:
            self.complaints.append(f"{message.text} ({message.location.get('url', '')})")


def breaches(page: Page) -> list[str]:
    """What axe calls serious or critical on this page, with the first elements that it means."""
    answer: dict[str, Any] = _axe.run(page).response
    return [
        f"{found['id']}: {found['help']}: {[node['html'][:200] for node in found['nodes'][:3]]}"
        for found in answer["violations"]
        if found["impact"] in SERIOUS and found["id"] not in ALLOWED
    ]


def too_wide(page: Page, widths: tuple[int, ...]) -> list[str]:
    """The widths (CSS pixels) at which the page would have to be scrolled sideways."""
    height = (page.viewport_size or {"height": 800})["height"]
    found = []
    for width in widths:
        page.set_viewport_size({"width": width, "height": height})
        needed = int(page.evaluate("document.scrollingElement.scrollWidth"))
        if needed > width:
            found.append(f"{needed} px at {width} px")
    return found
