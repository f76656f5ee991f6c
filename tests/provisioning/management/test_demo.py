"""The demo's environment: private, fresh, and one at a time in a folder."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from provisioning.management.demo.environment import demo_environment, demo_lock


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
