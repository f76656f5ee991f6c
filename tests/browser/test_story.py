"""The story of the demo, as staff find it in the admin afterwards. Nothing here changes a service."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import places
from tests.browser.conftest import sign_in
from tests.browser.demo import Demo
from tests.browser.eyes import breaches
from tests.browser.places import ADMIN, chapter, heading, state

CHAPTERS = (
    "Deleted: the panel no longer knows the server.",
    "The undo window is over: the server is to be deleted.",
    "Suspended; the panel shows it.",
    "Cancelled: suspended, can be undone until",
    "memory 2048 → 4096",
    "Running again; the panel shows it.",
    "Payment received.",
    "Suspended; the panel shows it.",
    "To be suspended: overdue.",
    "A payment failed.",
    "Nothing to change.",
    "Panel account user_",
    "The server runs; the panel shows it.",
    "Paid: the server is to be made.",
)
"""The timeline of 12345, newest first."""
PROOFS = ("origin", "identity", "undo window", "mass brake")
MAILS = (
    "Your server MC-12345 is ready",
    "The payment for MC-12345 failed",
    "Your server MC-12345 is suspended",
    "Your server MC-12345 runs again",
    "Your server MC-12345 has ended",
    "Your server MC-12345 was deleted",
)


def test_a_one_time_code_opens_the_admin_once(chromium: Browser, demo: Demo) -> None:
    """Password and code lead in; the same code leads nobody else in."""
    code = demo.sign_in()["codes"][1]
    first, second = chromium.new_context(), chromium.new_context()
    page = first.new_page()
    sign_in(page, demo, code)
    expect(page).to_have_url(f"{demo.web}/admin/")
    other = second.new_page()
    sign_in(other, demo, code)
    expect(other.get_by_role("alert")).to_contain_text("Incorrect code")
    assert breaches(other) == []
    other.goto(f"{demo.web}/admin/")
    expect(other).to_have_url(re.compile("/accounts/"))
    first.close()
    second.close()


@pytest.mark.req("T83-45")
def test_the_dashboard_says_how_things_are(page: Page) -> None:
    """A sentence, tiles that lead on, and the newest services with their steps."""
    page.goto("/admin/")
    expect(state(page)).to_contain_text(re.compile(r"All right.*(agree|under way)", re.DOTALL))
    for title in ("Needs you", "Paid and waiting", "Suspending in 24 h", "Last event", "Panel fra-1"):
        expect(page.locator(".bb-tile").filter(has_text=title)).to_be_visible()
    row = page.get_by_role("row").filter(has_text="MC-12346")
    expect(row).to_contain_text("Running")
    for step in ("paid", "account", "server", "ready", "mail"):
        expect(row.locator(".bb-dot-done").filter(has_text=step)).to_be_visible()
    expect(row).to_contain_text(re.compile(r"Ready after \d+ s"))
    page.get_by_role("link", name="Needs you").click()
    expect(page).to_have_url(re.compile("state=needs_you"))


def test_the_list_is_searched_and_filtered(page: Page) -> None:
    """By e-mail, and by the one word of state; the view is in the address."""
    page.goto(f"{ADMIN}/service/")
    page.get_by_role("searchbox").or_(page.locator("#searchbar")).first.fill("grace@example.com")
    page.keyboard.press("Enter")
    rows = page.locator("#result_list tbody tr")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("MC-12346")
    expect(rows).to_contain_text("Running")
    page.goto(f"{ADMIN}/service/")
    page.get_by_text("Filters").click()
    page.get_by_role("link", name="Gone", exact=True).click()
    expect(page).to_have_url(re.compile("state=gone"))
    expect(rows.filter(has_text="MC-12345")).to_contain_text("The server was deleted on")
    expect(rows.filter(has_text="MC-12346")).to_have_count(0)


@pytest.mark.req("T83-13", "T83-45")
def test_the_whole_life_of_a_service_is_told(page: Page) -> None:
    """Create, grace, suspension, running again, change, cancellation and delete, in this order."""
    places.service(page, "12345")
    expect(state(page)).to_contain_text(re.compile("Gone.*The server was deleted on", re.DOTALL))
    told = page.locator("section[aria-labelledby=timeline]").inner_text()
    at = 0
    for words in CHAPTERS:
        at = told.find(words, at) + 1
        assert at, f"“{words}” is not told, or not there:\n{told}"
    assert told.count("subscription.created") == 4, "the order, and three times the same event"
    deleted = chapter(page, CHAPTERS[0])
    deleted.locator("summary").filter(has_text="panel call").click()
    expect(deleted.get_by_role("row").filter(has_text="DELETE")).to_contain_text("204")
    changed = chapter(page, "memory 2048 → 4096")
    changed.locator("summary").filter(has_text="panel call").click()
    expect(changed.get_by_role("row").filter(has_text="PATCH")).to_contain_text("200")


@pytest.mark.req("T83-45")
def test_three_truths_stand_side_by_side(page: Page) -> None:
    """What billing says, what we want, what the panel shows, on one height; limits beside each other."""
    places.service(page, "12346")
    truths = page.locator(".bb-truths > div")
    for index, (name, word) in enumerate(
        (("Billing says", "active"), ("We want", "present"), ("Panel shows", "active"))
    ):
        expect(truths.nth(index)).to_contain_text(name)
        expect(truths.nth(index)).to_contain_text(re.compile(word, re.IGNORECASE))
    tops = {round((box.bounding_box() or {"y": -1})["y"]) for box in truths.all()}
    assert len(tops) == 1
    memory = page.get_by_role("row").filter(has=page.get_by_role("rowheader", name="Memory"))
    assert memory.get_by_role("cell").all_inner_texts() == ["2 GiB", "-", "-", "2 GiB", "2 GiB"]


@pytest.mark.req("T83-40")
def test_an_outage_is_told_with_its_reason(page: Page) -> None:
    """12346 was ordered while the panel was down: for what it waited stays readable."""
    places.service(page, "12346")
    told = page.locator("section[aria-labelledby=timeline]")
    expect(told).to_contain_text("Waiting for panel “fra-1”: ")
    expect(told).to_contain_text("The server runs; the panel shows it.")


@pytest.mark.req("T83-40")
def test_a_lost_answer_shows_one_create(page: Page) -> None:
    """12347: the create was sent once, had no answer, and its server was found again."""
    places.operation(page, "12347", "create")
    expect(state(page)).to_contain_text("succeeded")
    calls = page.get_by_role("row")
    created = calls.filter(has_text=re.compile(r"POST /api/application/servers\b"))
    expect(created).to_have_count(1)
    expect(created).to_contain_text("no answer")
    found = calls.filter(has_text="/servers/external/demo-shop-12347").filter(has_text="200")
    expect(found.first).to_be_visible()


@pytest.mark.req("T83-11")
def test_an_event_shows_its_payload_and_is_replayed_without_effect(page: Page) -> None:
    """The documented payload, what it caused; a replay changes nothing."""
    places.service(page, "12346")
    chapters = page.locator("article").count()
    page.get_by_role("link", name="subscription.created", exact=True).first.click()
    expect(page.locator("pre")).to_contain_text('"product_id": "fire-elemental"')
    expect(page.get_by_role("link", name=re.compile("create$"))).to_be_visible()
    page.get_by_role("link", name="Replay event").click()
    page.get_by_role("button", name="Replay event").click()
    expect(page.get_by_text("is worked on once more").first).to_be_visible()
    places.service(page, "12346")
    expect(state(page)).to_contain_text("Running")
    told = page.locator("section[aria-labelledby=timeline]")
    expect(told.get_by_text(re.compile("OP-[0-9]+ create"))).to_have_count(1)
    assert page.locator("article").count() <= chapters + 1


def test_an_operation_shows_calls_and_proofs(page: Page) -> None:
    """The delete of 12345: four proofs, the plan, and each call with status and time."""
    places.operation(page, "12345", "terminate")
    proofs = page.locator("section[aria-labelledby=proofs] li")
    expect(proofs).to_have_count(len(PROOFS))
    for index, name in enumerate(PROOFS):
        expect(proofs.nth(index)).to_contain_text(name)
    expect(page.locator("section[aria-labelledby=plan]")).to_contain_text("delete server MC-12345")
    read, deleted, looked = page.locator("section[aria-labelledby=steps] tbody tr").all()
    for row, words in ((read, "GET"), (deleted, "DELETE"), (looked, "404")):
        expect(row).to_contain_text(words)


def test_the_sandbox_panel_shows_what_there_is(page: Page, demo: Demo) -> None:
    """Two servers are left of three, and each customer has one account."""
    page.goto(demo.panel)
    servers = page.get_by_role("region", name="Servers")
    expect(servers).to_contain_text("demo-shop-12346")
    expect(servers).to_contain_text("demo-shop-12347")
    expect(servers).not_to_contain_text("demo-shop-12345")
    users = page.get_by_role("region", name="Users")
    for name in ("user", "grace", "linus"):
        expect(users.get_by_text(f"{name}@example.com")).to_have_count(1)


@pytest.mark.req("T83-07", "T83-13")
def test_each_stage_was_mailed_once(demo: Demo, page: Page) -> None:
    """The mails lie in the demo's folder, and staff see when each went out."""
    # Their names say the second only, and two may be written within one.
    files = sorted((demo.folder / "mail").iterdir(), key=lambda path: path.stat().st_mtime_ns)
    texts = [path.read_text() for path in files]
    mails = [text for text in texts if "To: user@example.com" in text]
    assert re.findall(r"^Subject: (.*)$", "\n".join(mails), flags=re.MULTILINE) == list(MAILS)
    assert not [text for text in mails if demo.sign_in()["password"] in text]
    page.goto(f"{ADMIN}/notification/?q=12345")
    expect(page.locator("#result_list tbody tr")).to_have_count(len(MAILS))


def test_headings_lead_through_a_service(page: Page) -> None:
    """A screen reader finds the page's parts by headings, below one main title."""
    places.service(page, "12346")
    expect(heading(page, "MC-12346").or_(page.locator("h1"))).to_have_count(1)
    assert page.locator("#main h2").all_inner_texts() == ["Three truths", "Timeline"]
