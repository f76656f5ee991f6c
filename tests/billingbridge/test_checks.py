"""Each missing or wrong setting gets one sentence before anything starts."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.checks import CheckMessage
from django.core.exceptions import ImproperlyConfigured
from pytest_django import Settings

from billingbridge import settings as real
from billingbridge.startup import refuse_wrong_settings
from provisioning.checks import check_settings

ROOT = Path(__file__).resolve().parent.parent.parent
GOOD = {
    "SETTINGS_PROBLEMS": [],
    "SECRET_KEY": "u7Jq2mXz9LwPc4RtYb6NsKd1Vf8Gh3Ea5TiOoBn0QxW",
    "ALLOW_PLAIN_HTTP": False,
    "PUBLIC_URL": "https://bridge.example.com",
    "DEMO": False,
    "DEBUG": False,
    "REDIS_URL": "",
    "EMAIL_BACKEND": "django.core.mail.backends.smtp.EmailBackend",
    "ALLOWED_HOSTS": ["bridge.example.com"],
}
NO_HOSTS = ("https://bridge.example.com", "bridge.example.com/", "bridge.example.com:443", "::1", "-")
NO_PLACES = ("8000", ":8000", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536", "::1:8000")


@pytest.fixture(autouse=True)
def _on_sqlite(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(settings.DATABASES["default"], "ENGINE", "django.db.backends.sqlite3")


def found(settings: Settings, **changes: Any) -> list[CheckMessage]:
    """What the checks say about good settings with these changes."""
    for name, value in {**GOOD, **changes}.items():
        setattr(settings, name, value)
    return check_settings(None)


def queue(**changes: Any) -> dict[str, Any]:
    """The real queue's settings with these changes."""
    return {**real.Q_CLUSTER, **changes}


def test_good_settings_pass(settings: Settings) -> None:
    assert found(settings) == []


@pytest.mark.parametrize(
    ("ident", "changes"),
    [
        ("E001", {"SETTINGS_PROBLEMS": ["PUBLIC_URL is not set."]}),
        ("E002", {"SECRET_KEY": "short"}),
        ("E002", {"SECRET_KEY": "a" * 60}),
        ("E002", {"SECRET_KEY": "django-insecure-u7Jq2mXz9LwPc4RtYb6NsKd1Vf8Gh3Ea5"}),
        ("E003", {"FIELD_KEYS": ["not-a-key"]}),
        ("E003", {"FIELD_KEYS": [real.FIELD_KEYS[0], "x" * 44]}),
        ("E004", {"INSTALLATION_ID": "eu-1"}),
        ("E004", {"INSTALLATION_ID": "a" * 13}),
        ("E005", {"PUBLIC_URL": "bridge.example.com"}),
        ("E005", {"PUBLIC_URL": "http://bridge.example.com"}),
        ("E006", {"ALLOW_PLAIN_HTTP": True, "PUBLIC_URL": "http://127.0.0.1:8000"}),
        ("E007", {"DEBUG": True}),
        ("E008", {"LEASE_SECONDS": 60}),
        ("E008", {"JOB_DEADLINE_SECONDS": 75}),
        ("E008", {"JOB_DEADLINE_SECONDS": 42}),
        ("E009", {"BACKOFF_BASE": 10, "BACKOFF_CAP": 5}),
        ("E010", {"Q_CLUSTER": queue(timeout=97), "LEASE_SECONDS": 120}),
        ("E010", {"Q_CLUSTER": queue(workers=1)}),
        ("E011", {"REDIS_URL": "redis://127.0.0.1/0"}),
        *(("E012", {"ALLOWED_HOSTS": ["bridge.example.com", name]}) for name in NO_HOSTS),
        ("E013", {"STAFF_EMAILS": ["ada@example.com", "grace"]}),
        ("E013", {"SUPPORT_EMAIL": "help at example.com"}),
        ("E013", {"SUPPORT_EMAIL": "help", "DEFAULT_FROM_EMAIL": "help"}),
        ("E013", {"DEFAULT_FROM_EMAIL": "Example Hosting"}),
        *(("E014", {"BIND": place}) for place in NO_PLACES),
        ("E015", {"UNKNOWN_WAIT_SECONDS": 69.9}),
        ("W001", {"EMAIL_BACKEND": "django.core.mail.backends.filebased.EmailBackend"}),
    ],
)
def test_one_mistake_gives_one_sentence(settings: Settings, ident: str, changes: dict[str, Any]) -> None:
    messages = found(settings, **changes)
    assert [message.id for message in messages] == [f"billingbridge.{ident}"]
    assert str(messages[0].msg).endswith(".")
    assert ident == "E001" or messages[0].hint


