"""The control API under ``/_sandbox/``: faults, daemons, installs, clock, counters. Never logged."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from provisioning.sandbox.calls import CallRecord
from provisioning.sandbox.commands import Input, run_command
from provisioning.sandbox.daemon import MODES
from provisioning.sandbox.http import Request, Response, Route, Router

if TYPE_CHECKING:
    from provisioning.sandbox.server import PanelSandbox

Handler = Callable[["PanelSandbox", Input, dict[str, str]], object]
POWER_STATES = ("offline", "starting", "running", "stopping")
OUTCOMES = ("success", "fail", "never")


class Control:
    """Answers control requests for one sandbox."""

    def __init__(self, sandbox: "PanelSandbox") -> None:
        self.sandbox = sandbox
        self.router = Router(Route(method, f"/_sandbox{path}", handler) for method, path, handler in ROUTES)

    def handle(self, request: Request) -> Response:
        """Find the command and run it."""
        return run_command(self.router, self.sandbox, request)


def state_show(sandbox: "PanelSandbox", _: Input, __: dict[str, str]) -> object:
    """Servers and users in short."""
    state = sandbox.state
    servers = [
        {"id": s.id, "external_id": s.external_id, "name": s.name, "status": s.status, "user": s.owner_id,
         "memory": s.memory, "disk": s.disk, "cpu": s.cpu, "node": s.node_id, "power": s.power}
        for s in state.servers.values()
    ]  # fmt: skip
    users = [{"id": u.id, "external_id": u.external_id, "email": u.email} for u in state.users.values()]
    mails = [{"to": m.to, "subject": m.subject} for m in state.mails]
    return {"servers": servers, "users": users, "mails": mails}


def call_shown(entry: CallRecord) -> dict[str, object]:
    """One logged call as JSON."""
    head = {"at": entry.at, "method": entry.method, "path": entry.path, "pattern": entry.pattern}
    return {**head, "status": entry.status, "note": entry.note}


def calls_show(sandbox: "PanelSandbox", _: Input, __: dict[str, str]) -> object:
    """The log of calls and the counters."""
    counts = [{"method": m, "pattern": p, "count": n} for (m, p), n in sandbox.calls.counter.items()]
    return {
        "total": len(sandbox.calls),
        "counts": counts,
        "calls": [call_shown(e) for e in sandbox.calls.entries],
    }


def calls_clear(sandbox: "PanelSandbox", _: Input, __: dict[str, str]) -> object:
    """Start counting anew."""
    sandbox.calls.clear()
    return {"total": 0}


def faults_show(sandbox: "PanelSandbox", _: Input, __: dict[str, str]) -> object:
    """The armed faults."""
    return {"faults": sandbox.faults.shown()}


def fault_add(sandbox: "PanelSandbox", body: Input, _: dict[str, str]) -> object:
    """Arm a fault: kind, method, path, count, skip, seconds."""
    kind = body.pop("kind", "")
    return {"id": sandbox.faults.add(kind, **body).id}


def faults_clear(sandbox: "PanelSandbox", _: Input, parameters: dict[str, str]) -> object:
    """Disarm one or all."""
    sandbox.faults.clear(int(parameters["fault"]) if "fault" in parameters else None)
    return {"faults": sandbox.faults.shown()}


def daemon_set(sandbox: "PanelSandbox", body: Input, _: dict[str, str]) -> object:
    """How a node's daemon behaves: mode, node (none: all), seconds, status, error, request_id."""
    mode = _one_of(body.pop("mode", "ok"), MODES)
    sandbox.daemon_set(mode, node_id=body.pop("node", None), **body)
    return {"mode": mode}


def installs_set(sandbox: "PanelSandbox", body: Input, _: dict[str, str]) -> object:
    """How installs end from now on: delay in seconds, outcome."""
    policy = sandbox.world.settings.installs
    policy.outcome = _one_of(body.get("outcome", policy.outcome), OUTCOMES)
    policy.delay = float(body.get("delay", policy.delay))
    return {"delay": policy.delay, "outcome": policy.outcome}


def install_finish(sandbox: "PanelSandbox", body: Input, parameters: dict[str, str]) -> object:
    """Send one server's install callback."""
    sandbox.install_finish(int(parameters["server"]), **body)
    return {"status": sandbox.state.servers[int(parameters["server"])].status}


def power_set(sandbox: "PanelSandbox", body: Input, parameters: dict[str, str]) -> object:
    """What the daemon reports for a server, as if its customer had started or stopped it."""
    server = sandbox.state.servers[int(parameters["server"])]
    server.power = _one_of(body.get("power"), POWER_STATES)
    return {"power": server.power}


def backup_finish(sandbox: "PanelSandbox", body: Input, parameters: dict[str, str]) -> object:
    """Finish a backup."""
    sandbox.backup_finish(parameters["backup"], **body)
    return {"uuid": parameters["backup"]}


def settings_set(sandbox: "PanelSandbox", body: Input, _: dict[str, str]) -> object:
    """Switches: unique_external_ids, application_limit, client_limit (null: off), daemon_timeout."""
    known = ("unique_external_ids", "application_limit", "client_limit", "daemon_timeout")
    for name, value in body.items():
        setattr(sandbox.world.settings, _one_of(name, known), value)
    return {name: getattr(sandbox.world.settings, name) for name in known}


def throttle_set(sandbox: "PanelSandbox", body: Input, _: dict[str, str]) -> object:
    """Use up everybody's rate window, or begin new ones."""
    if body.get("exhausted"):
        sandbox.panel.throttle.exhaust()
    else:
        sandbox.panel.throttle.reset()
    return {"exhausted": bool(body.get("exhausted"))}


def outage_begin(sandbox: "PanelSandbox", body: Input, _: dict[str, str]) -> object:
    """Refuse all connections, these controls' too, for so many seconds (at most 60)."""
    seconds = min(60.0, float(body.get("seconds", 5)))
    sandbox.outage(seconds)
    return {"seconds": seconds}


def clock_advance(sandbox: "PanelSandbox", body: Input, _: dict[str, str]) -> object:
    """Let the panel's clock jump by so many seconds."""
    sandbox.advance(float(body.get("seconds", 0)))
    return {"now": sandbox.world.now().isoformat()}


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
