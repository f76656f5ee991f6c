"""The state of the imitated Pterodactyl panel: plain rows and ids.

Numbers as on the panel: MiB for memory, swap and disk, percent for CPU, 0 = unlimited.
Times are aware datetimes in UTC, cut to whole seconds as the panel's database does.
"""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

from provisioning.sandbox.core import BaseWorld, random_text
from provisioning.sandbox.core import InstallPolicy as InstallPolicy
from provisioning.sandbox.core import new_uuid as new_uuid

RESOURCES = (
    "servers", "nodes", "allocations", "users", "locations", "nests", "eggs",
    "database_hosts", "server_databases",
)  # fmt: skip
READ, WRITE = 1, 2
KEY_LENGTH = 48


@dataclass
class Row:
    """What every row has."""

    id: int
    created_at: datetime
    updated_at: datetime


@dataclass
class Location(Row):
    """A place that nodes stand in."""

    short: str
    long: str | None = None


@dataclass
class Node(Row):
    """A machine with its daemon."""

    uuid: str
    name: str
    location_id: int
    fqdn: str
    scheme: str
    memory: int
    disk: int
    memory_overallocate: int = 0
    disk_overallocate: int = 0
    public: bool = True
    description: str | None = None
    behind_proxy: bool = False
    maintenance_mode: bool = False
    upload_size: int = 100
    daemon_listen: int = 8080
    daemon_sftp: int = 2022
    daemon_base: str = "/var/lib/pterodactyl/volumes"
    daemon_token_id: str = ""
    daemon_token: str = field(default="", repr=False)


@dataclass
class Allocation(Row):
    """An address and port of a node; free while it has no server."""

    node_id: int
    ip: str
    port: int
    alias: str | None = None
    notes: str | None = None
    server_id: int | None = None


@dataclass
class Nest(Row):
    """A group of eggs."""

    uuid: str
    name: str
    author: str
    description: str


@dataclass
class EggVariable(Row):
    """A setting that an egg asks for; ``rules`` are Laravel validation rules joined by ``|``."""

    egg_id: int
    name: str
    description: str
    env_variable: str
    default_value: str
    rules: str
    user_viewable: bool = True
    user_editable: bool = True


@dataclass
class Egg(Row):
    """The recipe of one kind of server."""

    uuid: str
    nest_id: int
    name: str
    author: str
    description: str
    docker_images: dict[str, str]
    startup: str
    config: dict[str, object]
    script: dict[str, object]
    features: list[str]
    variables: list[EggVariable]


@dataclass
class User(Row):
    """A panel account."""

    uuid: str
    username: str
    email: str
    first_name: str
    last_name: str
    external_id: str | None = None
    language: str = "en"
    root_admin: bool = False
    two_factor: bool = False
    password: str | None = field(default=None, repr=False)


@dataclass
class ApiKey(Row):
    """An application (``ptla_``) or client (``ptlc_``) key of 48 characters."""

    user_id: int
    token: str = field(repr=False)
    permissions: dict[str, int] = field(default_factory=lambda: dict.fromkeys(RESOURCES, READ | WRITE))
    expires_at: datetime | None = None
    allowed_ips: list[str] = field(default_factory=list)

    @property
    def is_application(self) -> bool:
        """Whether it is an application key, told by its prefix."""
        return self.token.startswith("ptla_")


@dataclass
class Server(Row):
    """A game server; ``status`` as in contract section 6.1 (None: normal)."""

    uuid: str
    name: str
    owner_id: int
    node_id: int
    allocation_id: int
    egg_id: int
    startup: str
    image: str
    memory: int
    swap: int
    disk: int
    io: int
    cpu: int
    external_id: str | None = None
    description: str = ""
    status: str | None = None
    threads: str | None = None
    oom_disabled: bool = True
    skip_scripts: bool = False
    start_on_completion: bool = False
    database_limit: int | None = 0
    allocation_limit: int | None = 0
    backup_limit: int = 0
    variables: dict[str, str] = field(default_factory=dict)
    power: str = "offline"

    @property
    def identifier(self) -> str:
        """The short id: the first eight characters of the uuid."""
        return self.uuid[:8]


@dataclass
class Subuser(Row):
    """A user who may do some things on somebody else's server."""

    server_id: int
    user_id: int
    permissions: list[str]


@dataclass
class Backup(Row):
    """A backup; unfinished while ``completed_at`` is None."""

    server_id: int
    uuid: str
    name: str
    ignored_files: list[str]
    is_locked: bool = False
    is_successful: bool = False
    checksum: str | None = None
    bytes: int = 0
    completed_at: datetime | None = None


@dataclass
class PendingInstall:
    """An install callback that is still to come; ``due`` is a world time in seconds."""

    due: float
    server_id: int
    successful: bool
    reinstall: bool


@dataclass
class Mail:
    """A mail the panel has queued."""

    to: str
    subject: str


@dataclass
class State:
    """Every table; can be copied as a whole (stale reads)."""

    locations: dict[int, Location] = field(default_factory=dict)
    nodes: dict[int, Node] = field(default_factory=dict)
    allocations: dict[int, Allocation] = field(default_factory=dict)
    nests: dict[int, Nest] = field(default_factory=dict)
    eggs: dict[int, Egg] = field(default_factory=dict)
    users: dict[int, User] = field(default_factory=dict)
    keys: dict[int, ApiKey] = field(default_factory=dict)
    servers: dict[int, Server] = field(default_factory=dict)
    subusers: dict[int, Subuser] = field(default_factory=dict)
    backups: dict[int, Backup] = field(default_factory=dict)
    installs: list[PendingInstall] = field(default_factory=list)
    mails: list[Mail] = field(default_factory=list)
    last_ids: Counter[str] = field(default_factory=Counter)

    def next_id(self, table: str) -> int:
        """The next id of a table; like auto-increment, never given out twice."""
        self.last_ids[table] += 1
        return self.last_ids[table]

    def server_allocations(self, server: Server) -> list[Allocation]:
        """The server's allocations, oldest first."""
        return [a for a in self.allocations.values() if a.server_id == server.id]

    def node_servers(self, node: Node) -> list[Server]:
        """The servers on a node."""
        return [s for s in self.servers.values() if s.node_id == node.id]


@dataclass
class Settings:
    """The switches of a sandbox. A rate limit is in calls a minute; None: neither limit nor headers."""

    unique_external_ids: bool = True
    application_limit: int | None = None
    client_limit: int | None = None
    daemon_timeout: float = 15.0
    installs: InstallPolicy = field(default_factory=InstallPolicy)


class World(BaseWorld):
    """State, clock, lock, settings and the call log of one panel."""

    switches = ("unique_external_ids", "application_limit", "client_limit", "daemon_timeout")

    def __init__(self, settings: Settings | None = None) -> None:
        super().__init__()
        self.state: State = State()
        self.settings: Settings = settings or Settings()

    def stamp(self, table: str) -> tuple[int, datetime, datetime]:
        """Id, created_at and updated_at of a new row, in the order of the row classes."""
        now = self.now()
        return self.state.next_id(table), now, now


def new_key(prefix: str) -> str:
    """A random API key: prefix and 11 characters as identifier, then 32 of secret (contract section 1.1)."""
    return prefix + random_text(KEY_LENGTH - len(prefix))
