"""The small HTTP server: routing, keep-alive, closing."""

import socket

import pytest
import requests

from provisioning.sandbox.http import HttpServer, Request, Response, Route, Router, nested


def echo(request: Request) -> Response:
    """Answers with what came in."""
    return Response.of_json({"method": request.method, "query": request.query, "body": request.body.decode()})


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ([("a", "1")], {"a": "1"}),
        ([("filter[email]", "x"), ("filter[id]", "2")], {"filter": {"email": "x", "id": "2"}}),
        ([("ids[]", "1"), ("ids[]", "2")], {"ids": ["1", "2"]}),
        ([("a[b][c]", "1")], {"a[b][c]": "1"}),
    ],
)
def test_php_brackets(pairs: list[tuple[str, str]], expected: dict[str, object]) -> None:
    assert nested(pairs) == expected


def test_routes() -> None:
    router = Router([Route("GET", "/a/first", 1), Route("GET", "/a/{id}", 2), Route("POST", "/a/{id}", 3)])
    found = router.find("HEAD", "/a/x%3Ay")
    assert found is not None
    assert (found[0].endpoint, found[1]) == (2, {"id": "x:y"})
    first = router.find("GET", "/a/first")
    assert first is not None
    assert first[0].endpoint == 1
    assert router.find("GET", "/a/b/c") is None
    assert router.methods("/a/1") == ["GET", "HEAD", "POST"]


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("application/json", True),
        ("Application/vnd.x+json, */*", True),
        ("*/*", False),
        ("text/html, application/json", False),
    ],
)
def test_which_callers_want_json(accept: str, wanted: bool) -> None:
    assert Request("GET", "/", "", {"accept": accept}, b"", "").wants_json() is wanted


def test_one_connection_serves_many_requests() -> None:
    server = HttpServer(echo)
    server.start()
    request = b"GET /?a=1 HTTP/1.1\r\nHost: x\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        for _ in range(2):
            connection.sendall(request)
            assert b'"a": "1"' in connection.recv(65536)
    server.stop()


def test_stop_refuses_and_start_takes_the_same_port_again() -> None:
    server = HttpServer(echo)
    server.start()
    port = server.port
    with requests.Session() as session:
        assert session.get(server.url, timeout=5).status_code == 200
        server.stop()
        server.stop()
        with pytest.raises(requests.ConnectionError):
            session.get(server.url, timeout=5)
        server.start()
        assert server.port == port
        assert session.post(server.url, data=b"x", timeout=5).json()["body"] == "x"
    server.stop()


def test_only_the_loopback_listens() -> None:
    server = HttpServer(echo)
    assert server.url.startswith("http://127.0.0.1:")


def test_a_body_that_is_too_large_is_not_read() -> None:
    server = HttpServer(echo)
    server.start()
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        connection.sendall(head)
        assert connection.recv(65536).startswith(b"HTTP/1.1 413")
    server.stop()
