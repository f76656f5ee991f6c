"""What can go wrong between us and a panel, before its answer has any meaning."""

from typing import Literal

from provisioning.lib.redact import clean_line

Kind = Literal["unreachable", "tls", "timeout", "lost", "refused_address", "too_large", "bad_answer"]


class HttpError(Exception):
    """A call that brought no usable answer.

    `maybe_processed` is False only if it is proven that no byte of the request left: then nothing can have
    happened on the panel. Otherwise the outcome is unknown and has to be looked up (design rule 2).
    `detail` is one line without secrets, fit for staff.
    """

    def __init__(self, kind: Kind, detail: str, *, maybe_processed: bool) -> None:
        self.kind: Kind = kind
        self.detail = clean_line(detail)
        self.maybe_processed = maybe_processed
        super().__init__(f"{kind}: {self.detail}")


class DeadlineTooShort(Exception):
    """The call was not begun: its time-outs don't fit into what is left of the job. Seconds."""

    def __init__(self, *, needed: float, left: float) -> None:
        self.needed = needed
        self.left = left
        super().__init__(f"The call may take {needed:.1f} s, but only {left:.1f} s are left.")
