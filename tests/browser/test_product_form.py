"""The product form on both panels, as staff fill it in: nest, egg, a wrong variable, saved.

`SCREENSHOTS=1 make browser PYTEST_ARGS=tests/browser/test_product_form.py` takes its pictures anew.
The pages come from this process, with a sandbox panel behind them; no demo is needed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.test import Client
from playwright.sync_api import Browser, Page, StorageState, expect
from pytest_django.live_server_helper import LiveServer

from provisioning.lib import clock
from provisioning.models import Panel, PanelSnapshot, Product
from provisioning.reconcile.lists import snapshot_start
from provisioning.reconcile.schedules import sweep_all
from provisioning.sandbox.base import PanelServer
from provisioning.sandbox.calagopus.server import CalagopusSandbox
from provisioning.sandbox.server import PanelSandbox
from tests import factories
from tests.browser.conftest import DESKTOP, Window
from tests.browser.demo import ROOT
from tests.browser.eyes import breaches, too_wide
from tests.conftest import Jobs
from tests.provisioning.admin.staffing import signed_in

PICTURES = ROOT / "docs" / "screenshots"
SANDBOXES: dict[str, Callable[[], PanelServer]] = {"pterodactyl": PanelSandbox, "calagopus": CalagopusSandbox}
SIZES = {"desktop": DESKTOP, "phone": (390, 844)}
WIDTHS = {"desktop": (683, 1366), "phone": (360, 390)}
TALLEST = 1500
ADD = "/admin/provisioning/product/add/"


@pytest.fixture(scope="module", autouse=True)
def _beside_the_browser() -> Iterator[None]:
    """Lets this thread use the database: the browser's driver runs a loop of its own in it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        yield


@pytest.fixture(params=SANDBOXES)
def driver(request: pytest.FixtureRequest) -> str:
    """Each kind of panel."""
    return str(request.param)


@pytest.fixture
def sandbox(driver: str) -> Iterator[PanelServer]:
    """A panel of that kind."""
    with SANDBOXES[driver]() as panel:
        yield panel


@dataclass(frozen=True)
class Desk:
    """What a test works with: the panel's row, whose lists are read, the queue, and a member of staff."""

    row: Panel
    jobs: Jobs
    staff: StorageState


@pytest.fixture
def desk(
    transactional_db: None, driver: str, sandbox: PanelServer, jobs: Jobs, live_server: LiveServer
) -> Desk:
    """Everything that a product needs."""
    row = factories.panel(
        driver=driver, url=sandbox.url, api_key=next(iter(sandbox.keys.values())), name="fra-1"
    )
    factories.connection(name="Example shop")
    factories.policy()
    lists_read(row, jobs)
    return Desk(row, jobs, state_of(signed_in(superuser=True, username="ada"), live_server.url))


def state_of(client: Client, url: str) -> StorageState:
    """The cookies of a signed-in client, for a browser."""
    place = {"domain": str(urlsplit(url).hostname), "path": "/", "expires": -1}
    plain = {"httpOnly": True, "secure": False, "sameSite": "Lax"}
    cookies: Any = [
        {"name": name, "value": morsel.value, **place, **plain} for name, morsel in client.cookies.items()
    ]
    return {"cookies": cookies, "origins": []}


@pytest.fixture(params=SIZES)
def window(
    request: pytest.FixtureRequest, chromium: Browser, desk: Desk, live_server: LiveServer
) -> Iterator[tuple[str, Window]]:
    """A laptop and a phone; the console is asked at the end."""
    width, height = SIZES[request.param]
    looks: dict[str, Any] = {
        "viewport": {"width": width, "height": height},
        "color_scheme": "light" if request.param == "desktop" else "dark",
        "base_url": live_server.url,
    }
    made = Window(chromium, desk.staff, **looks)
    yield request.param, made
    assert made.close() == []


