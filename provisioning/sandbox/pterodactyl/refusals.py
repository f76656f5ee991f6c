"""How the panel says no when a fault asks for it."""

from provisioning.sandbox.faults import Fault, Refusal
from provisioning.sandbox.http import Request, Response
from provisioning.sandbox.pterodactyl.errors import UNEXPECTED, PanelError, denied, render, unauthenticated


def _throttled(fault: Fault, request: Request) -> Response:
    headers = {
        "Retry-After": str(int(fault.seconds)),
        "X-RateLimit-Limit": "240",
        "X-RateLimit-Remaining": "0",
    }
    return render(
        PanelError(429, "ThrottleRequestsException", "Too Many Attempts.", headers=headers), request
    )


def _error(_: Fault, request: Request) -> Response:
    return render(PanelError(500, "QueryException", UNEXPECTED), request)


def _error_in_ok(*_: object) -> Response:
    errors = [{"code": "QueryException", "status": "500", "detail": UNEXPECTED}]
    return Response.of_json({"errors": errors})


REFUSALS: dict[str, Refusal] = {
    "rate_limited": _throttled,
    "error": _error,
    "unauthorized": lambda _, request: render(unauthenticated(), request),
    "forbidden": lambda _, request: render(denied(), request),
    "error_in_ok": _error_in_ok,
}
