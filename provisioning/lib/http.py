"""The one door for HTTP: every call to a panel or a billing system goes through `HttpClient`.

It keeps no cookies and sends no Origin or Referer (Pterodactyl takes such requests for a browser's and
refuses them, contract section 0, traps 1 and 2), follows no redirect, retries nothing, caps time and size,
and says after a failure whether the request can have been processed.
"""

import ssl
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.client import HTTPException, RemoteDisconnected
from typing import Any
from urllib.parse import quote, unquote, urlencode, urlsplit

import requests
from requests.structures import CaseInsensitiveDict
from urllib3.exceptions import DecodeError, HTTPError, IncompleteRead, ReadTimeoutError
from urllib3.exceptions import SSLError as PoolSSLError

from provisioning.lib.addresses import url_problem
from provisioning.lib.http_errors import DeadlineTooShort, HttpError, Kind
from provisioning.lib.jsonsafe import BodyRejected, parse_body
from provisioning.lib.redact import names_secret, redact, register_secret
from provisioning.lib.transport import Attempt, GuardedAdapter, running

__all__ = [
    "Answer",
    "CallRecord",
    "DeadlineTooShort",
    "HttpClient",
    "HttpError",
    "Kind",
    "Params",
    "quote_segment",
    "url_problem",
]

MEBIBYTE = 1024 * 1024
_CHUNK = 64 * 1024
_PATH_SAFE = "/%:@!$&'()*+,;=~-._"
_QUERY_SAFE = _PATH_SAFE + "?[]"

Params = Mapping[str, str | int] | Sequence[tuple[str, str | int]]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the other side said. Any status is an answer; what it means is the driver's to say."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    elapsed_ms: int

    @property
    def text(self) -> str:
        """The body as text; what isn't UTF-8, or a NUL that PostgreSQL can't store, is replaced."""
        return self.body.decode("utf-8", "replace").replace("\x00", "\ufffd")

    def json(self) -> Any:
        """Return the body read as JSON, under the same guard as a webhook's: a panel may be hostile, too.

        Raises HttpError `bad_answer` for anything else.
        """
        try:
            return parse_body(self.body, max_bytes=len(self.body), require_object=False)
        except BodyRejected as error:
            detail = f"The answer ({self.status}) can't be read as JSON ({error.reason}): {self.text[:80]}"
            raise HttpError("bad_answer", detail, maybe_processed=True) from error


@dataclass(frozen=True, slots=True)
class CallRecord:
    """One attempt, for the timeline: `status` is None if no whole answer came, `error` says why."""

    method: str
    path: str
    status: int | None
    error: Kind | None
    ms: int
    request_bytes: int
    response_bytes: int


Observer = Callable[[CallRecord], None]


def quote_segment(value: str | int) -> str:
    """Quote one part of a path, slashes included. Raises ValueError for parts that would climb or vanish."""
    text = str(value)
    if text in ("", ".", ".."):
        raise ValueError("An empty or dotted part can't stand in a path.")
    return quote(text, safe="")


def _target(path: str, params: Params | None) -> str:
    """Quote a path relative to the base URL, keeping its query and adding `params` to it."""
    route, _, query = path.partition("?")
    if any(unquote(part) in (".", "..") for part in route.split("/")) or "\\" in route:
        raise ValueError("The path must not climb.")
    more = urlencode(params or {})
    joined = "&".join(part for part in (quote(query, safe=_QUERY_SAFE), more) if part)
    return "/" + quote(route.lstrip("/"), safe=_PATH_SAFE) + (f"?{joined}" if joined else "")


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and everything it wraps, whichever library wrapped it."""
    waiting: list[object] = [error]
    seen: set[int] = set()
    while waiting:
        item = waiting.pop()
        if isinstance(item, BaseException) and id(item) not in seen:
            seen.add(id(item))
            yield item
            waiting += [item.__cause__, item.__context__, getattr(item, "reason", None), *item.args]


def _is(causes: list[BaseException], *kinds: type[BaseException]) -> bool:
    return any(isinstance(cause, kinds) for cause in causes)


def _why(causes: list[BaseException]) -> str:
    """Return the most telling words of an error: of a certificate, else of the system."""
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return str(cause.verify_message)
    for cause in causes:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
    return type(causes[-1]).__name__


def _failure(error: Exception, attempt: Attempt, host: str) -> HttpError:
    """Sort a library's error into our kinds; `attempt.sent` decides what may have happened over there."""
    causes = list(_causes(error))
    why = _why(causes)
    if not attempt.sent:
        if _is(causes, TimeoutError, ReadTimeoutError):
            return HttpError("unreachable", f"{host} did not answer in time.", maybe_processed=False)
        if _is(causes, ssl.SSLError, PoolSSLError):
            return HttpError("tls", f"No safe connection to {host}: {why}.", maybe_processed=False)
        return HttpError("unreachable", f"{host} could not be reached: {why}.", maybe_processed=False)
    if _is(causes, TimeoutError, ReadTimeoutError):
        return HttpError("timeout", f"{host} did not answer in time.", maybe_processed=True)
    if _is(causes, RemoteDisconnected, ConnectionError):
        return HttpError("lost", f"{host} closed the connection: {why}.", maybe_processed=True)
    if _is(causes, IncompleteRead, DecodeError, HTTPException):
        return HttpError("bad_answer", f"{host} sent a broken answer: {why}.", maybe_processed=True)
    return HttpError("lost", f"The connection to {host} broke: {why}.", maybe_processed=True)


