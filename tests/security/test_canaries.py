"""No secret leaves its place, and no stranger's text runs on a page, after a whole life (bars B15, B18)."""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps
from django.core import mail
from django.db import connection
from django.test import Client
from django_q.models import OrmQ
from django_q.signing import SignedPackage

from provisioning import queue
from provisioning.models import AuditEntry, Operation, Panel
from provisioning.reconcile.transport import PanelTransport, _client, driver_for
from provisioning.sandbox.server import PanelSandbox
from tests import factories
from tests.bridge import Bridge
from tests.conftest import Jobs
from tests.provisioning.admin.staffing import session_of
from tests.security.addresses import path, templates
from tests.security.life import HOSTILE, Life, dump, living
from tests.security.roles import bearing

pytestmark = pytest.mark.django_db
LOGGERS = ("", "django", "django-q", "urllib3", "axes")


@pytest.fixture
def logs() -> Iterator[io.StringIO]:
    """Everything that is logged at DEBUG, as it would stand in the file."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(next(h.formatter for h in logging.getLogger("django").handlers if h.formatter))
    before = {name: logging.getLogger(name).level for name in LOGGERS}
    for name in LOGGERS:
        logging.getLogger(name).setLevel(logging.DEBUG)
        logging.getLogger(name).addHandler(handler)
    yield stream
    for name, level in before.items():
        logging.getLogger(name).setLevel(level)
        logging.getLogger(name).removeHandler(handler)


@pytest.fixture
def life(jobs: Jobs, logs: io.StringIO) -> Iterator[Life]:
    """The life, on a fresh sandbox."""
    with PanelSandbox() as sandbox, living(Bridge(sandbox, jobs)) as lived:
        yield lived


@pytest.mark.req("CAL-12", "T83-41")
def test_no_secret_in_logs_tables_mails_errors_and_texts_of_rows(life: Life, logs: io.StringIO) -> None:
    assert Operation.objects.filter(detail__contains="[hidden]").exists(), "the panel's echo never arrived"
    assert mail.outbox
    assert "http" in logs.getvalue()
    rows = [f"{row} {row!r}" for model in apps.get_models() for row in model._default_manager.all()]
    mails = [message.message().as_string() for message in mail.outbox]
    places = {"logs": logs.getvalue(), "tables": dump(), "mails": "".join(mails), "rows": "".join(rows)}
    places["objects"] = objects()
    assert {name: life.found_in(text) for name, text in places.items() if life.found_in(text)} == {}
    for message in mail.outbox:
        check_mail(message)


def objects() -> str:
    """How the objects that hold a key show themselves, as in a traceback."""
    panel = Panel.objects.get(name__startswith="Echo")
    client = _client(panel.url, panel.api_key, panel.driver, True, True, 35.0)
    return f"{panel!r} {client!r} {client._adapter!r} {PanelTransport(panel)!r} {driver_for(panel)!r}"


def check_mail(message: Any) -> None:
    """No header of a stranger's, and no markup."""
    raw = message.message()
    assert raw["Bcc"] is None
    assert len(raw.get_all("Subject") or []) == 1
    assert not re.search(r"^(Bcc|Subject: x)", raw.as_string(), re.MULTILINE)
    html = "".join(str(content) for content, _ in getattr(message, "alternatives", []))
    assert not [evil for evil in HOSTILE if evil in html]


def test_a_job_in_the_queue_is_a_path_and_a_number() -> None:
    if connection.vendor != "sqlite":
        pytest.skip("the broker is not the database here")
    queue._send(queue.RECONCILE_SERVICE, 42)
    package: Any = SignedPackage.loads(OrmQ.objects.get().payload)
    assert package["args"] == (42,)
    assert set(package) <= {
        "id",
        "name",
        "func",
        "args",
        "kwargs",
        "started",
        "group",
        "ack_failure",
        "cluster",
    }
    assert package.get("kwargs", {}) == {}


def crawl(staff: Client, machine: Client) -> Iterator[tuple[str, Any]]:
    """Every page that GET shows to a superuser, and every answer of the API."""
    for template in templates():
        if "logout" not in template and "recovery-codes" not in template and "totp/activate" not in template:
            address = path(template)
            yield address, (machine if address.startswith("/api") else staff).get(address)
    for model in (
        "service",
        "operation",
        "event",
        "panel",
        "auditentry",
        "notification",
        "customer",
        "product",
    ):
        for row in apps.get_model("provisioning", model)._default_manager.order_by("-pk")[:3]:
            address = f"/admin/provisioning/{model}/{row.pk}/change/"
            yield address, staff.get(address)
    for model in ("service", "operation", "event"):
        for row in apps.get_model("provisioning", model)._default_manager.all()[:4]:
            yield f"/api/v1/{model}s/{row.pk}/", machine.get(f"/api/v1/{model}s/{row.pk}/")


def state() -> tuple[int, ...]:
    """How much stands in the tables that only writers may add to, and who wants what."""
    generations = apps.get_model("provisioning", "Service")._default_manager.values_list("pk", "generation")
    return AuditEntry.objects.count(), Operation.objects.count(), len(mail.outbox), hash(tuple(generations))


@pytest.mark.slow
@pytest.mark.req("CAL-12", "T83-40")
def test_every_page_is_free_of_secrets_and_scripts_and_changes_nothing(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("provisioning.api.permissions.CallerThrottle.allow_request", lambda *args: True)
    staff, machine = session_of(life.grace), bearing(life.grace)
    before, seen, problems = state(), "", []
    for address, answer in crawl(staff, machine):
        text = b"".join(answer).decode() if answer.streaming else answer.content.decode()
        html = "html" in answer.headers.get("Content-Type", "")
        problems += [(address, name) for name in life.found_in(text)]
        problems += [(address, evil) for evil in HOSTILE if html and evil in text]
        problems += [(address, header) for header in missing_headers(address, answer)]
        seen += text if html else ""
    assert problems == []
    assert "&lt;script&gt;alert(7)" in seen
    assert state() == before


def missing_headers(address: str, answer: Any) -> list[str]:
    """What an answer should say to browsers and caches, and does not."""
    wanted = {
        "X-Content-Type-Options": r"nosniff",
        "X-Frame-Options": r"DENY",
        "Referrer-Policy": r"same-origin",
        "Content-Security-Policy": r".*default-src 'none'.*",
    }
    if answer.status_code == 200 and not address.startswith(
        ("/webhooks", "/livez", "/readyz", "/admin/jsi18n")
    ):
        wanted["Cache-Control"] = r".*no-store.*"
    return [
        f"{name}: {answer.headers.get(name)}"
        for name, value in wanted.items()
        if not re.fullmatch(value, answer.headers.get(name, ""))
    ]


def test_a_line_of_the_log_stays_one_line(logs: io.StringIO) -> None:
    session_of(factories.staff()).get("/admin/%0aforged%0d%0aline/%E2%80%AE")
    assert "forged" in logs.getvalue()
    assert not [line for line in logs.getvalue().splitlines() if line.startswith(("forged", "line"))]
    assert "\u202e" not in logs.getvalue()
