"""Lengths of time as people type them: *7 days*, *36 hours*, *1 day 12 hours*, *90 s*."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

from django import forms
from unfold.widgets import UnfoldAdminTextInputWidget

UNITS = (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))
_PART = re.compile(r"(\d{1,6})\s*(d|h|min|m|s|days?|hours?|minutes?|seconds?)(?:\s+|,\s*|$)", re.IGNORECASE)
_FIRST = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}


def span_text(span: dt.timedelta) -> str:
    """The length in words that `span_parse` reads back."""
    left = int(span.total_seconds())
    parts = []
    for name, size in UNITS:
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {name}{'s' if count != 1 else ''}")
    return " ".join(parts) or "0 seconds"


def span_parse(text: str) -> dt.timedelta:
    """Reads a length. Raises ValueError with a sentence."""
    rest, seconds = text.strip(), 0
    while match := _PART.match(rest):
        seconds += int(match[1]) * _FIRST[match[2][0].lower()]
        rest = rest[match.end() :].strip()
    if rest or not text.strip():
        raise ValueError("Write a length of time, for example 7 days or 36 hours.")
    return dt.timedelta(seconds=seconds)


class SpanField(forms.CharField):
    """A length of time in words."""

    widget = UnfoldAdminTextInputWidget

    def prepare_value(self, value: Any) -> Any:
        """Stored lengths become words."""
        return span_text(value) if isinstance(value, dt.timedelta) else value

    def to_python(self, value: Any) -> Any:
        """Words become a length."""
        if isinstance(value, dt.timedelta) or not value:
            return value
        try:
            return span_parse(str(value))
        except ValueError as error:
            raise forms.ValidationError(str(error)) from error

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Whether the length differs, however it is written."""
        try:
            return bool(self.to_python(data) != initial)
        except forms.ValidationError:
            return True
