"""A text field that is encrypted at rest with FIELD_KEYS (CAL-12). Newest key first; old ones still read."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from django.conf import settings
from django.db import models

from provisioning.lib.crypto import FieldCipher
from provisioning.lib.redact import register_secret


@lru_cache(maxsize=4)
def _cipher(keys: tuple[str, ...]) -> FieldCipher:
    return FieldCipher(keys)


def field_cipher() -> FieldCipher:
    """The cipher of the keys in force."""
    return _cipher(tuple(settings.FIELD_KEYS))


class EncryptedField(models.TextField):  # type: ignore[type-arg]
    """Plain text in Python, ciphertext in the database. Every value read becomes known to the redactor."""

    def from_db_value(self, value: str | None, *_: Any) -> str | None:
        """Decrypts; raises DecryptError (without the value) if no key fits."""
        if not value:
            return value
        plain: str = field_cipher().decrypt(value)
        register_secret(plain)
        return plain

    def get_prep_value(self, value: Any) -> Any:
        """Encrypts with the newest key."""
        return field_cipher().encrypt(str(value)) if value else ""
