"""Eggs as they were learnt: recalled from memory, else asked for once (two calls) and stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from provisioning.drivers.calagopus import reading
from provisioning.drivers.calagopus.client import Client, path
from provisioning.drivers.errors import Rejected
from provisioning.drivers.trouble import NotThere, only_reading
from provisioning.drivers.types import Memory

Answered = TypeVar("Answered")
Egg = Mapping[str, Any]
ABOUT_EGG = ("environment", "egg", "startup", "image", "variables")


class Eggs:
    """The eggs of one panel. Startup command and image are ours to fill in: the panel has no default."""

    def __init__(self, client: Client, memory: Memory) -> None:
        """Works on one panel for one job."""
        self._client, self._memory = client, memory

    def fetch(self, nest: str, egg: str) -> Egg | None:
        """The egg as the panel has it now, remembered; None if that nest has no such egg."""
        where = path("nests", nest, "eggs", egg)
        data = self._client.find("egg", where)
        if data is None:
            self._memory.forget("egg", _key(nest, egg))
            return None
        try:
            variables = self._client.every("variables", f"{where}/variables")
        except NotThere:
            return None
        with only_reading():
            found = reading.egg(data, variables)
        self._memory.store("egg", _key(nest, egg), found)
        return found

    def get(self, nest: str, egg: str) -> Egg:
        """The egg, remembered or asked for. Raises Rejected if there is none."""
        remembered = self._memory.recall("egg", _key(nest, egg))
        found: Egg | None = remembered or self.fetch(nest, egg)
        if found is None:
            raise Rejected(f"The panel has no egg {egg} in nest {nest}. Correct the product's egg.")
        return found

    def attempt(self, nest: str, egg: str, write: Callable[[Egg], Answered]) -> Answered:
        """Writes with the egg; refused variables are tried once more if the egg was from memory only."""
        remembered = self._memory.recall("egg", _key(nest, egg)) is not None
        try:
            return write(self.get(nest, egg))
        except Rejected as refusal:
            about_egg = any(field.startswith(ABOUT_EGG) for field in refusal.fields)
            if not (remembered and about_egg):
                raise
        self._memory.forget("egg", _key(nest, egg))
        return write(self.get(nest, egg))


def _key(nest: str, egg: str) -> str:
    return f"{nest}:{egg}"
