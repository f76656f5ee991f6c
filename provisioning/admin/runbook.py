"""The runbook's paragraph for a reason, so that staff read what to press where the trouble is shown."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

from django.conf import settings

HEADING = re.compile(r"^##+ +`?([a-z][a-z0-9_]*)`?\b.*$", re.MULTILINE)


def runbook_path() -> Path:
    """Where the runbook lies: in the checkout's docs."""
    return Path(settings.BASE_DIR) / "docs" / "runbook.md"


def paragraphs_for(reason: str) -> list[str]:
    """The paragraphs under `## <reason>`, as plain text; none if the runbook has no such heading."""
    path = runbook_path()
    changed = path.stat().st_mtime if path.exists() else 0.0
    text = _sections(path, changed).get(reason, "")
    return [_plain(block) for block in re.split(r"\n\s*\n", text) if block.strip()]


@lru_cache(maxsize=4)
def _sections(path: Path, changed: float) -> dict[str, str]:
    """Every section by its reason; read again when the file has changed."""
    if not changed:
        return {}
    text = path.read_text(encoding="utf-8")
    heads = list(HEADING.finditer(text))
    ends = [head.start() for head in heads[1:]] + [len(text)]
    return {head[1]: _until_heading(text[head.end() : end]) for head, end in zip(heads, ends, strict=True)}


def _until_heading(text: str) -> str:
    # A heading that names no reason ends the section, too.
    return re.split(r"^#{1,2} ", text, maxsplit=1, flags=re.MULTILINE)[0].strip()


def _plain(block: str) -> str:
    return re.sub(r"[*`]{1,2}([^*`\n]+)[*`]{1,2}", r"\1", block).strip()
