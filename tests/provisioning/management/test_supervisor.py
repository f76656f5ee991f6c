"""Children end with their supervisor: by signal, by error, by another's death, by its being killed."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management.base import CommandError

from provisioning.management.supervisor import (
    Supervisor,
    command_argv,
    port_free,
    require_free_port,
    web_argv,
)

SLEEPER = [sys.executable, "-c", "import time; time.sleep(60)"]
STUBBORN = "import os, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); {} time.sleep(60)"
WITH_GRANDCHILD = """
import signal, subprocess, sys, time
script = "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(60)"
child = subprocess.Popen([sys.executable, "-c", script])
open(sys.argv[1], "w").write(str(child.pid))
time.sleep(60)
"""
pytestmark = pytest.mark.processes


def alive(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def gone(pid: int, within: float = 5) -> bool:
    """Whether it ends soon."""
    deadline = time.monotonic() + within
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not alive(pid)


def content(path: Path, within: float = 5) -> str:
    """What a child writes there soon."""
    deadline = time.monotonic() + within
    while not (path.exists() and path.read_text()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return path.read_text()


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody listens on."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


def test_leaving_the_block_ends_the_children() -> None:
    with Supervisor() as children:
        pids = [children.start(f"c{number}", SLEEPER) for number in range(2)]
        assert all(map(alive, pids))
    assert not any(map(alive, pids))


def test_an_error_in_the_block_ends_the_children() -> None:
    with pytest.raises(ZeroDivisionError):  # noqa: PT012, SIM117  (what the block leaves behind is the matter)
        with Supervisor() as children:
            pid = children.start("c", SLEEPER)
            raise ZeroDivisionError
    assert not alive(pid)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_the_wait(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with Supervisor() as children:
        pid = children.start("c", SLEEPER)
        sender = [sys.executable, "-c", f"import os, time; time.sleep(.1); os.kill({os.getpid()}, {number})"]
        children.start("sender", [*sender[:2], sender[2] + "; time.sleep(60)"])
        assert children.wait() == ""
    assert not alive(pid)
    assert signal.getsignal(number) is before


def test_a_childs_death_ends_the_wait_and_is_named() -> None:
    with Supervisor() as children:
        pid = children.start("The sleeper", SLEEPER)
        children.start("The ticker", [sys.executable, "-c", "raise SystemExit(3)"])
        assert children.wait() == "The ticker has ended by itself (exit code 3)."
    assert not alive(pid)


def test_a_stubborn_child_is_killed_after_the_grace(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    with Supervisor(grace=0.2) as children:
        note = f"open({str(ready)!r}, 'w').write('1');"
        pid = children.start("c", [sys.executable, "-c", STUBBORN.format(note)])
        content(ready)
        assert children.stop() == ["c"], "who had to be killed is named"
    assert not alive(pid)


def test_grandchildren_do_not_stay(tmp_path: Path) -> None:
    with Supervisor() as children:
        children.start("c", [sys.executable, "-c", WITH_GRANDCHILD, str(tmp_path / "pid")])
        grandchild = int(content(tmp_path / "pid"))
        assert alive(grandchild)
        assert children.stop() == []
    assert not alive(grandchild), "it returns when the last of them has died"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent died")
def test_killing_the_supervisor_ends_the_children(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path\n"
        "from provisioning.management.supervisor import Supervisor\n"
        f"pid = Supervisor().start('c', {SLEEPER!r}); Path(sys.argv[1]).write_text(str(pid)); time.sleep(60)"
    )
    root = Path(__file__).resolve().parents[3]
    parent = subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "pid")], cwd=root)
    child = int(content(tmp_path / "pid", within=15))
    parent.kill()
    parent.wait()
    assert gone(child)


def test_output_and_environment(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with Supervisor() as children:
        show = "import os; print(os.environ['ADA'], flush=True); import time; time.sleep(60)"
        children.start("c", [sys.executable, "-c", show], env={"ADA": "lovelace"}, log=log)
        assert content(log) == "lovelace\n"


def test_taken_port_is_explained(taken: int) -> None:
    assert not port_free(taken)
    with pytest.raises(CommandError, match=rf"Port {taken} is taken.*with BIND\."):
        require_free_port(taken, variable="BIND")


def test_free_port(taken: int) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    require_free_port(port, variable="BIND")


def test_the_web_server_believes_no_header_by_itself() -> None:
    argv = web_argv("127.0.0.1:8000")
    assert argv[argv.index("--forwarded-allow-ips") + 1] == ""
    assert argv[argv.index("--bind") + 1] == "127.0.0.1:8000"


def test_commands_run_by_the_same_python() -> None:
    assert command_argv("tick")[0] == sys.executable
    assert command_argv("tick")[-1] == "tick"
