"""Requests by a seeded grammar: good ones in every spelling, forgeries, and bytes that are hardly HTTP.

Each request says which answers are right, and which event has to be in the inbox afterwards, if any. The
signatures are made here once more from the published scheme, not by the product's own code.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import random
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from tools.hostile import bodies
from tools.hostile.front import Targets

Headers = list[tuple[str, str]]
TAKEN, REFUSED = frozenset({202}), frozenset({401})
ANY_REFUSAL = frozenset(range(400, 500))
ODD = (
    ("Cookie", "sessionid=\xff; csrftoken=x"),
    ("Accept", "text/html;q=nan,*/"),
    ("Accept-Language", "x" * 4_000),
    ("Content-Type", "application/json; charset=hex"),
    ("Content-Type", "multipart/form-data; boundary=--"),
    ("Content-Type", "text/plain; charset=utf-7"),
    ("Content-Encoding", "gzip"),
    ("X-Forwarded-For", "198.51.100.1"),
    ("X-Forwarded-Proto", "gopher"),
    ("X-HTTP-Method-Override", "DELETE"),
    ("If-None-Match", "*"),
    ("Range", "bytes=0-0"),
    ("Authorization", "Bearer bbk_nothing"),
    ("Forwarded", "for=198.51.100.1;proto=https"),
    ("Expect", "100-continue"),
)
IDS = ("", "a.b", "a b", "x" * 129, "x" * 4_000, "a,a", "\xe9", "../../etc", "'; --", "a\tb")
TIMES = ("nan", "1e400", "-1", "{now}.9", "{now}_0", "+{now}", "0x{now}", "", "\xb2\xb2", "{old}", "{new}")
SIGNATURES: tuple[Callable[[str], str], ...] = (
    lambda good: good.replace(",", ""),
    lambda good: good.replace(",", ",,"),
    lambda good: f"{good}  {good}",
    lambda good: good.rstrip("="),
    lambda good: " ".join([good] * 150),
    lambda good: good.replace("v1,", "v1a,"),
    lambda good: good.replace("v1,", "v2,"),
    lambda good: f"{good},{good}",
    lambda good: "v1,\xc4\xd6\xdc",
    lambda good: "",
    lambda good: "v1," + base64.b64encode(b"x" * 32).decode(),
    lambda good: good[:3] + good[3:].swapcase(),
)
GARBAGE = (
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"POST / HTTP/9.9\r\nHost: 127.0.0.1\r\n\r\n",
    b"POST /\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n folded: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nA B: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost : 127.0.0.1\r\n\r\n",
    b"GET / HTTP/1.1\nHost: 127.0.0.1\n\n",
    b"GET /\x00 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"GET http://evil.example.com/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"CONNECT evil.example.com:443 HTTP/1.1\r\nHost: evil.example.com\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 300 + b"\r\n",
    b"GET /" + b"a" * 9_000 + b" HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nX: " + b"y" * 70_000 + b"\r\n\r\n",
    b"\r\n" * 50,
)
LENGTHS: tuple[tuple[Headers, frozenset[int]], ...] = (
    ([("Content-Length", str(bodies.LIMIT + 1))], frozenset({413})),
    ([("Content-Length", "9" * 11)], frozenset({413})),
    ([("Content-Length", "9" * 40)], ANY_REFUSAL),
    ([("Content-Length", "-1")], ANY_REFUSAL),
    ([("Content-Length", "1_0")], ANY_REFUSAL),
    ([("Content-Length", "0x10")], ANY_REFUSAL),
    ([("Content-Length", "5, 5")], ANY_REFUSAL),
    ([("Content-Length", "5"), ("Content-Length", "6")], ANY_REFUSAL),
    ([("Content-Length", "5"), ("Transfer-Encoding", "chunked")], ANY_REFUSAL),
    ([("Transfer-Encoding", "chunked")], ANY_REFUSAL),
    ([("Transfer-Encoding", "chunked, identity")], ANY_REFUSAL | {501}),
    ([], frozenset({411})),
)
METHODS = ("GET", "PUT", "DELETE", "OPTIONS", "PATCH", "HEAD", "TRACE", "PROPFIND", "POSTT")
PATHS = (
    "/webhooks/",
    "/webhooks/1/",
    "/webhooks/../admin/",
    "/webhooks/%00/",
    "/webhooks/%ff%fe/",
    "//evil.example.com/",
    "/webhooks/{unknown}/x",
    "/webhooks/" + "a" * 3_000,
)


@dataclass(frozen=True)
class Request:
    """One request as bytes. `kept` is the sender's id and the digest of what has to be in the inbox.

    `statuses` are the answers that are right; `silent` says that none at all is right too. After `last`
    nothing follows on the connection, and with `half` the server is told so before it answers.
    """

    kind: str
    raw: bytes
    statuses: frozenset[int]
    kept: tuple[str, str] | None = None
    silent: bool = False
    last: bool = False
    half: bool = False
    bodiless: bool = False


Talk = Sequence[Request]
"""What goes over one connection in one go; more than one request is pipelined."""


def digest_of(body: bytes) -> str:
    """SHA-256 in hex, as the inbox keeps it."""
    return hashlib.sha256(body).hexdigest()


def sign(secret: str, ident: str, moment: str, body: bytes) -> str:
    """The value of `webhook-signature` by Standard Webhooks 1.0."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    mac = hmac.new(key, f"{ident}.{moment}.".encode("latin-1") + body, hashlib.sha256)
    return "v1," + base64.b64encode(mac.digest()).decode()


