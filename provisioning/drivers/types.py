"""The words that the engine and every driver share: plain frozen data, no ORM, no HTTP.

Units everywhere: memory, swap and disk in MiB, CPU in percent of one thread, the rest counts.
"""

from __future__ import annotations

import dataclasses
import enum
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, Protocol, TypeVar

from provisioning.lib.http import Answer

T = TypeVar("T")


class Capability(enum.Enum):
    """What a driver declares that it can do besides the three verbs."""

    POWER = "power"
    BACKUPS = "backups"
    SUBUSERS = "subusers"
    USAGE = "usage"
    COMMANDS = "commands"
    DOMAINS = "domains"


class ServerState(enum.StrEnum):
    """What a panel can show of a server. The values are those of `choices.ObservedState`."""

    INSTALLING = "installing"
    INSTALL_FAILED = "install_failed"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    BUSY = "busy"


class Wanted(enum.StrEnum):
    """What a server should be. The values are those of `choices.DesiredState` without *none*."""

    PRESENT = "present"
    SUSPENDED = "suspended"
    ABSENT = "absent"


class ChangeKind(enum.StrEnum):
    """One step on a panel."""

    CREATE = "create"
    MARK = "mark"
    UNSUSPEND = "unsuspend"
    RESIZE = "resize"
    STARTUP = "startup"
    REINSTALL = "reinstall"
    SUSPEND = "suspend"
    DELETE = "delete"


@dataclass(frozen=True)
class PanelConfig:
    """What a driver may know of the panel row; `key_problem` and `key_name` are the driver's of its key.

    `identity_provider` is the panel's id of billing as a place to sign in (CAL-41).
    """

    url: str
    language: str = "en"
    version: str = ""
    key_problem: str = ""
    key_name: str = ""
    identity_provider: str = ""


class Transport(Protocol):
    """The one way out to a panel: HTTP through the panel's rate budget and breaker, each call recorded."""

    def request(
        self,
        method: str,
        path: str,
        *,
        json: object | None = None,
        params: Mapping[str, str | int] | Sequence[tuple[str, str | int]] | None = None,
        read_timeout: float | None = None,
    ) -> Answer:
        """Sends one request. Raises lib.http.HttpError, PanelWaiting (no budget) and nothing else."""


class Memory(Protocol):
    """What was learnt of a panel before, kept by the engine between jobs, so that calls are saved."""

    def recall(self, kind: str, key: str) -> Any | None:
        """The stored value (JSON), or None."""

    def store(self, kind: str, key: str, value: Any) -> None:
        """Keeps a JSON value."""

    def forget(self, kind: str, key: str) -> None:
        """Drops a value that the panel contradicted."""

    def hold(self, candidates: Sequence[str]) -> str | None:
        """Reserves the first candidate (an allocation id) that no other service of ours holds."""

    def release(self, held: str) -> None:
        """Gives a reservation back: the panel said that it is taken."""


@dataclass(frozen=True)
class AccountWant:
    """The panel account that a customer should have. `former_mark` is one of ours that `mark` replaces.

    `identity` is the billing user id by which the customer signs in with billing (CAL-41), empty if unknown.
    """

    mark: str
    email: str
    email_verified: bool
    first_name: str
    last_name: str
    language: str
    username: str
    former_mark: str = ""
    identity: str = ""


@dataclass(frozen=True)
class Account:
    """A panel account as the panel showed it. `created` tells whether our POST made it."""

    id: str
    uuid: str
    mark: str
    email: str
    username: str
    is_admin: bool
    first_name: str = ""
    last_name: str = ""
    created: bool = False


@dataclass(frozen=True)
class SignIn:
    """What a customer needs to use a server: stored with its last look, said by the ready mail."""

    panel_url: str
    email: str
    forgot_url: str
    server_url: str
    sftp_host: str = ""
    sftp_port: str = ""
    sftp_user: str = ""


@dataclass(frozen=True)
class ListPage(Generic[T]):
    """One page of a panel's list: what is on it, how many entries there are in all, and on how many pages."""

    items: tuple[T, ...]
    total: int
    last: int = 1


@dataclass(frozen=True)
class ServerRef:
    """How to find a server: by the panel's id if we have it, else by our mark."""

    mark: str
    server_id: str = ""


