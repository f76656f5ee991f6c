"""The closed table of Calagopus's errors: what each known answer means. Anything else is Unknown.

The panel has no error codes: its sentences are matched, each together with its status (contract section 2.3).
They come in two shapes, a flat list or one text that holds the same as JSON; both are read into one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence

from provisioning.drivers.errors import (
    AuthFailed,
    Busy,
    Conflict,
    DaemonDown,
    DriverError,
    NoCapacity,
    RateLimited,
    Rejected,
    Unknown,
)
from provisioning.drivers.trouble import NotThere, is_substitute, plain, unreadable
from provisioning.lib import clock
from provisioning.lib.http import Answer, HttpError
from provisioning.lib.ratelimit import retry_after

MOST_TEXTS, LONGEST_TEXT, LONGEST_NESTED = 20, 2_000, 65_536
SAFETY = 2.0
"""Seconds beyond what a 429 asks for: calls that come too early count there, too."""

_FIELD = re.compile(r"([A-Za-z_][\w.\[\]]{0,120}): (.+)", re.DOTALL)
_VARIABLE = re.compile(r"[A-Z0-9_]+")
_RIGHT = re.compile(r"you do not have permission to perform this action: ([\w.-]+)")
_RELATION = re.compile(r"invalid relation `(\w+)` provided")
_DEPLOY = "could not deploy server: "


class ServerForgotten(DaemonDown):
    """417 at a delete: the machine does not know the server: only force can close it (section 5.6)."""


class BackupsLeft(DriverError):
    """417 at a delete that was done: the server is gone, some of its backups are not (section 1, 10)."""


PLACES = (
    ("only found 0 available dedicated", "no address has all its ports free. Add one, or share addresses."),
    ("only found 0 available allocations on this IP", "the address has too few free ports. Add some."),
    (
        "only found 0 available",
        "no node there has a free port that fits the product's rule. Add allocations.",
    ),
    ("no nodes exist", "the chosen locations have no node. Add one, or choose others."),
    ("deployment is disabled", "all nodes there are closed for deployment. Open one."),
    ("no single node", "no node there has memory and disk enough at once. Make room."),
    ("no node in the selected", "no node there has room enough. Make room, or add a node."),
    ("a node could only satisfy", "no node there has all the additional ports. Add allocations."),
    ("could not satisfy all", "the rules for additional ports fit no address. Add allocations."),
    ("timed out asking", "the node did not say which ports it uses. Look at its daemon."),
    ("no eligible node", "no node there can take it. Look at the nodes in the panel."),
)
"""How the panel's reasons for a failed deployment begin, and what they mean (section 5.3). First one wins."""


def texts(answer: Answer) -> list[str]:
    """The panel's sentences, flat or nested, each one line without secrets; empty for another's answer."""
    try:
        data = answer.json()
    except HttpError:
        return []
    return [plain(text[:LONGEST_TEXT]) for text in _flat(data)]


def _flat(data: object) -> list[str]:
    entries = data.get("errors") if isinstance(data, dict) else None
    if not isinstance(entries, list):
        return []
    found = [entry for entry in entries[:MOST_TEXTS] if isinstance(entry, str)]
    if found and found[0].startswith('{"errors"') and len(found[0]) <= LONGEST_NESTED:
        try:
            return _flat(json.loads(found[0]))
        except (ValueError, RecursionError):
            return found
    return found


def meaning(answer: Answer) -> DriverError:
    """What an answer that is not the expected success means to the engine."""
    found = texts(answer)
    if answer.status == 429:
        words = " ".join(found) or "Too many calls."
        return RateLimited(
            words, seconds=retry_after(answer.headers.get("Retry-After"), clock.now()) + SAFETY
        )
    if not found:
        return unreadable(answer)
    make = _TABLE.get(answer.status)
    return (make(found) if make else None) or Unknown(f"HTTP {answer.status}: {_joined(found)}")


