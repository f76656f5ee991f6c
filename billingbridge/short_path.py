"""A short way to the webhooks' door: no session, no sign-in, no language, no message is looked for there.

Senders prove themselves by signatures, and they send a thousand messages at once: what all those layers take
would be half of a webhook's time. The client's address, the request's id and its access line stand before
this in MIDDLEWARE; the allowed hosts and the headers of an answer, which is always a short JSON object, are
seen to here. HTTPS is the webhook's own matter: it refuses plain HTTP instead of redirecting it.
"""

from collections.abc import Callable
from typing import Final

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.middleware.security import SecurityMiddleware
from django.template.response import SimpleTemplateResponse
from django.urls import Resolver404, ResolverMatch, resolve

GetResponse = Callable[[HttpRequest], HttpResponseBase]
WEBHOOKS: Final = "/webhooks/"
HEADERS: Final = {
    # Nothing of an answer may do anything in a browser.
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
}


class ShortPathMiddleware:
    """Calls a webhook's view itself; everything else, also an address that is none, goes the whole way."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response
        self.security = SecurityMiddleware(get_response)

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer, or pass on."""
        match = _webhook(request.path_info)
        if match is None:
            return self.get_response(request)
        # Raises DisallowedHost, which Django answers.
        request.get_host()
        request.resolver_match = match
        response: HttpResponse = match.func(request, *match.args, **match.kwargs)
        if isinstance(response, SimpleTemplateResponse):
            # REST framework leaves rendering to whoever calls the view.
            response.render()
        for name, value in (*HEADERS.items(), ("Content-Length", str(len(response.content)))):
            response.headers.setdefault(name, value)
        return self.security.process_response(request, response)


def _webhook(path: str) -> ResolverMatch | None:
    if not path.startswith(WEBHOOKS):
        return None
    try:
        return resolve(path)
    except Resolver404:
        return None
