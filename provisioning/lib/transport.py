"""Guarded connections under `lib.http`: where they may lead, and how long they may take.

A connection resolves its name once, refuses it if any address is out of bounds, connects to exactly those
addresses and looks at the peer again before the first byte: a name that changes its answer gains nothing
(B17). Every read gets only the time that is left of the whole call, so one byte a second can't hold it (B6).
"""

import socket
import ssl
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3 import PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.util.retry import Retry
from urllib3.util.ssl_ import create_urllib3_context

from provisioning.lib.addresses import address_problem
from provisioning.lib.http_errors import HttpError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_Resolved = Sequence[tuple[socket.AddressFamily, socket.SocketKind, int, str, Any]]


@dataclass
class Attempt:
    """One call in progress. Times are `time.monotonic()` seconds."""

    allow_private: bool
    connect_by: float
    ends_by: float
    sent: bool = False

    def time_left(self) -> float:
        """Seconds left for what is being done: connecting, or the rest. Raises TimeoutError if none are."""
        end = self.ends_by if self.sent else self.connect_by
        left = end - time.monotonic()
        if left <= 0:
            raise TimeoutError("The time for this call is over.")
        return left


_ATTEMPT: ContextVar[Attempt] = ContextVar("http_attempt")


@contextmanager
def running(attempt: Attempt) -> Iterator[None]:
    """Make `attempt` the one that connections used inside this block belong to."""
    token = _ATTEMPT.set(attempt)
    try:
        yield
    finally:
        _ATTEMPT.reset(token)


class _DeadlineReads:
    """Mixed into sockets: each read waits no longer than the call has left."""

    def recv_into(self, buffer: "WriteableBuffer", nbytes: int | None = None, flags: int = 0) -> int:
        self.settimeout(_ATTEMPT.get().time_left())  # type: ignore[attr-defined]
        size: int = super().recv_into(buffer, nbytes or memoryview(buffer).nbytes, flags)  # type: ignore[misc]
        return size


class _PlainSocket(_DeadlineReads, socket.socket):
    pass


class _TLSSocket(_DeadlineReads, ssl.SSLSocket):
    pass


def _unreachable(host: str, why: str) -> HttpError:
    return HttpError("unreachable", f"{host} could not be reached: {why}.", maybe_processed=False)


def _resolve(host: str, port: int) -> _Resolved:
    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise _unreachable(host, "the name is not known to the name server") from error


def _check(address: str, *, allow_private: bool) -> None:
    problem = address_problem(address, allow_private=allow_private)
    if problem:
        raise HttpError("refused_address", problem, maybe_processed=False)


def _connect_one(entry: _Resolved, host: str, attempt: Attempt) -> socket.socket:
    problem: OSError = TimeoutError("no address")
    for family, kind, protocol, _, address in entry:
        sock = _PlainSocket(family, kind, protocol)
        try:
            sock.settimeout(attempt.time_left())
            sock.connect(address)
            return sock
        except OSError as error:
            sock.close()
            problem = error
    why = "no answer in time" if isinstance(problem, TimeoutError) else (problem.strerror or str(problem))
    raise _unreachable(host, why) from problem


def _connect(host: str, port: int) -> socket.socket:
    attempt = _ATTEMPT.get()
    resolved = _resolve(host, port)
    for entry in resolved:
        _check(entry[4][0], allow_private=attempt.allow_private)
    sock = _connect_one(resolved, host, attempt)
    try:
        _check(sock.getpeername()[0], allow_private=attempt.allow_private)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # For the TLS handshake: it belongs to connecting, too.
        sock.settimeout(attempt.time_left())
    except (HttpError, OSError):
        sock.close()
        raise
    return sock


class _Guarded(HTTPConnection):
    """A connection that goes only where its attempt may, and that notes when bytes of a request leave."""

    def _new_conn(self) -> socket.socket:
        return _connect(self.host, self.port or self.default_port)

    def send(self, data: Any) -> None:
        """Send, and note it; the base class would connect here as well, but after our note."""
        if self.sock is None:
            self.connect()
        attempt = _ATTEMPT.get()
        attempt.sent = True
        self.sock.settimeout(attempt.time_left())
        super().send(data)


class _GuardedTLS(_Guarded, HTTPSConnection):
    pass


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _Guarded


class _TLSPool(HTTPSConnectionPool):
    ConnectionCls = _GuardedTLS


@cache
def tls_context() -> ssl.SSLContext:
    """Return the one TLS context: reading the authorities takes longer than a call on a good day."""
    context = create_urllib3_context(cert_reqs=ssl.CERT_REQUIRED)
    context.sslsocket_class = _TLSSocket
    context.load_verify_locations(DEFAULT_CA_BUNDLE_PATH)
    # The system's authorities as well, for hosts with one of their own.
    context.load_default_certs()
    return context


class GuardedAdapter(HTTPAdapter):
    """The adapter that uses guarded connections. It never retries: only the engine knows what is safe."""

    def __init__(self) -> None:
        super().__init__(max_retries=Retry(0, read=False), pool_connections=1, pool_maxsize=8)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **options: Any) -> None:
        """Build the pool with our connection classes."""
        self.poolmanager = PoolManager(
            num_pools=connections, maxsize=maxsize, block=block, ssl_context=tls_context(), **options
        )
        self.poolmanager.pool_classes_by_scheme = {"http": _PlainPool, "https": _TLSPool}

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Always verify, with the authorities that `tls_context` has already read."""
        conn.cert_reqs = "CERT_REQUIRED"
