"""What the webhook edge answers: one shape, and one single answer for every reason to distrust (bar B8)."""

from __future__ import annotations

from collections.abc import Mapping

from django.http import JsonResponse

from provisioning.inbox.store import Stored, StoreOutcome


class Answered(Exception):
    """Ends a request early with a status, a stable code and a sentence that says what to do."""

    def __init__(
        self, status: int, code: str, message: str, *, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(code)
        self.status, self.code, self.message, self.headers = status, code, message, dict(headers or {})

    def response(self) -> JsonResponse:
        """The answer as it is sent."""
        body = {"error": {"code": self.code, "message": self.message}}
        return JsonResponse(body, status=self.status, headers=self.headers)


def not_verified() -> Answered:
    """The one 401: a stranger cannot tell a wrong address from a wrong secret, time or signature."""
    return Answered(
        401,
        "not_verified",
        "The message could not be verified. Check the address, the secret and the sender's clock.",
        headers={"WWW-Authenticate": "Webhook-Signature"},
    )


def stored(result: Stored) -> JsonResponse:
    """202 with our event's id; 409 where the sender used one id for two bodies."""
    if result.outcome is StoreOutcome.CONFLICT:
        message = "This id was used for another body. Send a changed message under a new id."
        return Answered(409, "id_reused", message).response()
    return JsonResponse({"event": str(result.event.pk), "status": result.outcome.value}, status=202)
