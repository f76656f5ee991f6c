"""The panel's errors and how they are rendered (contract section 2)."""

import json
from dataclasses import dataclass

from provisioning.sandbox.http import Request, Response

NOT_FOUND = "The requested resource could not be found on the server."
NO_SERVER = "The requested resource does not exist on this server."
UNEXPECTED = "An unexpected error was encountered while processing this request, please try again."
REDIRECTED = {400, 401, 422}  # without a JSON Accept header these become redirects, the rest HTML pages


@dataclass(frozen=True)
class Failure:
    """One failed validation rule of one field."""

    field: str
    rule: str
    message: str


class PanelError(Exception):
    """An answer that is an error; ``code`` is the short name of the panel's exception class."""

    def __init__(self, status: int, code: str, detail: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.headers = headers or {}

    def entries(self) -> list[dict[str, object]]:
        """The items of the ``errors`` array."""
        return [{"code": self.code, "status": str(self.status), "detail": self.detail}]


class ValidationError(PanelError):
    """422 with one entry for each failed rule."""

    def __init__(self, failures: list[Failure]) -> None:
        super().__init__(422, "ValidationException", "The given data was invalid.")
        self.failures = failures

    def entries(self) -> list[dict[str, object]]:
        """One item for each failed rule, in the order of the rules."""
        return [
            {
                "code": self.code,
                "status": "422",
                "detail": failure.message,
                "meta": {"source_field": failure.field, "rule": failure.rule},
            }
            for failure in self.failures
        ]


def not_found(detail: str = NOT_FOUND) -> PanelError:
    """404 for a thing that is not there."""
    return PanelError(404, "NotFoundHttpException", detail)


def denied(detail: str = "This action is unauthorized.") -> PanelError:
    """403."""
    return PanelError(403, "AccessDeniedHttpException", detail)


def unauthenticated() -> PanelError:
    """401: no key, a wrong one or one that has run out."""
    return PanelError(401, "AuthenticationException", "Unauthenticated.")


def display(detail: str, code: str = "DisplayException") -> PanelError:
    """400 with a sentence meant for people."""
    return PanelError(400, code, detail)


def conflict(detail: str) -> PanelError:
    """409 of the Client API: the server's state forbids this."""
    return PanelError(409, "ServerStateConflictException", detail)


def render(error: PanelError, request: Request) -> Response:
    """The answer for an error; without a JSON Accept header a redirect or a page (section 0, trap 1)."""
    if request.wants_json():
        body = json.dumps({"errors": error.entries()}, indent=4).encode()
        return Response(status=error.status, body=body, headers=dict(error.headers))
    if error.status in REDIRECTED:
        place = request.base_url + ("/auth/login" if error.status == 401 else "")
        page = f'<!DOCTYPE html>\n<html><body>Redirecting to <a href="{place}">{place}</a>.</body></html>'
        response = Response.of_html(page, status=302)
        response.headers = {"Location": place}
        return response
    page = (
        f'<!DOCTYPE html>\n<html lang="en">\n    <head>\n        <title>{error.status}</title></head></html>'
    )
    response = Response.of_html(page, status=error.status)
    response.headers = dict(error.headers)
    return response
