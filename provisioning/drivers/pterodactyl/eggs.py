"""Eggs and nodes as they were learnt: recalled from memory, else asked for once and stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from provisioning.drivers.errors import Rejected
from provisioning.drivers.fields import Fields
from provisioning.drivers.pterodactyl import reading
from provisioning.drivers.pterodactyl.client import Client, path
from provisioning.drivers.trouble import only_reading
from provisioning.drivers.types import Memory

Answered = TypeVar("Answered")
Egg = Mapping[str, Any]


class Eggs:
    """The eggs of one panel. Their defaults are ours to fill in (trap 5)."""

    def __init__(self, client: Client, memory: Memory) -> None:
        """Works on one panel for one job."""
        self._client, self._memory = client, memory

    def fetch(self, nest: int, egg: int) -> Egg | None:
        """The egg as the panel has it now, remembered; None if that nest has no such egg."""
        where = path("nests", nest, "eggs", egg)
        data = self._client.find("egg", where, {"include": "variables"})
        if data is None:
            self._memory.forget("egg", _key(nest, egg))
            return None
        with only_reading():
            found = reading.egg(data)
        self._memory.store("egg", _key(nest, egg), found)
        return found

    def get(self, nest: int, egg: int) -> Egg:
        """The egg, remembered or asked for. Raises Rejected if there is none."""
        remembered = self._memory.recall("egg", _key(nest, egg))
        found: Egg | None = remembered or self.fetch(nest, egg)
        if found is None:
            raise Rejected(f"The panel has no egg {egg} in nest {nest}. Correct the product's egg.")
        return found

    def attempt(self, nest: int, egg: int, write: Callable[[Egg], Answered]) -> Answered:
        """Writes with the egg; refused variables are tried once more if the egg was from memory only."""
        remembered = self._memory.recall("egg", _key(nest, egg)) is not None
        try:
            return write(self.get(nest, egg))
        except Rejected as refusal:
            about_egg = any(field.startswith(("environment", "egg")) for field in refusal.fields)
            if not (remembered and about_egg):
                raise
        self._memory.forget("egg", _key(nest, egg))
        return write(self.get(nest, egg))


def _key(nest: int, egg: int) -> str:
    return f"{nest}:{egg}"


def sftp_place(client: Client, memory: Memory, node: int) -> tuple[str, int]:
    """Host and port of a node's SFTP, remembered or asked for once."""
    known = memory.recall("node", str(node))
    if not known:
        fields = Fields(client.get("node", path("nodes", node)), "node")
        known = {"fqdn": fields.text("fqdn"), "sftp_port": fields.number("daemon_sftp")}
        memory.store("node", str(node), known)
    return str(known["fqdn"]), int(known["sftp_port"])
