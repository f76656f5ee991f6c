"""The page at ``/``: what the panel holds and what was asked of it, so that people can follow."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from provisioning.sandbox.base import PanelServer

REFRESH = 2
LAST_CALLS = 40
STYLE = """
:root { color-scheme: light dark; --line: #d6dbe1; --soft: #f4f6f8; --text: #1b2430; --quiet: #5a6675;
  --good: #14663a; --bad: #a3201d; --wait: #7a4b00; --link: #2455c3; }
@media (prefers-color-scheme: dark) { :root {
  --line: #333d4a; --soft: #1a212b; --text: #e4e9ef; --quiet: #a3afbd;
  --good: #6ed39b; --bad: #ff948f; --wait: #f0bf6a; --link: #8fb0ff; } body { background: #11161d; } }
body { margin: 0 auto; max-width: 72rem; padding: 1.5rem; color: var(--text);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.35rem; margin: 0 0 .25rem; } h2 { font-size: 1.05rem; margin: 2rem 0 .5rem; }
p { color: var(--quiet); margin: 0; } a { color: var(--link); } .wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: .4rem .7rem; text-align: left; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { background: var(--soft); font-weight: 600; }
td.path { font-family: ui-monospace, monospace; font-size: .85em; }
.good { color: var(--good); } .bad { color: var(--bad); } .wait { color: var(--wait); }
@media (max-width: 40rem) { body { padding: 1rem; } th, td { padding: .4rem; }
  td.path { white-space: normal; overflow-wrap: anywhere; min-width: 9rem; } }
"""


def document(title: str, intro: str, body: str, *, live: bool) -> str:
    """A whole page. It loads itself again every few seconds only for those who asked for that."""
    refresh = f'<meta http-equiv="refresh" content="{REFRESH}">' if live else ""
    switch = '<a href="/">Stop</a>' if live else f'<a href="/?live=1">Look again every {REFRESH} seconds</a>'
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"{refresh}<title>{escape(title)}</title>"
        '<link rel="icon" href="data:,">'
        f"<style>{STYLE}</style></head>"
        f"<body><main><h1>{escape(title)}</h1><p>{escape(intro)} {switch}</p>{body}</main></body></html>"
    )


@dataclass(frozen=True)
class Table:
    """A titled table; cells are HTML already, ``empty`` is said where there is no row."""

    title: str
    heads: Iterable[str]
    rows: Iterable[Iterable[str]]
    empty: str


def table(title: str, heads: Iterable[str], rows: Iterable[Iterable[str]], empty: str) -> str:
    """A table as HTML."""
    lines = ["<tr>" + "".join(cells) + "</tr>" for cells in rows]
    if not lines:
        return f"<h2>{escape(title)}</h2><p>{escape(empty)}</p>"
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in heads)
    body = "".join(lines)
    return (
        f'<h2>{escape(title)}</h2><div class="wide" tabindex="0" role="region" aria-label="{escape(title)}">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def cell(value: object, style: str = "") -> str:
    """One cell, escaped."""
    text = "" if value is None else str(value)
    return f'<td class="{style}">{escape(text)}</td>' if style else f"<td>{escape(text)}</td>"


def clock(at: float) -> str:
    """A time of day in UTC."""
    return datetime.fromtimestamp(at, tz=UTC).strftime("%H:%M:%S")


def panel_page(sandbox: "PanelServer", *, live: bool) -> str:
    """Servers, users, armed faults and the last calls of a sandbox panel."""
    held = "".join(table(t.title, t.heads, t.rows, t.empty) for t in sandbox.tables())
    intro = f"It stands in for {sandbox.title}. {len(sandbox.calls)} calls so far. Times are UTC."
    return document("Sandbox panel", intro, held + _faults(sandbox) + _calls(sandbox), live=live)


def _faults(sandbox: "PanelServer") -> str:
    heads = ("Kind", "Method", "Path", "Left", "Seconds")
    rows = [
        [cell(f.kind, "bad"), cell(f.method or "any"), cell(f.path or "any", "path"),
         cell("until cleared" if f.count is None else f.count), cell(f.seconds)]
        for f in list(sandbox.faults.active)
    ]  # fmt: skip
    return table("Armed faults", heads, rows, "None.")


def _calls(sandbox: "PanelServer") -> str:
    last = sandbox.calls.kept()[-LAST_CALLS:]
    rows = [
        [cell(clock(c.at)), cell(c.method), cell(c.path, "path"),
         cell(c.status or "no answer", "good" if 0 < c.status < 400 else "bad"), cell(c.note)]
        for c in reversed(last)
    ]  # fmt: skip
    return table("Last calls", ("Time", "Method", "Path", "Answer", "Fault"), rows, "Nobody has called yet.")
