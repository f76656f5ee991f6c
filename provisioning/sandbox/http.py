"""A small threaded HTTP/1.1 server with keep-alive: requests, responses, routing, rude deliveries.

Standard library only. Bound to the loopback interface, because what is behind it is a toy.
"""

import json
import re
import socket
import struct
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Literal, Self
from urllib.parse import parse_qsl, unquote, urlsplit

LOOPBACK = "127.0.0.1"
BODY_LIMIT = 10 * 1024 * 1024
POLL = 0.01  # seconds; how fast stop() is noticed, since tests start and stop many panels

Delivery = Literal["normal", "drop", "cut", "drip"]


@dataclass(frozen=True)
class Request:
    """One request as it came in; header names are lower case, the path is still percent-encoded.

    ``address`` is the caller's; ``hung_up`` tells at any time whether the caller is still there.
    """

    method: str
    path: str
    query_string: str
    headers: dict[str, str]
    body: bytes
    base_url: str
    address: str = LOOPBACK
    hung_up: Callable[[], bool] = lambda: False

    @cached_property
    def query(self) -> dict[str, object]:
        """The query, unfolded as PHP does: ``filter[email]=x`` is ``{"filter": {"email": "x"}}``."""
        return nested(parse_qsl(self.query_string, keep_blank_values=True))

    def wants_json(self) -> bool:
        """Whether the first type of the Accept header is a JSON one (contract section 0, trap 1)."""
        first = self.headers.get("accept", "").split(",")[0]
        return "/json" in first or "+json" in first


@dataclass
class Response:
    """What goes back, and how: ``delivery`` other than normal is a fault on the wire."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    delivery: Delivery = "normal"
    interval: float = 1.0

    @classmethod
    def of_json(cls, payload: object, status: int = 200) -> "Response":
        """A plain JSON answer."""
        return cls(status=status, body=json.dumps(payload).encode())

    @classmethod
    def of_html(cls, text: str, status: int = 200) -> "Response":
        """An HTML page."""
        return cls(status=status, body=text.encode(), content_type="text/html; charset=UTF-8")


App = Callable[[Request], Response]


def nested(pairs: Iterable[tuple[str, str]]) -> dict[str, object]:
    """Unfold ``a[b]=1`` and ``a[]=1`` as PHP does; other keys stay as they are."""
    result: dict[str, object] = {}
    for name, value in pairs:
        match = re.fullmatch(r"([^\[\]]+)\[([^\[\]]*)\]", name)
        if match is None:
            result[name] = value
            continue
        outer, inner = match.groups()
        held = result.setdefault(outer, {} if inner else [])
        if isinstance(held, dict):
            held[inner or str(len(held))] = value
        elif isinstance(held, list):
            held.append(value)
    return result


@dataclass(frozen=True)
class Route:
    """A method and a pattern such as ``/users/{user}``; each ``{name}`` takes one path segment."""

    method: str
    pattern: str
    endpoint: object

    @cached_property
    def regex(self) -> re.Pattern[str]:
        """The pattern as a compiled expression."""
        return re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(self.pattern)))

    def parameters(self, path: str) -> dict[str, str] | None:
        """The decoded path parameters, or None where the path is another one."""
        match = self.regex.fullmatch(path)
        return {k: unquote(v) for k, v in match.groupdict().items()} if match else None


class Router:
    """An ordered list of routes; the first match wins."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self.routes = list(routes)

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]] | None:
        """The route of this method and path; HEAD works wherever GET does."""
        wanted = "GET" if method == "HEAD" else method
        for route in self.routes:
            if route.method == wanted and (parameters := route.parameters(path)) is not None:
                return route, parameters
        return None

    def methods(self, path: str) -> list[str]:
        """Which methods this path knows (for an answer 405)."""
        found = {route.method for route in self.routes if route.parameters(path) is not None}
        order = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
        return [m for m in order if m in found or (m == "HEAD" and "GET" in found)]


