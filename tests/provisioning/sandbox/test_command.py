"""The command that runs both stand-ins."""

import argparse
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from provisioning.sandbox.command import PortTakenError, add_arguments, main, sandboxes, serve

ROOT = Path(__file__).resolve().parents[3]
INTERRUPTED = """
import os, signal, sys, threading
from provisioning.sandbox.command import ending_signal
wait = ending_signal()
def at_each_line(frame, event, argument):
    signal.raise_signal(signal.SIGTERM)
    return at_each_line
threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGTERM)).start()
sys.settrace(at_each_line)
wait()
sys.settrace(None)
"""


def options(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args(["--panel-port", "0", "--billing-port", "0", *arguments])


@contextmanager
def serving(chosen: argparse.Namespace) -> Iterator[list[str]]:
    """A running command in a thread; what it has written."""
    lines: list[str] = []
    said, ended = threading.Event(), threading.Event()

    def write(text: str) -> None:
        lines.append(text)
        said.set()

    thread = threading.Thread(target=serve, args=(chosen, write, ended.wait))
    thread.start()
    try:
        assert said.wait(5)
        yield lines
    finally:
        ended.set()
        thread.join(5)
    assert not thread.is_alive()


def test_both_answer_and_end() -> None:
    with serving(
        options("--application-key", "ptla_" + "a" * 43, "--client-key", "ptlc_" + "b" * 43)
    ) as lines:
        panel_url, billing_url = (word.rstrip(",.") for word in lines[0].split() if word.startswith("http"))
        headers = {"Authorization": "Bearer ptla_" + "a" * 43, "Accept": "application/json"}
        answer = requests.get(f"{panel_url}/api/application/nodes", headers=headers, timeout=5)
        assert answer.headers["x-ratelimit-limit"] == "240"
        assert requests.get(billing_url, timeout=5).status_code == 200
    assert len(lines) == 1, "keys that were passed in are not printed"
    with pytest.raises(requests.ConnectionError):
        requests.get(panel_url, timeout=1)


@pytest.mark.parametrize(("limit", "expected"), [("0", None), ("30", 30)])
def test_the_rate_limit_can_be_chosen(limit: str, expected: int | None) -> None:
    panel, _ = sandboxes(options("--rate-limit", limit, "--install-seconds", "0.5"))
    assert panel.world.settings.application_limit == expected
    assert panel.world.settings.installs.delay == 0.5


def test_keys_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SANDBOX_APPLICATION_KEY", "ptla_" + "c" * 43)
    panel, _ = sandboxes(options())
    assert panel.application_key == "ptla_" + "c" * 43
    assert panel.client_key.startswith("ptlc_")


def test_a_taken_port_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with pytest.raises(PortTakenError, match=f"Port {port} can not be used"):
            serve(options("--billing-port", port), lambda _: None, threading.Event().wait)
        assert main(["--panel-port", port]) == 1
    assert "Choose another one." in capsys.readouterr().err


@pytest.mark.processes
def test_a_signal_in_the_middle_of_another_ends_it_too() -> None:
    done = subprocess.run([sys.executable, "-c", INTERRUPTED], cwd=ROOT, timeout=20, check=False)
    assert done.returncode == 0
