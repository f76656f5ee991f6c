"""*Test connection* says in plain words what is wrong (CAL-11, CAL-42, T83-30)."""

from __future__ import annotations

import socket

import pytest

from provisioning.drivers.pterodactyl.driver import PterodactylDriver
from provisioning.drivers.types import ConnectionReport, Finding, PanelConfig
from provisioning.lib.http import Answer, HttpClient, HttpError
from provisioning.sandbox.faults import Kind
from provisioning.sandbox.server import PanelSandbox
from provisioning.sandbox.world import READ, RESOURCES, ApiKey
from tests.provisioning.drivers.pterodactyl.bench import Bench, Notes, Wire, bench


def faulty(report: ConnectionReport) -> list[str]:
    """The titles of what is wrong."""
    return [finding.title for finding in report.findings if not finding.ok]


def key_row(work: Bench) -> ApiKey:
    """The panel's row of our application key."""
    return next(key for key in work.panel.world.state.keys.values() if key.is_application)


@pytest.mark.req("CAL-11", "T83-30")
def test_a_good_key_has_every_right_and_nothing_is_created(work: Bench) -> None:
    before = work.panel.world.snapshot()
    report = work.driver.test_connection()
    assert report.ok
    titles = [finding.title for finding in report.findings]
    for right in ("Users", "Servers", "Nodes", "Allocations", "Nests", "Eggs", "Locations"):
        assert f"{right}: read." in titles
    assert {"Users: write.", "Servers: write."} <= set(titles)
    after = work.panel.world.snapshot()
    assert (len(after.users), len(after.servers)) == (len(before.users), len(before.servers))
    posts = {call.path for call in work.panel.calls.entries if call.method != "GET"}
    assert posts == {"/api/application/users", "/api/application/servers"}


def test_an_administrators_client_key_works(panel: PanelSandbox) -> None:
    assert bench(panel, key=panel.client_key).driver.test_connection().ok


@pytest.mark.req("T83-30")
@pytest.mark.parametrize(
    "resource", ["users", "servers", "nodes", "allocations", "nests", "eggs", "locations"]
)
def test_each_missing_right_is_named_with_what_to_do(work: Bench, resource: str) -> None:
    key_row(work).permissions[resource] = 0
    report = work.driver.test_connection()
    name = resource.capitalize()
    missing = [finding for finding in report.findings if not finding.ok]
    assert missing[0].title == f"{name}: the key may not read."
    assert name in missing[0].advice
    assert {finding.title.split(":")[0] for finding in missing} == {name}


@pytest.mark.req("T83-30")
@pytest.mark.parametrize("resource", ["users", "servers"])
def test_a_missing_write_right_is_named(work: Bench, resource: str) -> None:
    key_row(work).permissions[resource] = READ
    assert faulty(work.driver.test_connection()) == [f"{resource.capitalize()}: the key may not write."]


def test_reading_everything_else_is_enough(work: Bench) -> None:
    key_row(work).permissions = {name: 3 if name in ("users", "servers") else READ for name in RESOURCES}
    assert work.driver.test_connection().ok


@pytest.mark.req("CAL-11", "CAL-42")
def test_a_wrong_key(panel: PanelSandbox) -> None:
    report = bench(panel, key="ptla_" + "x" * 43).driver.test_connection()
    assert faulty(report) == ["The key is missing, malformed, expired or lacks admin access (401)."]


def test_an_address_that_the_key_does_not_allow(work: Bench) -> None:
    key_row(work).allowed_ips = ["192.0.2.1"]
    assert faulty(work.driver.test_connection()) == ["The key may not be used from this machine's address."]


def test_a_key_of_somebody_who_is_no_administrator(work: Bench) -> None:
    work.panel.world.state.users[1].root_admin = False
    assert faulty(work.driver.test_connection()) == [
        "The key belongs to an account that is no administrator."
    ]


@pytest.mark.parametrize(
    ("kind", "title"),
    [
        ("bad_gateway", "The panel is in trouble (502)."),
        ("error", "The panel is in trouble (500)."),
        ("redirect", "The address redirects."),
        ("rate_limited", "The panel asks for silence (429)."),
        ("error_in_ok", "The address answers, but not as a panel does."),
        ("down", "The panel gave no usable answer."),
        ("cut", "The panel gave no usable answer."),
        ("huge", "The panel gave no usable answer."),
    ],
)
def test_trouble_is_told_apart(work: Bench, kind: Kind, title: str) -> None:
    work.panel.faults.add(kind, count=None)
    report = work.driver.test_connection()
    assert faulty(report) == [title]
    assert work.calls() == 1