class HttpClient:
    """Calls one host below one base URL; keep one per panel, its connections are reused.

    Time-outs are in seconds. A whole call takes at most connect plus read time-out, however slowly the
    answer trickles. `observer` is told of every attempt, also of failed ones.
    """

    def __init__(
        self,
        base_url: str,
        *,
        headers: Mapping[str, str],
        allow_private: bool,
        allow_plain_http: bool,
        connect_timeout: float = 5,
        read_timeout: float = 35,
        max_bytes: int = 8 * MEBIBYTE,
        observer: Observer | None = None,
    ) -> None:
        self._base = base_url.rstrip("/")
        self._problem = url_problem(base_url, allow_private=allow_private, allow_plain_http=allow_plain_http)
        self._headers = {"User-Agent": "billingbridge", **headers}
        self._headers |= {"Accept": "application/json", "Accept-Encoding": "identity"}
        self._allow_private = allow_private
        self._connect_timeout = connect_timeout
        self._read_timeout = read_timeout
        self._max_bytes = max_bytes
        self._observer = observer
        self._adapter = GuardedAdapter()
        _remember_secrets(headers)

    def close(self) -> None:
        """Close the kept connections."""
        self._adapter.close()

    def request(
        self,
        method: str,
        path: str,
        *,
        json: object = None,
        params: Params | None = None,
        deadline: float | None = None,
        read_timeout: float | None = None,
    ) -> Answer:
        """Make one call and return the answer, whatever its status.

        `deadline` is what the job has left, in seconds. Raises DeadlineTooShort, before anything is sent, if
        the call might not fit into it; HttpError if there is no usable answer; ValueError for a path that
        leaves the base URL.
        """
        read = read_timeout or self._read_timeout
        if deadline is not None and deadline < self._connect_timeout + read:
            raise DeadlineTooShort(needed=self._connect_timeout + read, left=deadline)
        target = _target(path, params)
        call = _Call(method=method.upper(), path=redact(target, limit=500), started=time.monotonic())
        try:
            self._perform(call, target, json, read)
        except HttpError as error:
            call.error = error.kind
            raise
        finally:
            if self._observer:
                self._observer(call.record())
        return Answer(
            status=call.status or 0, headers=call.headers, body=bytes(call.body), elapsed_ms=call.elapsed_ms()
        )

    def _perform(self, call: "_Call", target: str, json: object, read: float) -> None:
        if self._problem:
            raise HttpError("refused_address", self._problem, maybe_processed=False)
        prepared = requests.Request(
            call.method, self._base + target, headers=self._headers, json=json
        ).prepare()
        call.request_bytes = len(prepared.body or b"")
        connect_by = call.started + self._connect_timeout
        attempt = Attempt(self._allow_private, connect_by=connect_by, ends_by=connect_by + read)
        try:
            with running(attempt):
                self._exchange(call, prepared, (self._connect_timeout, read))
        except (requests.RequestException, HTTPError, HTTPException, OSError) as error:
            raise _failure(error, attempt, urlsplit(self._base).hostname or "The host") from error

    def _exchange(
        self, call: "_Call", prepared: requests.PreparedRequest, timeout: tuple[float, float]
    ) -> None:
        # The adapter is used without a Session: that one would keep cookies, and read the whole body of a
        # redirect before any cap applies.
        response = self._adapter.send(prepared, stream=True, timeout=timeout, verify=True)
        try:
            call.headers = response.headers
            for chunk in response.raw.stream(_CHUNK, decode_content=True):
                call.body += chunk
                if len(call.body) > self._max_bytes:
                    size = self._max_bytes // MEBIBYTE
                    raise HttpError(
                        "too_large", f"The answer is larger than {size} MiB.", maybe_processed=True
                    )
            call.status = response.status_code
        finally:
            response.close()


@dataclass
class _Call:
    """What is known so far about a call that is under way."""

    method: str
    path: str
    started: float
    status: int | None = None
    error: Kind | None = None
    headers: CaseInsensitiveDict[str] = field(default_factory=CaseInsensitiveDict)
    body: bytearray = field(default_factory=bytearray)
    request_bytes: int = 0

    def elapsed_ms(self) -> int:
        return round((time.monotonic() - self.started) * 1000)

    def record(self) -> CallRecord:
        return CallRecord(
            method=self.method,
            path=self.path,
            status=self.status,
            error=self.error,
            ms=self.elapsed_ms(),
            request_bytes=self.request_bytes,
            response_bytes=len(self.body),
        )


def _remember_secrets(headers: Mapping[str, str]) -> None:
    """See to it that a key sent in a header is hidden if a panel echoes it."""
    for name, value in headers.items():
        if names_secret(name):
            register_secret(value.partition(" ")[2] or value)
