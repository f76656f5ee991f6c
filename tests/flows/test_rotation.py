"""Every key is changed as the runbook says while 20 events a second come in: nothing fails (B15, B11)."""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import sys
from urllib.parse import urlsplit

import pytest

from provisioning.lib.crypto import generate_key
from tests.flows.conftest import StackMaker
from tests.flows.load import Load
from tests.flows.stack import MANAGE, ROOT, Stack
from tests.security.visit import Visitor

pytestmark = [pytest.mark.processes, pytest.mark.slow]
NEW_SECRET = re.compile(r"whsec_[A-Za-z0-9+/=]{32,}")
NEW_PANEL_KEY = """
import os
from provisioning.models import Panel
from provisioning.reconcile.panels import panel_unpark
row = Panel.objects.get()
row.api_key = os.environ["SANDBOX_CLIENT_KEY"]
row.save()
panel_unpark(row)
"""
"""What the panel's form does. An administrator's client key is the second key that a panel takes."""


def manage(stack: Stack, *words: str) -> str:
    """Runs a command as staff would on the host; returns its words."""
    argv = [sys.executable, MANAGE, *words]
    done = subprocess.run(
        argv, env={**os.environ, **stack.env}, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def restart(stack: Stack, **env: str) -> None:
    """Everything of the engine ends cleanly and starts anew with other settings: first what makes jobs."""
    for parts in ([stack.web, *stack.tickers], stack.clusters):
        for part in parts:
            part.end()
        for part in parts:
            part.stop()
    stack.env.update(env)
    for part in (stack.web, *stack.clusters, *stack.tickers):
        part.start()
    stack.wait_for_web()


def endpoint_secret(stack: Stack, load: Load, staff: Visitor) -> None:
    """*Make a new secret*, change it at the sender, *End old secrets*."""
    page = staff.session.get(f"{staff.base}/admin/provisioning/webhookendpoint/")
    found = re.search(r"/admin/provisioning/webhookendpoint/(\d+)/change/", page.text)
    assert found
    row = f"/admin/provisioning/webhookendpoint/{found[1]}"
    made = staff.post(f"{row}/secret/", old_ends="1 day", own="")
    new = NEW_SECRET.search(made.text)
    assert new, made.text[:500]
    load.pass_by()
    load.secret = new[0]
    load.pass_by()
    ended = staff.post(f"{row}/do/end-old/")
    assert "only the newest is accepted" in ended.text


def field_key(stack: Stack) -> str:
    """The new key in front, restart, write everything anew, take the old one out, restart."""
    old, new = os.environ["FIELD_KEYS"], generate_key()
    restart(stack, FIELD_KEYS=f"{new},{old}")
    said = manage(stack, "rotate_keys")
    restart(stack, FIELD_KEYS=new)
    return said


@pytest.mark.timeout(300)
@pytest.mark.req("T83-12", "CAL-12")
def test_every_key_changes_under_traffic(start: StackMaker) -> None:
    stack = start()
    staff, cast = Visitor(stack.env["PUBLIC_URL"]), stack.ground.cast
    staff.sign_in("admin", cast.admin_password, cast.admin_codes[1])
    with Load(stack, order_each=10) as load:
        load.pass_by()
        endpoint_secret(stack, load, staff)
        said = field_key(stack)
        assert re.search(r"^[4-9] secrets were written", said), said
        load.pass_by()
        old = stack.env["SECRET_KEY"]
        restart(stack, SECRET_KEY=secrets.token_urlsafe(48), SECRET_KEY_FALLBACKS=old)
        load.pass_by()
        home = staff.session.get(f"{staff.base}/admin/")
        assert urlsplit(home.url).path == "/admin/", "signed out by the new SECRET_KEY"
        manage(stack, "shell", "-c", NEW_PANEL_KEY)
        load.pass_by(40)
    load.check()
    assert load.orders
    stack.until_served(load.orders)
    assert stack.creates() == len(load.orders)
    assert not stack.read.get("operations/", outcome="needs_staff")["results"]
    assert stack.store.select("SELECT parked_at FROM provisioning_panelgate") in ([], [(None,)])
