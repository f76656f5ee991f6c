"""Every form in which a secret may hide, and a search for it in whatever the product leaves behind."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import quote

SHORTEST = 8


def forms(secret: str) -> set[bytes]:
    """The secret as it is, escaped for a URL, in hex, and in base64 from each of the three places."""
    plain = secret.encode()
    found = {plain, quote(secret, safe="").encode(), plain.hex().encode()}
    for shift in range(3):
        # What comes before shifts the letters; those at both ends mix with their neighbours.
        coded = base64.b64encode(b"\0" * shift + plain)
        inner = coded[4 if shift else 0 : -4]
        found |= {inner, inner.replace(b"+", b"-").replace(b"/", b"_")}
    # What is left of a short one in the middle is met by chance.
    return {form for form in found if len(form) >= SHORTEST}


class Canaries:
    """The secrets of one running product, by name."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        assert all(len(secret) >= SHORTEST for secret in secrets.values()), "too short to be told from chance"
        self._forms = {name: forms(secret) for name, secret in secrets.items()}

    def found_in(self, text: bytes, *, but: Iterable[str] = ()) -> list[str]:
        """The names of the secrets that the bytes hold; `but` lists those that belong there."""
        names = self._forms.keys() - set(but)
        return sorted(name for name in names if any(form in text for form in self._forms[name]))


def command_lines(pids: Iterable[int]) -> bytes:
    """What `ps` shows of these processes to everybody on the machine."""
    return b"\n".join(_read(pid, "cmdline") for pid in pids)


def environments(pids: Iterable[int]) -> bytes:
    """What the processes were started with; only their owner and root may read it."""
    return b"\n".join(_read(pid, "environ") for pid in pids)


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes().replace(b"\0", b" ")
    except OSError:  # it ended while we looked
        return b""


def files_in(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, byte for byte."""
    paths = [Path(place) / name for place, _, names in os.walk(folder) for name in names]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths if path.is_file()}
