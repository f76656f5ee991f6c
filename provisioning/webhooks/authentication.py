"""Who sent a message: allow-list first, then the signature by every secret still valid (T83-12, bar B8)."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import structlog
from django.http import HttpRequest

from provisioning.choices import SignatureScheme
from provisioning.lib import clock
from provisioning.lib.crypto import last_four
from provisioning.lib.netlist import Network, in_networks, parse_networks
from provisioning.models import WebhookEndpoint
from provisioning.webhooks import signatures
from provisioning.webhooks.doors import Door

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Proof:
    """A verified message. `sender_id` is empty where the scheme has none; `verified_by` is for staff."""

    sender_id: str
    verified_by: str


class NotProven(Exception):
    """The signature does not hold. `reason` is for staff's logs and never leaves them."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def client_address(request: HttpRequest) -> str | None:
    """The sender's address as the proxy middleware resolved it, or None where there is none (a socket)."""
    text = str(getattr(request, "client_ip", None) or request.META.get("REMOTE_ADDR", ""))
    try:
        # A zone (fe80::1%eth0) means nothing outside this host, and PostgreSQL refuses it.
        return str(ipaddress.ip_address(text.partition("%")[0]))
    except ValueError:
        return None


def address_allowed(endpoint: WebhookEndpoint, ip: str | None) -> bool:
    """Whether the allow-list lets this address in; a list that can't be read lets nobody in."""
    if not endpoint.networks.strip():
        return True
    try:
        networks = _networks(endpoint.networks)
    except ValueError as error:
        log.error("endpoint_networks_unreadable", endpoint=endpoint.name, error=str(error))
        return False
    return in_networks(ip or "", networks)


def prove(door: Door, *, headers: Mapping[str, str], body: bytes, tolerance: int) -> Proof:
    """Checks the raw bytes against each secret still valid; `tolerance` is in seconds. Raises NotProven."""
    endpoint, texts = door.endpoint, door.valid_secrets(clock.now())
    if endpoint.scheme == SignatureScheme.STANDARD:
        texts, keys = _decoded(endpoint, texts)
        verdict = signatures.verify_standard(
            secrets=keys, headers=headers, body=body, now=clock.timestamp(), tolerance=tolerance
        )
    else:
        # Small scripts sign with the text that they were given, not with what base64 it may hold.
        verdict = signatures.verify_hmac_hex(
            secrets=[text.encode() for text in texts],
            header_value=headers.get(endpoint.hmac_header),
            body=body,
        )
    if isinstance(verdict, signatures.Refused):
        raise NotProven(verdict.reason)
    return Proof(
        sender_id=verdict.message_id,
        verified_by=f"{endpoint.scheme}, secret …{last_four(texts[verdict.secret_index])}",
    )


def _decoded(endpoint: WebhookEndpoint, texts: list[str]) -> tuple[list[str], list[bytes]]:
    """The usable ones of the secrets, as text and as bytes; staff read of the others in the log."""
    usable, keys = [], []
    for text in texts:
        try:
            keys.append(signatures.decode_secret(text))
        except ValueError as error:
            log.error("endpoint_secret_unusable", endpoint=endpoint.name, error=str(error))
        else:
            usable.append(text)
    return usable, keys


@lru_cache(maxsize=64)
def _networks(text: str) -> tuple[Network, ...]:
    return parse_networks(text)
