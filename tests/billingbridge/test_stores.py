"""The stores that processes share: what they promise is proved with several processes."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.db import connection, models
from django.test.utils import CaptureQueriesContext

from billingbridge import stores
from billingbridge.settings import Q_CLUSTER
from billingbridge.static import StaticStorage

ROOT = Path(__file__).resolve().parent.parent.parent
RACE = """
import sys, time, django
django.setup()
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP
totp = TOTP(Authenticator(user_id=7, type="totp"))
while time.time() < float(sys.argv[1]):
    pass
print(sum(totp._mark_code_used(f"{number:06}") for number in range(20)))
"""


@pytest.mark.slow
@pytest.mark.processes
@pytest.mark.django_db
def test_code_is_good_once_across_processes(tmp_path: Path) -> None:
    environ = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "billingbridge.settings",
        "DEMO": "true",
        "VAR_DIR": str(tmp_path),
        "DATABASE_URL": "",
        "REDIS_URL": "",
    }
    migrate = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
    subprocess.run(migrate, cwd=ROOT, env=environ, check=True, capture_output=True)
    begin = str(time.time() + 3)
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACE, begin], cwd=ROOT, env=environ, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    wins = [int(racer.communicate(timeout=60)[0]) for racer in racers]
    assert sum(wins) == 20


@pytest.mark.parametrize(
    ("url", "engine", "name"),
    [
        ("sqlite:////tmp/x/bridge.sqlite3", "django.db.backends.sqlite3", "/tmp/x/bridge.sqlite3"),
        ("postgres://ada:pw@127.0.0.1:5432/bridge", "django.db.backends.postgresql", "bridge"),
    ],
)
def test_supported_databases(url: str, engine: str, name: str) -> None:
    config = stores.database_from_url(url)
    assert (config["ENGINE"], config["NAME"]) == (engine, name)


@pytest.mark.parametrize("url", ["mysql://ada:pw@127.0.0.1/bridge", "oracle://x/y"])
def test_other_databases_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="SQLite and PostgreSQL"):
        stores.database_from_url(url)


def test_a_folder_that_cannot_be_made_is_a_wrong_value(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="folder of the database cannot be made"):
        stores.database_from_url(f"sqlite:///{tmp_path / 'file' / 'bridge.sqlite3'}")


def test_sqlite_survives_power_cuts_and_writers(tmp_path: Path) -> None:
    config = stores.database_from_url(f"sqlite:///{tmp_path / 'new' / 'bridge.sqlite3'}")
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700
    assert config["OPTIONS"]["transaction_mode"] == "IMMEDIATE"
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=20000"):
        assert pragma in config["OPTIONS"]["init_command"]


def test_router_keeps_the_cache_apart() -> None:
    class Cache(models.Model):  # noqa: DJ008  (never shown)
        class Meta:
            app_label = "django_cache"
            managed = False

    router = stores.CacheRouter()
    assert (router.db_for_read(Cache), router.db_for_write(Cache)) == ("cache", "cache")
    assert (router.db_for_read(User), router.db_for_write(User)) == (None, None)
    assert router.allow_migrate("cache", "django_cache") is True
    assert router.allow_migrate("default", "django_cache") is False
    assert router.allow_migrate("cache", "auth") is False
    assert router.allow_migrate("default", "auth") is None


def test_queue_forgets_nothing_and_repeats_nothing() -> None:
    assert Q_CLUSTER["max_attempts"] == 1
    assert Q_CLUSTER["ack_failures"] is True
    assert Q_CLUSTER["catch_up"] is False
    assert (
        stores.queue(workers=2, job_timeout=60, scheduler=True, redis_url="redis://x")["redis"] == "redis://x"
    )
    assert stores.queue(workers=2, job_timeout=60, scheduler=True, redis_url="")["orm"] == "default"


def test_cache_is_redis_where_there_is_one() -> None:
    assert stores.caches("redis://x/0")["default"]["LOCATION"] == "redis://x/0"
    assert stores.caches("")["default"]["OPTIONS"]["MAX_ENTRIES"] >= 10_000


def test_static_files_are_gzipped_and_hashed(tmp_path: Path) -> None:
    storage = StaticStorage(location=str(tmp_path), base_url="/static/")
    storage.save("base.css", ContentFile(b"body { color: red }\n" * 200))
    list(storage.post_process({"base.css": (storage, "base.css")}))
    kinds = {path.suffix for path in tmp_path.iterdir()}
    assert {".css", ".gz"} <= kinds
    assert ".br" not in kinds
    assert storage.url("base.css") != "/static/base.css"


@pytest.mark.django_db
@pytest.mark.skipif("connection.vendor != 'sqlite'", reason="only there does a result keep the write lock")
def test_an_insert_asks_for_no_result_on_sqlite() -> None:
    with CaptureQueriesContext(connection) as queries:
        user = User.objects.create(username="ada")
    assert User.objects.get(username="ada").pk == user.pk
    assert not [query["sql"] for query in queries if "RETURNING" in query["sql"]]
