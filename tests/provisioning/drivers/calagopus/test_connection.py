"""*Test connection*: each sentence of the report, and nothing written (CAL-10, CAL-11, CAL-42)."""

from __future__ import annotations

import pytest

from provisioning.drivers.calagopus.connection import NEEDED, connection_report, key_shape_problem, key_start
from provisioning.drivers.types import ConnectionReport
from provisioning.sandbox.calagopus.rows import ApiKey, Role
from provisioning.sandbox.calagopus.server import CalagopusSandbox
from provisioning.sandbox.calagopus.world import new_key
from provisioning.sandbox.faults import Kind
from tests.provisioning.drivers.calagopus.bench import Bench, bench, user

KEY = "c7sp_" + "a" * 43


def bad(report: ConnectionReport) -> list[str]:
    """What is not all right."""
    return [finding.title for finding in report.findings if not finding.ok]


def own_key(panel: CalagopusSandbox) -> ApiKey:
    """The bridge's key as the panel stores it."""
    return next(iter(panel.world.state.keys.values()))


@pytest.mark.req("CAL-11")
def test_a_good_connection_writes_nothing_and_tells_the_version(work: Bench) -> None:
    report = work.driver.test_connection()
    assert bad(report) == []
    assert report.version == "1.1.4"
    assert "every right is there" in report.findings[1].title
    assert work.panel.calls.count("POST|PUT|PATCH|DELETE") == 0


@pytest.mark.req("CAL-11", "CAL-42")
@pytest.mark.parametrize("right", [f"{group}.{name}" for group, names in NEEDED.items() for name in names])
def test_each_missing_right_is_named(panel: CalagopusSandbox, right: str) -> None:
    own_key(panel).admin_permissions.remove(right)
    report = bench(panel).driver.test_connection()
    assert bad(report) == [f"The key lacks the right {right}."]
    advice = next(finding.advice for finding in report.findings if not finding.ok)
    assert right in advice


def test_the_right_to_install_again_is_one_of_them(panel: CalagopusSandbox) -> None:
    own_key(panel).server_permissions.remove("settings.install")
    assert bad(bench(panel).driver.test_connection()) == ["The key lacks the right settings.install."]


def test_a_key_that_may_not_show_itself_is_told_so(panel: CalagopusSandbox) -> None:
    own_key(panel).user_permissions.remove("api-keys.read")
    assert bad(bench(panel).driver.test_connection()) == [
        "The key may not show its own rights (api-keys.read)."
    ]


@pytest.mark.parametrize("has_role", [False, True])
def test_a_key_gives_no_more_than_its_owner_has(panel: CalagopusSandbox, *, has_role: bool) -> None:
    state = panel.world.state
    role = Role(*panel.world.stamp(), "Some", None, False, ["servers.read"], [])
    state.roles[role.uuid] = role
    owner = user(panel, role=role.uuid if has_role else None)
    lists = (["api-keys.read"], ["servers.read", "users.read"], ["settings.install"])
    key = ApiKey(*panel.world.stamp(), owner.uuid, "weak", new_key(), *lists)
    state.keys[key.uuid] = key
    missing = bad(bench(panel, key=key.token).driver.test_connection())
    assert ("The key lacks the right servers.read." in missing) is not has_role
    assert "The key lacks the right users.read." in missing


@pytest.mark.req("CAL-11", "CAL-42")
def test_a_wrong_key_is_a_401_in_words(panel: CalagopusSandbox) -> None:
    report = bench(panel, key=KEY).driver.test_connection()
    assert bad(report) == ["The key is missing, malformed, expired or lacks admin access (401)."]


@pytest.mark.req("CAL-42")
@pytest.mark.parametrize(
    ("key", "words"),
    [("c7sp_short", "has 10"), ("ptla_" + "a" * 43, "c7sp_ and 43"), ("c7sp_" + "ü" * 43, "c7sp_ and 43")],
)
def test_a_malformed_key_is_said_before_it_is_sent(key: str, words: str) -> None:
    problem = key_shape_problem(key)
    assert words in problem
    assert key not in problem
    assert key_start(key) == ""


