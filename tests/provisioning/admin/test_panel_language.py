"""A language that the panel does not have is refused on the panel's row (CAL-10)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from provisioning.models import Panel
from provisioning.reconcile import panels as reconcile_panels
from provisioning.sandbox.calagopus.server import CalagopusSandbox
from tests import factories
from tests.provisioning.admin.staffing import signed_in
from tests.provisioning.admin.test_panels import address, typed

pytestmark = pytest.mark.django_db
ADD = "/admin/provisioning/panel/add/"


@pytest.fixture
def sandbox() -> Iterator[CalagopusSandbox]:
    """A Calagopus panel: it has no Czech."""
    with CalagopusSandbox() as running:
        yield running


@pytest.fixture
def row(sandbox: CalagopusSandbox) -> Panel:
    """Our row of it."""
    return factories.panel(driver="calagopus", url=sandbox.url, api_key=sandbox.application_key)


@pytest.mark.req("CAL-10", "CAL-42")
def test_an_unknown_language_is_refused_and_a_known_one_saved(row: Panel) -> None:
    client = signed_in(superuser=True)
    refused = client.post(address(row, "change"), typed(row, language="cs"))
    assert "does not have the language “cs”" in refused.content.decode()
    row.refresh_from_db()
    assert row.language == "en"
    assert client.post(address(row, "change"), typed(row, language="de")).status_code == 302
    row.refresh_from_db()
    assert row.language == "de"


def test_a_silent_panel_stops_no_work_and_says_so(row: Panel, sandbox: CalagopusSandbox) -> None:
    client = signed_in(superuser=True)
    sandbox.faults.add("error", count=None)
    saved = client.post(address(row, "change"), typed(row, language="cs"), follow=True)
    assert "could not be asked about its language" in saved.content.decode()
    row.refresh_from_db()
    assert row.language == "cs"


def test_what_is_not_changed_is_not_asked(row: Panel, sandbox: CalagopusSandbox) -> None:
    sandbox.calls.clear()
    signed_in(superuser=True).post(address(row, "change"), typed(row, name="fra-2"))
    assert len(sandbox.calls) == 0


@pytest.mark.req("CAL-10", "CAL-42")
@pytest.mark.parametrize(("language", "told"), [("cs", True), ("de", False)])
def test_a_new_panel_is_asked_once_it_is_saved(sandbox: CalagopusSandbox, language: str, told: bool) -> None:
    new = Panel(
        name="fra-1",
        driver="calagopus",
        url=sandbox.url,
        language=language,
        allow_private=True,
        allow_plain_http=True,
    )
    values = typed(new, new_key=sandbox.application_key)
    answer = signed_in(superuser=True).post(ADD, values, follow=True)
    text = answer.content.decode()
    assert Panel.objects.get().language == language
    assert ("does not have the language “cs”. Choose one of" in text) is told


@pytest.mark.req("CAL-10", "CAL-12")
def test_another_address_is_asked_too_and_never_sees_the_stored_key(
    row: Panel, sandbox: CalagopusSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str]] = []

    def answer(asked_row: Panel) -> dict[str, str]:
        asked.append((asked_row.url, asked_row.api_key))
        return {"language": "The panel does not have the language “en”."}

    monkeypatch.setattr(reconcile_panels, "check_row", answer)
    values = typed(row, url="https://other.example.com", new_key="c7sp_" + "B" * 43)
    refused = signed_in(superuser=True).post(address(row, "change"), values)
    assert "does not have the language “en”" in refused.content.decode()
    assert asked == [("https://other.example.com", values["new_key"])]
