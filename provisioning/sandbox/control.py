"""The control API under ``/_sandbox/``: faults, daemons, installs, clock, counters. Never logged."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from provisioning.sandbox.calls import CallRecord
from provisioning.sandbox.commands import Input, run_command
from provisioning.sandbox.daemon import MODES
from provisioning.sandbox.http import Request, Response, Route, Router

if TYPE_CHECKING:
    from provisioning.sandbox.base import PanelServer

Handler = Callable[["PanelServer", Input, dict[str, str]], object]
POWER_STATES = ("offline", "starting", "running", "stopping")
OUTCOMES = ("success", "fail", "never")


class Control:
    """Answers control requests for one sandbox."""

    def __init__(self, sandbox: "PanelServer") -> None:
        self.sandbox = sandbox
        self.router = Router(Route(method, f"/_sandbox{path}", handler) for method, path, handler in ROUTES)

    def handle(self, request: Request) -> Response:
        """Find the command and run it."""
        return run_command(self.router, self.sandbox, request)


def state_show(sandbox: "PanelServer", _: Input, __: dict[str, str]) -> object:
    """Servers and users in short."""
    return sandbox.shown()


def call_shown(entry: CallRecord) -> dict[str, object]:
    """One logged call as JSON."""
    head = {"at": entry.at, "method": entry.method, "path": entry.path, "pattern": entry.pattern}
    return {**head, "status": entry.status, "note": entry.note}


def calls_show(sandbox: "PanelServer", given: Input, _: dict[str, str]) -> object:
    """The log of calls (with `ending`: of the paths that end so), and the counters of all."""
    ending = str(given.get("ending", ""))
    kept = [entry for entry in sandbox.calls.kept() if entry.path.endswith(ending)]
    counts = [{"method": m, "pattern": p, "count": n} for m, p, n in sandbox.calls.counts()]
    return {
        "total": len(sandbox.calls),
        "counts": counts,
        "calls": [call_shown(entry) for entry in kept],
    }


def calls_clear(sandbox: "PanelServer", _: Input, __: dict[str, str]) -> object:
    """Start counting anew."""
    sandbox.calls.clear()
    return {"total": 0}


def faults_show(sandbox: "PanelServer", _: Input, __: dict[str, str]) -> object:
    """The armed faults."""
    return {"faults": sandbox.faults.shown()}


def fault_add(sandbox: "PanelServer", body: Input, _: dict[str, str]) -> object:
    """Arm a fault: kind, method, path, count, skip, seconds."""
    kind = body.pop("kind", "")
    return {"id": sandbox.faults.add(kind, **body).id}


def faults_clear(sandbox: "PanelServer", _: Input, parameters: dict[str, str]) -> object:
    """Disarm one or all."""
    sandbox.faults.clear(int(parameters["fault"]) if "fault" in parameters else None)
    return {"faults": sandbox.faults.shown()}


def daemon_set(sandbox: "PanelServer", body: Input, _: dict[str, str]) -> object:
    """How a node's daemon behaves: mode, node (none: all), seconds, status, error, request_id."""
    mode = _one_of(body.pop("mode", "ok"), MODES)
    sandbox.daemon_set(mode, node_id=body.pop("node", None), **body)
    return {"mode": mode}


def installs_set(sandbox: "PanelServer", body: Input, _: dict[str, str]) -> object:
    """How installs end from now on: delay in seconds, outcome."""
    policy = sandbox.settings.installs
    policy.outcome = _one_of(body.get("outcome", policy.outcome), OUTCOMES)
    policy.delay = float(body.get("delay", policy.delay))
    return {"delay": policy.delay, "outcome": policy.outcome}


def install_finish(sandbox: "PanelServer", body: Input, parameters: dict[str, str]) -> object:
    """Send one server's install callback."""
    server = sandbox.server_key(parameters["server"])
    sandbox.install_finish(server, **body)
    return {"status": sandbox.server_status(server)}


def power_set(sandbox: "PanelServer", body: Input, parameters: dict[str, str]) -> object:
    """What the daemon reports for a server, as if its customer had started or stopped it."""
    power = _one_of(body.get("power"), POWER_STATES)
    sandbox.power_set(sandbox.server_key(parameters["server"]), power)
    return {"power": power}


def backup_finish(sandbox: "PanelServer", body: Input, parameters: dict[str, str]) -> object:
    """Finish a backup."""
    sandbox.backup_finish(parameters["backup"], **body)
    return {"uuid": parameters["backup"]}


def settings_set(sandbox: "PanelServer", body: Input, _: dict[str, str]) -> object:
    """The panel's own switches, such as rate limits (null: off); see docs/sandbox.md."""
    for name, value in body.items():
        setattr(sandbox.settings, _one_of(name, sandbox.switches), value)
    return {name: getattr(sandbox.settings, name) for name in sandbox.switches}


def throttle_set(sandbox: "PanelServer", body: Input, _: dict[str, str]) -> object:
    """Use up everybody's rate window, or begin new ones."""
    if body.get("exhausted"):
        sandbox.throttle.exhaust()
    else:
        sandbox.throttle.reset()
    return {"exhausted": bool(body.get("exhausted"))}


def outage_begin(sandbox: "PanelServer", body: Input, _: dict[str, str]) -> object:
    """Refuse all connections, these controls' too, for so many seconds (at most 60)."""
    seconds = min(60.0, float(body.get("seconds", 5)))
    sandbox.outage(seconds)
    return {"seconds": seconds}


def clock_advance(sandbox: "PanelServer", body: Input, _: dict[str, str]) -> object:
    """Let the panel's clock jump by so many seconds."""
    now = sandbox.advance(float(body.get("seconds", 0)))
    return {"now": datetime.fromtimestamp(int(now), tz=UTC).isoformat()}


def _one_of(value: Any, choices: tuple[Any, ...]) -> Any:
    if value not in choices:
        raise ValueError(f"{value!r} is none of: {', '.join(choices)}.")
    return value


ROUTES: tuple[tuple[str, str, Handler], ...] = (
    ("GET", "/state", state_show),
    ("GET", "/calls", calls_show),
    ("DELETE", "/calls", calls_clear),
    ("GET", "/faults", faults_show),
    ("POST", "/faults", fault_add),
    ("DELETE", "/faults", faults_clear),
    ("DELETE", "/faults/{fault}", faults_clear),
    ("POST", "/daemon", daemon_set),
    ("POST", "/installs", installs_set),
    ("POST", "/servers/{server}/install", install_finish),
    ("POST", "/servers/{server}/power", power_set),
    ("POST", "/backups/{backup}/finish", backup_finish),
    ("POST", "/settings", settings_set),
    ("POST", "/throttle", throttle_set),
    ("POST", "/outage", outage_begin),
    ("POST", "/clock", clock_advance),
)
