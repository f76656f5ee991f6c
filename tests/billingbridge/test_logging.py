"""Log lines: one id from request to job, nothing secret, no query string."""

import io
import json
import logging
import logging.config
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from django_q.signals import post_execute_in_worker, pre_execute

from billingbridge.logging import RequestLogMiddleware, bind_job, logging_config, release_job
from provisioning.lib.redact import MASK, forget_secrets, register_secret

Lines = list[dict[str, Any]]


@pytest.fixture
def output(request: pytest.FixtureRequest) -> Iterator[io.StringIO]:
    """What a process configured for production writes."""
    stream = io.StringIO()
    config = logging_config(readable=getattr(request, "param", False), level="INFO")
    logging.config.dictConfig(config)
    for name in (None, *config["loggers"]):
        logging.getLogger(name).handlers[0].setStream(stream)  # type: ignore[attr-defined]
    yield stream
    forget_secrets()
    structlog.contextvars.clear_contextvars()
    logging.config.dictConfig(settings.LOGGING)


def lines(output: io.StringIO) -> Lines:
    """The lines so far, parsed: each must be JSON."""
    return [json.loads(line) for line in output.getvalue().splitlines()]


@pytest.mark.req("T83-41")
def test_request_id_is_ours_and_on_every_line(output: io.StringIO) -> None:
    def view(request: HttpRequest) -> HttpResponse:
        structlog.get_logger("provisioning.x").info("stored", event_id=7)
        logging.getLogger("django.security").warning("odd %s", "thing")
        return HttpResponse(status=202)

    request = RequestFactory().post(
        "/webhooks/e/?token=hunter2", {"a": "body-hunter2"}, HTTP_X_REQUEST_ID="forged"
    )
    answer = RequestLogMiddleware(view)(request)
    ids = {line["request_id"] for line in lines(output)}
    assert ids == {answer.headers["X-Request-Id"]}
    assert len(ids.pop()) == 16
    stored, odd, access = lines(output)
    assert (stored["event"], odd["event"]) == ("stored", "odd thing")
    assert (access["path"], access["status"], access["method"]) == ("/webhooks/e/", 202, "POST")
    assert "hunter2" not in output.getvalue()
    assert "forged" not in output.getvalue()


def test_next_request_has_another_id() -> None:
    first, second = Client().get("/livez"), Client().get("/livez")
    assert first.headers["X-Request-Id"] != second.headers["X-Request-Id"]


def test_path_cannot_forge_a_line(output: io.StringIO) -> None:
    RequestLogMiddleware(lambda request: HttpResponse())(RequestFactory().get("/x%0a{%22event%22:1}%1b[31m"))
    assert len(lines(output)) == 1
    assert "\x1b" not in lines(output)[0]["path"]


def test_probes_are_not_logged(output: io.StringIO) -> None:
    RequestLogMiddleware(lambda request: HttpResponse())(RequestFactory().get("/readyz"))
    assert output.getvalue() == ""


@pytest.mark.req("CAL-12")
@pytest.mark.parametrize("output", [False, True], indirect=True, ids=["json", "readable"])
def test_no_secret_is_written(output: io.StringIO) -> None:
    register_secret("known-to-this-process")
    log = structlog.get_logger("provisioning.x")
    log.info("call", api_key="ptla_" + "A" * 40, nested={"password": "hunter2"})
    log.info("sent Bearer abcdefghijklmnop to the panel")
    logging.getLogger("urllib3").warning("url https://ada:hunter2@panel.example.com known-to-this-process")
    try:
        raise RuntimeError("token=hunter2hunter2")
    except RuntimeError:
        log.exception("failed")
    written = output.getvalue()
    for secret in ("ptla_AAAA", "hunter2", "abcdefghijklmnop", "known-to-this-process"):
        assert secret not in written
    assert written.count(MASK) >= 5
    assert "RuntimeError" in written


@pytest.mark.req("T83-41")
def test_job_shares_the_id_of_what_woke_it() -> None:
    task = {"id": "0f" * 16, "group": "abc123", "name": "reconcile-7"}
    pre_execute.send(sender="django_q", func=None, task=task)
    assert structlog.contextvars.get_contextvars() == {"request_id": "abc123", "job": "reconcile-7"}
    post_execute_in_worker.send(sender="django_q", func=None, task={})
    assert structlog.contextvars.get_contextvars() == {}


def test_job_without_a_group_has_its_own_id() -> None:
    bind_job(task={"id": "0f" * 16, "name": "sweep"})
    assert structlog.contextvars.get_contextvars()["request_id"] == "0f" * 16
    release_job()
