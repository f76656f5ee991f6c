"""The panel's errors: always ``{"errors": [...]}`` (contract section 2.3)."""

import json

INTERNAL = "internal server error"


class PanelError(Exception):
    """An answer that is an error, with its texts."""

    def __init__(self, status: int, *texts: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(*texts)
        self.status = status
        self.texts = list(texts)
        self.headers = headers or {}


class CallerGoneError(Exception):
    """The caller hung up while the panel waited: the handler is dropped and cleans nothing up.

    ``until`` is the world time at which the silent daemon comes to itself.
    """

    def __init__(self, until: float) -> None:
        super().__init__(until)
        self.until = until


def bad(text: str) -> PanelError:
    """400 with one text."""
    return PanelError(400, text)


def not_found(what: str) -> PanelError:
    """404 for a thing that is not there."""
    return PanelError(404, f"{what} not found")


def conflict(text: str) -> PanelError:
    """409."""
    return PanelError(409, text)


def refused(text: str) -> PanelError:
    """417: a quota, a daemon that failed, a state that forbids it."""
    return PanelError(417, text)


def internal() -> PanelError:
    """500 without a reason, as the panel gives it outside of its debug mode."""
    return PanelError(500, INTERNAL)


def relation(name: str) -> PanelError:
    """400 for a uuid in the body that names nothing."""
    return bad(f"invalid relation `{name}` provided")


def invalid(failures: list[str], *, nested: bool) -> PanelError:
    """400 in one of the two validation shapes (section 2.4): a list, or one text holding JSON."""
    if nested:
        return bad(json.dumps({"errors": failures}, separators=(",", ":"), ensure_ascii=False))
    return PanelError(400, *failures)