def is_panel_trouble(answer: Answer, method: str) -> bool:
    """Whether a 5xx is the panel's own, or something answers in its place.

    One dead daemon makes a create and a look at usage fail with a 5xx, too. Those say so in the panel's JSON;
    a read that fails is the panel's own trouble.
    """
    if answer.status < 500:
        return is_substitute(answer, method)
    return method == "GET" or not texts(answer)


def _joined(found: Sequence[str]) -> str:
    return plain("; ".join(dict.fromkeys(found)))


def _bad_request(found: Sequence[str]) -> DriverError | None:
    first = found[0]
    if first.startswith(_DEPLOY):
        return _no_place(first.removeprefix(_DEPLOY))
    if first.startswith("invalid payload: "):
        # Another version's form: the same body would be refused for ever.
        return Rejected(_joined(found), fields=("payload",))
    relation = _RELATION.search(first)
    if relation:
        return Rejected(
            f"The panel no longer has this {relation[1].replace('_', ' ')}. Choose another in the product.",
            fields=(relation[1],),
        )
    matches = [match for match in map(_FIELD.fullmatch, found) if match]
    return _invalid(found, [match[1] for match in matches]) if matches else None


def _invalid(found: Sequence[str], names: Sequence[str]) -> Rejected:
    fields = tuple(dict.fromkeys(f"environment.{n}" if _VARIABLE.fullmatch(n) else n for n in names))
    if "language" in names:
        words = f"{_joined(found)}. Set a language that the panel has, on the panel's page."
        return Rejected(words, fields=fields, reason="panel_language")
    return Rejected(_joined(found), fields=fields)


def _no_place(reason: str) -> NoCapacity:
    ours = next((words for start, words in PLACES if reason.startswith(start)), "")
    said = f"The panel found no place for the server: {ours}" if ours else "The panel found no place."
    return NoCapacity(f"{said} It says “{reason}”.")


def _unauthorised(found: Sequence[str]) -> AuthFailed:
    return AuthFailed(f"The panel refuses the key: {_joined(found)}.")


def _forbidden(found: Sequence[str]) -> DriverError:
    right = _RIGHT.search(found[0])
    if right:
        return AuthFailed(f"The key lacks the right “{right[1]}”. Add it to the key in the panel.")
    if found[0].startswith("you cannot"):
        return Rejected(_joined(found))
    if found[0].startswith("ip address not allowed"):
        return AuthFailed("The key may not be used from this machine's address. Add the address to the key.")
    return AuthFailed(f"The panel refuses the key's owner: {_joined(found)}.")


def _not_found(found: Sequence[str]) -> Unknown | None:
    if found[0] == "route not found" or not found[0].endswith(" not found"):
        # A wrong address proves nothing of what is behind it.
        return None
    return NotThere(_joined(found), maybe_done=False)


CONFLICTS = (
    ("server with allocation(s)", "allocation"),
    ("user with ", "account"),
    ("oauth link with ", "oauth"),
)
"""How a 409 begins, and what collides. Of a user it may be any of three things (section 4.7)."""


def _conflict(found: Sequence[str]) -> DriverError | None:
    for start, field in CONFLICTS:
        if found[0].startswith(start):
            return Conflict(_joined(found), fields=(field,))
    return Busy(_joined(found)) if "server" in found[0] else None


def _expectation_failed(found: Sequence[str]) -> DriverError | None:
    if found[0].startswith("failed to delete backup"):
        return BackupsLeft(_joined(found))
    if found[0].startswith("failed to delete server: wings api status code 404 "):
        return ServerForgotten(_joined(found))
    return DaemonDown(_joined(found)) if found[0].startswith("failed to delete server") else None


_TABLE: dict[int, Callable[[Sequence[str]], DriverError | None]] = {
    400: _bad_request,
    401: _unauthorised,
    403: _forbidden,
    404: _not_found,
    409: _conflict,
    417: _expectation_failed,
}
