"""What every test gets: no network but loopback, a clock put back, a queue that runs when told to."""

import socket
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from ipaddress import ip_address
from types import ModuleType
from typing import Any

import pytest
import structlog
from django.db import connection
from django.utils.module_loading import import_string

from provisioning import queue
from provisioning.lib import clock as project_clock
from provisioning.models.clock import configure_clock

pytest_plugins = ["tests.requirement_marks"]
# `make browser` installs Playwright; without it these files cannot even be read.
collect_ignore = [] if find_spec("playwright") else ["browser"]
DATABASE_FIXTURES = {"db", "transactional_db", "django_db_serialized_rollback", "live_server"}


class NetworkBlockedError(RuntimeError):
    """A test tried to leave the machine. No OSError on purpose: the code under test must not swallow it."""


def _refuse_strangers(host: object) -> None:
    name = host.decode() if isinstance(host, bytes) else str(host or "")
    if name in ("", "localhost"):
        return
    try:
        if ip_address(name).is_loopback or ip_address(name).is_unspecified:
            return
    except ValueError:
        pass
    raise NetworkBlockedError(f"Tests reach loopback only; this one asked for {name}.")


@pytest.fixture(autouse=True, scope="session")
def _no_network() -> Iterator[None]:
    """Block name look-ups and connections that leave this machine."""
    connect, look_up = socket.socket.connect, socket.getaddrinfo

    def guarded_connect(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            _refuse_strangers(address[0])
        connect(self, address)

    def guarded_look_up(host: Any, *args: Any, **kwargs: Any) -> Any:
        _refuse_strangers(host)
        return look_up(host, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded_connect)
        patch.setattr(socket, "getaddrinfo", guarded_look_up)
        yield


@pytest.fixture(autouse=True)
def clock(request: pytest.FixtureRequest) -> Iterator[ModuleType]:
    """The project's clock; every `clock.shift(seconds)` is taken back after the test.

    PostgreSQL is the clock's source there: a test that has no database gets the host's time instead.
    """
    project_clock.reset()
    if request.node.get_closest_marker("django_db") or DATABASE_FIXTURES & set(request.fixturenames):
        yield project_clock
    else:
        project_clock.configure()
        yield project_clock
        configure_clock()
    project_clock.reset()


@pytest.fixture(autouse=True)
def _no_request_id() -> None:
    """No test inherits the request id that another one's request has left in this thread."""
    structlog.contextvars.clear_contextvars()


class Jobs:
    """Jobs in the order in which they were sent, kept in memory until the test runs them."""

    MOST = 1000

    def __init__(self) -> None:
        self._sent: list[tuple[str, int]] = []

    def send(self, path: str, ident: int) -> None:
        """Stands in for the queue's own sender."""
        self._sent.append((path, ident))

    @property
    def sent(self) -> list[tuple[str, int]]:
        """(dotted path, id) of every job that waits."""
        self._commit()
        return list(self._sent)

    def clear(self) -> None:
        """Lose the queue, as a Redis that was flushed does."""
        self._commit()
        self._sent.clear()

    def drain(self) -> int:
        """Run what waits, and what that sends, until nothing does; returns how many jobs ran."""
        for count in range(self.MOST):
            self._commit()
            if not self._sent:
                return count
            path, ident = self._sent.pop(0)
            job: Callable[[int], None] = import_string(path)
            job(ident)
        raise AssertionError(f"More than {self.MOST} jobs: two of them wake each other for ever.")

    def _commit(self) -> None:
        """Run on-commit callbacks now: the transaction around a test never commits."""
        while connection.in_atomic_block and connection.run_on_commit:
            connection.run_on_commit.pop(0)[1]()


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> Jobs:
    """An in-memory queue in place of django-q2's."""
    stand_in = Jobs()
    monkeypatch.setattr(queue, "_send", stand_in.send)
    return stand_in
