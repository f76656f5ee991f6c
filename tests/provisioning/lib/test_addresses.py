"""No request may be steered to this machine or a private network: bar B17, by spelling and by name server."""

import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from provisioning.lib.addresses import address_problem, url_problem
from provisioning.lib.http import HttpClient, HttpError
from tests.provisioning.lib.servers import Listener, listening, response, saying

REFUSED_HOSTS = [
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "127.255.255.254",
    "2130706433",
    "017700000001",
    "0177.0.0.1",
    "0x7f000001",
    "0x7f.0.0.1",
    "0x7f.1",
    "127.0.0.1.",
    "127.0.0.01",
    "0",
    "0.0.0.0",  # noqa: S104
    "localhost",
    "LOCALHOST",
    "localhost.",
    "sub.localhost",
    "\uff11\uff12\uff17.0.0.1",
    "127\u30020\u30020\u30021",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "100.64.0.1",
    "169.254.169.254",
    "192.0.0.1",
    "192.0.2.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "[::1]",
    "[::]",
    "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::ffff:a9fe:a9fe]",
    "[::127.0.0.1]",
    "[::8.8.8.8]",
    "[4000::1]",
    "[2002:7f00:1::]",
    "[2002:a00:1::1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b::169.254.169.254]",
    "[64:ff9b:1::1]",
    "[fe80::1]",
    "[fec0::1]",
    "[fd00::1]",
    "[ff02::1]",
    "[2001:db8::1]",
    "[2001::7f00:1]",
]


@pytest.mark.parametrize("host", REFUSED_HOSTS)
def test_inner_addresses_get_no_byte_and_a_sentence(host: str) -> None:
    with listening(saying(response())) as server:
        url = f"http://{host}:{server.port}"
        problem = url_problem(url, allow_private=False, allow_plain_http=True)
        client = HttpClient(url, headers={}, allow_private=False, allow_plain_http=True, connect_timeout=1)
        with pytest.raises(HttpError) as caught:
            client.request("GET", "/")
    assert problem
    assert problem.endswith(".")
    assert (caught.value.kind, caught.value.maybe_processed) == ("refused_address", False)
    assert (server.connections, bytes(server.heard)) == (0, b"")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "panel.example.com",
        "ftp://panel.example.com",
        "file:///etc/passwd",
        "gopher://127.0.0.1",
        "https://",
        "https:///x",
        "https://ada:secret@panel.example.com",
        "https://panel.example.com@127.0.0.1",
        "https://panel.example.com\\@127.0.0.1",
        "https://panel.example.com/?next=1",
        "https://panel.example.com/#top",
        "https://panel.example.com:0",
        "https://panel.example.com:99999",
        "https://panel.example.com:x",
        "https://panel .example.com",
        "https://panel.example.com\r\nX-Evil: 1",
        "https://panel\x00.example.com",
        "https://[::1",
        "https://-panel.example.com",
        "https://panel..example.com",
        "https://" + "a" * 64 + ".example.com",
        "https://1.2.3",
        "https://[::g]",
        "http://panel.example.com",
    ],
)
def test_urls_that_are_no_plain_https_base_are_refused(url: str) -> None:
    problem = url_problem(url, allow_private=True, allow_plain_http=False)
    assert problem
    assert problem.endswith(".")


@pytest.mark.parametrize(
    "url",
    [
        "https://panel.example.com",
        "https://panel.example.com:8443/base/",
        "HTTPS://Panel.Example.com",
        "https://münchen.example.com",
        "https://my_panel.example.com.",
        "https://8.8.8.8",
        "https://[2606:4700::1111]",
        "https://[64:ff9b::808:808]",
    ],
)
def test_public_urls_pass(url: str) -> None:
    assert url_problem(url, allow_private=False, allow_plain_http=False) is None


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("127.0.0.1", True),
        ("localhost", True),
        ("10.1.2.3", True),
        ("[fd00::1]", True),
        ("[::ffff:10.0.0.1]", True),
        ("169.254.169.254", False),
        ("0.0.0.0", False),  # noqa: S104
        ("[::]", False),
        ("224.0.0.1", False),
        ("[fe80::1]", False),
        ("2130706433", False),
    ],
)
def test_the_tick_opens_private_networks_only(host: str, allowed: bool) -> None:
    problem = url_problem(f"http://{host}", allow_private=True, allow_plain_http=True)
    assert (problem is None) is allowed


def test_text_that_is_no_address_is_a_problem() -> None:
    assert address_problem("panel", allow_private=True) == "panel is not an IP address."


Resolve = Callable[[list[str]], None]


@pytest.fixture
def resolve_to(monkeypatch: pytest.MonkeyPatch) -> Resolve:
    """Let every name resolve to these addresses."""

    def patch(addresses: list[str]) -> None:
        def fake(host: str, port: int, *_args: object, **_kwargs: object) -> list[Any]:
            families = [socket.AF_INET6 if ":" in address else socket.AF_INET for address in addresses]
            return [
                (family, socket.SOCK_STREAM, 6, "", (address, port))
                for family, address in zip(families, addresses, strict=True)
            ]

        monkeypatch.setattr(socket, "getaddrinfo", fake)

    return patch


@pytest.fixture
def server() -> Iterator[Listener]:
    with listening(saying(response())) as listener:
        yield listener


@pytest.mark.parametrize(
    "addresses",
    [["127.0.0.1"], ["8.8.8.8", "127.0.0.1"], ["::ffff:127.0.0.1"], ["10.0.0.1"], ["169.254.169.254"]],
)
def test_names_that_resolve_inwards_are_refused(
    addresses: list[str], resolve_to: Resolve, server: Listener
) -> None:
    resolve_to(addresses)
    client = HttpClient(
        f"http://panel.example.com:{server.port}", headers={}, allow_private=False, allow_plain_http=True
    )
    with pytest.raises(HttpError) as caught:
        client.request("POST", "/", json={"secret": 1})
    assert (caught.value.kind, caught.value.maybe_processed) == ("refused_address", False)
    assert server.connections == 0


def test_the_peer_is_looked_at_before_the_first_byte(
    resolve_to: Resolve, server: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As if routing or a proxy below us led a public address to this machine.
    connect = socket.socket.connect
    monkeypatch.setattr(
        "provisioning.lib.transport._PlainSocket.connect",
        lambda sock, address: connect(sock, ("127.0.0.1", address[1])),
        raising=False,
    )
    resolve_to(["8.8.8.8"])
    client = HttpClient(
        f"http://panel.example.com:{server.port}", headers={}, allow_private=False, allow_plain_http=True
    )
    with pytest.raises(HttpError) as caught:
        client.request("POST", "/", json={"secret": 1})
    assert caught.value.kind == "refused_address"
    assert not server.heard


def test_a_name_is_resolved_once_per_connection(
    resolve_to: Resolve, server: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A server that rebinds its name between check and connect finds no second look-up to answer.
    resolve_to(["127.0.0.1"])
    resolve, seen = socket.getaddrinfo, []

    def counting(*args: Any, **kwargs: Any) -> Any:
        seen.append(args)
        return resolve(*args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", counting)
    client = HttpClient(
        f"http://panel.example.com:{server.port}", headers={}, allow_private=True, allow_plain_http=True
    )
    assert client.request("GET", "/").status == 200
    client.close()
    assert len(seen) == 1
