"""Where things are kept: databases, caches, the queue's broker.

Two set-ups are supported: SQLite with the ORM broker (one host) and PostgreSQL with Redis (several hosts).
The numbers come from measurements: SQLite's default options lost a quarter of the writes under load.
"""

from pathlib import Path
from typing import Any

import environ
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Model

SQLITE_OPTIONS = {
    "timeout": 20,
    # A transaction takes the write lock when it begins, not in its middle, where it could only fail.
    "transaction_mode": "IMMEDIATE",
    # FULL: a webhook answered with 202 must survive a power cut (reliability bar B9).
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA busy_timeout=20000;",
}
SUPPORTED_ENGINES = ("django.db.backends.sqlite3", "django.db.backends.postgresql")


def database_from_url(url: str) -> dict[str, Any]:
    """A `DATABASES` entry from `sqlite:////path` or `postgresql://…`.

    Raises ValueError for another kind, and for a SQLite file whose folder cannot be made.
    """
    config: dict[str, Any] = environ.Env.db_url_config(url)
    if config.get("ENGINE") not in SUPPORTED_ENGINES:
        raise ValueError("only SQLite and PostgreSQL are supported")
    if config["ENGINE"] == "django.db.backends.sqlite3":
        path = Path(config["NAME"])
        private_folder(path)
        return sqlite_database(path)
    return {**config, "CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True}


def private_folder(path: Path) -> None:
    """Make the folder of a SQLite file, readable by its owner alone. Raises ValueError if that fails."""
    if str(path) == ":memory:":
        return
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError("the folder of the database cannot be made") from error


def sqlite_database(path: Path) -> dict[str, Any]:
    """A `DATABASES` entry for one SQLite file.

    Connections are kept: whoever closes the last one has SQLite fold its whole log into the file, which took
    half of the time of a webhook.
    """
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(path),
        "OPTIONS": dict(SQLITE_OPTIONS),
        "CONN_MAX_AGE": 60,
    }


def insert_in_one_step(connection: BaseDatabaseWrapper, **_: Any) -> None:
    """Has a new SQLite connection tell a row's id after its INSERT instead of returning it as a result.

    An INSERT with a result keeps the file's only write lock until Python has fetched that, and under load
    Python comes to it late: eight threads kept a tenth of the rows a second.
    """
    if connection.vendor == "sqlite":
        connection.features.can_return_columns_from_insert = False


def caches(redis_url: str) -> dict[str, dict[str, Any]]:
    """The shared cache and the queue's private one.

    `default` must be shared by all processes and have an atomic `add`: sign-in codes are good once because
    of it (bar B19). `q2stats` takes django-q's two writes a second, which nobody reads.
    """
    shared: dict[str, Any] = (
        {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": redis_url}
        if redis_url
        else {
            "BACKEND": "django.core.cache.backends.db.DatabaseCache",
            "LOCATION": "billingbridge_cache",
            # Django's default of 300 entries would throw used codes away while they are still good.
            "OPTIONS": {"MAX_ENTRIES": 50_000},
        }
    )
    private = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "q2stats"}
    return {"default": {**shared, "KEY_PREFIX": "billingbridge"}, "q2stats": private}


def queue(*, workers: int, job_timeout: int, scheduler: bool, redis_url: str) -> dict[str, Any]:
    """django-q2's settings. Its tasks are wake-up hints; what is due is always in our own tables.

    `retry` must stay above the longest wait in memory plus one job, or a waiting job runs twice; the system
    check `billingbridge.E010` computes it.
    """
    broker: dict[str, Any] = {"redis": redis_url} if redis_url else {"orm": "default"}
    return {
        "name": "billingbridge",
        "workers": workers,
        "queue_limit": workers,
        "bulk": 1,
        "timeout": job_timeout,
        "retry": 300,
        "ack_failures": True,
        "max_attempts": 1,
        "catch_up": False,
        "save_limit": -1,
        "recycle": 200,
        "max_rss": 300_000,
        "guard_cycle": 1,
        "poll": 0.2,
        "cache": "q2stats",
        "scheduler": scheduler,
        "compress": False,
        "ALT_CLUSTERS": {},
        **broker,
    }


class CacheRouter:
    """Keeps the cache table in the SQLite file of its own, so that cache writes never block the truth."""

    label = "django_cache"

    def db_for_read(self, model: type[Model], **hints: object) -> str | None:
        """Database of the cache table; None (no opinion) for every other model."""
        return "cache" if model._meta.app_label == self.label else None

    db_for_write = db_for_read

    def allow_migrate(self, db: str, app_label: str, **hints: object) -> bool | None:
        """The cache table lives in `cache` and nothing else does."""
        if db == "cache" or app_label == self.label:
            return db == "cache" and app_label == self.label
        return None