@pytest.mark.parametrize("kind", ["bad_gateway", "error", "down", "error_in_ok"])
def test_trouble_in_the_middle_is_no_missing_right(work: Bench, kind: Kind) -> None:
    work.panel.faults.add(kind, path="/servers$", count=None)
    titles = faulty(work.driver.test_connection())
    assert titles == [f"Servers: the right to {verb} could not be tested." for verb in ("read", "write")]


def test_a_closed_port() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{held.getsockname()[1]}"
        report = driver_for(url).test_connection()
    assert faulty(report) == ["The panel is unreachable."]


@pytest.mark.parametrize(
    ("path", "title"),
    [
        ("/api", "The address answers, but has no Application API."),
        ("/admin", "The address answers, but not as a panel does (404)."),
    ],
)
def test_more_than_the_panels_address(panel: PanelSandbox, path: str, title: str) -> None:
    report = driver_for(panel.url + path).test_connection()
    assert faulty(report) == [title]
    assert "without /admin or /api" in report.findings[0].advice


def test_a_private_address_without_its_tick(panel: PanelSandbox) -> None:
    report = driver_for(panel.url, allow_private=False).test_connection()
    assert faulty(report) == ["The panel's address is not allowed."]


def test_a_broken_certificate(work: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def untrusted(*_args: object, **_options: object) -> Answer:
        raise HttpError("tls", "certificate has expired.", maybe_processed=False)

    monkeypatch.setattr(work.wire.client, "request", untrusted)
    found = next(finding for finding in work.driver.test_connection().findings if not finding.ok)
    assert found.title == "No safe connection."
    assert "expired" in found.advice


def driver_for(url: str, *, allow_private: bool = True) -> PterodactylDriver:
    """A driver on any address."""
    client = HttpClient(url, headers={}, allow_private=allow_private, allow_plain_http=True)
    return PterodactylDriver(PanelConfig(url), Wire(client), Notes())


@pytest.mark.parametrize(
    ("version", "holes"),
    [
        ("1.11.7", ["CVE-2025-49132", "CVE-2026-26016", "CVE-2026-54593"]),
        ("v1.11.11", ["CVE-2026-26016", "CVE-2026-54593"]),
        ("1.12.1", ["CVE-2026-54593"]),
        ("1.12.3", []),
        ("2.0.0", []),
        ("canary", []),
    ],
)
def test_versions_with_known_holes(panel: PanelSandbox, version: str, holes: list[str]) -> None:
    report = bench(panel, version=version).driver.test_connection()
    named = [title for title in faulty(report) if "known holes" in title]
    assert [hole for hole in holes if hole in "".join(named)] == holes
    assert len(named) == (1 if holes else 0)
    assert report.version == version


def test_a_language_that_stock_panels_lack_is_only_a_remark(panel: PanelSandbox) -> None:
    report = bench(panel, language="de", version="1.12.3").driver.test_connection()
    assert report.ok
    assert any("“de”" in finding.title for finding in report.findings)


def test_no_nodes_yet(work: Bench) -> None:
    work.panel.world.state.nodes.clear()
    assert faulty(work.driver.test_connection()) == ["The panel has no nodes."]


@pytest.mark.req("CAL-12")
@pytest.mark.parametrize(
    ("key", "problem"),
    [
        ("ptla_" + "a" * 43, ""),
        ("ptlc_" + "a" * 43, ""),
        ("A1" * 24, ""),
        ("ptla_short", "has 10"),
        ("", "has 0"),
        ("ptla_" + "a" * 44, "has 49"),
        ("ptla_" + "a" * 42 + " ", "characters that no"),
    ],
)
def test_the_shape_of_a_key(panel: PanelSandbox, key: str, problem: str) -> None:
    found = PterodactylDriver.key_problem(key)
    assert problem in found
    assert bool(problem) is bool(found)
    if key:
        assert key not in found
    first = bench(panel, key_problem=found).driver.test_connection().findings[0]
    assert first.ok is (not problem)
    assert isinstance(first, Finding)
