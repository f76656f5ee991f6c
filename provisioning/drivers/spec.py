"""The typed form of a product's document, declared by each driver (DESIGN section 5: no columns per panel).

A document is `{"target": {...}, "limits": {...}, "runtime": {...}, "options": {...}}`. The admin renders
the fields, `ProductSpec.clean` validates and fills in defaults, and nothing else ever reaches a panel.
"""

from __future__ import annotations

import copy
import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from provisioning.exceptions import SpecProblem


class FieldKind(enum.Enum):
    """How a field is typed and rendered."""

    INTEGER = "integer"
    TEXT = "text"
    LONG_TEXT = "long_text"
    BOOLEAN = "boolean"
    INTEGER_LIST = "integer_list"
    TEXT_LIST = "text_list"
    MAPPING = "mapping"


@dataclass(frozen=True)
class SpecField:
    """One field of a product document: `section.name`, its type, unit, limits and help."""

    section: str
    name: str
    kind: FieldKind
    label: str
    help: str = ""
    unit: str = ""
    default: Any = None
    required: bool = False
    minimum: int | None = None
    maximum: int | None = None
    unlimited: bool = False
    """0 means *unlimited* on the panel, so 0 or blank is refused unless `<name>_unlimited` is ticked."""
    only_with: str = ""
    """Path of the field without which this one says nothing, and is not shown."""
    placeholder: str = ""
    """What stands for blank, where that is neither the default nor the egg's."""

    @property
    def path(self) -> str:
        """`section.name`, as problems name it."""
        return f"{self.section}.{self.name}"

    @property
    def tick(self) -> str:
        """The name of the tick that says *unlimited*."""
        return f"{self.name}_unlimited"


def _clean_integer(spec: SpecField, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError("Enter a whole number.")
    try:
        number = int(value)
    except ValueError:
        raise ValueError(f"“{value}” is not a whole number.") from None
    if spec.minimum is not None and number < spec.minimum:
        raise ValueError(f"Must be at least {spec.minimum}{spec.unit and ' ' + spec.unit}.")
    if spec.maximum is not None and number > spec.maximum:
        raise ValueError(f"Must be at most {spec.maximum}{spec.unit and ' ' + spec.unit}.")
    return number


def _clean_text(spec: SpecField, value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("Enter text.")
    text = value.strip()
    if spec.maximum is not None and len(text) > spec.maximum:
        raise ValueError(f"Must be at most {spec.maximum} characters.")
    return text


def _clean_boolean(_spec: SpecField, value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("Must be yes or no.")
    return value


def _clean_integer_list(spec: SpecField, value: Any) -> list[int]:
    if not isinstance(value, list):
        raise ValueError("Enter whole numbers separated by commas.")
    return [_clean_integer(spec, item) for item in value]


def _clean_text_list(spec: SpecField, value: Any) -> list[str]:
    # Ports are texts on panels, but people and JSON write them as numbers.
    if not isinstance(value, list) or not all(isinstance(item, str | int) for item in value):
        raise ValueError("Enter a list, separated by commas.")
    return [_clean_text(spec, str(item)) for item in value if str(item).strip()]


def _clean_mapping(_spec: SpecField, value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(v, str | int) for v in value.values()):
        raise ValueError("Enter one NAME=value per line.")
    return {str(key).strip().upper(): str(text) for key, text in value.items()}


CLEANERS: Mapping[FieldKind, Callable[[SpecField, Any], Any]] = {
    FieldKind.INTEGER: _clean_integer,
    FieldKind.TEXT: _clean_text,
    FieldKind.LONG_TEXT: _clean_text,
    FieldKind.BOOLEAN: _clean_boolean,
    FieldKind.INTEGER_LIST: _clean_integer_list,
    FieldKind.TEXT_LIST: _clean_text_list,
    FieldKind.MAPPING: _clean_mapping,
}


@dataclass(frozen=True)
class ProductSpec:
    """All fields of one driver's products, and its own check over the whole document."""

    fields: tuple[SpecField, ...]
    check: Callable[[Mapping[str, Any]], dict[str, str]] = lambda document: {}

    def clean(self, document: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """The document with types checked and defaults filled in. Raises SpecProblem with every problem."""
        problems = self._unknown_keys(document)
        cleaned: dict[str, dict[str, Any]] = {}
        for spec in self.fields:
            section = document.get(spec.section) or {}
            try:
                cleaned.setdefault(spec.section, {}).update(self._clean_field(spec, section))
            except ValueError as error:
                problems[spec.path] = str(error)
        problems.update({} if problems else self.check(cleaned))
        if problems:
            raise SpecProblem(problems)
        return cleaned

    def _unknown_keys(self, document: Mapping[str, Any]) -> dict[str, str]:
        # A key the panel would silently drop is refused: staff would believe in it.
        known = {spec.path for spec in self.fields}
        known |= {f"{spec.section}.{spec.tick}" for spec in self.fields if spec.unlimited}
        given = {
            f"{section}.{name}"
            for section, values in document.items()
            if isinstance(values, Mapping)
            for name in values
        }
        return dict.fromkeys(sorted(given - known), "This panel has no such field.")

    def _clean_field(self, spec: SpecField, section: Mapping[str, Any]) -> dict[str, Any]:
        value = section.get(spec.name)
        if spec.unlimited and section.get(spec.tick):
            return _clean_unlimited(spec, value, section[spec.tick])
        if value is None or value == "":
            if spec.required:
                raise ValueError(_blank_message(spec))
            return {spec.name: copy.copy(spec.default)}
        cleaned = CLEANERS[spec.kind](spec, value)
        # "Missing means unlimited" has emptied many a node (CAL-22): unlimited must be said.
        if spec.unlimited and cleaned == 0:
            raise ValueError(_blank_message(spec))
        return {spec.name: cleaned}


def _clean_unlimited(spec: SpecField, value: Any, tick: Any) -> dict[str, Any]:
    # The tick is kept: a document that was cleaned once must pass again.
    if tick is not True:
        raise ValueError("Unlimited is yes or no.")
    if value not in (None, "", 0, "0"):
        raise ValueError("Enter a number or tick “unlimited”, not both.")
    return {spec.name: 0, spec.tick: True}


def _blank_message(spec: SpecField) -> str:
    if spec.unlimited:
        return "0 or blank would mean unlimited on the panel. Enter a number, or tick “unlimited”."
    return "This field is required."
