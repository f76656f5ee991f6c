"""HTTP as bytes on a socket: what is sent need not be HTTP at all, and what comes back is read strictly."""

from __future__ import annotations

import socket
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType

TIMEOUT = 30.0
"""Seconds; a server that has not answered by then hangs."""


@dataclass(frozen=True)
class Answer:
    """One answer; header names are in small letters. `closes` is whether the server ends the connection."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def closes(self) -> bool:
        """Whether the server says that it ends the connection."""
        return ("connection", "close") in self.headers

    @property
    def looks(self) -> tuple[int, tuple[tuple[str, str], ...], bytes]:
        """All that a stranger sees of it, without date, the request's own id and the socket's fate."""
        own = ("date", "x-request-id", "connection")
        return self.status, tuple(sorted(item for item in self.headers if item[0] not in own)), self.body


class Gone(Exception):
    """The server closed the connection without an answer."""


class Connection:
    """A connection that is opened when needed and kept as long as the server keeps it."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._socket: socket.socket | None = None
        self._seen = b""

    def __enter__(self) -> Connection:
        """Nothing is opened yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    @property
    def open(self) -> bool:
        """Whether a connection is kept."""
        return self._socket is not None

    def close(self) -> None:
        """Close it; the next request opens another."""
        if self._socket is not None:
            self._socket.close()
        self._socket, self._seen = None, b""

    def send(self, raw: bytes, *, last: bool = False) -> None:
        """Send bytes as they are. `last`: say that nothing follows. A server that hung up is no error yet."""
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self.port), TIMEOUT)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with suppress(BrokenPipeError, ConnectionResetError):
            self._socket.sendall(raw)
            if last:
                self._socket.shutdown(socket.SHUT_WR)

    def receive(self, *, bodiless: bool = False) -> Answer:
        """The next answer. Raises Gone, or TimeoutError if the server says nothing at all."""
        while True:
            head, _, self._seen = self._until(b"\r\n\r\n").partition(b"\r\n\r\n")
            lines = head.decode("latin-1").split("\r\n")
            status = int(lines[0].split(" ")[1])
            if status >= 200:
                break
        pairs = (line.partition(":") for line in lines[1:])
        headers = tuple((name.strip().lower(), value.strip()) for name, _, value in pairs)
        answer = Answer(status, headers, b"" if bodiless else self._body(dict(headers)))
        if answer.closes:
            self.close()
        return answer

    def _body(self, headers: dict[str, str]) -> bytes:
        if "content-length" not in headers:
            return self._rest()
        length = int(headers["content-length"])
        while len(self._seen) < length:
            self._more()
        body, self._seen = self._seen[:length], self._seen[length:]
        return body

    def _rest(self) -> bytes:
        with suppress(Gone):
            while True:
                self._more()
        body = self._seen
        self.close()
        return body

    def _until(self, mark: bytes) -> bytes:
        while mark not in self._seen:
            self._more()
        return self._seen

    def _more(self) -> None:
        if self._socket is None:
            raise Gone
        try:
            piece = self._socket.recv(65_536)
        except ConnectionResetError:
            piece = b""
        if not piece:
            raise Gone
        self._seen += piece
