"""Ciphers for stored secrets, and fingerprints for tokens that only have to be recognised (CAL-12).

The keys for fields are their own, apart from the key that signs sessions. Each stored value names the key
it was written with, so that old values stay readable while keys are changed.
"""

import hashlib
import re
from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken

from provisioning.lib.redact import register_secret

_STORED = re.compile(r"k1:(?P<kid>[0-9a-f]{8}):(?P<token>[A-Za-z0-9_=-]+)")


class DecryptError(Exception):
    """A stored value can't be read with the configured keys. Its text never holds the value."""


def generate_key() -> str:
    """Return a new random key for `FieldCipher`."""
    return Fernet.generate_key().decode()


def token_hash(token: str) -> str:
    """Return the fingerprint under which a random token is stored; not meant for passwords."""
    return hashlib.sha256(token.encode()).hexdigest()


def last_four(text: str) -> str:
    """Return what may be shown of a secret: its end, or nothing if that would be most of it."""
    return text[-4:] if len(text) >= 12 else ""


def _key_id(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[:8]


def _fernet(number: int, key: str) -> Fernet:
    try:
        return Fernet(key)
    except ValueError as error:
        raise ValueError(f"Field key number {number} is not a key: make one with generate_key.") from error


class FieldCipher:
    """Encrypts with the first of its keys and decrypts with any. Raises ValueError for unusable keys."""

    def __init__(self, keys: Sequence[str]) -> None:
        if not keys:
            raise ValueError("At least one field key is needed.")
        self._newest = _key_id(keys[0])
        self._fernets = {_key_id(key): _fernet(number, key) for number, key in enumerate(keys, 1)}

    def encrypt(self, text: str) -> str:
        """Return the text in its stored form, `k1:<key id>:<token>`."""
        register_secret(text)
        return f"k1:{self._newest}:{self._fernets[self._newest].encrypt(text.encode()).decode()}"

    def decrypt(self, stored: str) -> str:
        """Return the text, from now on hidden in logs. Raises DecryptError."""
        match = _STORED.fullmatch(stored)
        if match is None:
            raise DecryptError("The stored value was not written by this cipher.")
        fernet = self._fernets.get(match["kid"])
        if fernet is None:
            raise DecryptError(
                f"The key {match['kid']}, which this value needs, is not among the field keys."
            )
        try:
            text = fernet.decrypt(match["token"]).decode()
        except InvalidToken:
            # Without the cause: nothing of a damaged value should reach a traceback.
            raise DecryptError("The stored value is damaged.") from None
        register_secret(text)
        return text

    def needs_rotation(self, stored: str) -> bool:
        """Tell whether the value was written with a key other than the newest."""
        return not stored.startswith(f"k1:{self._newest}:")
