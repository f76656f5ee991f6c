"""Where a stack of processes keeps its data: SQLite with the ORM broker, or PostgreSQL with Redis.

TEST_DATABASE_URL and TEST_REDIS_URL choose the second. Each stack gets a copy of one prepared database, and
nothing of it stays.
"""

from __future__ import annotations

import os
import secrets
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

from tests.settings import _NUMBER

REDIS_NUMBER = 7 + _NUMBER
"""The suite's own Redis databases are the lower ones; each test process has one here."""
QUEUE_TABLE = "django_q_ormq"
QUEUE = "billingbridge"
"""The queue's name in either broker."""


class Store(Protocol):
    """A database and a queue of a stack's own."""

    @property
    def variables(self) -> dict[str, str]:
        """What the processes need in their environment."""

    def copy(self, folder: Path) -> Store:
        """A store with the same rows, for a stack that keeps its files in *folder*."""

    def queue_lose(self) -> None:
        """Throw every waiting job away."""

    def queue_put(self, payload: bytes) -> None:
        """Put something into the queue that no part of the product would."""

    def select(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows that no page of ours shows, such as who leads."""

    def writable(self) -> bool:
        """Whether nobody stands still in the middle of a transaction."""

    def drop(self) -> None:
        """Remove it."""


class SqliteStore:
    """Two files in the stack's folder."""

    FILES = ("billingbridge.sqlite3", "cache.sqlite3")

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.variables = {"DATABASE_URL": "", "REDIS_URL": ""}

    def copy(self, folder: Path) -> SqliteStore:
        """Copies the files; nothing may be running on them."""
        for name in self.FILES:
            shutil.copy(self.folder / name, folder / name)
        return SqliteStore(folder)

    def queue_lose(self) -> None:
        """Deletes every row of the ORM broker."""
        with closing(self._connection()) as connection, connection:
            connection.execute(f"DELETE FROM {QUEUE_TABLE}")  # noqa: S608  (our own constant)

    def queue_put(self, payload: bytes) -> None:
        """Adds a row to the ORM broker's table."""
        sql = f"INSERT INTO {QUEUE_TABLE} (key, payload, lock) VALUES (?, ?, '2020-01-01')"  # noqa: S608
        with closing(self._connection()) as connection, connection:
            connection.execute(sql, (QUEUE, payload.decode("latin-1")))

    def select(self, sql: str) -> list[tuple[Any, ...]]:
        """Asks the file."""
        with closing(self._connection()) as connection:
            return connection.execute(sql).fetchall()

    def writable(self) -> bool:
        """Tries to take each file's write lock."""
        try:
            for name in self.FILES:
                with closing(sqlite3.connect(self.folder / name, timeout=0.5)) as connection, connection:
                    connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
        return True

    def drop(self) -> None:
        """The folder goes with the test."""

    def _connection(self) -> sqlite3.Connection:
        return sqlite3.connect(self.folder / self.FILES[0], timeout=10)


class ServerStore:
    """A database of its own on the PostgreSQL server, and a numbered one of Redis."""

    def __init__(self, database_url: str, redis_url: str, *, template: str = "template1") -> None:
        self.server, self.redis_url = database_url, f"{redis_url.rpartition('/')[0]}/{REDIS_NUMBER}"
        self.name = f"flows_{secrets.token_hex(6)}"
        self._administer(f'CREATE DATABASE "{self.name}" TEMPLATE "{template}"')
        self.url = f"{database_url.rpartition('/')[0]}/{self.name}"
        self.variables = {"DATABASE_URL": self.url, "REDIS_URL": self.redis_url}
        self._redis_flush()

    def copy(self, folder: Path) -> ServerStore:
        """Has the server copy the database; nobody may be connected to it."""
        return ServerStore(self.server, self.redis_url, template=self.name)

    def queue_lose(self) -> None:
        """Flushes this stack's Redis database: queue, sessions and cache."""
        self._redis_flush()

    def queue_put(self, payload: bytes) -> None:
        """Adds an entry to the list in Redis."""
        from redis import Redis

        with closing(Redis.from_url(self.redis_url)) as redis:
            redis.rpush(f"django_q:{QUEUE}:q", payload)

    def select(self, sql: str) -> list[tuple[Any, ...]]:
        """Asks the database."""
        import psycopg

        with psycopg.connect(self.url) as connection:
            return connection.execute(sql.encode()).fetchall()

    def writable(self) -> bool:
        """Asks the server who is idle in a transaction."""
        here = "datname = current_database() AND state LIKE 'idle in%'"
        return self.select(f"SELECT count(*) FROM pg_stat_activity WHERE {here}") == [(0,)]  # noqa: S608

    def drop(self) -> None:
        """Drops the database, whoever is still connected, and flushes Redis."""
        self._administer(f'DROP DATABASE "{self.name}" WITH (FORCE)')
        self._redis_flush()

    def _administer(self, sql: str) -> None:
        import psycopg

        with psycopg.connect(self.server, autocommit=True) as connection:
            connection.execute(sql.encode())

    def _redis_flush(self) -> None:
        from redis import Redis

        with closing(Redis.from_url(self.redis_url)) as redis:
            redis.flushdb()


def store_make(folder: Path) -> Store:
    """An empty store of the kind that the environment names."""
    database_url = os.environ.get("TEST_DATABASE_URL", "")
    if database_url:
        return ServerStore(database_url, os.environ["TEST_REDIS_URL"])
    return SqliteStore(folder)
