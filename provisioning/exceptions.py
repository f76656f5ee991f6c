"""One tree of errors. Each says whether trying again helps, what a customer may read, and what staff read.

`reason` is a stable code: docs/runbook.md has a paragraph for each that can end in *needs staff*.
"""

from __future__ import annotations


class BillingBridgeError(Exception):
    """The root. `detail` is for staff and logs and never holds a secret; `public` is for customers."""

    reason = "internal"
    retryable = False
    public = "Something went wrong on our side. We have been told."

    def __init__(self, detail: str = "", *, reason: str = "", public: str = "") -> None:
        """Takes the words for staff, and where a class is too coarse its own reason or public words."""
        super().__init__(detail)
        self.detail = detail
        self.reason = reason or self.reason
        self.public = public or self.public


class TransitionError(BillingBridgeError):
    """A lifecycle change that the service's present state does not allow."""

    reason = "not_allowed"


class LeaseLost(BillingBridgeError):
    """Our lease on a service ran out and somebody else holds it: nothing more may be written (fencing)."""

    reason = "lease_lost"
    retryable = True


class PanelWaiting(BillingBridgeError):
    """Nothing is wrong with the work: it waits for something, uses up no attempt, goes on by itself."""

    reason = "waiting"
    retryable = True

    def __init__(self, detail: str, *, reason: str = "", seconds: float = 0) -> None:
        """`seconds` until it is worth looking again; 0 leaves the choice to the engine."""
        super().__init__(detail, reason=reason)
        self.seconds = seconds


class NeedsStaff(BillingBridgeError):
    """The bridge refuses to guess: a person has to decide. Ends the operation as `needs_staff`."""

    reason = "needs_staff"


class SpecProblem(BillingBridgeError):
    """The product cannot be turned into a payload. `problems` maps a field to a sentence."""

    reason = "product_invalid"

    def __init__(self, problems: dict[str, str]) -> None:
        """Takes the problems by field path (`limits.memory`)."""
        super().__init__("; ".join(f"{field}: {text}" for field, text in problems.items()))
        self.problems = problems
