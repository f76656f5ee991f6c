"""Prints fresh secrets as lines for `.env`. Usage: make keys"""

import base64
import secrets
import sys


def fresh_keys() -> str:
    """Lines for SECRET_KEY and FIELD_KEYS."""
    field_key = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
    return f"SECRET_KEY={secrets.token_urlsafe(50)}\nFIELD_KEYS={field_key}\n"


if __name__ == "__main__":
    sys.stdout.write(fresh_keys())
