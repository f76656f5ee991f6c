"""`manage.py run` ends with one sentence whatever keeps it from starting, and never shows a password."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from pytest_django import Settings

from provisioning.lib.crypto import generate_key
from provisioning.management.commands import run
from provisioning.management.stores import silent_redis
from provisioning.management.supervisor import Supervisor
from provisioning.stored_secrets import LOST_KEYS
from tests import factories
from tests.flows.stack import MANAGE, ROOT, free_port

POSTGRES = {"ENGINE": "django.db.backends.postgresql", "PASSWORD": "hunter2", "NAME": "bridge"}


@pytest.fixture(autouse=True)
def _own_port(settings: Settings) -> None:
    settings.BIND = f"127.0.0.1:{free_port()}"


@pytest.mark.parametrize(
    ("config", "reason", "words"),
    [
        (
            {**POSTGRES, "HOST": "db.example.com", "PORT": "6543"},
            "refused for ada:hunter2\n\tIs it running?",
            "The database at db.example.com:6543 does not answer: refused for ada:*** Is it running?",
        ),
        ({**POSTGRES, "PASSWORD": ""}, "refused", "The database at localhost:5432 does not answer: refused"),
        (
            {"ENGINE": "django.db.backends.sqlite3", "NAME": "/var/bridge.sqlite3"},
            "unable to open database file",
            "The database file /var/bridge.sqlite3 cannot be used: unable to open database file.",
        ),
    ],
)
def test_a_silent_database_is_named_without_its_password(
    config: dict[str, Any], reason: str, words: str
) -> None:
    assert run.silent_database(config, reason) == words


@pytest.mark.parametrize(
    ("url", "reason", "words"),
    [
        (
            "redis://:hunter2@cache.example.com:6380/0",
            "Error 111 connecting, hunter2",
            "Redis at cache.example.com:6380 cannot be used: Error 111 connecting, *** REDIS_URL names it.",
        ),
        ("redis://cache.example.com", "no.", "Redis at cache.example.com:6379 cannot be used: no. REDIS_URL"),
        ("unix:///run/redis.sock", "no.", "Redis at /run/redis.sock cannot be used: no. REDIS_URL"),
    ],
)
def test_a_silent_redis_is_named_without_its_password(url: str, reason: str, words: str) -> None:
    assert silent_redis(url, reason).startswith(words)


@pytest.mark.django_db
def test_nothing_starts_while_redis_is_away(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []
    monkeypatch.setattr(run, "call_command", lambda name, **_: ran.append(name))
    settings.REDIS_URL = f"redis://:hunter2@127.0.0.1:{free_port()}/0"
    with pytest.raises(CommandError, match=r"^Redis at 127.0.0.1:\d+ cannot be used: .*refused") as caught:
        run.prepare()
    assert "hunter2" not in str(caught.value)
    assert ran == []


@pytest.mark.processes
def test_nobody_listens_where_the_database_should_be(tmp_path: Path) -> None:
    place = f"127.0.0.1:{free_port()}"
    keys = subprocess.run(
        [sys.executable, "tools/keys.py"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    lines = ["INSTALLATION_ID=prod", "ALLOWED_HOSTS=bridge.example.com", f"VAR_DIR={tmp_path / 'var'}"]
    lines += ["PUBLIC_URL=https://bridge.example.com", f"DATABASE_URL=postgres://ada:hunter2@{place}/bridge"]
    (tmp_path / "env").write_text("\n".join([*lines, f"BIND=127.0.0.1:{free_port()}", keys.stdout]))
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    done = subprocess.run(
        [sys.executable, MANAGE, "run"],
        env={**kept, "ENV_FILE": str(tmp_path / "env")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert f"CommandError: The database at {place} does not answer: " in done.stderr
    assert "Traceback" not in done.stderr
    assert "hunter2" not in done.stdout + done.stderr


@pytest.mark.django_db
def test_lost_keys_end_the_start(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []
    monkeypatch.setattr(run, "call_command", lambda name, **_: ran.append(name))
    factories.panel()
    run.prepare()
    settings.FIELD_KEYS = [generate_key()]
    with pytest.raises(CommandError) as caught:
        run.prepare()
    assert str(caught.value) == LOST_KEYS
    assert ran == ["migrate", "collectstatic", "migrate"]


@pytest.mark.parametrize("place", ["prepare", "require_free_port"])
def test_ctrl_c_before_all_runs_is_a_sentence(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(run, place, interrupted)
    with pytest.raises(CommandError, match="Interrupted") as caught:
        call_command("run")
    assert caught.value.returncode == 130


class Terminal(io.StringIO):
    """What has reached a person: nothing before it is flushed."""

    seen = ""

    def flush(self) -> None:
        self.seen = self.getvalue()


def test_where_it_runs_is_said_at_once(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    terminal = Terminal()
    seen: list[str] = []

    def wait(*_: Any) -> str:
        seen.append(terminal.seen)
        return ""

    monkeypatch.setattr(run, "prepare", lambda: None)
    monkeypatch.setattr(Supervisor, "start", lambda *_, **__: 0)
    monkeypatch.setattr(Supervisor, "wait", wait)
    call_command("run", stdout=terminal)
    assert seen == [f"Running at {settings.PUBLIC_URL} ({settings.BIND}). Ctrl-C ends it.\n"]
