"""The HTTP client: what is sent, what counts as an answer, and what a failure says about the request."""

import socket
import struct
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from provisioning.lib import redact, transport
from provisioning.lib.http import (
    Answer,
    CallRecord,
    DeadlineTooShort,
    HttpClient,
    HttpError,
    Params,
    quote_segment,
)
from tests.provisioning.lib.servers import Behaviour, Listener, listening, over_tls, response, saying

KEY = "ptla_abcdefghijkABCDEFGHIJK0123456789abcdefghijk"


def make_client(url: str, **changes: Any) -> HttpClient:
    settings: dict[str, Any] = {
        "headers": {"Authorization": f"Bearer {KEY}"},
        "allow_private": True,
        "allow_plain_http": True,
        "connect_timeout": 1,
        "read_timeout": 2,
    }
    return HttpClient(url, **(settings | changes))


def failing(answer: Callable[[Listener], Behaviour], **changes: Any) -> HttpError:
    """Make one POST that must fail, and return the error."""
    with listening(answer) as server, pytest.raises(HttpError) as caught:
        make_client(server.url, **changes).request("POST", "/api", json={"a": 1})
    return caught.value


def test_a_call_brings_status_headers_and_json() -> None:
    answer = saying(response(b'{"object": "user"}', status="201 Created", headers="X-Rate: 239\r\n"))
    with listening(answer) as server:
        got = make_client(server.url).request("POST", "/api/users", json={"email": "ada@example.com"})
    assert (got.status, got.headers["x-rate"], got.json()) == (201, "239", {"object": "user"})
    assert got.elapsed_ms >= 0
    assert server.heard.startswith(b"POST /api/users HTTP/1.1\r\n")
    assert server.heard.endswith(b'{"email": "ada@example.com"}')


def test_headers_are_those_of_a_plain_api_client() -> None:
    # Contract section 0: cookies, Origin and Referer make the panel take us for a browser.
    with listening(saying(response(headers="Set-Cookie: pterodactyl_session=x\r\n"), times=2)) as server:
        client = make_client(server.url)
        client.request("GET", "/")
        client.request("GET", "/")
    heard = bytes(server.heard).lower()
    assert heard.count(b"accept: application/json") == 2
    assert heard.count(b"authorization: bearer ptla_") == 2
    assert not any(name in heard for name in (b"cookie", b"origin", b"referer", b"gzip"))


