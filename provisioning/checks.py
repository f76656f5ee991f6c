"""What must be true of the settings before anything starts: one sentence each, with what to do.

Run by every command (`manage.py check` shows them all); ids are `billingbridge.E001` and on.
"""

import itertools
import math
import re
from collections.abc import Iterator
from email.utils import parseaddr
from typing import Any, Final
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.utils.module_loading import import_string

LONGEST_CALL_SECONDS: Final = 35
"""The slowest answer that a driver waits for: Pterodactyl's 35 s (its own daemon timeout plus room)."""
CALL_ROOM_SECONDS: Final = 8
"""What a job needs beside its longest call: 5 s to connect, and 3 s for what it does before."""
CHECK_TAG: Final = "billingbridge"
HOST_FORM: Final = re.compile(r"\*|\.?[a-z0-9]([a-z0-9._-]*[a-z0-9])?|\[[0-9a-f:.]+\]", re.IGNORECASE)
BIND_FORM: Final = re.compile(r"(?P<host>[a-z0-9._-]+|\[[0-9a-f:.]+\]):(?P<port>[0-9]{1,5})", re.IGNORECASE)
INSTALLATION_ID_FORM: Final = re.compile(r"[a-z0-9]{1,12}")
KNOWN_WEAK: Final = ("changeme", "change-me", "secret", "django-insecure", "default", "example")


