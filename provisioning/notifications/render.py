"""Turns a notification into a mail. One text file per mail is the source of its text and its HTML.

A template's paragraphs are separated by blank lines. The first is the subject; `- ` starts facts, one per
line, that vanish where the value is empty; `> ` starts a quote; `=> label | address` is the one button.
Values are cut to one line each before they are put in, so that no stranger's text can start a paragraph.
"""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.template.loader import render_to_string
from django.urls import NoReverseMatch, reverse

from provisioning.lib.redact import clean_line

LONGEST_VALUE, LONGEST_SUBJECT = 2000, 150
DATE_SUFFIXES = ("_at", "_until", "_since")
BUTTON_SCHEMES = ("https://", "http://", "mailto:")
ADMIN_PAGES = (
    ("operation_id", "operation"),
    ("event_id", "event"),
    ("notification_id", "notification"),
    ("panel_id", "panel"),
    ("service_id", "service"),
    ("product_id", "product"),
)


class Kind(enum.StrEnum):
    """What a paragraph is."""

    TEXT = "text"
    FACTS = "facts"
    QUOTE = "quote"
    BUTTON = "button"


@dataclass(frozen=True)
class Block:
    """One paragraph: its lines, or for a button its label and address."""

    kind: Kind
    lines: tuple[str, ...]
    facts: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Mail:
    """What is sent: the same words twice."""

    subject: str
    text: str
    html: str


def render_mail(template: str, context: Mapping[str, Any]) -> Mail:
    """The mail of this template. Raises TemplateDoesNotExist for a name that no file has."""
    values = {**_site(), **{name: _value(name, item) for name, item in context.items()}}
    values.setdefault("link", _admin_link(context))
    source = render_to_string(f"emails/{template}.txt", values)
    subject, *blocks = _blocks(source)
    title = clean_line(" ".join(subject.lines), limit=LONGEST_SUBJECT)
    page = {**_site(), "subject": title, "blocks": blocks}
    html = render_to_string("emails/layout.html", page)
    return Mail(title, "\n\n".join([*map(_as_text, blocks), settings.HOST_NAME]) + "\n", html)


def _site() -> dict[str, str]:
    return {
        "host_name": settings.HOST_NAME,
        "support_email": settings.SUPPORT_EMAIL,
        "public_url": settings.PUBLIC_URL,
    }


def _value(name: str, item: Any) -> Any:
    """A context value fit for a template: dates as dates, texts as one harmless line."""
    if isinstance(item, str) and item and name.endswith(DATE_SUFFIXES):
        return dt.datetime.fromisoformat(item)
    if isinstance(item, str):
        return clean_line(item, limit=LONGEST_VALUE)
    return [_value("", part) for part in item] if isinstance(item, list) else item


def _admin_link(context: Mapping[str, Any]) -> str:
    """The admin page of what the mail is about, or the admin itself."""
    pages = [(model, context[name]) for name, model in ADMIN_PAGES if context.get(name)]
    paths = (_path(f"admin:provisioning_{model}_change", pk) for model, pk in pages)
    return settings.PUBLIC_URL + (next(filter(None, paths), "") or reverse("admin:index"))


def _path(page: str, pk: object) -> str:
    try:
        return reverse(page, args=[pk])
    except NoReverseMatch:
        return ""


def _blocks(source: str) -> list[Block]:
    paragraphs: list[list[str]] = [[]]
    for line in source.splitlines():
        if line.strip():
            paragraphs[-1].append(line.strip())
        elif paragraphs[-1]:
            paragraphs.append([])
    blocks = [_block(lines) for lines in paragraphs if lines]
    return [block for block in blocks if block.lines or block.facts]


def _block(lines: list[str]) -> Block:
    first = lines[0]
    if first.startswith("=>"):
        return _button(first)
    if first.startswith("- "):
        pairs = [line.removeprefix("- ").partition(":") for line in lines]
        facts = tuple((name.strip(), value.strip()) for name, _, value in pairs if value.strip())
        return Block(Kind.FACTS, (), facts)
    if first.startswith(">"):
        return Block(Kind.QUOTE, tuple(filter(None, (line.removeprefix(">").strip() for line in lines))))
    return Block(Kind.TEXT, tuple(lines))


def _button(line: str) -> Block:
    label, _, address = line.removeprefix("=>").rpartition("|")
    address = address.strip()
    proper = address.startswith(BUTTON_SCHEMES) and " " not in address and address not in BUTTON_SCHEMES
    return Block(Kind.BUTTON, (label.strip(), address) if proper else ())


def _as_text(block: Block) -> str:
    if block.kind is Kind.FACTS:
        return "\n".join(f"{name}: {value}" for name, value in block.facts)
    if block.kind is Kind.BUTTON:
        return f"{block.lines[0]}:\n{block.lines[1]}"
    mark = "> " if block.kind is Kind.QUOTE else ""
    return "\n".join(mark + line for line in block.lines)
