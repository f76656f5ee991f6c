"""The closed table of Pterodactyl's errors: what each known answer means. Anything else is Unknown.

The panel's exception class (`code`) is matched, never its sentence, and only together with the status it
belongs to: a 404 may come from the daemon (contract section 0, trap 9), a 403 from a firewall in front.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

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
from provisioning.lib.redact import clean_line

MOST_FAULTS = 20
_ROUTE = "The route "
"""How the panel's 404 begins when the address is wrong: no proof that a thing is absent."""


@dataclass(frozen=True)
class Fault:
    """One entry of the panel's `errors`; `field` and `rule` only where a validation failed."""

    code: str
    detail: str
    field: str = ""
    rule: str = ""


def faults(answer: Answer) -> list[Fault]:
    """The first entries of the panel's error body; empty for a body that is none."""
    try:
        data = answer.json()
    except HttpError:
        return []
    entries = data.get("errors") if isinstance(data, dict) else None
    return (
        [_fault(entry) for entry in entries[:MOST_FAULTS] if isinstance(entry, dict)]
        if isinstance(entries, list)
        else []
    )


def _fault(entry: dict[str, object]) -> Fault:
    meta = entry.get("meta")
    where = meta if isinstance(meta, dict) else {}
    return Fault(
        clean_line(str(entry.get("code", "")), limit=100),
        plain(str(entry.get("detail", ""))),
        clean_line(str(where.get("source_field", "")), limit=100),
        clean_line(str(where.get("rule", "")), limit=100),
    )


def meaning(answer: Answer) -> DriverError:
    """What an answer that is not the expected success means to the engine."""
    found = faults(answer)
    if answer.status == 429:
        return _rate_limited(answer, found)
    if not found:
        return unreadable(answer)
    statuses, make = _TABLE.get(found[0].code, ((), _unknown))
    if statuses and answer.status not in statuses:
        make = _unknown
    return make(answer, found)


def is_panel_trouble(answer: Answer, method: str) -> bool:
    """Whether a 5xx is the panel's own (one broken node or one known refusal is not), or not even that."""
    if answer.status < 500:
        return is_substitute(answer, method)
    return not {fault.code for fault in faults(answer)} & _HARMLESS


def _sentences(found: Sequence[Fault]) -> str:
    return plain(" ".join(dict.fromkeys(fault.detail for fault in found if fault.detail)))


def _unknown(answer: Answer, found: Sequence[Fault]) -> Unknown:
    return Unknown(f"{found[0].code or 'Error'} ({answer.status}): {_sentences(found)}")


def _rate_limited(answer: Answer, found: Sequence[Fault]) -> RateLimited:
    seconds = retry_after(answer.headers.get("Retry-After"), clock.now())
    return RateLimited(_sentences(found) or "Too many calls.", seconds=seconds)


def _auth_failed(_answer: Answer, found: Sequence[Fault]) -> AuthFailed:
    return AuthFailed(_sentences(found))


def _not_found(answer: Answer, found: Sequence[Fault]) -> Unknown:
    if found[0].detail.startswith(_ROUTE):
        return _unknown(answer, found)
    return NotThere(_sentences(found), maybe_done=False)


def _daemon_down(_answer: Answer, found: Sequence[Fault]) -> DaemonDown:
    # The panel takes back what the daemon did not confirm: create, suspend, reinstall and delete alike
    # (contract sections 6.3, 6.7 to 6.9), so nothing was done.
    return DaemonDown(_sentences(found), maybe_done=False)


def _invalid(_answer: Answer, found: Sequence[Fault]) -> DriverError:
    taken = tuple(fault.field for fault in found if fault.rule == "unique")
    if taken:
        return Conflict(_sentences(found), fields=taken)
    if any((fault.field, fault.rule) == ("allocation.default", "exists") for fault in found):
        # The rule asks for a *free* allocation: it is there, somebody else has it.
        return Conflict(_sentences(found), fields=("allocation",))
    return Rejected(_sentences(found), fields=tuple(dict.fromkeys(fault.field for fault in found)))


def _no_capacity(_answer: Answer, found: Sequence[Fault]) -> NoCapacity:
    return NoCapacity(_sentences(found))


def _rejected(_answer: Answer, found: Sequence[Fault]) -> Rejected:
    return Rejected(_sentences(found))


def _busy(_answer: Answer, found: Sequence[Fault]) -> Busy:
    return Busy(_sentences(found))


def _lost_race(answer: Answer, found: Sequence[Fault]) -> DriverError:
    # Trap 15: somebody was faster by a moment, and nothing of ours was stored.
    if "allocation_id" in found[0].detail:
        return Conflict(_sentences(found), fields=("allocation",))
    if found[0].code == "DataValidationException":
        return _unknown(answer, found)
    return Unknown(_sentences(found), maybe_done=False)


Maker = Callable[[Answer, Sequence[Fault]], DriverError]

_TABLE: dict[str, tuple[tuple[int, ...], Maker]] = {
    "AuthenticationException": ((401,), _auth_failed),
    "AccessDeniedHttpException": ((403,), _auth_failed),
    "TwoFactorAuthRequiredException": ((400,), _auth_failed),
    "NotFoundHttpException": ((404,), _not_found),
    # Any status: the panel passes the daemon's own on (trap 9).
    "DaemonConnectionException": ((), _daemon_down),
    "ValidationException": ((422,), _invalid),
    "NoViableNodeException": ((400,), _no_capacity),
    "NoViableAllocationException": ((400,), _no_capacity),
    "DisplayException": ((400,), _rejected),
    "TooManyPortsInRangeException": ((400,), _rejected),
    "InvalidPortMappingException": ((400,), _rejected),
    "PortOutOfRangeException": ((400,), _rejected),
    "ServerStateConflictException": ((409,), _busy),
    "ConflictHttpException": ((409,), _busy),
    "UniqueConstraintViolationException": ((500,), _lost_race),
    "DataValidationException": ((500,), _lost_race),
}

_HARMLESS = {"DaemonConnectionException", "UniqueConstraintViolationException", "DataValidationException"}
