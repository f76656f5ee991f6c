"""Runs `manage.py demo` in a folder and on ports of its own, beside whatever else this machine runs."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import requests

ROOT = Path(__file__).resolve().parents[2]
PORTS = ("WEB_PORT", "PANEL_PORT", "BILLING_PORT")
INHERITED = ("PATH", "HOME", "LANG", "TMPDIR")
"""The rest of this process's environment belongs to the test settings."""
STORY_SECONDS = 200
ENDING_SECONDS = 40


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody listens on now."""
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    found = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return found


class Demo:
    """One running demo. `end()` is Ctrl-C."""

    def __init__(self, place: Path) -> None:
        self.folder = place / "demo"
        self.ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
        self.web = f"http://127.0.0.1:{self.ports['WEB_PORT']}"
        self.panel = f"http://127.0.0.1:{self.ports['PANEL_PORT']}/"
        self._output = place / "demo.txt"
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "manage.py", "demo"],
                cwd=ROOT,
                env=self._environment({name: str(port) for name, port in self.ports.items()}),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def _environment(self, more: dict[str, str]) -> dict[str, str]:
        kept = {name: os.environ[name] for name in INHERITED if name in os.environ}
        return {**kept, "DEMO_DIR": str(self.folder), **more}

    @property
    def said(self) -> str:
        """What the terminal shows so far."""
        return self._output.read_text(encoding="utf-8")

    def until(self, words: str, seconds: float = STORY_SECONDS) -> None:
        """Waits for words in the terminal. Raises AssertionError with all of it if they don't come."""
        ends = time.monotonic() + seconds
        while words not in self.said:
            alive = self._process.poll() is None
            assert alive and time.monotonic() < ends, f"“{words}” did not come:\n{self.said}"  # noqa: PT018
            time.sleep(0.1)

    def sign_in(self) -> dict[str, Any]:
        """Name, password and one-time codes of the demo's member of staff."""
        facts: dict[str, Any] = json.loads((self.folder / "admin.json").read_text())
        return facts

    def send(self, billing_id: str, event: str, **more: str) -> None:
        """Billing sends one event, signed with the endpoint's own secret by the project's own command."""
        body = {
            "event": event,
            "subscription_id": billing_id,
            "customer_email": f"ada{billing_id}@example.com",
            "product_id": "fire-elemental",
            "status": "active",
            **more,
        }
        words = ("send_event", "--endpoint", "Sandbox billing", "--json", json.dumps(body))
        subprocess.run(
            [sys.executable, "manage.py", *words],
            cwd=ROOT,
            env=self._environment({"ENV_FILE": str(self.folder / "demo.env")}),
            check=True,
            capture_output=True,
            timeout=60,
        )

    def panel_row(self, name: str) -> str:
        """The words of a server's row on the sandbox panel's own page, or nothing."""
        page = requests.get(self.panel, timeout=10).text.split("<h2>Users</h2>")[0]
        return next((row for row in page.split("<tr>") if f">{name}<" in row), "")

    def until_panel(self, name: str, words: str, seconds: float = 20) -> None:
        """Waits until the panel shows a server as `words`; no row at all is shown as *gone*."""
        ends = time.monotonic() + seconds
        while words not in (row := self.panel_row(name) or "gone"):
            assert time.monotonic() < ends, f"{name} is not {words} on the panel: {row}"
            time.sleep(0.1)

    def end(self) -> int:
        """Ctrl-C, and the exit code. Raises AssertionError if it takes too long."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        try:
            return self._process.wait(ENDING_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise AssertionError(f"The demo did not end within {ENDING_SECONDS} s:\n{self.said}") from None

    def processes(self) -> set[tuple[int, str]]:
        """The demo's process and all below it, as (pid, start time), which no later process can have."""
        rows = dict(filter(None, map(_stat, Path("/proc").glob("[0-9]*"))))
        found = {self._process.pid} & rows.keys()
        while more := {pid for pid, (parent, _) in rows.items() if parent in found} - found:
            found |= more
        return {(pid, rows[pid][1]) for pid in found}


def left_over(before: set[tuple[int, str]]) -> set[int]:
    """The pids of those processes that still run."""
    rows = dict(filter(None, map(_stat, Path("/proc").glob("[0-9]*"))))
    return {pid for pid, start in before if rows.get(pid, (0, ""))[1] == start}


def _stat(process: Path) -> tuple[int, tuple[int, str]] | None:
    """(pid, (parent, start time)); nothing for what ended meanwhile or only waits to be counted."""
    try:
        fields = (process / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return (int(process.name), (int(fields[1]), fields[19])) if fields[0] != "Z" else None