def lists_read(row: Panel, jobs: Jobs) -> None:
    """The panel's lists are read; what its rate puts off is done a little later."""
    snapshot_start(row)
    for _ in range(9):
        lists_go_on(jobs)
    assert PanelSnapshot.objects.get(panel=row).completed_at


def lists_go_on(jobs: Jobs) -> None:
    """One job of a reading, and half a minute."""
    jobs.drain()
    clock.shift(30)
    sweep_all()


def pick(page: Page, label: str, typed: str, wanted: str) -> None:
    """Searches a list by its label and takes the one entry that fits, by keyboard alone."""
    box = page.get_by_role("combobox", name=label)
    box.focus()
    page.keyboard.press("ArrowDown")
    offered = page.get_by_role("listbox").get_by_role("option")
    expect(offered.first).to_be_visible()
    page.keyboard.type(typed)
    expect(offered).to_have_count(1)
    page.keyboard.press("Enter")
    expect(page.get_by_role("listbox")).not_to_be_visible()
    expect(page.locator(".htmx-request")).to_have_count(0)
    expect(box).to_have_value(wanted)


def fill_head(page: Page) -> None:
    """What billing calls the product, and how large it is."""
    page.get_by_label("Billing connection").select_option(label="Example shop")
    page.get_by_label("Billing's product id").fill("fire-elemental")
    page.locator("#id_name").fill("Fire Elemental 2 GB")
    page.get_by_label("Grace policy").select_option(index=1)
    for label, value in (("Memory (MiB)", "2048"), ("Disk (MiB)", "10240"), ("CPU (%)", "200")):
        page.get_by_label(label, exact=True).fill(value)


def picture(page: Page, name: str, width: int) -> None:
    """Takes a picture of the whole page, if that was asked for."""
    if not os.environ.get("SCREENSHOTS"):
        return
    before = page.viewport_size
    page.set_viewport_size({"width": width, "height": TALLEST})
    page.locator("#product-lists").evaluate("each => each.scrollIntoView()")
    page.screenshot(path=PICTURES / f"{name}.png")
    assert before is not None
    page.set_viewport_size(before)


def checked(page: Page, size: str) -> None:
    """Nothing serious for axe, nothing to be scrolled sideways."""
    assert breaches(page) == []
    before = page.viewport_size
    assert too_wide(page, WIDTHS[size]) == []
    assert before is not None
    page.set_viewport_size(before)


def name_of(desk: Desk, size: str, what: str = "form") -> str:
    """What a picture is called."""
    return f"product-{what}-{desk.row.driver}-{size}"


@pytest.mark.req("CAL-20", "CAL-30")
def test_a_product_is_made(desk: Desk, window: tuple[str, Window]) -> None:
    """Nest, egg, a wrong variable that is said while typing and again when saving, then saved."""
    size, opened = window
    page = opened.page()
    page.goto(ADD)
    fill_head(page)
    pick(page, "Nest", "mine", "Minecraft")
    pick(page, "Egg", "pap", "Paper")
    pick(page, "Node", "1", "node-1")
    problems = page.locator("#product-variables .bb-problem .bb-error")
    jar = page.get_by_label("Our value of SERVER_JARFILE")
    jar.fill("x" * 70)
    expect(problems).to_have_count(1)
    expect(jar).to_have_attribute("aria-invalid", "true")
    picture(page, name_of(desk, size), SIZES[size][0])
    checked(page, size)
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("#product-variables [role=alert]")).to_contain_text("SERVER_JARFILE")
    jar.fill("paper.jar")
    page.get_by_label("Customers choose SERVER_JARFILE at checkout").check()
    expect(problems).to_have_count(0)
    page.get_by_role("button", name="Save and continue editing").click()
    expect(page.get_by_role("heading", name="Capacity")).to_be_visible()
    runtime = Product.objects.get().document["runtime"]
    assert runtime["variables"] == {"SERVER_JARFILE": "paper.jar"}
    assert runtime["customer_variables"] == ["SERVER_JARFILE"]
    page.get_by_text("Nodes", exact=True).click()
    checked(page, size)