@dataclass(frozen=True)
class Runtime:
    """What a server runs: applied at create and when the product changes it, never put back by a sweep."""

    image: str = ""
    startup: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The form that is stored on the service once it was applied."""
        return {
            "image": self.image,
            "startup": self.startup,
            "variables": dict(sorted(self.variables.items())),
        }


@dataclass(frozen=True)
class Desired:
    """All that a server should be, computed in one place (`desired.py`)."""

    state: Wanted
    mark: str
    name: str
    owner: str
    target: Mapping[str, Any]
    limits: Mapping[str, int]
    runtime: Runtime
    options: Mapping[str, Any] = field(default_factory=dict)
    pinned: Mapping[str, Any] = field(default_factory=dict)
    runtime_applied: Mapping[str, Any] | None = None
    set_mark: bool = False


@dataclass(frozen=True)
class Observed:
    """A server as the panel showed it in one full look. `extra` holds ids the driver wants back."""

    server_id: str
    uuid: str
    identifier: str
    mark: str
    owner: str
    name: str
    state: ServerState
    limits: Mapping[str, int | None]
    extra: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The form that is stored as the last look."""
        return {
            "server_id": self.server_id,
            "uuid": self.uuid,
            "identifier": self.identifier,
            "mark": self.mark,
            "owner": self.owner,
            "name": self.name,
            "state": self.state.value,
            "limits": dict(self.limits),
            "extra": dict(self.extra),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Observed:
        """The stored look back as data; what else was stored beside it is left out."""
        known = {item.name: data[item.name] for item in dataclasses.fields(cls) if item.name in data}
        return cls(**{**known, "state": ServerState(data["state"])})


class Absent(enum.Enum):
    """The proof that a server is not there: the panel's own 404 on the right question, nothing less."""

    ABSENT = "absent"


ABSENT: Final = Absent.ABSENT
Look = Observed | Absent


@dataclass(frozen=True)
class Change:
    """One step of a plan, with a line for people."""

    kind: ChangeKind
    summary: str
    before: Mapping[str, Any] = field(default_factory=dict)
    after: Mapping[str, Any] = field(default_factory=dict)

    @property
    def sign(self) -> str:
        """`+` makes, `-` destroys, `~` changes."""
        return {ChangeKind.CREATE: "+", ChangeKind.DELETE: "-"}.get(self.kind, "~")


@dataclass(frozen=True)
class Plan:
    """The difference between desired and observed, as data that can be shown, checked and compared."""

    changes: tuple[Change, ...]
    notes: tuple[str, ...] = ()

    @property
    def destroys(self) -> bool:
        """Whether carrying it out loses data."""
        return any(change.kind in (ChangeKind.DELETE, ChangeKind.REINSTALL) for change in self.changes)

    def kinds(self) -> tuple[ChangeKind, ...]:
        """The kinds of its changes, in order."""
        return tuple(change.kind for change in self.changes)

    def lines(self) -> list[str]:
        """`+ - ~` lines for the preview."""
        return [f"{change.sign} {change.summary}" for change in self.changes]

    @property
    def checksum(self) -> str:
        """Twelve hex digits over all that it would do: *Apply* posts it, so that nothing else is applied."""
        data = [[c.kind.value, dict(c.before), dict(c.after)] for c in self.changes]
        return hashlib.sha256(json.dumps(data, sort_keys=True, default=str).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Finding:
    """One line of a connection test: what was checked, whether it's all right, and what to do if not."""

    ok: bool
    title: str
    advice: str = ""


@dataclass(frozen=True)
class LostLooks:
    """When a create without an answer is looked for, and what may follow if nothing was ever found.

    `waits` are multiples of UNKNOWN_WAIT_SECONDS after the call. `retries` is how often it may then be sent
    again, None for as often as it takes: only where the panel cannot make a second server of it.
    """

    waits: tuple[float, ...] = (0, 1)
    retries: int | None = None


@dataclass(frozen=True)
class LaterCheck:
    """What has to be looked at once more, so many seconds after a change was applied; `data` is JSON."""

    kind: str
    seconds: float
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class RateWindow:
    """A panel that counts calls in fixed windows which a late call may prolong, with the count kept.

    Seconds but for `calls`: nobody calls from `edge` to `clear` after a window's first call, and `silence`
    without a call ends any count. `calls` is the most in one count.
    """

    edge: float
    clear: float
    silence: float
    calls: int


@dataclass(frozen=True)
class ConnectionReport:
    """What *Test connection* found; `version` where the panel shows it."""

    findings: tuple[Finding, ...]
    version: str = ""

    @property
    def ok(self) -> bool:
        """Whether nothing was found wrong."""
        return all(finding.ok for finding in self.findings)
