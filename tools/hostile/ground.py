"""What both commands need before they may import anything of the product: its settings and its servers."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from tools import services

STACKS = ("sqlite", "postgres")


@contextlib.contextmanager
def stores(stack: str) -> Iterator[None]:
    """Names a PostgreSQL that keeps what it commits, and a Redis, in the environment; for SQLite neither."""
    with contextlib.ExitStack() as running:
        urls = running.enter_context(services.private(durable=True)) if stack == "postgres" else ("", "")
        os.environ.update(zip(("TEST_DATABASE_URL", "TEST_REDIS_URL"), urls, strict=True))
        yield


def prepare(folder: Path) -> None:
    """What the harness itself needs of Django. Called before anything of the product is imported."""
    os.environ.update({"DJANGO_SETTINGS_MODULE": "tests.settings", "VAR_DIR": str(folder)})
    import django

    django.setup()
