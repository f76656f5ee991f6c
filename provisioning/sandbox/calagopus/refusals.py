"""How the panel says no when a fault asks for it."""

import time

from provisioning.sandbox.calagopus.calling import render, success
from provisioning.sandbox.calagopus.errors import INTERNAL, PanelError, internal
from provisioning.sandbox.calagopus.throttle import limited
from provisioning.sandbox.faults import Fault, Refusal
from provisioning.sandbox.http import Request, Response


def _throttled(fault: Fault, _: Request) -> Response:
    seconds = int(fault.seconds)
    return render(limited(seconds, 360, int(time.time()) + seconds))


REFUSALS: dict[str, Refusal] = {
    "rate_limited": _throttled,
    "error": lambda *_: render(internal()),
    "unauthorized": lambda *_: render(PanelError(401, "invalid api key")),
    "forbidden": lambda *_: render(
        PanelError(403, "you do not have permission to perform this action: servers.read")
    ),
    "error_in_ok": lambda *_: success({"errors": [INTERNAL]}),
}