@pytest.mark.parametrize(
    "answer",
    [response(), b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"],
)
def test_connections_are_reused(answer: bytes) -> None:
    with listening(saying(answer, times=3)) as server:
        client = make_client(server.url)
        assert [client.request("GET", "/").json() for _ in range(3)] == [{}, {}, {}]
        client.close()
    assert server.connections == 1


@pytest.mark.parametrize("status", ["204 No Content", "401 Unauthorized", "404 Not Found", "503 Busy"])
def test_no_status_is_an_exception(status: str) -> None:
    with listening(saying(response(b"", status=status))) as server:
        got = make_client(server.url).request("DELETE", "/x")
    assert got.status == int(status[:3])
    assert got.text == ""


@pytest.mark.parametrize("location", ["http://127.0.0.1:1/", "http://[", "//169.254.169.254/"])
def test_redirects_are_answers_not_orders(location: str) -> None:
    redirect = response(b"", status="302 Found", headers=f"Location: {location}\r\n")
    with listening(saying(redirect)) as server:
        assert make_client(server.url).request("GET", "/").status == 302
    assert server.connections == 1


@pytest.mark.parametrize(
    ("base", "path", "params", "expected"),
    [
        ("", "/api/users", None, "/api/users"),
        ("", "api/users", None, "/api/users"),
        ("/panel/", "/api/users", None, "/panel/api/users"),
        ("", "/a b/ü#x", None, "/a%20b/%C3%BC%23x"),
        ("", "/a%2Fb", None, "/a%2Fb"),
        ("", "/u?filter[email]=ada@example.com", None, "/u?filter%5Bemail%5D=ada@example.com"),
        ("", "/u?page=1", {"per_page": 100}, "/u?page=1&per_page=100"),
        ("", "/u", {"filter[email]": "a&b=c"}, "/u?filter%5Bemail%5D=a%26b%3Dc"),
        ("", "/u", [("port", 1), ("port", 2)], "/u?port=1&port=2"),
        ("", "//evil.example.com/x", None, "/evil.example.com/x"),
    ],
)
def test_paths_are_joined_and_quoted(base: str, path: str, params: Params | None, expected: str) -> None:
    with listening(saying(response())) as server:
        make_client(server.url + base).request("GET", path, params=params)
    assert server.heard.split(b" ")[1].decode() == expected


@pytest.mark.parametrize("path", ["/../admin", "/a/%2e%2e/b", "/./x", "/a\\b"])
def test_paths_that_climb_are_refused(path: str) -> None:
    with pytest.raises(ValueError, match="climb"):
        make_client("http://127.0.0.1:9/base").request("GET", path)


def test_segments_are_quoted_whole() -> None:
    assert quote_segment("a/b?c=%2e ü") == "a%2Fb%3Fc%3D%252e%20%C3%BC"
    assert quote_segment(12) == "12"


@pytest.mark.parametrize("value", ["", ".", ".."])
def test_segments_that_would_climb_are_refused(value: str) -> None:
    with pytest.raises(ValueError, match="part"):
        quote_segment(value)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_a_refused_connection_is_unreachable_and_nothing_was_sent() -> None:
    with pytest.raises(HttpError) as caught:
        make_client(f"http://127.0.0.1:{free_port()}").request("GET", "/")
    assert (caught.value.kind, caught.value.maybe_processed) == ("unreachable", False)
    assert "Connection refused" in caught.value.detail


def test_an_unknown_name_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_args: object, **_kwargs: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(HttpError) as caught:
        make_client("https://panel.example.com").request("GET", "/")
    assert (caught.value.kind, caught.value.maybe_processed) == ("unreachable", False)
    assert "panel.example.com" in caught.value.detail


def test_slow_name_servers_leave_nothing_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve = socket.getaddrinfo

    def slow(*args: Any, **kwargs: Any) -> Any:
        time.sleep(0.12)
        return resolve(*args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    with listening(saying(response())) as server, pytest.raises(HttpError) as caught:
        make_client(server.url, connect_timeout=0.1).request("GET", "/")
    assert (caught.value.kind, caught.value.maybe_processed) == ("unreachable", False)
    assert not server.heard


def reset(listener: Listener) -> Behaviour:
    def behave(connection: socket.socket) -> None:
        listener.read_request(connection)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    return behave


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"
ENDLESS = tuple(b"X-Slow: 1\r\n" for _ in range(90))


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (saying(), "lost"),
        (reset, "lost"),
        (saying(HEAD + b'{"half":'), "bad_answer"),
        (saying(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), "bad_answer"),
        (saying(b"SSH-2.0-OpenSSH_9.2\r\n"), "bad_answer"),
        (saying(response(b"not gzip", headers="Content-Encoding: gzip\r\n")), "bad_answer"),
        (saying(b"HTTP/1.1 200 OK\r\n" + b"X-A: 1\r\n" * 200 + b"\r\n"), "bad_answer"),
        (saying(b"never", pause=2.9), "timeout"),
        (saying(HEAD, *([b"."] * 90), pause=0.03), "timeout"),
        (saying(b"HTTP/1.1 200 OK\r\n", *ENDLESS, pause=0.03), "timeout"),
        (
            saying(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", *([b"1"] * 90), pause=0.03),
            "timeout",
        ),
    ],
)
def test_trouble_after_sending_may_have_been_processed(
    answer: Callable[[Listener], Behaviour], kind: str
) -> None:
    started = time.monotonic()
    error = failing(answer, connect_timeout=1, read_timeout=0.2)
    assert (error.kind, error.maybe_processed) == (kind, True)
    assert time.monotonic() - started < 2.7


@pytest.mark.parametrize(
    "answer",
    [
        response(b"x" * 3000),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"200\r\n" + b"x" * 512 + b"\r\n" * 1,
    ],
)
def test_bodies_over_the_cap_are_cut_off(answer: bytes) -> None:
    error = failing(saying(answer), max_bytes=400)
    assert (error.kind, error.maybe_processed) == ("too_large", True)


def test_a_whole_body_under_the_cap_passes() -> None:
    with listening(saying(response(b"x" * 400))) as server:
        assert len(make_client(server.url, max_bytes=400).request("GET", "/").body) == 400


@pytest.mark.parametrize("body", [b"", b"<html>502</html>", b"{", b"[" * 100_000, b"\xff\xfe{"])
def test_json_is_guarded(body: bytes) -> None:
    answer = Answer(status=200, headers={}, body=body, elapsed_ms=1)
    with pytest.raises(HttpError) as caught:
        answer.json()
    assert (caught.value.kind, caught.value.maybe_processed) == ("bad_answer", True)


@pytest.mark.parametrize("deadline", [2.9, 0, -1])
def test_a_short_deadline_stops_before_anything_is_sent(deadline: float) -> None:
    with listening(saying(response())) as server, pytest.raises(DeadlineTooShort) as caught:
        make_client(server.url).request("GET", "/", deadline=deadline)
    assert (caught.value.needed, caught.value.left) == (3, deadline)
    assert server.connections == 0


def test_a_deadline_counts_the_time_out_of_the_call() -> None:
    with listening(saying(response(), times=2)) as server:
        client = make_client(server.url)
        assert client.request("GET", "/", deadline=3).status == 200
        with pytest.raises(DeadlineTooShort):
            client.request("GET", "/", deadline=3, read_timeout=60)
        client.close()


def test_the_observer_hears_of_every_attempt() -> None:
    records: list[CallRecord] = []
    with listening(saying(response(b'{"a":1}'))) as server:
        client = make_client(server.url, observer=records.append)
        client.request("post", "/api?token=hunter2hunter2", json={"b": 2})
        client.close()
    with pytest.raises(HttpError):
        client.request("GET", "/again")
    first, second = records
    assert (first.method, first.path, first.status, first.error) == ("POST", "/api?token=[hidden]", 200, None)
    assert (first.request_bytes, first.response_bytes) == (8, 7)
    assert (second.status, second.error, second.path) == (None, "unreachable", "/again")


@pytest.mark.req("CAL-12")
def test_a_key_echoed_by_the_panel_is_hidden() -> None:
    redact.forget_secrets()
    key = "plain-looking-key-1234567890"
    with listening(saying(response(f"<p>{key}</p>".encode()))) as server:
        client = make_client(server.url, headers={"Authorization": f"Bearer {key}"})
        got = client.request("GET", "/")
    with pytest.raises(HttpError) as caught:
        got.json()
    assert key not in str(caught.value)
    assert key not in repr(got) + repr(client)


def make_certificate(folder: Path) -> str:
    """Write a self-signed certificate for 127.0.0.1 with its key, and return the file's name."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "panel")])
    today = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(today - timedelta(days=1)).not_valid_after(today + timedelta(days=1))
    names = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    basics = x509.BasicConstraints(ca=True, path_length=None)
    builder = builder.add_extension(names, critical=False).add_extension(basics, critical=True)
    certificate = builder.sign(key, hashes.SHA256())
    path = folder / "panel.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(secret + certificate.public_bytes(serialization.Encoding.PEM))
    return str(path)


def trusted_certificate(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Make a certificate and let the system trust it, in a TLS context of this test's own."""
    path = make_certificate(folder)
    monkeypatch.setenv("SSL_CERT_FILE", path)
    monkeypatch.setattr(transport, "tls_context", transport.tls_context.__wrapped__)
    return path


@pytest.mark.req("CAL-11")
def test_an_untrusted_certificate_is_refused(tmp_path: Path) -> None:
    answer = over_tls(make_certificate(tmp_path), saying(response()))
    with listening(answer) as server, pytest.raises(HttpError) as caught:
        make_client(server.safe_url).request("GET", "/")
    assert (caught.value.kind, caught.value.maybe_processed) == ("tls", False)
    assert "self-signed" in caught.value.detail
    assert not server.heard


def test_an_authority_of_the_system_is_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = trusted_certificate(tmp_path, monkeypatch)
    with listening(over_tls(path, saying(response(), times=2))) as server:
        client = make_client(server.safe_url)
        assert [client.request("GET", "/").status for _ in range(2)] == [200, 200]
        client.close()
    assert server.connections == 1


def test_a_slow_answer_over_tls_ends_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = trusted_certificate(tmp_path, monkeypatch)
    started = time.monotonic()
    slow = over_tls(path, saying(HEAD, *([b"."] * 90), pause=0.03))
    with listening(slow) as server, pytest.raises(HttpError) as caught:
        make_client(server.safe_url, connect_timeout=0.3, read_timeout=0.2).request("GET", "/")
    assert caught.value.kind == "timeout"
    assert time.monotonic() - started < 1.5


def test_a_certificate_for_another_name_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = over_tls(trusted_certificate(tmp_path, monkeypatch), saying(response()))
    with listening(answer) as server, pytest.raises(HttpError) as caught:
        make_client(server.safe_url.replace("127.0.0.1", "localhost")).request("GET", "/")
    assert (caught.value.kind, bytes(server.heard)) == ("tls", b"")


def test_plain_http_behind_an_https_url_is_a_tls_error() -> None:
    def rude(_listener: Listener) -> Behaviour:
        return lambda connection: connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with listening(rude) as server, pytest.raises(HttpError) as caught:
        make_client(server.safe_url).request("GET", "/")
    assert (caught.value.kind, caught.value.maybe_processed) == ("tls", False)


def test_name_connection_and_handshake_share_one_time_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = socket.socket.connect

    def slow(sock: socket.socket, address: Any) -> None:
        connect(sock, address)
        time.sleep(0.12)

    path = trusted_certificate(tmp_path, monkeypatch)
    monkeypatch.setattr(transport._PlainSocket, "connect", slow, raising=False)
    with listening(over_tls(path, saying(response()))) as server, pytest.raises(HttpError) as caught:
        make_client(server.safe_url, connect_timeout=0.1).request("GET", "/")
    assert (caught.value.kind, bytes(server.heard)) == ("unreachable", b"")


def test_a_hanging_handshake_is_unreachable() -> None:
    def silent(listener: Listener) -> Behaviour:
        return lambda _connection: (bool(listener.stopped.wait(1)) and None) or None

    with listening(silent) as server, pytest.raises(HttpError) as caught:
        make_client(server.safe_url, connect_timeout=0.1).request("GET", "/")
    assert (caught.value.kind, caught.value.maybe_processed) == ("unreachable", False)
