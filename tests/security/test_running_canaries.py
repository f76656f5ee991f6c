"""The product runs at DEBUG with a secret in every place, and none of them is found anywhere else (B15)."""

from __future__ import annotations

import base64
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from provisioning.api.urls import router
from provisioning.lib.crypto import FieldCipher
from tests.flows.conftest import StackMaker, ground, start
from tests.flows.stack import MANAGE, ROOT, Stack, processes_in
from tests.flows.stores import REDIS_NUMBER
from tests.security.canaries import Canaries, command_lines, environments, files_in, forms
from tests.security.visit import Visitor

__all__ = ["ground", "start"]
pytestmark = [pytest.mark.processes, pytest.mark.slow]
SMTP_WORD = "smtp-canary-word-5521"
IN_THE_ENVIRONMENT = ("SECRET_KEY", "FIELD_KEYS", "panel key", "client key", "smtp", "database", "redis")
"""What processes are told by their environment, as documented; the sandbox has its keys from there."""


def secrets_of(stack: Stack) -> dict[str, str]:
    """Every secret of the running product, by name."""
    cast, env = stack.ground.cast, stack.env
    found = {
        "SECRET_KEY": env["SECRET_KEY"],
        "FIELD_KEYS": os.environ["FIELD_KEYS"],
        "endpoint secret": cast.secret,
        "its bytes": cast.secret.removeprefix("whsec_"),
        "API token": cast.api_token,
        "panel key": cast.panel_key,
        "client key": env["SANDBOX_CLIENT_KEY"],
        "password": cast.admin_password,
        "TOTP": totp_secret(stack),
        "smtp": SMTP_WORD,
        **{f"recovery code {number}": code for number, code in enumerate(cast.admin_codes)},
    }
    for name in ("DATABASE_URL", "REDIS_URL"):
        word = env[name].partition("://")[2].rpartition("@")[0].partition(":")[2]
        found |= {name.partition("_")[0].lower(): word} if word else {}
    return found


def totp_secret(stack: Stack) -> str:
    """The superuser's, read as the product reads it."""
    ((data,),) = stack.store.select("SELECT data FROM mfa_authenticator WHERE type = 'totp'")
    sealed = (json.loads(data) if isinstance(data, str) else data)["secret"]
    return FieldCipher([os.environ["FIELD_KEYS"]]).decrypt(sealed)


def live(stack: Stack) -> None:
    """An order, refusals by the panel, a wrong key at the door, and jobs that still wait in the queue."""
    stack.arm("error")
    stack.order(["12345", "12346"])
    stack.until_served(["12345", "12346"])
    stack.say("payment.failed", status=None)
    stack.until("a suspended server", lambda: stack.status() == "suspended")
    stack.say("subscription.created", "12347", product_id="nobody-sells-this")
    wrong = f"{stack.env['PUBLIC_URL']}/api/v1/services/"
    for token in ("bbk_wrong", stack.ground.cast.api_token[:-1]):
        assert (
            stack.read.api_session.get(wrong, headers={"Authorization": f"Bearer {token}"}).status_code == 401
        )
    stack.clusters[0].end()
    stack.until("the workers ended", lambda: stack.clusters[0].ended)
    stack.say("subscription.cancelled", "12346", status="cancelled")
    if not stack.env["REDIS_URL"]:
        assert stack.store.select("SELECT id FROM django_q_ormq")


def api_answers(stack: Stack) -> Iterator[tuple[str, bytes]]:
    """Lists, rows, and the schema."""
    session, base = stack.read.api_session, stack.env["PUBLIC_URL"]
    yield "schema", session.get(f"{base}/api/schema/", timeout=30).content
    for prefix, _, _ in router.registry:
        name = str(prefix)
        answer = session.get(f"{base}/api/v1/{name}/", params={"page_size": "200"}, timeout=30)
        yield name, answer.content
        assert answer.status_code == 200, f"{name}: {answer.text[:200]}"
        for row in answer.json()["results"][:20]:
            yield f"{name} {row['id']}", session.get(f"{base}/api/v1/{name}/{row['id']}/", timeout=30).content


