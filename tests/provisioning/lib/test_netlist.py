"""Allow-lists of networks."""

import pytest

from provisioning.lib.netlist import in_networks, parse_networks


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" \n ", []),
        ("192.0.2.7", ["192.0.2.7/32"]),
        ("192.0.2.0/24, 2001:db8::/32\n10.0.0.1", ["192.0.2.0/24", "2001:db8::/32", "10.0.0.1/32"]),
        ("::ffff:192.0.2.0/120", ["192.0.2.0/24"]),
        ("::ffff:192.0.2.7", ["192.0.2.7/32"]),
    ],
)
def test_lists_are_read(text: str, expected: list[str]) -> None:
    assert [str(network) for network in parse_networks(text)] == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("192.0.2.0/24 panel.example.com", "“panel.example.com” is not"),
        ("192.0.2.5/24", r"did you mean 192\.0\.2\.0/24"),
        ("192.0.2.0/33", "write for example"),
        ("300.0.0.1", "“300.0.0.1”"),
        ("192.0.2.0-192.0.2.9", "is not an address"),
    ],
)
def test_the_wrong_part_is_named(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_networks(text)


@pytest.mark.req("T83-12")
@pytest.mark.parametrize(
    ("ip", "inside"),
    [
        ("192.0.2.7", True),
        ("::ffff:192.0.2.7", True),
        ("::ffff:c000:207", True),
        ("2001:db8::1", True),
        ("192.0.3.7", False),
        ("2001:db9::1", False),
        ("::ffff:192.0.3.7", False),
        ("::192.0.2.7", False),
        ("", False),
        ("unknown", False),
        ("192.0.2.7, 203.0.113.1", False),
        ("192.0.2.7:443", False),
    ],
)
def test_addresses_inside_and_outside(ip: str, inside: bool) -> None:
    assert in_networks(ip, parse_networks("192.0.2.0/24 2001:db8::/32")) is inside


def test_an_empty_list_holds_nothing() -> None:
    assert not in_networks("192.0.2.7", ())
