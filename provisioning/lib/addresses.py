"""Which network addresses may be called.

The host of a panel is typed in by people and resolved by name servers that are not ours, so both the URL
and every resolved address are judged: no request may be steered to this machine, to a private network or
to a cloud's metadata address unless staff allowed it for that row (reliability bar B17).
"""

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

import idna

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?", re.IGNORECASE)
_NUMERIC_LABEL = re.compile(r"(?:[0-9]+|0x[0-9a-f]*)", re.IGNORECASE)
_UNSAFE_IN_URL = re.compile(r"[\x00-\x20\x7f-\x9f\\]")

# What staff can open with the tick "private address": this machine and the usual inner networks.
_PRIVATE = tuple(
    ipaddress.ip_network(text)
    for text in (
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "::1/128",
        "fc00::/7",
    )
)
# Not routed on the internet, but counted as global by some Python versions.
_NEVER = tuple(
    ipaddress.ip_network(text)
    for text in (
        "192.0.0.0/24",
        "192.88.99.0/24",
        "64:ff9b:1::/48",
        "100::/64",
        "2001::/23",
        "2001:db8::/32",
        "3fff::/20",
        "5f00::/16",
        "fec0::/10",
    )
)
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def effective_address(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 one carries inside (mapped, 6to4, NAT64), else the address."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    inner = address.ipv4_mapped or address.sixtofour
    if inner is None and address in _NAT64:
        inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return inner or address


def address_problem(text: str, *, allow_private: bool) -> str | None:
    """Say why this IP address may not be called, or None if it may.

    Link-local (cloud metadata), multicast, reserved and unspecified addresses stay closed even when private
    ones are allowed: no panel lives there.
    """
    try:
        address = effective_address(ipaddress.ip_address(text))
    except ValueError:
        return f"{text} is not an IP address."
    if any(address in network for network in _PRIVATE if network.version == address.version):
        if allow_private:
            return None
        return f"{text} is a private or local address. Tick “private address allowed” if that is meant."
    outside = any(address in network for network in _NEVER if network.version == address.version)
    if outside or not address.is_global or address.is_multicast or address.is_reserved:
        return f"{text} is not an address on the internet."
    return None


def host_problem(host: str, *, allow_private: bool) -> str | None:
    """Say why this host of a URL may not be called, as far as its spelling shows; None if it may."""
    if ":" in host:
        return address_problem(host, allow_private=allow_private)
    try:
        plain = idna.encode(host, uts46=True).decode() if not host.isascii() else host
    except idna.IDNAError:
        return "The host name is not valid."
    labels = plain.removesuffix(".").split(".")
    if not all(_LABEL.fullmatch(label) for label in labels) or len(plain) > 253:
        return "The host name is not valid."
    if _NUMERIC_LABEL.fullmatch(labels[-1]):
        # 2130706433, 0x7f.1 and 0177.0.0.1 all mean 127.0.0.1 to the resolver.
        return _dotted_problem(plain, allow_private=allow_private)
    if labels[-1].lower() == "localhost" and not allow_private:
        return "localhost is a local address. Tick “private address allowed” if that is meant."
    return None


def _dotted_problem(text: str, *, allow_private: bool) -> str | None:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return "Write the address as a host name or as four plain numbers, such as 203.0.113.5."
    return address_problem(text, allow_private=allow_private)


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        usable = parts.port != 0 and bool(parts.hostname)
    except ValueError:
        return None
    return parts if usable else None


def url_problem(url: str, *, allow_private: bool, allow_plain_http: bool) -> str | None:
    """Say, in a sentence for a form, why this base URL can't be used; None if nothing speaks against it.

    Only the spelling is judged. What the name resolves to is judged again at each connection.
    """
    if _UNSAFE_IN_URL.search(url):
        return "The URL contains a space, a backslash or an invisible character. Type it again."
    parts = _split(url)
    if parts is None or parts.scheme.lower() not in ("http", "https"):
        return "Enter a full URL, such as https://panel.example.com."
    if "@" in parts.netloc:
        return "Leave user name and password out of the URL."
    if parts.query or parts.fragment or "?" in url or "#" in url:
        return "Leave out everything from “?” or “#” on."
    if parts.scheme.lower() == "http" and not allow_plain_http:
        return "Use https://. Plain http is only used where it is ticked as allowed."
    return host_problem(parts.hostname or "", allow_private=allow_private)
