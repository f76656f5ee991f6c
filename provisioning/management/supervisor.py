"""Starts a few processes in one terminal and ends all of them together.

Used by `run` and `demo`. A child gets SIGTERM at its main process only: django-q2 loses running jobs when its
whole group is terminated, and ends cleanly when its main process is. What is left after a grace is killed.
"""

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType, TracebackType
from typing import Final

import structlog
from django.core.management.base import CommandError

PR_SET_PDEATHSIG: Final = 1
ENDING_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
POLL_SECONDS: Final = 0.1
DEATH_SECONDS: Final = 5.0
"""What is killed has ended by then, however busy the machine is."""

log = structlog.get_logger(__name__)


class Supervisor:
    """A context manager: whatever ends the block (an error, Ctrl-C, a signal), no child outlives it.

    `grace` is how many seconds a child has between SIGTERM and SIGKILL.
    """

    def __init__(self, grace: float = 75) -> None:
        self.grace = grace
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._begun: dict[str, tuple[Sequence[str], Mapping[str, str] | None, Path | None]] = {}
        self._handlers: dict[signal.Signals, object] = {}

    def __enter__(self) -> "Supervisor":
        """From here on every ending signal is an interruption of the block."""
        for number in ENDING_SIGNALS:
            self._handlers[number] = signal.signal(number, _interrupt)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End all children, deaf to further signals, then put the old handlers back."""
        for number in ENDING_SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        self.stop()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def start(
        self,
        name: str,
        argv: Sequence[str],
        env: Mapping[str, str] | None = None,
        log: Path | None = None,
    ) -> int:
        """Start a child in a session of its own; returns its pid. Output goes to *log*, else the terminal."""
        self._begun[name] = (argv, env, log)
        output = log.open("ab") if log else None
        try:
            self._children[name] = subprocess.Popen(  # noqa: S603  (our own commands, no shell)
                list(argv),
                env={**os.environ, **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT if output else None,
                start_new_session=True,
                preexec_fn=_end_with_parent,
            )
        finally:
            if output:
                output.close()
        return self._children[name].pid

    def dead(self) -> str:
        """A sentence about the first child that ended by itself, or nothing if all live."""
        for name, child in self._children.items():
            if _has_ended(child):
                return f"{name} has ended by itself (exit code {child.wait()})."
        return ""

    def restart(self, name: str) -> int:
        """Kill a child that hangs, with all that it started, and start it anew; returns the new pid."""
        child = self._children.pop(name)
        _kill_group(child)
        child.wait()
        return self.start(name, *self._begun[name])

    def wait(self, watch: Callable[[], None] = lambda: None) -> str:
        """Wait for a signal (returns nothing) or for a child that ends by itself (returns the sentence).

        `watch` is called at each look, several times a second.
        """
        try:
            while not (sentence := self.dead()):
                watch()
                time.sleep(POLL_SECONDS)
        except KeyboardInterrupt:
            return ""
        return sentence

    def stop(self) -> list[str]:
        """SIGTERM to each main process, then SIGKILL to whatever is left of its session.

        Returns the names of those whose main process had to be killed.
        """
        for child in self._children.values():
            if child.returncode is None:
                os.kill(child.pid, signal.SIGTERM)
        _wait(lambda: all(map(_has_ended, self._children.values())), self.grace)
        late = [name for name, child in self._children.items() if not _has_ended(child)]
        if late:
            log.warning("killed_after_grace", programs=late, seconds=self.grace)
        for child in self._children.values():
            _kill_group(child)
        # A group keeps its number while its main process is a zombie: nobody else's is looked at here.
        _wait(lambda: not any(map(_others_live, self._children.values())), DEATH_SECONDS)
        for child in self._children.values():
            child.wait()
        self._children.clear()
        return late


def port_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server could listen there now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def require_free_port(port: int, *, variable: str) -> None:
    """Raise CommandError, naming the port and the variable that chooses another, if it is taken."""
    if not port_free(port):
        raise CommandError(
            f"Port {port} is taken by another program. End it, or choose another port with {variable}."
        )


def web_argv(bind: str, *, workers: int = 2, threads: int = 4) -> list[str]:
    """The web server. Forwarded headers are left to TRUSTED_PROXIES: gunicorn itself believes none."""
    return [
        sys.executable,
        *("-m", "gunicorn", "billingbridge.wsgi:application", "--bind", bind),
        *("--worker-class", "gthread", "--workers", str(workers), "--threads", str(threads)),
        *(
            "--timeout",
            "60",
            "--graceful-timeout",
            "20",
            "--forwarded-allow-ips",
            "",
            "--log-level",
            "warning",
        ),
    ]


def command_argv(*words: str) -> list[str]:
    """One of the project's own commands, run by the same Python."""
    return [sys.executable, str(Path(sys.argv[0]).resolve()), *words]


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _end_with_parent() -> None:
    """In the child: ask Linux for SIGTERM should the supervisor be killed. Other systems go without."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _has_ended(child: "subprocess.Popen[bytes]") -> bool:
    """Whether the child ended. It stays a zombie, so that its group's number cannot be given away."""
    if child.returncode is not None:
        return True
    return os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _wait(happened: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not happened() and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS / 5)


def _others_live(child: "subprocess.Popen[bytes]") -> bool:
    """Whether anything but its main process still runs in the child's group."""
    return child.returncode is None and any(
        pid != child.pid and state != "Z" for pid, state in group_members(child.pid)
    )


def group_members(group: int) -> Iterator[tuple[int, str]]:
    """The processes of a group with their states (as Linux' proc has them; none on other systems)."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            state, _, number = (process / "stat").read_text().rpartition(")")[2].split()[:3]
        except OSError:  # it ended while we looked
            continue
        if int(number) == group:
            yield int(process.name), state


def _kill_group(child: "subprocess.Popen[bytes]") -> None:
    """Kill what is left of the child's session. A child that was reaped already has no number of its own."""
    if child.returncode is None:
        try:
            os.killpg(child.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            return