@pytest.mark.req("CAL-20", "CAL-21")
def test_auto_takes_several_locations_and_lists_are_read_anew(desk: Desk, window: tuple[str, Window]) -> None:
    """Chips come and go by keyboard, Escape closes, and a press on Refresh shows how far the reading is."""
    size, opened = window
    page = opened.page()
    page.goto(ADD)
    node, box = page.get_by_role("combobox", name="Node"), page.get_by_role("combobox", name="Locations")
    expect(node).to_be_visible()
    page.get_by_label("Auto:").check()
    expect(node).not_to_be_visible()
    box.press("ArrowDown")
    offered = page.get_by_role("listbox").get_by_role("option")
    expect(offered.first).to_be_visible()
    checked(page, size)
    box.press("Escape")
    expect(offered.first).not_to_be_visible()
    box.press("ArrowDown")
    expect(offered.first).to_be_visible()
    box.press("ArrowDown")
    box.press("Enter")
    chips = page.locator(".bb-chip")
    expect(chips).to_have_count(1)
    checked(page, size)
    chips.get_by_role("button").press("Enter")
    expect(chips).to_have_count(0)
    page.get_by_role("button", name="Refresh").press("Enter")
    expect(page.get_by_text("Reading the lists of")).to_be_visible()
    checked(page, size)
    while PanelSnapshot.objects.get().under_way:
        lists_go_on(desk.jobs)
    expect(page.get_by_role("button", name="Refresh")).to_be_visible()


@pytest.mark.req("CAL-20")
def test_a_list_that_is_open(desk: Desk, window: tuple[str, Window]) -> None:
    """Open on a stored product, with what is chosen pointed out."""
    size, opened = window
    page = opened.page()
    page.goto(ADD)
    pick(page, "Nest", "mine", "Minecraft")
    page.get_by_role("combobox", name="Egg").click()
    expect(page.get_by_role("listbox").get_by_role("option").nth(1)).to_be_visible()
    if desk.row.driver == "pterodactyl":
        picture(page, name_of(desk, size, "list"), SIZES[size][0])
    checked(page, size)


@pytest.mark.req("CAL-20", "CAL-25")
def test_lists_come_while_the_form_is_open(desk: Desk, window: tuple[str, Window]) -> None:
    """Ids are typed until the lists are there; then they are picked, and what was typed meanwhile stays."""
    size, opened = window
    page = opened.page()
    PanelSnapshot.objects.all().delete()
    other = next(name for name in SANDBOXES if name != desk.row.driver)
    factories.panel(name="fra-2", driver=other, retired=True)
    page.goto(ADD)
    expect(
        page.get_by_role("textbox", name="Egg", exact=True).or_(page.get_by_role("spinbutton", name="Egg"))
    ).to_be_visible()
    page.get_by_label("Memory (MiB)", exact=True).fill("2048")
    expect(page.get_by_text("Reading the lists of")).to_be_visible()
    checked(page, size)
    while PanelSnapshot.objects.get(panel=desk.row).under_way:
        lists_go_on(desk.jobs)
    pick(page, "Nest", "mine", "Minecraft")
    pick(page, "Egg", "pap", "Paper")
    image = page.get_by_role("combobox", name="Docker image")
    image.press("ArrowDown")
    expect(page.get_by_role("listbox").get_by_role("option").nth(2)).to_be_visible()
    image.press("ArrowDown")
    image.press("Enter")
    expect(image).to_have_value(re.compile("java[:_]21"))
    expect(page.get_by_label("Memory (MiB)", exact=True)).to_have_value("2048")
    page.locator("#id_panel").select_option(label="fra-2")
    expect(page.get_by_text("The lists of “fra-2” were never read")).to_be_visible()
    kvm = page.get_by_label("KVM passthrough")
    expect(kvm).to_have_count(1 if other == "calagopus" else 0)
    expect(page.get_by_label("Memory (MiB)", exact=True)).to_have_value("2048")
    checked(page, size)
