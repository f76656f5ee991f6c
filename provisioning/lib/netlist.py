"""Lists of IP networks, as staff type them into an allow-list (T83-12)."""

import ipaddress
from collections.abc import Iterable

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")


def parse_networks(text: str) -> tuple[Network, ...]:
    """Read addresses and networks separated by spaces, commas or lines.

    Raises ValueError with a sentence that names the wrong part.
    """
    return tuple(_network(part) for part in text.replace(",", " ").split())


def _network(part: str) -> Network:
    try:
        network = ipaddress.ip_network(part)
    except ValueError as error:
        raise ValueError(f"“{part[:60]}” is not an address or network: {_hint(part)}") from error
    if isinstance(network, ipaddress.IPv6Network) and network.subnet_of(_MAPPED):
        plain = ipaddress.IPv4Address(int(network.network_address) & 0xFFFFFFFF)
        return ipaddress.IPv4Network((plain, network.prefixlen - 96))
    return network


def _hint(part: str) -> str:
    try:
        return f"did you mean {ipaddress.ip_network(part, strict=False)}?"
    except ValueError:
        return "write for example 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32."


def in_networks(ip: str, networks: Iterable[Network]) -> bool:
    """Tell whether the address lies in one of the networks; text that is no address lies in none.

    An IPv4 address written the IPv6 way (`::ffff:192.0.2.7`) counts as the IPv4 address that it is.
    """
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return any(address in network for network in networks)
