"""What trouble means that looks the same on every panel: no answer, an answer of something else, a 404."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from provisioning.drivers.errors import Unknown, Unreachable
from provisioning.lib.http import Answer, HttpError
from provisioning.lib.redact import clean_line

_TAG = re.compile(r"<[^<>]{0,500}>")
_SUCCESS = re.compile(rb'\s*\{(?!\s*"errors"\s*:)')
"""How the body of a success begins: a JSON object that does not speak of errors."""

ADVICE = {
    "tls": ("panel_tls", "Renew or correct the panel's certificate."),
    "refused_address": (
        "panel_address",
        "Correct its address, or tick what it needs.",
    ),
}


class NotThere(Unknown):
    """404 on the right question. A look turns it into ABSENT; a write that meets it calls for a look."""

    reason = "panel_not_there"


def plain(text: str) -> str:
    """The panel's own words as one line: no HTML, no secrets, at most 500 characters."""
    return clean_line(_TAG.sub("", text))


def transport_meaning(error: HttpError) -> Unknown:
    """What a call without a usable answer means. A broken certificate is waited out like an outage."""
    if error.kind in ADVICE:
        reason, advice = ADVICE[error.kind]
        return Unreachable(f"{error.detail} {advice}", maybe_done=False, reason=reason)
    if not error.maybe_processed:
        return Unreachable(error.detail, maybe_done=False)
    return Unknown(error.detail)


def unreadable(answer: Answer) -> Unknown:
    """What an answer means that has not the panel's form: a redirect, a page, a proxy's words."""
    if 300 <= answer.status < 400:
        place = plain(answer.headers.get("Location", ""))
        return Unknown(f"The panel redirects to {place or 'another address'} ({answer.status}).")
    start = plain(answer.text[:2000])[:200]
    return Unknown(f"The answer ({answer.status}) is not one of the panel's: {start or 'it is empty'}")


def is_substitute(answer: Answer, method: str) -> bool:
    """Whether something answers in the panel's place: a redirect, or a success that is none of a panel's.

    That is a proxy, a maintenance page or a broken upgrade. Only how the body begins is looked at, because
    lists are long; what is wrong further on is found by whoever reads it. A command may be answered with
    nothing, a question may not.
    """
    if not 200 <= answer.status < 400:
        return False
    if answer.status >= 300:
        return True
    if not answer.body.strip():
        return method == "GET" and answer.status not in (202, 204)
    return _SUCCESS.match(answer.body) is None


@contextmanager
def only_reading() -> Iterator[None]:
    """A read that fails has changed nothing, even in the middle of a create."""
    try:
        yield
    except Unknown as error:
        error.maybe_done = False
        raise