def test_a_malformed_key_is_not_tried(panel: CalagopusSandbox) -> None:
    report = bench(panel, key="c7sp_short").driver.test_connection()
    assert bad(report) == ["The key is malformed."]


def test_the_name_of_a_key_is_what_the_panel_shows_of_it() -> None:
    assert key_shape_problem(KEY) == ""
    assert key_start(KEY) == KEY[:16]


@pytest.mark.req("CAL-42")
def test_an_address_that_the_key_does_not_allow(panel: CalagopusSandbox) -> None:
    own_key(panel).allowed_ips = ["203.0.113.7/32"]
    report = bench(panel).driver.test_connection()
    assert bad(report) == ["The panel refuses the key (403)."]
    assert any("this machine's address" in finding.advice for finding in report.findings)


@pytest.mark.req("CAL-10", "CAL-42")
def test_a_language_that_the_panel_lacks(panel: CalagopusSandbox) -> None:
    report = bench(panel, language="cs").driver.test_connection()
    assert bad(report) == ["The panel does not have the language “cs”."]
    assert "de, en" in report.findings[-1].advice


@pytest.mark.req("CAL-41")
def test_the_identity_provider_is_looked_at(panel: CalagopusSandbox) -> None:
    provider = next(iter(panel.state.oauth_providers.values()))
    linked = bench(panel, identity_provider=provider.uuid)
    assert bad(linked.driver.test_connection()) == []
    own_key(panel).admin_permissions.remove("users.oauth-links")
    assert bad(linked.driver.test_connection()) == ["The key lacks the right users.oauth-links."]
    own_key(panel).admin_permissions.append("users.oauth-links")
    provider.body["enabled"] = False
    assert bad(linked.driver.test_connection()) == ["The identity provider is switched off."]
    panel.world.state.oauth_providers.clear()
    assert bad(linked.driver.test_connection()) == ["The panel has no such identity provider."]


@pytest.mark.req("CAL-41")
def test_a_list_of_providers_that_may_not_be_read_is_said_but_no_problem(panel: CalagopusSandbox) -> None:
    def words(**config: str) -> str:
        report = bench(panel, **config).driver.test_connection()
        return " ".join(f"{finding.title} {finding.advice}" for finding in report.findings if finding.ok)

    assert "oauth-providers.read" not in words()
    own_key(panel).admin_permissions.remove("oauth-providers.read")
    assert "add the admin right oauth-providers.read" in words()
    assert bad(bench(panel).driver.test_connection()) == []
    # With a provider it is a right that is missing, and said as such.
    chosen = next(iter(panel.state.oauth_providers))
    assert "oauth-providers.read" not in words(identity_provider=chosen)


@pytest.mark.req("CAL-11")
@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("down", "no usable answer"),
        ("redirect", "redirects"),
        ("rate_limited", "asks for silence"),
        ("error", "in trouble (500)"),
        ("bad_gateway", "in trouble (502)"),
        ("error_in_ok", "not as a Calagopus panel"),
    ],
)
def test_trouble_is_a_finding(panel: CalagopusSandbox, kind: Kind, words: str) -> None:
    panel.faults.add(kind, count=None)
    (title,) = bad(bench(panel).driver.test_connection())
    assert words in title


def test_a_panel_that_is_off_is_unreachable(panel: CalagopusSandbox) -> None:
    work = bench(panel)
    panel.stop()
    assert bad(work.driver.test_connection()) == ["The panel is unreachable."]
    panel.start()


def test_the_report_needs_no_more_than_six_calls(panel: CalagopusSandbox) -> None:
    work = bench(panel, identity_provider=next(iter(panel.state.oauth_providers)))
    connection_report(work.driver._client, work.driver.config)
    assert len(work.calls()) == 5