@pytest.mark.parametrize(
    "changes",
    [
        {"ALLOWED_HOSTS": ["*", ".example.com", "localhost", "127.0.0.1", "[::1]"]},
        {"DEFAULT_FROM_EMAIL": "Example Hosting <billing@example.com>", "SUPPORT_EMAIL": ""},
        {"DEFAULT_FROM_EMAIL": "billingbridge@localhost", "STAFF_EMAILS": []},
        *({"BIND": place} for place in ("localhost:1", "[::1]:8000", "0.0.0.0:65535")),
        {"JOB_DEADLINE_SECONDS": 43, "UNKNOWN_WAIT_SECONDS": 70},
    ],
)
def test_what_is_right_is_left_alone(settings: Settings, changes: dict[str, Any]) -> None:
    assert found(settings, **changes) == []


def test_demo_may_use_plain_http_files_and_debug(settings: Settings) -> None:
    demo = {"DEMO": True, "ALLOW_PLAIN_HTTP": True, "DEBUG": True, "PUBLIC_URL": "http://127.0.0.1:8000"}
    backend = "django.core.mail.backends.filebased.EmailBackend"
    assert found(settings, **demo, EMAIL_BACKEND=backend, UNKNOWN_WAIT_SECONDS=4) == []


def test_no_message_shows_a_secret(settings: Settings) -> None:
    messages = found(settings, SECRET_KEY="hunter2", FIELD_KEYS=["hunter2"])
    assert len(messages) == 2
    assert "hunter2" not in str(messages)


def test_web_server_refuses_as_well(settings: Settings) -> None:
    settings.SETTINGS_PROBLEMS = ["PUBLIC_URL is not set.", "FIELD_KEYS is not set."]
    with pytest.raises(ImproperlyConfigured, match=r"PUBLIC_URL is not set\.\nFIELD_KEYS is not set\."):
        refuse_wrong_settings()
    settings.SETTINGS_PROBLEMS = []
    refuse_wrong_settings()


def start(**environ: str) -> subprocess.CompletedProcess[str]:
    """`manage.py check` in an environment of its own."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), "check"],
        env={**kept, "ENV_FILE": "", **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.processes
def test_empty_environment_names_all_that_is_missing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    wrong = {"LEASE_SECONDS": "soon", "HSTS_SECONDS": "year", "LOG_LEVEL": "loud"}
    done = start(VAR_DIR=str(tmp_path / "file"), DATABASE_URL=f"sqlite:///{tmp_path}/file/db", **wrong)
    assert done.returncode == 1
    for name in ("SECRET_KEY", "FIELD_KEYS", "INSTALLATION_ID", "ALLOWED_HOSTS", "PUBLIC_URL"):
        assert f"{name} is not set." in done.stderr
    for name in (*wrong, "DATABASE_URL"):
        assert f"{name} has a value that cannot be used." in done.stderr
    assert "VAR_DIR is not a folder and cannot be made one (File exists)." in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.processes
def test_printed_keys_and_the_example_file_start(tmp_path: Path) -> None:
    keys = subprocess.run(
        [sys.executable, "tools/keys.py"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    example = (ROOT / ".env.example").read_text()
    to_fill = ("SECRET_KEY=", "FIELD_KEYS=")
    filled = "\n".join(line for line in example.splitlines() if not line.startswith(to_fill))
    (tmp_path / "env").write_text(filled + "\n" + keys)
    done = start(ENV_FILE=str(tmp_path / "env"), VAR_DIR=str(tmp_path / "var"))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("document", ["docs/settings.md", ".env.example"])
def test_every_variable_is_explained(document: str) -> None:
    text = (ROOT / document).read_text()
    missing = [name for name in real.SETTINGS_NAMES if name not in text]
    assert missing == []
