"""What a panel's answer can mean to the engine: a closed table. Whatever is in no driver's table is Unknown.

Each error carries the panel's own words (redacted) for staff in `detail`.
"""

from __future__ import annotations

from provisioning.exceptions import BillingBridgeError


class DriverError(BillingBridgeError):
    """The root of everything that a driver raises."""

    reason = "panel_error"
    public = "The server panel did not do what we asked. We keep trying."


class Unknown(DriverError):
    """Nobody knows whether it was done: look again, never create, never forget (DESIGN rule 2)."""

    reason = "panel_unknown"
    retryable = True

    def __init__(self, detail: str = "", *, maybe_done: bool = True, reason: str = "") -> None:
        """`maybe_done` is False only when it's proven that the panel never saw the request."""
        super().__init__(detail, reason=reason)
        self.maybe_done = maybe_done


class Unreachable(Unknown):
    """The panel (or the node behind it) does not answer. Waiting for it uses up no attempt."""

    reason = "panel_unreachable"


class DaemonDown(Unreachable):
    """The panel answers, but the machine that runs the server does not; other nodes may work."""

    reason = "node_unreachable"


class RateLimited(DriverError):
    """429: the panel asks for silence. `seconds` is kept in 1..3600."""

    reason = "rate_limited"
    retryable = True

    def __init__(self, detail: str, *, seconds: float) -> None:
        """`seconds` as the panel's Retry-After said."""
        super().__init__(detail)
        self.seconds = seconds


class AuthFailed(DriverError):
    """401 or 403: the key is wrong or lacks a right. Parks the panel, so that no storm of retries follows."""

    reason = "panel_key"


class Conflict(DriverError):
    """Something of that mark, e-mail, name or port exists already. `fields` are the panel's own names."""

    reason = "panel_conflict"

    def __init__(self, detail: str, *, fields: tuple[str, ...] = ()) -> None:
        """`fields` name what collides, as the panel called it."""
        super().__init__(detail)
        self.fields = fields


class NoCapacity(DriverError):
    """No node or allocation fits now. Stays due: room may come."""

    reason = "no_capacity"
    retryable = True


class Busy(DriverError):
    """The panel refuses for the moment (transfer, restore, install)."""

    reason = "server_busy"
    retryable = True


class Rejected(DriverError):
    """The panel understood and said no: trying the same again cannot help."""

    reason = "panel_rejected"

    def __init__(self, detail: str = "", *, fields: tuple[str, ...] = (), reason: str = "") -> None:
        """`fields` name what was refused, as the panel called it (`environment.SERVER_JARFILE`)."""
        super().__init__(detail, reason=reason)
        self.fields = fields


class WrongServer(DriverError):
    """The panel's id leads to a server that is not ours (other mark or owner): nothing may touch it."""

    reason = "wrong_server"


class AccountHeld(DriverError):
    """No account can be taken without a person's look: a stranger's, an admin's, or an unverified match."""

    reason = "account_held"


class Unsupported(DriverError):
    """The driver cannot do this at all; found when saving, not at night."""

    reason = "unsupported"
