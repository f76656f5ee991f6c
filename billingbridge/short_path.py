"""A short way to the webhooks' door: no session, no sign-in, no language, no message is looked for there.

Senders prove themselves by signatures, and they send a thousand messages at once: what all those layers take
would be a third of a webhook's time. What every request needs stands before this in MIDDLEWARE: the client's
address, the request's id and access line, HTTPS, the allowed hosts, and the headers of an answer.
"""

from collections.abc import Callable
from typing import Final

from django.http import HttpRequest, HttpResponseBase
from django.template.response import SimpleTemplateResponse
from django.urls import Resolver404, ResolverMatch, resolve

GetResponse = Callable[[HttpRequest], HttpResponseBase]
WEBHOOKS: Final = "/webhooks/"


class ShortPathMiddleware:
    """Calls a webhook's view itself; everything else, also an address that is none, goes the whole way."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer, or pass on."""
        match = _webhook(request.path_info)
        if match is None:
            return self.get_response(request)
        request.resolver_match = match
        response: HttpResponseBase = match.func(request, *match.args, **match.kwargs)
        # REST framework leaves rendering to whoever calls the view.
        return response.render() if isinstance(response, SimpleTemplateResponse) else response


def _webhook(path: str) -> ResolverMatch | None:
    if not path.startswith(WEBHOOKS):
        return None
    try:
        return resolve(path)
    except Resolver404:
        return None