@register(CHECK_TAG)
def check_settings(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """All problems of the settings at once."""
    found = [Error(sentence, id="billingbridge.E001") for sentence in settings.SETTINGS_PROBLEMS]
    checks = (
        *(secret_key, field_keys, installation_id, public_url, plain_http, sandbox, times, retry, redis),
        *(allowed_hosts, addresses, bind, unknown_wait),
    )
    return [*found, *(message for check in checks for message in check()), *mail()]


def secret_key() -> Iterator[Error]:
    """A guessable signing key lets anybody sign in as anybody."""
    key = settings.SECRET_KEY.lower()
    if len(key) < 32 or len(set(key)) < 10 or key.startswith(KNOWN_WEAK):
        yield Error(
            "SECRET_KEY is too easy to guess.",
            hint="Set it to a random text of 50 characters or more; `make keys` prints one.",
            id="billingbridge.E002",
        )


def field_keys() -> Iterator[Error]:
    """Keys that the cipher cannot use would be found at the first saved panel."""
    cipher = import_string("provisioning.lib.crypto.FieldCipher")
    if not settings.FIELD_KEYS:
        return
    try:
        cipher(settings.FIELD_KEYS)
    except ValueError:
        yield Error(
            "FIELD_KEYS holds something that is not a key.",
            hint="Each key is 44 characters, as `make keys` prints it; separate keys with commas.",
            id="billingbridge.E003",
        )


def installation_id() -> Iterator[Error]:
    """The id is part of every server's mark on the panel, between hyphens."""
    value = settings.INSTALLATION_ID
    if value and not INSTALLATION_ID_FORM.fullmatch(value):
        yield Error(
            "INSTALLATION_ID may hold small letters and digits only, at most 12.",
            hint="Choose something like prod or eu1. It is written on every server and cannot change later.",
            id="billingbridge.E004",
        )


def public_url() -> Iterator[Error]:
    """Mails and the panel's links are made from it."""
    parts = urlsplit(settings.PUBLIC_URL)
    schemes = ("https", "http") if settings.ALLOW_PLAIN_HTTP else ("https",)
    if settings.PUBLIC_URL and (parts.scheme not in schemes or not parts.netloc or parts.query):
        yield Error(
            "PUBLIC_URL is not the address of a site that is reached by HTTPS.",
            hint="Write it like https://bridge.example.com.",
            id="billingbridge.E005",
        )


def plain_http() -> Iterator[Error]:
    """Passwords and signatures over plain HTTP are for the demo's loopback only."""
    if settings.ALLOW_PLAIN_HTTP and not settings.DEMO:
        yield Error(
            "ALLOW_PLAIN_HTTP is meant for the demo only.",
            hint="Remove it and put a reverse proxy with a certificate in front; name it in TRUSTED_PROXIES.",
            id="billingbridge.E006",
        )


def sandbox() -> Iterator[Error]:
    """DEBUG shows settings and source to whoever causes an error."""
    if settings.DEBUG and not settings.DEMO:
        yield Error(
            "DEBUG is on.",
            hint="Remove DEBUG from the environment. It shows the inside of the site to every visitor.",
            id="billingbridge.E007",
        )


def times() -> Iterator[Error]:
    """Lease > job's limit > job's deadline > longest call, or two workers could hold one service."""
    chain = (
        ("LEASE_SECONDS", settings.LEASE_SECONDS),
        ("JOB_TIMEOUT_SECONDS", settings.Q_CLUSTER["timeout"]),
        ("JOB_DEADLINE_SECONDS", settings.JOB_DEADLINE_SECONDS),
    )
    for (longer, more), (shorter, less) in itertools.pairwise(chain):
        if more <= less:
            yield Error(
                f"{longer} ({more} s) must be longer than {shorter} ({less} s).",
                hint=f"Raise {longer} above {less} or remove it to get the default.",
                id="billingbridge.E008",
            )
    deadline, least = settings.JOB_DEADLINE_SECONDS, LONGEST_CALL_SECONDS + CALL_ROOM_SECONDS
    if deadline < least:
        yield Error(
            f"JOB_DEADLINE_SECONDS ({deadline} s) must be at least {least} s: a panel call may take "
            f"{LONGEST_CALL_SECONDS} s, and a job starts none that does not fit.",
            hint=f"Raise JOB_DEADLINE_SECONDS to {least} or more, or remove it to get the default.",
            id="billingbridge.E008",
        )
    if settings.BACKOFF_BASE > settings.BACKOFF_CAP:
        yield Error(
            "BACKOFF_BASE must not be longer than BACKOFF_CAP.",
            hint="Lower BACKOFF_BASE or raise BACKOFF_CAP.",
            id="billingbridge.E009",
        )


def retry() -> Iterator[Error]:
    """A job that waits in memory for longer than `retry` is handed out a second time."""
    queue = settings.Q_CLUSTER
    waves = math.ceil((queue["queue_limit"] + queue["bulk"]) / queue["workers"]) + 1
    longest = waves * (queue["timeout"] + 3)
    if queue["retry"] <= longest:
        yield Error(
            f"JOB_TIMEOUT_SECONDS is too long: a job may wait {longest} s, and the queue repeats it after "
            f"{queue['retry']} s.",
            hint="Lower JOB_TIMEOUT_SECONDS or remove it to get the default of 75.",
            id="billingbridge.E010",
        )


def redis() -> Iterator[Error]:
    """Several hosts share one database, so Redis with SQLite is a mistake."""
    sqlite = settings.DATABASES["default"]["ENGINE"].endswith("sqlite3")
    if settings.REDIS_URL and sqlite:
        yield Error(
            "REDIS_URL is set, but the database is SQLite.",
            hint="Set DATABASE_URL to a PostgreSQL database, or remove REDIS_URL.",
            id="billingbridge.E011",
        )


def allowed_hosts() -> Iterator[Error]:
    """An address in place of a name matches no request, and every page answers 400."""
    if not all(HOST_FORM.fullmatch(name) for name in settings.ALLOWED_HOSTS):
        yield Error(
            "ALLOWED_HOSTS holds something that is not a host name.",
            hint="Write names alone, such as bridge.example.com: no https://, no path, no port.",
            id="billingbridge.E012",
        )


def addresses() -> Iterator[Error]:
    """A wrong address would be found when the first mail does not arrive."""
    sender = parseaddr(settings.DEFAULT_FROM_EMAIL)[1]
    given = {
        "STAFF_EMAILS": settings.STAFF_EMAILS,
        "SUPPORT_EMAIL": [settings.SUPPORT_EMAIL] if settings.SUPPORT_EMAIL else [],
        # Unless it is set, the sender is SUPPORT_EMAIL, which has a sentence of its own.
        "DEFAULT_FROM_EMAIL": [] if settings.DEFAULT_FROM_EMAIL == settings.SUPPORT_EMAIL else [sender],
    }
    for name, values in given.items():
        if not all(map(_is_address, values)):
            yield Error(
                f"{name} holds something that is not an e-mail address.",
                hint="Write it like ada@example.com; separate the addresses of STAFF_EMAILS with commas.",
                id="billingbridge.E013",
            )


def _is_address(value: str) -> bool:
    try:
        validate_email(value)
    except ValidationError:
        return False
    return True


def bind() -> Iterator[Error]:
    """The web server would take a lone port for a host, or listen on a port of its own choice."""
    match = BIND_FORM.fullmatch(settings.BIND)
    if match is None or not 0 < int(match["port"]) < 65_536:
        yield Error(
            "BIND is not an address with a port.",
            hint="Write it like 127.0.0.1:8000, or [::1]:8000.",
            id="billingbridge.E014",
        )


def unknown_wait() -> Iterator[Error]:
    """Looked up too early, a create that is still under way seems lost, and a second one is sent."""
    wait, least = settings.UNKNOWN_WAIT_SECONDS, 2 * LONGEST_CALL_SECONDS
    if wait < least and not settings.DEMO:
        yield Error(
            f"UNKNOWN_WAIT_SECONDS ({wait:g} s) must be at least {least} s, twice the longest panel call.",
            hint=f"Raise UNKNOWN_WAIT_SECONDS to {least} or more, or remove it to get the default of 75.",
            id="billingbridge.E015",
        )


def mail() -> Iterator[CheckMessage]:
    """Mail into files is right for the demo and a surprise elsewhere."""
    if settings.EMAIL_BACKEND.endswith("filebased.EmailBackend") and not settings.DEMO:
        yield Warning(
            "EMAIL_URL is not set: mails are written to files and reach nobody.",
            hint="Set it like smtp+tls://user:password@mail.example.com:587.",
            id="billingbridge.W001",
        )
