"""What differs between two documents of a product, line by line, in the words of the driver's form. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from provisioning.drivers.spec import ProductSpec, SpecField
from provisioning.lib.redact import MASK, names_secret

Document = Mapping[str, Any]
EMPTY: tuple[object, ...] = (None, "", [], {})
NOTHING = "nothing"


def settled(document: Document) -> dict[str, Any]:
    """All that a document says, as `section.name` → value; what is empty says as little as what is missing.

    A variable has a line of its own: `runtime.variables.MOTD`. A limit of 0 is kept: it is a number.
    """
    found: dict[str, Any] = {}
    for section, values in document.items():
        for name, value in values.items() if isinstance(values, Mapping) else ():
            if isinstance(value, Mapping):
                found |= {f"{section}.{name}.{key}": text for key, text in value.items()}
            elif value is not False and value not in EMPTY:
                found[f"{section}.{name}"] = value
    return found


def document_lines(before: Document, after: Document, specs: Iterable[ProductSpec]) -> list[str]:
    """*Memory: 1024 MiB → 2048 MiB*, in the order of the form. Values under names of secrets are hidden."""
    old, new = settled(before), settled(after)
    fields = {field.path: field for spec in specs for field in spec.fields}
    changed = {path for path in {*old, *new} if old.get(path) != new.get(path)}
    # A tick is told at its field.
    changed = {_field_of(path, fields) for path in changed}
    order = {path: number for number, path in enumerate(fields)}
    paths = sorted(changed, key=lambda path: (order.get(_parent(path, order), len(order)), path))
    return [_line(path, old, new, fields) for path in paths]


def _line(path: str, old: Document, new: Document, fields: Mapping[str, SpecField]) -> str:
    return f"{_label(path, fields)}: {_text(path, old, fields)} → {_text(path, new, fields)}"


def _field_of(path: str, fields: Mapping[str, SpecField]) -> str:
    plain = path.removesuffix("_unlimited")
    return plain if plain in fields and fields[plain].unlimited else path


def _parent(path: str, order: Mapping[str, int]) -> str:
    return path if path in order else path.rpartition(".")[0]


def _label(path: str, fields: Mapping[str, SpecField]) -> str:
    if path in fields:
        return fields[path].label
    parent, _, name = path.rpartition(".")
    return f"{fields[parent].label}, {name}" if parent in fields else path


def _text(path: str, values: Mapping[str, Any], fields: Mapping[str, SpecField]) -> str:
    value, field = values.get(path), fields.get(path)
    if field and field.unlimited and values.get(f"{path}_unlimited"):
        return "unlimited"
    if value is None:
        return NOTHING
    if names_secret(path.rpartition(".")[2]):
        return MASK
    if isinstance(value, bool):
        return "yes"
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return f"{text} {field.unit}".strip() if field else text
