"""The documents say what is there: links lead somewhere, commands exist, every reason has its paragraph."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from provisioning.admin.runbook import paragraphs_for
from provisioning.admin.service_actions import ACTIONS
from tests.docs import sources
from tests.docs.sources import ROOT, anchor, documents, headings, links, reasons

RUNBOOK = ROOT / "docs" / "runbook.md"
PARTS = ("Means:", "Customer:", "Do:")
RESULTS = ("docs/screenshots/", "docs/requirements.md")
"""Made by `make browser` and `make requirements`: they may be missing in a fresh clone's first run."""
TROUBLES = ("panel_key", "no_capacity", "server_exists", "account_held")


def name_of(path: Path) -> str:
    """A test's name from the document's."""
    return str(path.relative_to(ROOT))


def read(path: Path) -> str:
    """A document's text."""
    return path.read_text(encoding="utf-8")


def problem_of(link: str, document: Path) -> str:
    """What is wrong with a link, or nothing."""
    place, _, fragment = link.partition("#")
    target = (document.parent / place).resolve() if place else document
    if not target.is_relative_to(ROOT):
        return "leads out of the project"
    if not target.exists():
        made = name_of(target).startswith(RESULTS)
        return "" if made else "leads nowhere"
    if fragment and fragment not in {anchor(item) for item in headings(read(target))}:
        return "names no heading there"
    return ""


@pytest.mark.parametrize("document", documents(), ids=name_of)
def test_links_lead_somewhere(document: Path) -> None:
    """Every relative link names a file of the project and a heading in it."""
    local = [link for link in links(read(document)) if not re.match(r"[a-z]+:", link)]
    wrong = {link: problem for link in local if (problem := problem_of(link, document))}
    assert not wrong


@pytest.mark.parametrize("document", documents(), ids=name_of)
def test_make_targets_exist(document: Path) -> None:
    """Every `make <target>` that a document names is one."""
    targets = set(re.findall(r"^([a-z-]+):", read(ROOT / "Makefile"), flags=re.MULTILINE))
    calls = re.compile(r"(?:`|^ *|eval \"\$\()make (?:-s )?([a-z-]+)", re.MULTILINE)
    assert set(calls.findall(read(document))) <= targets


@pytest.mark.parametrize("document", documents(), ids=name_of)
def test_commands_exist(document: Path) -> None:
    """Every `manage.py <command>` that a document names is ours or Django's."""
    ours = {path.stem for path in (ROOT / "provisioning/management/commands").glob("[a-z]*.py")}
    django = {"check", "createsuperuser", "migrate", "shell", "qcluster", "collectstatic"}
    assert set(re.findall(r"manage\.py ([a-z_]+)", read(document))) <= ours | django


@pytest.mark.req("T83-40", "CAL-42", "T83-43")
@pytest.mark.parametrize("reason", sorted(reasons()))
def test_every_reason_has_its_paragraph(reason: str) -> None:
    """Staff read beside the trouble what it means, what the customer notices and what to press."""
    beginnings = [text.split(" ", 1)[0] for text in paragraphs_for(reason)]
    assert beginnings == list(PARTS)


def test_the_runbook_explains_no_reason_that_is_gone() -> None:
    """A paragraph for a code that nothing raises any more would be searched for in vain."""
    explained = set(re.findall(r"^## ([a-z0-9_]+)$", read(RUNBOOK), flags=re.MULTILINE))
    assert explained == reasons()


def test_every_refusal_names_its_own_reason() -> None:
    """*needs staff* and *waiting* are no reasons: the runbook could not explain them."""
    assert not sources.nameless_raises()


@pytest.mark.req("CAL-42")
def test_the_four_usual_troubles_have_their_table() -> None:
    """401 on test, no free allocation, server exists, duplicate account: each names its reason."""
    table = read(RUNBOOK).split("# The four usual troubles")[1].split("\n# ")[0]
    assert [code for code in TROUBLES if f"`{code}`" not in table] == []


@pytest.mark.req("T83-43")
def test_every_button_of_a_service_is_explained() -> None:
    """Do, undo, retry, pin, skip, hold: the runbook has each under the label that staff see."""
    table = read(RUNBOOK).split("# By hand")[1].split("\n# ")[0]
    assert [action.label for action in ACTIONS if f"**{action.label}**" not in table] == []


@pytest.mark.req("T83-42")
def test_the_way_out_is_documented() -> None:
    """Leaving for a while, for the version before, for good."""
    chapter = read(RUNBOOK).split("# Leaving the bridge\n")[1].split("\n# ")[0]
    assert all(f"**{way}" in chapter for way in ("For a while", "Back to the version before", "For good"))


def test_the_index_names_every_document() -> None:
    """docs/README.md leads to each of them."""
    listed = set(links(read(ROOT / "docs" / "README.md")))
    there = {str(path.relative_to(ROOT / "docs")) for path in documents() if "docs" in path.parts}
    assert there - {"README.md"} <= listed
