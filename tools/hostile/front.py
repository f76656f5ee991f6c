"""The front door alone: a prepared database and the real web server on it, with endpoints of every kind."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import requests

from provisioning.management.supervisor import web_argv
from tests.flows.stack import ROOT, Ground, Part, base_environment, engine_environment
from tests.flows.stores import Store

ENDPOINTS = """
import datetime as dt, json, django
django.setup()
from provisioning.lib import clock
from provisioning.models import BillingConnection, EndpointSecret, WebhookEndpoint
from provisioning.webhooks.signatures import generate_secret
shop = BillingConnection.objects.get(key="shop")
def endpoint(name, secret=None, **fields):
    row = WebhookEndpoint.objects.create(connection=shop, name=name, **fields)
    value = secret or generate_secret()
    EndpointSecret.objects.create(endpoint=row, value=value)
    return row, {"address": str(row.address), "secret": value}
row, standard = endpoint("standard")
now, day = clock.now(), dt.timedelta(days=1)
for name, ends in (("old", now + day), ("ended", now - day)):
    standard[name] = generate_secret()
    EndpointSecret.objects.create(endpoint=row, value=standard[name], ends_at=ends)
found = {
    "standard": standard,
    "script": endpoint("script", "a-script-of-linus-" + generate_secret(), scheme="hmac_hex")[1],
    "disabled": endpoint("disabled", enabled=False)[1],
    "elsewhere": endpoint("elsewhere", networks="198.51.100.0/24")[1],
}
print(json.dumps(found))
"""
START_SECONDS = 40.0


@dataclass(frozen=True)
class Targets:
    """The endpoints: address and secrets of each, by name."""

    rows: dict[str, dict[str, str]] = field(repr=False)

    def path(self, name: str) -> str:
        """The endpoint's path."""
        return f"/webhooks/{self.rows[name]['address']}/"

    def secret(self, name: str, which: str = "secret") -> str:
        """One of its secrets."""
        return self.rows[name][which]


@dataclass
class Front:
    """The running web server, its database, and where to send to."""

    web: Part
    store: Store
    targets: Targets
    port: int
    folder: Path

    def wait(self) -> None:
        """Wait until it answers. Raises TimeoutError if it does not."""
        ends = time.monotonic() + START_SECONDS
        while time.monotonic() < ends:
            with contextlib.suppress(requests.RequestException):
                if requests.get(f"http://127.0.0.1:{self.port}/livez", timeout=2).status_code == 200:
                    return
            time.sleep(0.05)
        raise TimeoutError(f"The web server does not answer; its log is {self.web.log}.")

    def rows(self) -> list[tuple[str, str]]:
        """Every event kept: the sender's id and the body's digest."""
        return [
            (str(sender), str(digest))
            for sender, digest in self.store.select("SELECT sender_id, body_sha256 FROM provisioning_event")
        ]


@contextlib.contextmanager
def front(folder: Path) -> Iterator[Front]:
    """The web server on a fresh database, as `manage.py run` starts it; gone with the block."""
    ground = Ground.make(folder)
    env = (
        base_environment(folder, ground.ports) | engine_environment(1) | ground.keys | ground.store.variables
    )
    env["WEBHOOK_TOLERANCE_SECONDS"] = "300"
    try:
        targets = Targets(_endpoints(env))
        web = Part("web", web_argv(env["BIND"]), env, folder / "web.log")
        try:
            made = Front(web, ground.store, targets, ground.ports["web"], folder)
            made.wait()
            yield made
        finally:
            web.stop()
    finally:
        ground.store.drop()


def _endpoints(env: dict[str, str]) -> dict[str, dict[str, str]]:
    argv = [sys.executable, "-c", ENDPOINTS]
    done = subprocess.run(  # noqa: S603 - our own script
        argv, env={**os.environ, **env}, cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"The endpoints could not be made: {done.stderr[-2000:]}")
    found: dict[str, dict[str, str]] = json.loads(done.stdout.splitlines()[-1])
    return found
