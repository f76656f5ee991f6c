"""The webhook: checks in the order of bar E, keeps the message, answers 202. Hostile input: no 5xx (B7)."""

from __future__ import annotations

import uuid
from typing import Any

import structlog
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection
from django.http import HttpRequest, HttpResponse
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.permissions import AllowAny
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from provisioning.inbox.store import Origin, Stored, event_store, event_store_unnumbered
from provisioning.lib.crypto import DecryptError
from provisioning.models import WebhookEndpoint
from provisioning.webhooks import answers, reading, signatures
from provisioning.webhooks.answers import Answered
from provisioning.webhooks.authentication import (
    NotProven,
    Proof,
    address_allowed,
    client_address,
    prove,
)
from provisioning.webhooks.doors import Door, door_at
from provisioning.webhooks.serializers import PayloadSerializer, RefusalSerializer, StoredSerializer

RETRY_SECONDS = 10
log = structlog.get_logger(__name__)


class JsonOnly(BaseContentNegotiation):
    """Answers in JSON whatever the Accept header asks for: a strange one must not turn into a 406."""

    def select_parser(self, request: Request, parsers: Any) -> None:
        """No parser: the body stays bytes."""

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        """The only renderer."""
        return renderers[0], renderers[0].media_type


class WebhookView(APIView):
    """One endpoint of one billing connection."""

    authentication_classes = []
    permission_classes = [AllowAny]
    throttle_classes = []
    parser_classes = []
    renderer_classes = [JSONRenderer]
    content_negotiation_class = JsonOnly
    http_method_names = ["post"]

    @extend_schema(
        operation_id="webhook",
        summary="Send a billing event",
        description="Signed by Standard Webhooks: `webhook-id`, `webhook-timestamp`, `webhook-signature`.",
        request={"application/json": PayloadSerializer},
        responses={
            202: StoredSerializer,
            409: OpenApiResponse(RefusalSerializer, "The id was used for another body."),
            401: OpenApiResponse(RefusalSerializer, "Not verified, whatever the reason."),
            403: OpenApiResponse(RefusalSerializer, "Plain HTTP, or an address not on the allow-list."),
            413: OpenApiResponse(RefusalSerializer, "Too large."),
            503: OpenApiResponse(RefusalSerializer, "Send it again after Retry-After seconds."),
        },
        auth=[],
    )
    def post(self, request: Request, address: uuid.UUID) -> HttpResponse:
        """Verify and keep one message."""
        try:
            return receive(request._request, address)
        except Answered as answered:
            return answered.response()
        except (OperationalError, InterfaceError, DecryptError) as error:
            # Not the sender's fault, and nothing was kept: only "again, later" makes it send once more.
            log.error("inbox_unavailable", error=type(error).__name__)
            message = "The message could not be kept. Send it again."
            headers = {"Retry-After": str(RETRY_SECONDS)}
            return Answered(503, "unavailable", message, headers=headers).response()


def receive(request: HttpRequest, address: uuid.UUID) -> HttpResponse:
    """The checks in their order, then the insert. Raises Answered for every refusal."""
    if not (request.is_secure() or settings.ALLOW_PLAIN_HTTP):
        raise Answered(403, "https_required", "Send over HTTPS.")
    length = reading.declared_length(request, limit=settings.WEBHOOK_MAX_BYTES)
    body = reading.raw_body(request, length=length)
    ip = client_address(request)
    door = _door(address, body=body, ip=ip)
    endpoint = door.endpoint
    if not address_allowed(endpoint, ip):
        log.warning("webhook_address_refused", endpoint=endpoint.name, ip=ip)
        raise Answered(403, "address_refused", "Messages from your address are not taken here.")
    try:
        proof = prove(
            door,
            headers=request.headers,
            body=body,
            tolerance=settings.WEBHOOK_TOLERANCE_SECONDS,
        )
    except NotProven as error:
        log.warning("webhook_refused", endpoint=endpoint.name, ip=ip, reason=error.reason)
        raise answers.not_verified() from error
    return answers.stored(_keep(endpoint, body=body, proof=proof, ip=ip))


def _door(address: uuid.UUID, *, body: bytes, ip: str | None) -> Door:
    door = door_at(address)
    if door is None:
        signatures.dummy_verify(body=body)
        log.info("webhook_refused", endpoint=str(address), ip=ip, reason="no_such_endpoint")
        raise answers.not_verified()
    return door


def _keep(endpoint: WebhookEndpoint, *, body: bytes, proof: Proof, ip: str | None) -> Stored:
    """Keeps the message; once more on a new connection where the old one had died.

    Django would ask each connection whether it lives before its first statement, which takes as long as the
    INSERT: here the INSERT is the question. A copy that was kept after all is known by its id or its body.
    """
    setattr(connection, "health_check_done", True)  # noqa: B010 - the stubs lack it
    try:
        return _store(endpoint, body=body, proof=proof, ip=ip)
    except (OperationalError, InterfaceError):
        if connection.in_atomic_block or connection.connection is None or connection.is_usable():
            raise
        connection.close()
        return _store(endpoint, body=body, proof=proof, ip=ip)


def _store(endpoint: WebhookEndpoint, *, body: bytes, proof: Proof, ip: str | None) -> Stored:
    origin = Origin(verified_by=proof.verified_by, remote_ip=ip)
    if proof.sender_id:
        return event_store(endpoint=endpoint, sender_id=proof.sender_id, body=body, origin=origin)
    return event_store_unnumbered(endpoint=endpoint, body=body, origin=origin)
