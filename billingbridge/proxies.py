"""Who is calling, behind reverse proxies.

`X-Forwarded-For` and `X-Forwarded-Proto` are believed only if the connection comes from a network listed in
TRUSTED_PROXIES, and then from right to left: the client is the first address that is not such a proxy.
Everything left of it was written by somebody else and may be a lie (bar B8).
"""

from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase

from billingbridge.env import Network

GetResponse = Callable[[HttpRequest], HttpResponseBase]
FORWARDED_HEADERS = (
    "HTTP_FORWARDED",
    "HTTP_X_FORWARDED_FOR",
    "HTTP_X_FORWARDED_HOST",
    "HTTP_X_FORWARDED_PORT",
    "HTTP_X_FORWARDED_PROTO",
    "HTTP_X_REAL_IP",
)


class ProxyMiddleware:
    """Sets `request.client_ip` and the request's scheme, then drops the headers, believed or not."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Resolve the client, then go on."""
        peer = str(request.META.get("REMOTE_ADDR", ""))
        forwarded_for = str(request.META.get("HTTP_X_FORWARDED_FOR", ""))
        forwarded_proto = str(request.META.get("HTTP_X_FORWARDED_PROTO", ""))
        for name in FORWARDED_HEADERS:
            request.META.pop(name, None)
        if is_trusted(peer, settings.TRUSTED_PROXIES):
            scheme = forwarded_proto.rpartition(",")[2].strip().lower()
            if scheme in ("http", "https"):
                request.META["wsgi.url_scheme"] = scheme
        client = resolve_client(peer, forwarded_for, settings.TRUSTED_PROXIES)
        request.client_ip = client  # type: ignore[attr-defined]
        return self.get_response(request)


def resolve_client(peer: str, forwarded_for: str, trusted: Iterable[Network]) -> str:
    """The right-most address that is no trusted proxy; an unreadable entry ends the search."""
    networks = list(trusted)
    client = peer
    hops = [hop.strip() for hop in forwarded_for.split(",")] if forwarded_for else []
    while hops and is_trusted(client, networks):
        hop = parse_address(hops.pop())
        if hop is None:
            break
        client = str(hop)
    return client


def is_trusted(address: str, networks: Iterable[Network]) -> bool:
    """Whether *address* lies in one of the *networks*; an unreadable address does not."""
    parsed = parse_address(address)
    return parsed is not None and any(parsed in network for network in networks)


def parse_address(text: str) -> IPv4Address | IPv6Address | None:
    """An address, with IPv4 inside IPv6 unwrapped, or None if *text* is not one."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def client_ip(request: HttpRequest) -> str:
    """The caller's address, for axes and the webhook's allow-lists."""
    known: str | None = getattr(request, "client_ip", None)
    return known if known is not None else str(request.META.get("REMOTE_ADDR", ""))
