"""Typed access to a panel's JSON: a missing field or a wrong type raises Unknown, whatever the panel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from provisioning.drivers.errors import Unknown

LONGEST_TEXT, LARGEST_NUMBER = 65_535, 2**63 - 1
"""The panels' own columns hold no more; what is larger would only fill our tables."""
SHORT = 255


class Fields:
    """Typed access to one object of the panel; each method raises Unknown where the type is another."""

    def __init__(self, data: object, name: str) -> None:
        """`name` is how errors call it."""
        if not isinstance(data, Mapping):
            raise Unknown(f"The panel's {name} is no object.")
        self._data, self._name = data, name

    def _value(self, key: str, *types: type) -> Any:
        value = self._data.get(key)
        # In Python a bool is an int; on the panel it is not.
        if type(value) not in types or key not in self._data:
            raise Unknown(f"The panel's {self._name} has no usable “{key}”.")
        return value

    def _sized(self, key: str, value: str, longest: int) -> str:
        if len(value) > longest:
            raise Unknown(f"The panel's {self._name} has a “{key}” of {len(value)} characters.")
        return value

    def number(self, key: str) -> int:
        """A whole number that the panel's database can hold."""
        value = int(self._value(key, int))
        if abs(value) > LARGEST_NUMBER:
            raise Unknown(f"The panel's {self._name} has no usable “{key}”.")
        return value

    def number_or_none(self, key: str) -> int | None:
        """A whole number, or null."""
        return None if self._value(key, int, type(None)) is None else self.number(key)

    def text(self, key: str, longest: int = SHORT) -> str:
        """A text of at most so many characters."""
        return self._sized(key, self._value(key, str), longest)

    def text_or_empty(self, key: str, longest: int = SHORT) -> str:
        """A text; null reads as empty."""
        return self._sized(key, self._value(key, str, type(None)) or "", longest)

    def flag(self, key: str) -> bool:
        """A JSON boolean."""
        return bool(self._value(key, bool))

    def inner(self, key: str) -> Fields:
        """A nested object."""
        return Fields(self._value(key, dict), f"{self._name} {key}")

    def inner_or_none(self, key: str) -> Fields | None:
        """A nested object, or null."""
        return None if self._value(key, dict, type(None)) is None else self.inner(key)

    def mapping(self, key: str) -> dict[str, Any]:
        """A nested object as it is."""
        return dict(self._value(key, dict))

    def items(self, key: str) -> list[Any]:
        """A list of whatever."""
        return list(self._value(key, list))

    def texts(self, key: str) -> dict[str, str]:
        """A flat object as texts; PHP sends an empty one as a list."""
        value = self._value(key, dict, list)
        if isinstance(value, list) and value:
            raise Unknown(f"The panel's {self._name} has no usable “{key}”.")
        found = {str(name): "" if item is None else str(item) for name, item in dict(value).items()}
        self._sized(key, "".join([*found, *found.values()]), LONGEST_TEXT)
        return found
