"""The demo's environment: private, fresh, and one at a time in a folder."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from pytest_django import Settings

from provisioning.management.commands.demo import PORTS, chosen_ports
from provisioning.management.demo.environment import STAGE, demo_environment, demo_lock


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_two_demos_do_not_share_a_folder() -> None:
    lock = demo_lock()
    with pytest.raises(BlockingIOError):
        demo_lock()
    os.close(lock)
    os.close(demo_lock())


def test_another_folder_has_a_demo_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    lock = demo_lock()
    monkeypatch.setenv("DEMO_DIR", str(tmp_path / "second"))
    os.close(demo_lock())
    assert demo_environment(web=1, panel=2, billing=3)["VAR_DIR"] == str(tmp_path / "second")
    assert not Path("var/demo").exists()
    os.close(lock)


def test_each_demo_has_keys_of_its_own_that_only_its_owner_reads() -> None:
    first = demo_environment(web=1, panel=2, billing=3)
    second = demo_environment(web=1, panel=2, billing=3)
    for name in ("SECRET_KEY", "FIELD_KEYS", "SANDBOX_APPLICATION_KEY"):
        assert first[name] != second[name]
    written = Path("var/demo/demo.env")
    assert stat.S_IMODE(written.stat().st_mode) == 0o600
    assert stat.S_IMODE(written.parent.stat().st_mode) == 0o700
    assert f"SECRET_KEY={second['SECRET_KEY']}" in written.read_text()


def test_a_demo_keeps_away_from_what_the_terminal_is_set_up_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "REDIS_URL", "EMAIL_URL"):
        monkeypatch.setenv(name, "real://use")
    environment = {**os.environ, **demo_environment(web=1, panel=2, billing=3)}
    assert {environment[name] for name in ("DATABASE_URL", "REDIS_URL", "EMAIL_URL")} == {""}


@pytest.fixture
def no_ports(monkeypatch: pytest.MonkeyPatch) -> dict[str, int | None]:
    """Options of a command line that chooses no port, in an environment that chooses none."""
    for name in PORTS:
        monkeypatch.delenv(f"{name.upper()}_PORT", raising=False)
    return {f"{name}_port": None for name in PORTS}


def test_ports_come_from_options_then_the_environment(
    no_ports: dict[str, int | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert chosen_ports(no_ports) == PORTS
    monkeypatch.setenv("WEB_PORT", "7001")
    monkeypatch.setenv("PANEL_PORT", "")
    assert chosen_ports({**no_ports, "billing_port": 7003}) == {"web": 7001, "panel": 8901, "billing": 7003}
    assert chosen_ports({**no_ports, "web_port": 7002})["web"] == 7002


def test_what_is_no_port_is_named_all_at_once(
    no_ports: dict[str, int | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEB_PORT", "high")
    monkeypatch.setenv("PANEL_PORT", "65536")
    monkeypatch.setenv("BILLING_PORT", "-1")
    with pytest.raises(CommandError, match=r"^WEB_PORT and PANEL_PORT and BILLING_PORT: not a port\."):
        call_command("demo")
    with pytest.raises(CommandError, match=r"^WEB_PORT: not a port\."):
        chosen_ports({**no_ports, "panel_port": 7001, "billing_port": 7002})


def test_a_wrong_setting_ends_the_demo_before_it_begins(
    no_ports: dict[str, int | None], monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    monkeypatch.setenv(STAGE, "1")
    settings.SETTINGS_PROBLEMS = ["LOG_LEVEL has a value that cannot be used."]
    with pytest.raises(CommandError, match=r"LOG_LEVEL has a value that cannot be used\."):
        call_command("demo")