class _Handler(BaseHTTPRequestHandler):
    """Turns a socket into Request objects and Response objects into bytes."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one write, one packet per answer
    disable_nagle_algorithm = True
    server: "_Listener"

    def setup(self) -> None:
        super().setup()
        self.server.connections.add(self.connection)

    def finish(self) -> None:
        self.server.connections.discard(self.connection)
        try:
            super().finish()
        except OSError:  # the client, or a fault, has closed the connection already
            self.close_connection = True

    def handle(self) -> None:
        try:
            super().handle()
        except OSError:  # reset by the client, or closed by stop()
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Keep the terminal quiet: the page and the control API show the requests."""

    def answer(self) -> None:
        """Read the request, ask the app, send what it says."""
        request = self.read()
        if request is None:
            self.deliver(Response(status=413, headers={"Connection": "close"}))
            return
        self.deliver(self.server.app(request))

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = answer

    def read(self) -> Request | None:
        """The request with its body, or None where the body is too large to read."""
        told = self.headers.get("Content-Length") or "0"
        length = int(told) if told.isdigit() else 0
        if length > BODY_LIMIT:
            return None
        parts = urlsplit(self.path)
        return Request(
            method=self.command,
            path=parts.path,
            query_string=parts.query,
            headers={name.lower(): value for name, value in self.headers.items()},
            body=self.rfile.read(length) if length else b"",
            base_url=self.server.base_url,
            address=str(self.client_address[0]),
            hung_up=self.hung_up,
        )

    def hung_up(self) -> bool:
        """Whether the caller has closed the connection, or the server is being stopped."""
        if self.server.stopping.is_set():
            return True
        try:
            waiting: bytes = self.connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            return True
        return waiting == b""

    def deliver(self, response: Response) -> None:
        """Send the answer, or break the connection the way the response asks for."""
        if response.delivery == "drop":
            self.reset()
            return
        self.send_response(response.status)
        for name, value in response.headers.items():
            self.send_header(name, value)
        if response.status != 204 and response.content_type:
            self.send_header("Content-Type", response.content_type)
        if response.status not in (204, 304) or response.body:
            self.send_header("Content-Length", str(len(response.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.send_body(response)
        if response.headers.get("Connection") == "close":
            self.close_connection = True

    def send_body(self, response: Response) -> None:
        """The body: whole, half of it, or a byte at a time."""
        if response.delivery == "normal":
            self.wfile.write(response.body)
        elif response.delivery == "cut":
            self.wfile.write(response.body[: len(response.body) // 2])
            self.close_connection = True
        else:
            for position in range(len(response.body)):
                self.wfile.write(response.body[position : position + 1])
                self.wfile.flush()
                if self.server.stopping.wait(response.interval):
                    return

    def reset(self) -> None:
        """Close with a TCP reset, so that the client sees a broken connection and no answer."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True


class _Listener(ThreadingHTTPServer):
    """The listening socket with its open connections."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, app: App, port: int) -> None:
        self.app = app
        self.connections: set[socket.socket] = set()
        self.stopping = threading.Event()
        super().__init__((LOOPBACK, port), _Handler)
        self.base_url = f"http://{LOOPBACK}:{self.server_address[1]}"


class HttpServer:
    """A server on a loopback port (0: any free one), in a thread of its own between start and stop."""

    def __init__(self, app: App, port: int = 0) -> None:
        self.app = app
        self.port = port
        self._listener: _Listener | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """The address without a trailing slash; known once started."""
        return f"http://{LOOPBACK}:{self.port}"

    def start(self) -> None:
        """Listen and answer. Raises OSError where the port is taken."""
        listener = _Listener(lambda request: self.app(request), self.port)
        self.port = int(listener.server_address[1])
        self._listener = listener
        self._thread = threading.Thread(target=listener.serve_forever, args=(POLL,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Close the port and every open connection: from now on, connecting is refused. Safe to repeat."""
        listener, thread = self._listener, self._thread
        self._listener = self._thread = None
        if listener is None or thread is None:
            return
        listener.stopping.set()
        listener.shutdown()
        thread.join()
        for connection in list(listener.connections):
            _shut(connection)
        listener.server_close()


class Served:
    """Something behind an HttpServer of its own; also a context manager."""

    server: HttpServer

    @property
    def url(self) -> str:
        """The address, without a slash at its end."""
        return self.server.url

    def start(self) -> None:
        """Open the port; after stop() the same one. Raises OSError where it is taken."""
        self.server.start()

    def stop(self) -> None:
        """Close the port and all connections: connecting is refused until start()."""
        self.server.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _shut(connection: socket.socket) -> None:
    """End a connection that another thread is reading from."""
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:  # closed in the meantime by the client
        return
