"""The reference of the intake: the least that a durable, signed webhook can cost under the same web server.

A WSGI function that checks the HMAC, inserts one row and answers 202: no framework, no queue, no checks.
BARE_DATABASE names the SQLite file or the PostgreSQL URL, BARE_SECRET the signing secret.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from typing import Any

from billingbridge.stores import SQLITE_OPTIONS

DATABASE = os.environ.get("BARE_DATABASE", "")
SECRET = base64.b64decode(os.environ.get("BARE_SECRET", "").removeprefix("whsec_"))
POSTGRES = DATABASE.startswith("postgres")
TABLE = "CREATE TABLE bare_event (id {key}, sender text UNIQUE, body {blob}, sha text, at double precision)"
INSERT = "INSERT INTO bare_event (sender, body, sha, at) VALUES ({0}, {0}, {0}, {0})"
HEADERS = [("Content-Type", "application/json")]
_held = threading.local()


def connect() -> Any:
    """A connection with the product's own options; each thread has one."""
    if POSTGRES:
        import psycopg

        return psycopg.connect(DATABASE, autocommit=True)
    opened = sqlite3.connect(DATABASE, timeout=20, isolation_level=None)
    opened.executescript(str(SQLITE_OPTIONS["init_command"]))
    return opened


def prepare() -> None:
    """Makes the table, once, before the server starts."""
    key, blob = ("bigserial PRIMARY KEY", "bytea") if POSTGRES else ("integer PRIMARY KEY", "blob")
    with closing(connect()) as connection:
        connection.execute(TABLE.format(key=key, blob=blob))


def keep(sender: str, body: bytes) -> None:
    """One durable row: outside a transaction, each statement is committed by itself."""
    if not hasattr(_held, "connection"):
        _held.connection = connect()
    row = (sender, body, hashlib.sha256(body).hexdigest(), time.time())
    _held.connection.execute(INSERT.format("%s" if POSTGRES else "?"), row)


def application(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    """Answers 202 once the row is kept, 401 where the signature is wrong."""
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    sender, at = environ.get("HTTP_WEBHOOK_ID", ""), environ.get("HTTP_WEBHOOK_TIMESTAMP", "")
    digest = hmac.digest(SECRET, f"{sender}.{at}.".encode() + body, hashlib.sha256)
    offered = environ.get("HTTP_WEBHOOK_SIGNATURE", "").removeprefix("v1,")
    if not hmac.compare_digest(base64.b64encode(digest).decode(), offered):
        answer, status = b'{"status":"refused"}', "401 Unauthorized"
    else:
        keep(sender, body)
        answer, status = b'{"status":"accepted"}', "202 Accepted"
    start_response(status, [*HEADERS, ("Content-Length", str(len(answer)))])
    return [answer]


if __name__ == "__main__":
    prepare()
