"""`manage.py send_event`: what it posts is taken by the edge, and no secret is printed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from provisioning.lib.crypto import generate_key
from provisioning.models import EndpointSecret, Event
from provisioning.webhooks.signatures import generate_secret
from tests import factories
from tests.provisioning.lib.servers import listening, over_tls, response, saying
from tests.provisioning.lib.test_http import make_certificate
from tests.provisioning.webhooks.sender import PAYLOAD, send

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("jobs")]


class Listener:
    """A loopback server that keeps what it got and answers as told."""

    def __init__(self, server: HTTPServer) -> None:
        self.url = f"http://127.0.0.1:{server.server_port}"
        self.status = 202
        self.got: list[tuple[str, dict[str, str], bytes]] = []


@pytest.fixture
def listener() -> Iterator[Listener]:
    """A running one."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            here.got.append((self.path, dict(self.headers), body))
            self.send_response(here.status)
            self.end_headers()
            self.wfile.write(b'{"status": "heard"}')

        def log_message(self, *_: Any) -> None:
            """Keeps the test's output clean."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    here = Listener(server)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield here
    server.shutdown()
    thread.join()
    server.server_close()


def names_of(headers: dict[str, str]) -> dict[str, str]:
    """The headers that the edge looks at."""
    return {name: value for name, value in headers.items() if name.lower().startswith(("webhook-", "x-"))}


@pytest.mark.parametrize("scheme", ["standard", "hmac_hex"])
def test_an_event_for_an_endpoint_is_taken_by_it(
    scheme: str, listener: Listener, settings: Any, capsys: Any
) -> None:
    settings.PUBLIC_URL = listener.url
    endpoint = factories.endpoint(name="Shop", scheme=scheme, hmac_header="X-Hook")
    newest = generate_secret()
    EndpointSecret.objects.create(endpoint=endpoint, value=newest)
    call_command("send_event", "--endpoint", "Shop", "--json", PAYLOAD.decode(), "--id", "msg_grace")
    path, headers, body = listener.got[0]
    assert (path, body) == (f"/webhooks/{endpoint.address}/", PAYLOAD)
    assert send(endpoint, body, names_of(headers)).status == 202
    assert Event.objects.get().verified_by.endswith(newest[-4:])
    printed = capsys.readouterr()
    assert printed.out == '202 {"status": "heard"}\n'
    assert newest not in printed.out + printed.err


def test_an_event_for_any_address_takes_its_secret_from_the_environment(
    listener: Listener, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOOK_SECRET", factories.SECRET)
    (tmp_path / "event.json").write_bytes(b"\xff not JSON")
    where = ["--url", listener.url + "/hook", "--secret-env", "HOOK_SECRET"]
    call_command("send_event", *where, "--file", str(tmp_path / "event.json"))
    _, headers, body = listener.got[0]
    assert body == b"\xff not JSON"
    assert send(factories.endpoint(), body, names_of(headers)).status == 202


def test_a_refusal_ends_with_an_error(listener: Listener, settings: Any) -> None:
    settings.PUBLIC_URL, listener.status = listener.url, 401
    factories.endpoint(name="Shop")
    with pytest.raises(CommandError, match="401"):
        call_command("send_event", "--endpoint", "Shop", "--json", "{}")


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--endpoint", "Nope", "--json", "{}"], "There are: Shop"),
        (["--endpoint", "Shop", "--json", "{"], "not JSON"),
        (["--endpoint", "Shop", "--file", "/nowhere/event.json"], "No such file"),
        (["--url", "http://127.0.0.1:1", "--json", "{}"], "--secret-env"),
        (["--url", "http://127.0.0.1:1", "--json", "{}", "--secret-env", "NOT_SET"], "NOT_SET is not set"),
        (["--url", "http://127.0.0.1:1", "--json", "{}", "--secret-env", "GOOD"], "could not be reached"),
        (["--url", "nonsense", "--json", "{}", "--secret-env", "GOOD"], "could not be reached"),
        (["--url", "http://u:pw@127.0.0.1:1", "--json", "{}", "--secret-env", "GOOD"], "^127.0.0.1:1 could"),
        (["--url", "http://127.0.0.1:1", "--json", "{}", "--secret-env", "BAD"], "whsec_"),
        (["--endpoint", "Shop", "--url", "http://127.0.0.1:1", "--json", "{}"], "not allowed"),
        (["--endpoint", "Shop"], "required"),
    ],
)
def test_errors_say_what_to_do(args: list[str], words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOD", factories.SECRET)
    monkeypatch.setenv("BAD", "a-bad-secret")
    factories.endpoint(name="Shop")
    with pytest.raises(CommandError, match=words) as caught:
        call_command("send_event", *args)
    assert "a-bad-secret" not in str(caught.value)


def test_an_endpoint_without_secret_cannot_sign() -> None:
    endpoint = factories.endpoint(name="Shop")
    endpoint.secrets.all().delete()
    with pytest.raises(CommandError, match="no valid secret"):
        call_command("send_event", "--endpoint", "Shop", "--json", "{}")


def test_a_secret_that_no_key_reads_is_a_sentence(settings: Any) -> None:
    factories.endpoint(name="Shop")
    settings.FIELD_KEYS = [generate_key()]
    with pytest.raises(CommandError, match=r"cannot be read with FIELD_KEYS\."):
        call_command("send_event", "--endpoint", "Shop", "--json", "{}")


def post_over_tls(folder: Path, monkeypatch: pytest.MonkeyPatch, **environ: str) -> None:
    """Sends an event to a listener whose certificate only its own authority vouches for."""
    for name in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"GOOD": factories.SECRET, **environ}.items():
        monkeypatch.setenv(name, value)
    with listening(over_tls(str(folder / "panel.pem"), saying(response()))) as server:
        call_command("send_event", "--url", server.safe_url, "--json", "{}", "--secret-env", "GOOD")


def test_a_certificate_that_is_not_trusted_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_certificate(tmp_path)
    words = r"certificate of 127.0.0.1:\d+ is not trusted: self-signed .*REQUESTS_CA_BUNDLE or SSL_CERT_FILE"
    with pytest.raises(CommandError, match=words):
        post_over_tls(tmp_path, monkeypatch)


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"])
def test_an_authority_of_ones_own_is_named_by_either_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, capsys: Any
) -> None:
    path = make_certificate(tmp_path)
    post_over_tls(tmp_path, monkeypatch, **{name: path})
    assert capsys.readouterr().out.startswith("200 ")
    with pytest.raises(CommandError, match=f"{name} names a file that does not exist"):
        post_over_tls(tmp_path, monkeypatch, **{name: path + "-gone"})