def assemble(path: str, headers: Headers, body: bytes, *, method: str = "POST") -> bytes:
    """The request on the wire; Host is added, Content-Length is not."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *(f"{name}: {text}" for name, text in headers)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


class Grammar:
    """Draws one talk after the other; the same seed draws the same ones but for the time in signatures."""

    def __init__(self, seed: int, targets: Targets) -> None:
        self.chooser = random.Random(seed)  # noqa: S311 - repeatable on purpose
        self.seed, self.targets, self.number = seed, targets, 0
        self.productions: dict[Callable[[], list[Talk]], int] = {
            self._good: 14,
            self._copies: 4,
            self._reused: 2,
            self._script: 4,
            self._forged: 34,
            self._elsewhere: 10,
            self._lengths: 7,
            self._cut: 5,
            self._paths: 8,
            self._garbage: 6,
            self._pipelined: 6,
        }

    def talks(self) -> Iterator[Talk]:
        """Without end. Copies of one message follow each other, so that several connections carry them."""
        while True:
            (draw,) = self.chooser.choices(list(self.productions), list(self.productions.values()))
            yield from draw()

    # --- what is taken ---------------------------------------------------------------------------------

    def _parts(self, body: bytes, which: str = "secret") -> tuple[str, str, str]:
        """Id, time and signature of a fresh message."""
        self.number += 1
        ident = f"{self.chooser.choice(('msg', 'MSG', 'a-b'))}_{self.seed}_{self.number}"
        moment = str(int(time.time()) - self.chooser.randrange(-200, 200))
        return ident, moment, sign(self.targets.secret("standard", which), ident, moment, body)

    def _headers(self, parts: Sequence[str]) -> Headers:
        spell = self.chooser.choice((str.lower, str.title, str.upper))
        names = ("webhook-id", "webhook-timestamp", "webhook-signature")
        headers = [(spell(name), text) for name, text in zip(names, parts, strict=True)]
        # By name: a Content-Type sent twice is refused by the web server itself.
        headers += dict(self.chooser.sample(ODD, self.chooser.choice((0, 0, 1, 2)))).items()
        self.chooser.shuffle(headers)
        return headers

    def _message(self, kind: str, body: bytes, parts: Sequence[str], path: str = "") -> Request:
        """A message of the standard scheme with a true length, not yet judged."""
        headers = [*self._headers(parts), ("Content-Length", str(len(body)))]
        raw = assemble(path or self.targets.path("standard"), headers, body)
        return Request(kind, raw, REFUSED)

    def _valid(self, kind: str = "good") -> Request:
        body = bodies.make(self.chooser)
        ident, moment, good = self._parts(body, self.chooser.choice(("secret", "secret", "old")))
        bad = "v1," + base64.b64encode(self.chooser.randbytes(32)).decode()
        signature = self.chooser.choice((good, good, f"{bad} {good}", f"v1a,AAAA {good} v2,zz"))
        path = self.targets.path("standard")
        path = self.chooser.choice((path, path, path[:-1], f"{path}?_method=%00&" + "a=1&" * 50))
        request = self._message(kind, body, (ident, moment, signature), path)
        return replace(request, statuses=TAKEN, kept=(ident, digest_of(body)))

    def _good(self) -> list[Talk]:
        return [[self._valid()]]

    def _copies(self) -> list[Talk]:
        return [[self._valid("copy")]] * self.chooser.randrange(2, 5)

    def _reused(self) -> list[Talk]:
        """One id with two bodies, one after the other."""
        first = bodies.make(self.chooser)[: bodies.LIMIT - 1] + b" "
        ident, moment, signature = self._parts(first)
        other = first[:-1] + b"x"
        again = sign(self.targets.secret("standard"), ident, moment, other)
        kept = replace(
            self._message("reused", first, (ident, moment, signature)),
            statuses=TAKEN,
            kept=(ident, digest_of(first)),
        )
        changed = replace(self._message("reused", other, (ident, moment, again)), statuses=frozenset({409}))
        return [[kept, changed]]

    def _script(self) -> list[Talk]:
        """The plain scheme of small scripts: a message is its body."""
        self.number += 1
        body = b'{"event":"subscription.updated","subscription_id":"%d-%d","x":' % (self.seed, self.number)
        body += bodies.value(self.chooser).encode() + b"}"
        text = self.targets.secret("script")
        mac = hmac.new(text.encode(), body, hashlib.sha256).hexdigest()
        good = self.chooser.random() < 0.7
        mac = mac if good else self.chooser.choice((mac[:-1], "g" * 64, mac[::-1], "", "sha1=" + mac))
        headers = [("X-Signature", f"sha256={mac}"), ("Content-Length", str(len(body)))]
        raw = assemble(self.targets.path("script"), headers, body)
        if not good:
            return [[Request("script", raw, REFUSED)]]
        return [[Request("script", raw, TAKEN, kept=("", digest_of(body)))]]

    # --- what is refused -------------------------------------------------------------------------------

    def _forged(self) -> list[Talk]:
        """A good message until one thing about it was changed."""
        body = bodies.make(self.chooser)
        place = self.chooser.randrange(6)
        parts = list(self._parts(body, "ended" if place == 5 else "secret"))
        if place == 0:
            parts[0] = self.chooser.choice(IDS)
        elif place == 1:
            now = int(time.time())
            parts[1] = self.chooser.choice(TIMES).format(now=now, old=now - 400, new=now + 400)
            parts[2] = sign(self.targets.secret("standard"), parts[0], parts[1], body)
        elif place == 2:
            parts[2] = self.chooser.choice(SIGNATURES)(parts[2])
        elif place == 3:
            body = body[:-1] + (b"?" if body.endswith(b"!") else b"!")
        elif place == 4:
            return [[self._without(body, parts)]]
        return [[self._message("forged", body, parts)]]

    def _without(self, body: bytes, parts: Sequence[str]) -> Request:
        """A header left out, sent twice, or under a name with an underscore."""
        names = ["webhook-id", "webhook-timestamp", "webhook-signature"]
        headers = [*zip(names, parts, strict=True), ("Content-Length", str(len(body)))]
        place = self.chooser.randrange(3)
        name, text = headers[place]
        changes: list[Headers] = [[], [(name, text), (name, text)], [(name.replace("-", "_"), text)]]
        headers[place : place + 1] = self.chooser.choice(changes)
        raw = assemble(self.targets.path("standard"), headers, body)
        return Request("header", raw, REFUSED | {400})

    def _elsewhere(self) -> list[Talk]:
        """A good signature at an endpoint that is not its own."""
        body = bodies.make(self.chooser)
        where = self.chooser.choice(("script", "disabled", "elsewhere", "unknown"))
        path = f"/webhooks/{uuid.UUID(int=self.chooser.getrandbits(128), version=4)}/"
        path = path if where == "unknown" else self.targets.path(where)
        request = self._message(where, body, self._parts(body), path)
        return [[replace(request, statuses=frozenset({403}) if where == "elsewhere" else REFUSED)]]

    def _lengths(self) -> list[Talk]:
        """Lengths that lie. Nothing of the body is sent: too large a body has to be answered unread."""
        headers, statuses = self.chooser.choice(LENGTHS)
        parts = self._parts(b"")
        signed = [*zip(("webhook-id", "webhook-timestamp", "webhook-signature"), parts, strict=True)]
        raw = assemble(self.targets.path("standard"), [*signed, *headers], b"")
        oversized = statuses == {413}
        return [
            [Request("oversized" if oversized else "length", raw, statuses, last=True, half=not oversized)]
        ]

    def _cut(self) -> list[Talk]:
        """A good message whose end never comes."""
        whole = self._valid("cut").raw
        cut = whole[: self.chooser.randrange(1, len(whole))]
        return [[Request("cut", cut, ANY_REFUSAL, silent=True, last=True, half=True)]]

    def _paths(self) -> list[Talk]:
        body = bodies.make(self.chooser)
        headers = [*self._headers(self._parts(body)), ("Content-Length", str(len(body)))]
        if self.chooser.random() < 0.5:
            method = self.chooser.choice(METHODS)
            raw = assemble(self.targets.path("standard"), headers, body, method=method)
            right = frozenset({400, 405, 501})
            return [[Request("method", raw, right, last=True, bodiless=method == "HEAD")]]
        path = self.chooser.choice(PATHS).format(unknown=uuid.UUID(int=0))
        return [[Request("path", assemble(path, headers, body), ANY_REFUSAL)]]

    def _garbage(self) -> list[Talk]:
        raw = self.chooser.choice(GARBAGE)
        if self.chooser.random() < 0.4:
            raw = self.chooser.randbytes(self.chooser.randrange(1, 300))
        # 302 and 200: the home page is no secret.
        right = ANY_REFUSAL | {200, 302}
        return [[Request("garbage", raw, right, silent=True, last=True, half=True)]]

    def _pipelined(self) -> list[Talk]:
        """A forgery between two good messages, all three written at once."""
        forged = self._message("pipelined", b"{}", ("msg_x", "1", "v1,AAAA"))
        return [[self._valid("pipelined"), forged, self._valid("pipelined")]]
