"""Says in a sentence that Redis cannot be used, before anything starts that would say so each second."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management.base import CommandError

from provisioning.lib.redact import clean_line

PATIENCE_SECONDS: Final = 5
REDIS_PORT: Final = 6379


def require_redis() -> None:
    """Raise CommandError where REDIS_URL is set and nothing usable answers there."""
    if not settings.REDIS_URL:
        return
    # Installed only where several hosts share the work.
    from redis import Redis, RedisError

    try:
        with Redis.from_url(settings.REDIS_URL, socket_connect_timeout=PATIENCE_SECONDS) as client:
            client.ping()
    except (RedisError, OSError) as error:
        raise CommandError(silent_redis(settings.REDIS_URL, str(error))) from error


def silent_redis(url: str, reason: str) -> str:
    """The sentence: the address and the client's reason, and never the password."""
    parts = urlsplit(url)
    if parts.password:
        reason = reason.replace(parts.password, "***")
    place = f"{parts.hostname}:{parts.port or REDIS_PORT}" if parts.hostname else parts.path
    return f"Redis at {place} cannot be used: {clean_line(reason, limit=300)} REDIS_URL names it."