def redis_values(stack: Stack) -> bytes:
    """Everything in the stack's Redis database: queue, cache and sessions."""
    from redis import Redis

    with Redis.from_url(stack.env["REDIS_URL"]) as redis:
        assert redis.connection_pool.connection_kwargs["db"] == REDIS_NUMBER
        assert [key for key in redis.keys("*") if b"django_q" in key]
        parts = [key + b" " + (redis.dump(key) or b"") for key in redis.keys("*")]
        parts += [
            item for key in redis.keys("*") if redis.type(key) == b"list" for item in redis.lrange(key, 0, -1)
        ]
    return b"\n".join(parts)


def server_rows(stack: Stack) -> bytes:
    """Every row of every table, as PostgreSQL writes it out."""
    tables = [
        name for (name,) in stack.store.select("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    ]
    rows = [stack.store.select(f'SELECT t::text FROM "{name}" t') for name in tables]  # noqa: S608 - our tables
    return "\n".join(str(row[0]) for table in rows for row in table).encode()


def said_by(stack: Stack, *words: str) -> bytes:
    """What a command prints."""
    argv = [sys.executable, MANAGE, *words]
    done = subprocess.run(argv, env={**os.environ, **stack.env}, cwd=ROOT, capture_output=True, check=False)
    return done.stdout + done.stderr


def looked_at(stack: Stack, visitor: Visitor) -> dict[str, bytes]:
    """Pages, API, commands, and whatever is stored, each by a name."""
    places = {page.url: page.content for page in visitor.crawl("/admin/")}
    assert len(places) > 60
    assert sum(b"12345" in page for page in places.values()) > 5
    places |= dict(api_answers(stack))
    for words in (("reconcile", "--dry-run"), ("check",), ("rotate_keys",)):
        places[" ".join(words)] = said_by(stack, *words)
    if stack.env["REDIS_URL"]:
        places |= {"Redis": redis_values(stack), "rows": server_rows(stack)}
    return places | files_in(stack.folder)


STORES = ("billingbridge.sqlite3", "billingbridge.sqlite3-wal", "Redis", "rows")
"""Where sessions are kept, under their own key."""


@pytest.mark.timeout(240)
@pytest.mark.req("CAL-12", "T83-41")
def test_no_secret_leaves_its_place_while_everything_runs(start: StackMaker, tmp_path: Path) -> None:
    smtp = f"smtp://bridge:{SMTP_WORD}@127.0.0.1:9"
    stack = start(LOG_LEVEL="DEBUG", STAFF_EMAILS="staff@example.com", EMAIL_URL=smtp)
    canaries, cast = Canaries(secrets_of(stack)), stack.ground.cast
    stack.until("the workers", lambda: len(stack.clusters[0].workers("idle")) == 2)
    processes = processes_in(tmp_path)
    environ = environments(processes)
    assert set(canaries.found_in(environ)) >= {"SECRET_KEY", "FIELD_KEYS", "smtp"}
    lines = command_lines(processes)
    live(stack)
    visitor = Visitor(stack.env["PUBLIC_URL"])
    visitor.sign_in("admin", cast.admin_password, cast.admin_codes[0])
    places = looked_at(stack, visitor) | {"ps": lines}
    found = {name: canaries.found_in(text) for name, text in places.items()}
    found["environment"] = canaries.found_in(environ, but=IN_THE_ENVIRONMENT)
    assert {name: names for name, names in found.items() if names} == {}
    session = visitor.session.cookies["sessionid"].encode()
    assert [name for name, text in places.items() if session in text and name not in STORES] == []


@pytest.mark.parametrize("before", ["", "a", "ab", "abc"])
def test_a_secret_is_found_in_each_of_its_forms(before: str) -> None:
    secret = "canary-in-a-pickle?>"
    canaries = Canaries({"it": secret})
    pickled = pickle.dumps({before: secret, "z": 1})
    for text in (
        f"x{secret}x".encode(),
        pickled,
        base64.b64encode(pickled),
        base64.urlsafe_b64encode(pickled),
    ):
        assert canaries.found_in(text) == ["it"]
    assert canaries.found_in(b"canary-in-a-pickl") == []
    assert forms(secret) != forms(secret[:-1])
