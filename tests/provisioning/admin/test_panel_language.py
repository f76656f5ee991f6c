"""A language that the panel does not have is refused on the panel's row (CAL-10)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from provisioning.models import Panel
from provisioning.sandbox.calagopus.server import CalagopusSandbox
from tests import factories
from tests.provisioning.admin.staffing import signed_in
from tests.provisioning.admin.test_panels import address, typed

pytestmark = pytest.mark.django_db


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
