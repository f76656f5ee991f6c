"""Failpoints: named places at which a test lets this process die, as when its machine loses power.

`FAILPOINT=commit.service.before:2` (with `DEMO=true`) ends the process just before its second commit that
writes a service. The names: `panel_call.before`, `panel_call.after`, and `commit.<table>.before` and `.after`
for each commit, named after the last table that it wrote. Switched off, a failpoint costs one `if`, and
commits are not watched at all.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar
from weakref import WeakSet

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

T = TypeVar("T")
Listener = Callable[[str], None]
KILLED: Final = 137
"""The exit code of a process that was killed by SIGKILL, as shells show it."""
WRITE: Final = re.compile(r'(?:INSERT\b.*?\bINTO|UPDATE|DELETE FROM) "(?:\w+_)?(\w+)"')


class _State:
    listener: Listener | None = None
    watched: WeakSet[BaseDatabaseWrapper] = WeakSet()


def hit(name: str) -> None:
    """This place is passed. The process may end here, if a test said so."""
    if _State.listener is not None:
        _State.listener(name)


def listen(listener: Listener | None) -> None:
    """Has every failpoint that is hit reported by its name; None switches them off again."""
    _State.listener = listener


class Death:
    """A listener that ends the process at the nth hit of one failpoint, given as `name:nth`."""

    def __init__(self, text: str) -> None:
        """Raises ValueError for a text without a number from 1 up."""
        self.name, _, nth = text.rpartition(":")
        self.left = int(nth)
        if not self.name or self.left < 1:
            raise ValueError("A failpoint is written as name:nth, such as panel_call.after:1.")

    def __call__(self, name: str) -> None:
        """Counts down; at the end nothing is closed, flushed or told to anybody."""
        if name == self.name:
            self.left -= 1
            if self.left == 0:
                os._exit(KILLED)


def start(environment: Mapping[str, str]) -> None:
    """Arms what FAILPOINT names. Without DEMO it is ignored: no real installation may die by a variable."""
    text = environment.get("FAILPOINT", "")
    if text and environment.get("DEMO", "").lower() == "true":
        listen(Death(text))
        connection_created.connect(_watch_new, dispatch_uid="failpoints")


def _watch_new(connection: BaseDatabaseWrapper, **_: Any) -> None:
    watch(connection)


def watch(connection: BaseDatabaseWrapper) -> None:
    """Puts failpoints around each commit of this connection."""
    if connection in _State.watched:
        return
    _State.watched.add(connection)
    commits = _Commits(connection)
    connection.execute_wrappers.append(commits.execute)
    setattr(connection, "commit", commits.commit)  # noqa: B010 - a method of one object is replaced


def unwatch(connection: BaseDatabaseWrapper) -> None:
    """Takes the failpoints of a watched connection away again."""
    _State.watched.discard(connection)
    connection.execute_wrappers.clear()
    delattr(connection, "commit")


class _Commits:
    """A commit is a write outside a transaction, or the end of a transaction that wrote."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self.connection = connection
        self.real = connection.commit
        self.written = ""

    def execute(
        self, execute: Callable[..., T], sql: str, params: Any, many: bool, context: dict[str, Any]
    ) -> T:
        found = WRITE.match(sql)
        if found and self.connection.in_atomic_block:
            self.written = found[1]
        if found is None or self.connection.in_atomic_block:
            return execute(sql, params, many, context)
        return _between(found[1], lambda: execute(sql, params, many, context))

    def commit(self) -> None:
        written, self.written = self.written, ""
        if written:
            _between(written, self.real)
        else:
            self.real()


def _between(table: str, write: Callable[[], T]) -> T:
    hit(f"commit.{table}.before")
    result = write()
    hit(f"commit.{table}.after")
    return result
