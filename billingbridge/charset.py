"""Keeps a hostile Content-Type from ending a request in a 500 (bar B7).

Django looks the named charset up while it builds the request, before any of our code runs. A charset with a
NUL, also written `charset*=utf-8''%00`, raises there and nothing catches it.
"""

import re
from collections.abc import Callable, Iterable
from typing import Any, Final

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
PLAIN: Final = re.compile(
    r"[A-Za-z0-9!#$&^_.+/\-]{1,127}(\s*;\s*charset=\"?[A-Za-z0-9._-]{1,40}\"?)?", re.ASCII
)


def plain_charset(application: Application) -> Application:
    """Cuts every parameter off a Content-Type that names a charset in an unusual way."""

    def guarded(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        kind = environ.get("CONTENT_TYPE", "")
        if "charset" in kind.lower() and not PLAIN.fullmatch(kind):
            environ = {**environ, "CONTENT_TYPE": kind.partition(";")[0]}
        return application(environ, start_response)

    return guarded
