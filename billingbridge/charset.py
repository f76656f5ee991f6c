"""Keeps a hostile Content-Type from ending a request in a 500 (bar B7).

Django looks the named charset up while it builds the request, before any of our code runs, and reads the
query string with it. A charset with a NUL, also written `charset*=utf-8''%00`, raises there, and so does one
that Python has no text by, such as hex; nothing catches it. Only UTF-8 is spoken here.
"""

import re
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
AsgiApplication = Callable[[dict[str, Any], Any, Any], Awaitable[None]]
PLAIN: Final = re.compile(
    r"[A-Za-z0-9!#$&^_.+/\-]{1,127}(\s*;\s*charset=\"?utf-?8\"?)?", re.ASCII | re.IGNORECASE
)


def plain_type(kind: str) -> str:
    """The Content-Type, without its parameters if one names a charset other than UTF-8."""
    hostile = "charset" in kind.lower() and not PLAIN.fullmatch(kind)
    return kind.partition(";")[0] if hostile else kind


def plain_charset(application: Application) -> Application:
    """Cuts every parameter off a Content-Type that names a charset other than UTF-8."""

    def guarded(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if kind := environ.get("CONTENT_TYPE", ""):
            environ = {**environ, "CONTENT_TYPE": plain_type(kind)}
        return application(environ, start_response)

    return guarded


def plain_charset_asgi(application: AsgiApplication) -> AsgiApplication:
    """The same for the other kind of server."""

    async def guarded(scope: dict[str, Any], receive: Any, send: Any) -> None:
        headers = [
            (
                name,
                plain_type(value.decode("latin-1")).encode("latin-1") if name == b"content-type" else value,
            )
            for name, value in scope.get("headers", [])
        ]
        await application({**scope, "headers": headers}, receive, send)

    return guarded
