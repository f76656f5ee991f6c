"""`manage.py send_event`: signs a billing event and posts it, as a billing system would."""

from __future__ import annotations

import json
import os
import ssl
import uuid
from argparse import ArgumentParser
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db.models import Q
from django.urls import reverse

from provisioning.choices import SignatureScheme
from provisioning.lib import clock
from provisioning.lib.crypto import DecryptError
from provisioning.lib.redact import redact
from provisioning.models import EndpointSecret, WebhookEndpoint
from provisioning.stored_secrets import LOST_KEYS
from provisioning.webhooks import signatures

TIMEOUT = (5, 30)
"""Seconds to connect, seconds to answer."""


class Command(BaseCommand):
    """Posts to an endpoint of ours, or to any address with a secret from the environment."""

    help = "Signs a billing event and posts it. The secret is never given on the command line."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Where to, what, and how it is signed."""
        where = parser.add_mutually_exclusive_group(required=True)
        where.add_argument("--endpoint", help="An endpoint's name: its address and newest secret are used.")
        where.add_argument("--url", help="Any address; needs --secret-env.")
        parser.add_argument("--secret-env", metavar="NAME", help="Environment variable with the secret.")
        what = parser.add_mutually_exclusive_group(required=True)
        what.add_argument("--json", dest="text", help='Such as \'{"event":"payment.failed", …}\'.')
        what.add_argument("--file", type=Path, help="A file that is sent byte for byte.")
        parser.add_argument("--id", dest="ident", help="The message's id; a new one unless given.")
        parser.add_argument("--scheme", choices=SignatureScheme.values, help="standard unless given.")
        parser.add_argument("--header", default="X-Signature", help="Header of the plain scheme, with --url.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Prints the answer; raises CommandError unless it is a 2xx."""
        body = _body(options["text"], options["file"])
        if options["endpoint"]:
            url, secret, scheme, header = _of_endpoint(options["endpoint"])
        else:
            secret = _of_environment(options["secret_env"])
            url, scheme, header = options["url"], SignatureScheme.STANDARD.value, options["header"]
        scheme = options["scheme"] or scheme
        ident = options["ident"] or f"msg_{uuid.uuid4().hex}"
        status, text = _post(url, body, _headers(scheme, secret, body, ident=ident, header=header))
        self.stdout.write(f"{status} {text}")
        if not 200 <= status < 300:
            raise CommandError(f"The event was not taken: the answer was {status}.")


def _body(text: str | None, file: Path | None) -> bytes:
    if file is not None:
        try:
            return file.read_bytes()
        except OSError as error:
            raise CommandError(f"{file} could not be read: {error.strerror}.") from error
    try:
        json.loads(text or "")
    except ValueError as error:
        raise CommandError(f"--json is not JSON ({error}). Use --file to send anything else.") from error
    return (text or "").encode()


def _of_endpoint(name: str) -> tuple[str, str, str, str]:
    """URL, newest valid secret, scheme and header of an endpoint."""
    endpoint = WebhookEndpoint.objects.filter(name=name).first()
    if endpoint is None:
        known = ", ".join(WebhookEndpoint.objects.order_by("name").values_list("name", flat=True)[:20])
        raise CommandError(f"There is no endpoint “{name}”. There are: {known or 'none yet'}.")
    secret = _newest_secret(endpoint)
    if secret is None:
        raise CommandError(f"Endpoint “{name}” has no valid secret. Add one in the admin.")
    url = settings.PUBLIC_URL + reverse("webhook", args=[endpoint.address])
    return url, secret.value, endpoint.scheme, endpoint.hmac_header


def _newest_secret(endpoint: WebhookEndpoint) -> EndpointSecret | None:
    valid = endpoint.secrets.filter(Q(ends_at=None) | Q(ends_at__gt=clock.now()))
    try:
        return valid.order_by("-id").first()
    except DecryptError as error:
        raise CommandError(LOST_KEYS) from error


def _of_environment(name: str | None) -> str:
    if not name:
        raise CommandError("Say with --secret-env which environment variable holds the secret.")
    secret = os.environ.get(name, "")
    if not secret:
        raise CommandError(f"The environment variable {name} is not set. Put the endpoint's secret into it.")
    return secret


def _headers(scheme: str, secret: str, body: bytes, *, ident: str, header: str) -> dict[str, str]:
    headers = {"Content-Type": "application/json"}
    if scheme == SignatureScheme.HMAC_HEX:
        return {**headers, header: signatures.sign_hmac_hex(secret=secret.encode(), body=body)}
    moment = int(clock.timestamp())
    try:
        key = signatures.decode_secret(secret)
    except ValueError as error:
        raise CommandError(str(error)) from error
    signature = signatures.sign_standard(secret=key, message_id=ident, timestamp=moment, body=body)
    return {
        **headers,
        "webhook-id": ident,
        "webhook-timestamp": str(moment),
        "webhook-signature": signature,
    }


def _post(url: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, str]:
    """Status and beginning of the answer. The address was typed by an operator, so any host will do."""
    bundle = _authorities()
    try:
        answer = requests.post(
            url, data=body, headers=headers, timeout=TIMEOUT, allow_redirects=False, verify=bundle
        )
    except (requests.RequestException, ValueError) as error:
        place = urlsplit(url).netloc.rpartition("@")[2] or url
        raise CommandError(_why_not(place, error)) from error
    return answer.status_code, redact(answer.text, limit=2000).strip()


def _authorities() -> str | bool:
    """The bundle of certificate authorities that the environment names, else True: those of `requests`."""
    for name in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
        if path := os.environ.get(name):
            if not Path(path).exists():
                raise CommandError(f"{name} names a file that does not exist. Check its path, or unset it.")
            return path
    return True


def _why_not(place: str, error: BaseException) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return (
                f"The certificate of {place} is not trusted: {cause.verify_message}. Is it from an authority "
                "of your own? Set REQUESTS_CA_BUNDLE or SSL_CERT_FILE to that authority's root certificate."
            )
        cause = cause.__cause__ or cause.__context__
    return f"{place} could not be reached ({type(error).__name__}). Is it running?"
