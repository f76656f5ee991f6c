"""`demo` and `run` as a person starts them: what they say, how they end, and that nothing stays."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.flows.stack import MANAGE, ROOT, free_port, processes_in

pytestmark = pytest.mark.processes
CLEAN = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TZ")}


def command(*words: str, log: Path, **env: str) -> subprocess.Popen[bytes]:
    """Starts a command in an environment of its own, as a terminal would."""
    with log.open("wb") as output:
        return subprocess.Popen(
            [sys.executable, "-u", MANAGE, *words],
            env={**CLEAN, **env},
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def demo(folder: Path, *words: str, **ports: int) -> subprocess.Popen[bytes]:
    """The demo in a folder and on ports of its own."""
    chosen = {name: free_port() for name in ("web", "panel", "billing")} | ports
    options = [f"--{name}-port={port}" for name, port in chosen.items()]
    return command("demo", *words, *options, log=folder / "said", DEMO_DIR=str(folder / "demo"))


def said(folder: Path, words: str, *, within: float) -> str:
    """What the command has written, once these words are in it."""
    ends = time.monotonic() + within
    while words not in (text := (folder / "said").read_text()) and time.monotonic() < ends:
        time.sleep(0.05)
    assert words in text
    return text


def test_a_taken_port_is_explained(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        assert demo(tmp_path, "--once", panel=port).wait(20) == 1
    text = (tmp_path / "said").read_text()
    assert f"Port {port} is taken by another program. End it, or choose another port with PANEL_PORT." in text
    assert "Traceback" not in text


def test_run_without_a_setting_says_which_in_one_sentence(tmp_path: Path) -> None:
    settings = {"VAR_DIR": str(tmp_path / "var"), "ENV_FILE": "", "SECRET_KEY": "x" * 40 + "0123456789"}
    settings |= {"INSTALLATION_ID": "prod", "PUBLIC_URL": "https://bridge.example.com"}
    process = command("run", log=tmp_path / "said", ALLOWED_HOSTS="bridge.example.com", **settings)
    assert process.wait(20) != 0
    text = (tmp_path / "said").read_text()
    assert "FIELD_KEYS is not set. Set one key or more" in text
    assert "Traceback" not in text
    assert not processes_in(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_story_leaves_no_process(tmp_path: Path, number: signal.Signals) -> None:
    process = demo(tmp_path)
    said(tmp_path, "1. a paid order becomes a server", within=60)
    assert len(processes_in(tmp_path / "demo")) >= 4
    process.send_signal(number)
    assert process.wait(40) == 130
    assert not processes_in(tmp_path)
    assert "Traceback" not in said(tmp_path, "Interrupted; everything was stopped.", within=0)


@pytest.mark.slow
@pytest.mark.parametrize("panel", ["pterodactyl", "calagopus"])
def test_the_whole_story_holds(tmp_path: Path, panel: str) -> None:
    assert demo(tmp_path, "--once", f"--panel={panel}").wait(110) == 0, (tmp_path / "said").read_text()
    assert "All 8 steps confirmed" in (tmp_path / "said").read_text()
    assert not processes_in(tmp_path)
