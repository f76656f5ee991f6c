"""Logs: one JSON object a line (readable text in the demo), one request id from webhook to panel call.

Every line passes the redaction last, whoever wrote it (T83-41, bar B15). The access line holds method, path,
status and time: no query string, no body, no header.
"""

import secrets
import time
from collections.abc import Callable, MutableMapping
from typing import Any, Final

import structlog
from django.http import HttpRequest, HttpResponseBase

from provisioning.lib.redact import clean_line, redact_data

GetResponse = Callable[[HttpRequest], HttpResponseBase]
EventDict = MutableMapping[str, Any]
REQUEST_ID: Final = "request_id"
QUIET_PATHS: Final = ("/livez", "/readyz", "/static/")
log = structlog.get_logger("billingbridge.request")


def redact_event(logger: Any, method: str, event: EventDict) -> EventDict:
    """The last step before a line is written: no secret in any field, and plain JSON types only."""
    safe = redact_data({key: value for key, value in event.items() if not key.startswith("_")})
    internal = {key: value for key, value in event.items() if key.startswith("_")}
    return {**(safe if isinstance(safe, dict) else {}), **internal}


SHARED_STEPS: Final[list[Any]] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.stdlib.PositionalArgumentsFormatter(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
]


def logging_config(*, readable: bool, level: str) -> dict[str, Any]:
    """Configure structlog and return the configuration of Django's `LOGGING`."""
    structlog.configure(
        processors=[*SHARED_STEPS, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    renderer: Any = (
        structlog.dev.ConsoleRenderer(colors=False) if readable else structlog.processors.JSONRenderer()
    )
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "lines": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": SHARED_STEPS,
                "processors": [
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    redact_event,
                    renderer,
                ],
            }
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "lines"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            name: {"handlers": ["stderr"], "level": own, "propagate": False}
            for name, own in {
                "django": level,
                # Django's own line per request would hold the query string.
                "django.server": "ERROR",
                # At DEBUG these two write whole page contexts and the parameters of each query.
                "django.template": "WARNING",
                "django.db.backends": "WARNING",
                "django-q": level,
                "axes": "WARNING",
                "urllib3": "WARNING",
            }.items()
        },
    }


class RequestLogMiddleware:
    """Gives each request an id of our making (none is taken from outside) and writes its access line."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Bind the id, answer, log."""
        request_id = secrets.token_hex(8)
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(**{REQUEST_ID: request_id})
        request.request_id = request_id  # type: ignore[attr-defined]
        started = time.monotonic()
        response = self.get_response(request)
        response["X-Request-Id"] = request_id
        write_access_line(request, response.status_code, time.monotonic() - started)
        return response


def write_access_line(request: HttpRequest, status: int, seconds: float) -> None:
    """One line a request; health probes and files are for debugging only."""
    write = log.debug if request.path_info.startswith(QUIET_PATHS) else log.info
    write(
        "request",
        method=request.method,
        path=clean_line(request.path_info, limit=200),
        status=status,
        ms=round(seconds * 1000),
        client=getattr(request, "client_ip", ""),
    )


def bind_job(*, task: dict[str, Any], **kwargs: Any) -> None:
    """Give a background job the request id of what woke it (its group), or its own id."""
    structlog.contextvars.clear_contextvars()
    request_id = str(task.get("group") or task.get("id", ""))[:40]
    structlog.contextvars.bind_contextvars(**{REQUEST_ID: request_id, "job": str(task.get("name", ""))[:100]})


def release_job(**kwargs: Any) -> None:
    """Forget the job, so that the worker's own lines do not carry its id."""
    structlog.contextvars.clear_contextvars()


def connect_jobs() -> None:
    """Connect to django-q's signals; called when the apps are ready."""
    from django_q.signals import post_execute_in_worker, pre_execute

    pre_execute.connect(bind_job, dispatch_uid="billingbridge.bind_job")
    post_execute_in_worker.connect(release_job, dispatch_uid="billingbridge.release_job")
