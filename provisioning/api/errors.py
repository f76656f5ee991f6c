"""One form for every error of the API: a stable code, a sentence, and for wrong input the fields."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import exception_handler

MESSAGES = {
    "invalid": "Some parameters are not right. See “fields”.",
    "throttled": "Too many requests. Wait as long as Retry-After says.",
}


def error_response(error: Exception, context: dict[str, Any]) -> Response | None:
    """Gives DRF's answer our form; None leaves what is no API error to Django."""
    response = exception_handler(error, context)
    if response is None:
        return None
    code = _code(error)
    body: dict[str, Any] = {"code": code, "message": MESSAGES.get(code) or _message(response.data)}
    if isinstance(error, exceptions.ValidationError):
        body["fields"] = response.data
    response.data = {"error": body}
    return response


def _code(error: Exception) -> str:
    if isinstance(error, Http404):
        return "not_found"
    if isinstance(error, PermissionDenied):
        return "permission_denied"
    return str(getattr(error, "default_code", "error"))


def _message(data: Any) -> str:
    return str(data.get("detail", "")) if isinstance(data, dict) else ""
