"""The web server's own look at the settings: Django runs no system checks under WSGI."""

import structlog
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import Error as DatabaseFailure
from django.db import connection

log = structlog.get_logger(__name__)


def refuse_wrong_settings() -> None:
    """Raise ImproperlyConfigured with one sentence a line if a setting is missing or wrong."""
    problems: list[str] = settings.SETTINGS_PROBLEMS
    if problems:
        raise ImproperlyConfigured("Not started.\n" + "\n".join(problems))


def report_lost_keys() -> None:
    """Log one sentence if stored secrets cannot be read with FIELD_KEYS.

    The server starts all the same: `/readyz` has to say it too, and senders have to hear *again, later*.
    """
    from provisioning.stored_secrets import lost_keys

    try:
        if words := lost_keys():
            log.error("field_keys_lost", problem=words)
    except DatabaseFailure as error:
        log.warning("started_without_database", error=type(error).__name__)
    finally:
        # Servers that load the application before they fork must not share a connection.
        if not connection.in_atomic_block:
            connection.close()
