"""The demo's environment: fresh keys, a database of its own, short intervals. Not for real use."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path

STAGE = "BILLINGBRIDGE_DEMO_STAGE"
"""Set once the environment stands: the command then runs itself again with it."""

INTERVALS: Mapping[str, str] = {
    "TICK_SECONDS": "0.25",
    "SWEEP_SECONDS": "2",
    "PROBE_SECONDS": "1",
    "BACKOFF_BASE": "0.5",
    "BACKOFF_CAP": "5",
    "UNKNOWN_WAIT_SECONDS": "4",
    "INSTALL_POLL_SECONDS": "0.5",
    "WORKERS": "2",
}
"""Seconds where real use has minutes: the very same engine, only less patient."""


def demo_dir() -> Path:
    """Where the demo keeps its files: var/demo, or where DEMO_DIR says, so that two can run at once."""
    return Path(os.environ.get("DEMO_DIR") or Path("var") / "demo")


def demo_lock() -> int:
    """Holds the demo's folder until this process (and what it becomes by exec) ends; returns the lock's file.

    Raises BlockingIOError while another demo runs in it.
    """
    demo_dir().parent.mkdir(parents=True, exist_ok=True)
    lock = os.open(demo_dir().with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    os.set_inheritable(lock, True)
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return lock


def private_write(path: Path, text: str) -> None:
    """Writes a file that only its owner may read."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)


def demo_environment(*, web: int, panel: int, billing: int, key_start: str = "ptla_") -> dict[str, str]:
    """Makes a fresh folder with fresh keys, and returns the variables that point to it."""
    folder = demo_dir().resolve()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o700)
    (folder / "log").mkdir()
    values = {
        "ENV_FILE": "",
        "DEMO": "true",
        "VAR_DIR": str(folder),
        # Whatever the terminal has set for real use: the demo keeps to its own folder, and mails nobody.
        "DATABASE_URL": "",
        "REDIS_URL": "",
        "EMAIL_URL": "",
        "SECRET_KEY": secrets.token_urlsafe(48),
        "FIELD_KEYS": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "INSTALLATION_ID": "demo",
        "ALLOWED_HOSTS": "127.0.0.1,localhost",
        "PUBLIC_URL": f"http://127.0.0.1:{web}",
        "BIND": f"127.0.0.1:{web}",
        "ALLOW_PLAIN_HTTP": "true",
        "HOST_NAME": "Example Hosting",
        "SUPPORT_EMAIL": "help@example.com",
        "STAFF_EMAILS": "staff@example.com",
        "DEMO_PORTS": json.dumps({"web": web, "panel": panel, "billing": billing}),
        "SANDBOX_APPLICATION_KEY": key_start + secrets.token_hex(22)[:43],
        "SANDBOX_CLIENT_KEY": "ptlc_" + secrets.token_hex(22)[:43],
        **INTERVALS,
    }
    # For whoever wants to look around with manage.py while the demo runs.
    private_write(
        folder / "demo.env", "".join(f"{name}={value}\n" for name, value in values.items() if value)
    )
    return values
