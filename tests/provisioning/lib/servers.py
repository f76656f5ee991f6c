"""A loopback listener that says exactly what a test wants, byte by byte, and remembers what it heard."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

Behaviour = Callable[[socket.socket], None]


@dataclass
class Listener:
    """A listening socket on 127.0.0.1 with what it received so far."""

    port: int
    heard: bytearray = field(default_factory=bytearray)
    connections: int = 0
    stopped: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def safe_url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def read_request(self, connection: socket.socket) -> bytes:
        """Read one request, body included; empty when the other side hung up."""
        request = bytearray()
        while not _is_whole(request):
            chunk = connection.recv(65536)
            if not chunk:
                return b""
            request += chunk
            self.heard += chunk
        return bytes(request)


def _is_whole(request: bytearray) -> bool:
    head, end, body = bytes(request).partition(b"\r\n\r\n")
    length = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return bool(end) and len(body) >= (int(length[0].split(b":")[1]) if length else 0)


def _serve(listening: socket.socket, listener: Listener, answer: Callable[[Listener], Behaviour]) -> None:
    while not listener.stopped.is_set():
        try:
            connection, _ = listening.accept()
        except TimeoutError:
            continue
        listener.connections += 1
        with connection:
            connection.settimeout(3)
            try:
                answer(listener)(connection)
            except OSError:
                continue  # the client hung up or refused our certificate, which some tests provoke


@contextmanager
def listening(answer: Callable[[Listener], Behaviour]) -> Iterator[Listener]:
    """Serve connections one after the other until the block ends."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.005)
        listener = Listener(port=server.getsockname()[1])
        thread = threading.Thread(target=_serve, args=(server, listener, answer), daemon=True)
        thread.start()
        try:
            yield listener
        finally:
            listener.stopped.set()
            thread.join(timeout=5)


def saying(*parts: bytes, pause: float = 0.0, times: int = 1) -> Callable[[Listener], Behaviour]:
    """Answer requests on one connection with these bytes, pausing before each part."""

    def answer(listener: Listener) -> Behaviour:
        def behave(connection: socket.socket) -> None:
            for _ in range(times):
                if not listener.read_request(connection):
                    return
                for part in parts:
                    if listener.stopped.wait(pause) if pause else False:
                        return
                    connection.sendall(part)

        return behave

    return answer


def over_tls(certificate: str, answer: Callable[[Listener], Behaviour]) -> Callable[[Listener], Behaviour]:
    """Speak TLS with this certificate file, then behave as `answer` says."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def wrapped(listener: Listener) -> Behaviour:
        def behave(connection: socket.socket) -> None:
            with context.wrap_socket(connection, server_side=True) as safe:
                answer(listener)(safe)

        return behave

    return wrapped


def response(body: bytes = b"{}", *, status: str = "200 OK", headers: str = "") -> bytes:
    """Build a whole HTTP/1.1 answer."""
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body
