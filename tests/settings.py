"""Settings of the test suite: its own secrets, SQLite, no `.env`.

TEST_DATABASE_URL and TEST_REDIS_URL run the same suite on PostgreSQL and Redis.
"""

import os
import tempfile

# Redis has no test databases of its own: each parallel process takes another of its numbered ones.
_WORKER = os.environ.get("PYTEST_XDIST_WORKER", "gw0")
_NUMBER = int(_WORKER.removeprefix("gw")) + 1
_REDIS = os.environ.get("TEST_REDIS_URL", "").rpartition("/")[0]

os.environ.update(
    {
        "ENV_FILE": "",
        "SECRET_KEY": "tests-only-9f2b7c64d1e85a30c7b2f86e4d19a053b7",
        "FIELD_KEYS": "dGVzdHMtb25seS1maWVsZC1rZXktMzItYnl0ZXMtISE=",
        "INSTALLATION_ID": "test",
        "ALLOWED_HOSTS": "testserver,localhost,127.0.0.1",
        "PUBLIC_URL": "http://testserver",
        "ALLOW_PLAIN_HTTP": "true",
        "SUPPORT_EMAIL": "help@example.com",
        "STAFF_EMAILS": "staff@example.com",
        # Tests that are about drift turn the scheduled passes on: elsewhere they would only add calls.
        "DRIFT_SECONDS": "0",
        "LISTS_SECONDS": "0",
        "DATABASE_URL": os.environ.get("TEST_DATABASE_URL", ""),
        "REDIS_URL": f"{_REDIS}/{_NUMBER}" if _REDIS else "",
    }
)
# A folder for each of them: one's mark of its newest work would look like a restored database to the other.
# The parallel ones inherit their parent's environment.
_FOLDER = os.environ.get("TESTS_VAR_DIR") or tempfile.mkdtemp(prefix="billingbridge-tests-")
os.environ["TESTS_VAR_DIR"] = _FOLDER
if os.environ.get("VAR_DIR", _FOLDER).startswith(_FOLDER):
    os.environ["VAR_DIR"] = f"{_FOLDER}/{_WORKER}"

from billingbridge.settings import *  # noqa: E402, F403

# A test's jobs are sent at once, by its own thread.
WAKE_PAUSE_SECONDS = 0
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
WHITENOISE_AUTOREFRESH = True
if not REDIS_URL:  # noqa: F405
    # The shared cache has tests of its own; everything else is faster without its database.
    DATABASES = {"default": DATABASES["default"]}  # noqa: F405
    DATABASE_ROUTERS = []
    CACHES = {
        "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "tests"},
        "q2stats": CACHES["q2stats"],  # noqa: F405
    }
SILENCED_SYSTEM_CHECKS = ["billingbridge.E006", "billingbridge.W001"]
