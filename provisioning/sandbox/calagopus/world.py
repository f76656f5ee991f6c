"""The state of the imitated Calagopus panel: tables keyed by uuid, in the order of their making."""

import secrets
import string
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from provisioning.sandbox.calagopus.rows import (
    Activity,
    Allocation,
    AllocationLink,
    ApiKey,
    Backup,
    BackupConfiguration,
    Daemon,
    DatabaseHost,
    Egg,
    EggVariable,
    Location,
    Nest,
    Node,
    OAuthLink,
    OAuthProvider,
    Role,
    Schedule,
    Server,
    Subuser,
    User,
)
from provisioning.sandbox.core import BaseWorld, InstallPolicy, new_uuid

KEY_PREFIX, KEY_LENGTH = "c7sp_", 48


@dataclass
class Mail:
    """A mail the panel has queued."""

    to: str
    subject: str


@dataclass
class State:
    """Every table; can be copied as a whole (stale reads)."""

    backup_configurations: dict[str, BackupConfiguration] = field(default_factory=dict)
    locations: dict[str, Location] = field(default_factory=dict)
    nodes: dict[str, Node] = field(default_factory=dict)
    allocations: dict[str, Allocation] = field(default_factory=dict)
    links: dict[str, AllocationLink] = field(default_factory=dict)
    nests: dict[str, Nest] = field(default_factory=dict)
    eggs: dict[str, Egg] = field(default_factory=dict)
    egg_variables: dict[str, EggVariable] = field(default_factory=dict)
    roles: dict[str, Role] = field(default_factory=dict)
    users: dict[str, User] = field(default_factory=dict)
    keys: dict[str, ApiKey] = field(default_factory=dict)
    oauth_providers: dict[str, OAuthProvider] = field(default_factory=dict)
    oauth_links: dict[str, OAuthLink] = field(default_factory=dict)
    database_hosts: dict[str, DatabaseHost] = field(default_factory=dict)
    servers: dict[str, Server] = field(default_factory=dict)
    subusers: dict[str, Subuser] = field(default_factory=dict)
    backups: dict[str, Backup] = field(default_factory=dict)
    schedules: dict[str, Schedule] = field(default_factory=dict)
    activities: list[Activity] = field(default_factory=list)
    mails: list[Mail] = field(default_factory=list)
    daemons: dict[str, Daemon] = field(default_factory=dict)

    def server_links(self, server: Server) -> list[AllocationLink]:
        """The server's holds on allocations, oldest first."""
        return [link for link in self.links.values() if link.server == server.uuid]

    def node_servers(self, node: Node) -> list[Server]:
        """The servers on a node."""
        return [s for s in self.servers.values() if s.node == node.uuid]

    def node_allocations(self, node: Node) -> list[Allocation]:
        """All of a node's allocations by address and port."""
        rows = [a for a in self.allocations.values() if a.node == node.uuid]
        return sorted(rows, key=lambda a: (a.ip, a.port))

    def holders(self) -> dict[str, AllocationLink]:
        """Who holds which allocation, by the allocation's uuid."""
        return {link.allocation: link for link in self.links.values()}

    def variables_of(self, egg_uuid: str) -> list[EggVariable]:
        """The egg's variables in their order."""
        rows = [v for v in self.egg_variables.values() if v.egg == egg_uuid]
        return sorted(rows, key=lambda v: v.order)

    def with_external_id(self, external_id: str) -> Iterator[Server]:
        """The servers with a mark: several are possible, the oldest comes first."""
        return (s for s in self.servers.values() if s.external_id == external_id)


@dataclass
class Settings:
    """The switches of a sandbox.

    ``rate_limit`` is in calls a window of 30 seconds and address (None: no limit); with ``rate_redis`` the
    counter is renewed, not reset. A PATCH reaches the daemon ``sync_delay`` seconds later, several in
    ``sync_order`` ``sent``, ``random`` or ``reversed``. ``resource_cache`` is how old usage may be, in
    seconds. ``database_wait`` is how long an unreachable database host holds a request.
    """

    rate_limit: int | None = None
    rate_redis: bool = False
    sync_delay: float = 0.0
    sync_order: str = "sent"
    resource_cache: float = 0.0
    backups_fail: bool = False
    extension_limits: list[str] = field(default_factory=list)
    extension_required: bool = False
    ports_in_use: bool = False
    port_choice: str = "random"
    database_wait: float = 30.0
    installs: InstallPolicy = field(default_factory=InstallPolicy)


class World(BaseWorld):
    """State, clock, lock, switches and call log of one panel."""

    switches = (
        "rate_limit", "rate_redis", "sync_delay", "sync_order", "resource_cache", "backups_fail",
        "extension_limits", "extension_required", "ports_in_use", "port_choice", "database_wait",
    )  # fmt: skip

    def __init__(self, settings: Settings | None = None) -> None:
        super().__init__()
        self.state: State = State()
        self.settings: Settings = settings or Settings()

    def stamp(self) -> tuple[str, float]:
        """Uuid and time of a new row, in the order of the row classes."""
        return new_uuid(), self.time()


def shown_time(at: float | None) -> str | None:
    """A time as the panel writes it: RFC 3339 in UTC with six digits of a second."""
    if at is None:
        return None
    return datetime.fromtimestamp(at, tz=UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def new_key() -> str:
    """A random API key: prefix and letters, 48 characters (contract section 2.5)."""
    return KEY_PREFIX + letters(KEY_LENGTH - len(KEY_PREFIX))


def letters(length: int) -> str:
    """So many random letters and digits."""
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(length))
