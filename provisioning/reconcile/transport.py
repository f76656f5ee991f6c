"""The one way to a panel: through its gate, within the job's deadline, each call recorded."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache

from django.conf import settings
from django.db.models import F

from provisioning import audit
from provisioning.drivers import registry
from provisioning.drivers.base import PanelDriver
from provisioning.drivers.errors import Unknown
from provisioning.drivers.trouble import unreadable
from provisioning.drivers.types import PanelConfig
from provisioning.exceptions import BillingBridgeError, PanelWaiting
from provisioning.lib import clock, failpoints
from provisioning.lib.http import Answer, DeadlineTooShort, HttpClient, HttpError
from provisioning.lib.redact import redact
from provisioning.models import Installation, Operation, Panel, PanelCall, Service
from provisioning.reconcile.gate import PANEL_REASONS, gate_answered, gate_failed, gate_pass, gate_silence
from provisioning.reconcile.lease import Lease
from provisioning.reconcile.memory import PanelMemories
from provisioning.reconcile.restored import restored_wait
from provisioning.reconcile.windows import window_check, window_count, window_ended

Params = Mapping[str, str | int] | Sequence[tuple[str, str | int]]


@lru_cache(maxsize=64)
def _client(
    url: str, key: str, driver: str, allow_private: bool, allow_plain_http: bool, timeout: float
) -> HttpClient:
    # One pooled client per panel and key: a changed key or address makes a new one.
    return HttpClient(
        url,
        headers=registry.get(driver).auth_headers(key),
        allow_private=allow_private,
        allow_plain_http=allow_plain_http,
        read_timeout=timeout,
    )


def observing_only(panel: Panel) -> str:
    """Why nothing may be changed on this panel, in words; empty if it may."""
    if settings.OBSERVE_ONLY:
        return "OBSERVE_ONLY is set: the bridge looks at panels and changes nothing."
    installation = Installation.objects.first()
    if installation is None or installation.installation_id != settings.INSTALLATION_ID:
        return "This database belongs to another installation (INSTALLATION_ID differs): nothing is changed."
    if installation.observe_only:
        return "The installation is set to observe only."
    return f"Panel “{panel}” is set to observe only." if panel.observe_only else ""


class PanelTransport:
    """`drivers.types.Transport` for one job: budget, breaker, deadline, fence, and a record of each call."""

    def __init__(
        self,
        panel: Panel,
        *,
        operation: Operation | None = None,
        lease: Lease | None = None,
        seconds: float | None = None,
        urgent: bool = True,
        express: bool = False,
        trial: bool = False,
    ) -> None:
        """`seconds` is the job's deadline; `urgent` is False for sweeps, which leave room for orders.

        `express` is work on a server that is there, such as a suspension: no crowd of orders delays it.

        `trial` is the connection test by staff: it passes an open breaker and a parked key, which it is there
        to end, and may probe rights where nothing may be changed. Silence after a 429 it keeps, like all.
        """
        self.panel = panel
        self.driver = registry.get(panel.driver)
        self.operation = operation
        self.lease = lease
        self.urgent = urgent
        self.express = express
        self.trial = trial
        self.ends = time.monotonic() + (seconds or settings.JOB_DEADLINE_SECONDS)
        self.polling = False
        self._reading = False
        self._unread: Answer | None = None

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Inside, an answer is a good one for the breaker only once it was read.

        What has the panel's form may still hold nonsense, which its reader finds. The next call, or the end,
        says that the answer before was understood; Unknown, that it was not (B6).
        """
        self._reading = True
        try:
            yield
        except BillingBridgeError as error:
            self._understood(error)
            raise
        finally:
            self._reading = False
        self._understood()

    @contextmanager
    def counting_polls(self) -> Iterator[None]:
        """Calls inside are looks at a running install: counted apart."""
        self.polling = True
        try:
            yield
        finally:
            self.polling = False

    def request(
        self,
        method: str,
        path: str,
        *,
        json: object | None = None,
        params: Params | None = None,
        read_timeout: float | None = None,
    ) -> Answer:
        """One call. Raises PanelWaiting (no leave), HttpError (no usable answer), LeaseLost (fenced)."""
        self._understood()
        left = self.ends - time.monotonic()
        needed = 5 + (read_timeout or self.driver.longest_call)
        if left < needed:
            raise PanelWaiting("This job's time is used up; the next one goes on.", reason="deadline")
        if method != "GET" and not self.trial:
            self._check_write()
        window_check(self.panel, self.driver.rate_window)
        gate_pass(
            panel=self.panel,
            default_rate=self.driver.default_rate,
            urgent=self.urgent and not self.polling,
            express=self.express,
            trial=self.trial,
        )
        window_count(self.panel, self.driver.rate_window)
        if self.lease and method != "GET":
            # Once more: a busy database may have kept the gate's own writes waiting for seconds.
            self.lease.check()
        return self._call(method, path, json, params, left, read_timeout)

    def _check_write(self) -> None:
        words = observing_only(self.panel)
        if words:
            raise PanelWaiting(words, reason="observe_only", seconds=settings.BACKOFF_CAP)
        restored_wait()
        if self.lease:
            self.lease.check()

    def _call(
        self,
        method: str,
        path: str,
        json: object | None,
        params: Params | None,
        left: float,
        read_timeout: float | None,
    ) -> Answer:
        started = time.monotonic()
        failpoints.hit("panel_call.before")
        try:
            answer = self._client().request(
                method, path, json=json, params=params, deadline=left, read_timeout=read_timeout
            )
        except DeadlineTooShort as error:
            raise PanelWaiting(
                "This job's time is used up; the next one goes on.", reason="deadline"
            ) from error
        except HttpError as error:
            self._record(method, path, started, error=f"{error.kind}: {error.detail}")
            gate_failed(panel=self.panel, words=error.detail)
            raise
        failpoints.hit("panel_call.after")
        self._record(method, path, started, answer=answer)
        self._judge(answer, method)
        return answer

    def _judge(self, answer: Answer, method: str) -> None:
        if answer.status == 429:
            gate_silence(panel=self.panel, seconds=self.driver.silence_seconds(answer, clock.now()))
            window_ended(self.panel)
        if self.driver.panel_trouble(answer, method):
            gate_failed(panel=self.panel, words=_trouble_words(answer))
        elif answer.status != 429:
            self._unread = answer
            if not self._reading:
                self._understood()

    def _understood(self, error: BillingBridgeError | None = None) -> None:
        """Tells the gate what became of the last answer; a refused key says nothing of the panel."""
        answer, self._unread = self._unread, None
        if answer is None:
            return
        if isinstance(error, Unknown) and error.reason in PANEL_REASONS:
            gate_failed(panel=self.panel, words=error.detail)
        elif answer.status not in (401, 403):
            gate_answered(panel=self.panel, answer=answer)

    def _client(self) -> HttpClient:
        panel = self.panel
        return _client(
            panel.url,
            panel.api_key,
            panel.driver,
            panel.allow_private,
            panel.allow_plain_http,
            self.driver.longest_call,
        )

    def _record(
        self, method: str, path: str, started: float, *, answer: Answer | None = None, error: str = ""
    ) -> None:
        refused = answer is not None and answer.status >= 400
        PanelCall.objects.create(
            operation=self.operation,
            panel=self.panel,
            method=method,
            path=redact(path, limit=300),
            status=answer.status if answer else None,
            error=redact(error, limit=300),
            words=redact(answer.text, limit=1000) if answer and refused else "",
            ms=round((time.monotonic() - started) * 1000),
            attempt=self.operation.attempts if self.operation else 0,
            request_id=audit.request_id(),
            at=clock.now(),
        )
        if self.operation:
            column = "polls" if self.polling else "calls"
            Operation.objects.filter(pk=self.operation.pk).update(**{column: F(column) + 1})


def _trouble_words(answer: Answer) -> str:
    if answer.status < 400:
        return unreadable(answer).detail
    return f"HTTP {answer.status} {redact(answer.text, limit=120)}"


def driver_for(
    panel: Panel, transport: PanelTransport | None = None, service: Service | None = None
) -> PanelDriver:
    """The panel's driver, bound to one job."""
    transport = transport or PanelTransport(panel)
    driver = registry.get(panel.driver)
    config = PanelConfig(
        url=panel.url.rstrip("/"),
        language=panel.language,
        version=panel.version,
        key_problem=driver.key_problem(panel.api_key),
        key_name=driver.key_name(panel.api_key),
        identity_provider=str(panel.identity_provider or ""),
    )
    return driver(config, transport, PanelMemories(panel, service))
