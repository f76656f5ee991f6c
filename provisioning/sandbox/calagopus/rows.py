"""The rows of the imitated Calagopus panel; each refers to others by their uuids.

Numbers as on the panel: MiB for memory, swap and disk, percent for CPU, 0 = unlimited (swap: -1).
"""

from dataclasses import dataclass, field
from typing import Any

from provisioning.sandbox.daemon import Behaviour

KEY_START = 16


@dataclass
class Row:
    """What every row has; times are world times in seconds since the epoch."""

    uuid: str
    created: float


@dataclass
class BackupConfiguration(Row):
    """A place that backups go to; ``configs`` holds secrets in clear, as the panel's answers do."""

    name: str
    backup_disk: str
    description: str | None = None
    maintenance_enabled: bool = False
    shared: bool = False
    configs: dict[str, object] = field(default_factory=dict, repr=False)


@dataclass
class Location(Row):
    """A place that nodes stand in."""

    name: str
    description: str | None = None
    flag: str | None = None
    backup_configuration: str | None = None


@dataclass
class Node(Row):
    """A machine with its daemon."""

    name: str
    location: str
    url: str
    memory: int
    disk: int
    description: str | None = None
    deployment_enabled: bool = True
    maintenance_enabled: bool = False
    public_url: str | None = None
    sftp_host: str | None = None
    sftp_port: int = 2022
    backup_configuration: str | None = None
    token_id: str = ""
    token: str = field(default="", repr=False)


@dataclass
class Allocation(Row):
    """An address and port of a node; free while no link names it."""

    node: str
    ip: str
    port: int
    ip_alias: str | None = None


@dataclass
class AllocationLink(Row):
    """A server's hold on an allocation: its uuid is what servers show (contract section 3)."""

    server: str
    allocation: str
    notes: str | None = None


@dataclass
class Nest(Row):
    """A group of eggs."""

    name: str
    author: str
    description: str | None = None


@dataclass
class EggVariable(Row):
    """A setting that an egg asks for; ``rules`` are validation rules such as ``between:2,32``."""

    egg: str
    name: str
    env_variable: str
    rules: list[str]
    default_value: str | None = None
    description: str | None = None
    order: int = 0
    user_viewable: bool = True
    user_editable: bool = True
    is_secret: bool = False
    name_translations: dict[str, str] = field(default_factory=dict)
    description_translations: dict[str, str] = field(default_factory=dict)


@dataclass
class Egg(Row):
    """The recipe of one kind of server; ``body`` holds what is only stored and shown."""

    nest: str
    name: str
    author: str
    startup_commands: dict[str, str]
    docker_images: dict[str, str]
    description: str | None = None
    body: dict[str, object] = field(default_factory=dict)


@dataclass
class Role(Row):
    """A set of admin and server permissions that users can be given."""

    name: str
    description: str | None = None
    require_two_factor: bool = False
    admin_permissions: list[str] = field(default_factory=list)
    server_permissions: list[str] = field(default_factory=list)


@dataclass
class User(Row):
    """A panel account."""

    username: str
    email: str
    name_first: str
    name_last: str
    external_id: str | None = None
    admin: bool = False
    language: str = "en"
    role: str | None = None
    frozen: bool = False
    suspended: bool = False
    toast_position: str = "bottom_right"
    start_on_grouped_servers: bool = False
    password: str | None = field(default=None, repr=False)


@dataclass
class ApiKey(Row):
    """A key of a user with its exact lists of permissions: there is no wildcard."""

    user: str
    name: str
    token: str = field(repr=False)
    user_permissions: list[str]
    admin_permissions: list[str]
    server_permissions: list[str]
    allowed_ips: list[str] = field(default_factory=list)
    expires: float | None = None
    last_used: float | None = None

    @property
    def start(self) -> str:
        """The part that the panel shows."""
        return self.token[:KEY_START]


@dataclass
class OAuthProvider(Row):
    """A service that users can sign in with; ``body`` is what was sent, the client secret with it."""

    name: str
    body: dict[str, object] = field(repr=False)


@dataclass
class OAuthLink(Row):
    """A user's identity at a provider."""

    user: str
    provider: str
    identifier: str


@dataclass
class DatabaseHost(Row):
    """A database server that customers' databases are made on."""

    name: str
    body: dict[str, object] = field(repr=False)
    locations: list[str] = field(default_factory=list)


@dataclass
class Server(Row):
    """A game server; ``status`` None is normal, suspension is a column of its own."""

    name: str
    owner: str
    node: str
    egg: str
    startup: str
    image: str
    limits: dict[str, int | None]
    feature_limits: dict[str, int]
    external_id: str | None = None
    description: str | None = None
    status: str | None = None
    suspended: bool = False
    primary: str | None = None
    backup_configuration: str | None = None
    pinned_cpus: list[int] = field(default_factory=list)
    auto_kill: dict[str, object] = field(default_factory=lambda: {"enabled": False, "seconds": 30})
    auto_start_behavior: str = "unless_stopped"
    timezone: str | None = None
    hugepages_passthrough_enabled: bool = False
    kvm_passthrough_enabled: bool = False
    variables: dict[str, str] = field(default_factory=dict)
    transfer: dict[str, object] | None = None
    start_on_completion: bool = False

    @property
    def short(self) -> str:
        """The short id: the first eight digits of the uuid."""
        return self.uuid[:8]

    @property
    def memory(self) -> int:
        """The memory limit in MiB."""
        return self.limits["memory"] or 0


@dataclass
class Subuser(Row):
    """A user who may do some things on somebody else's server."""

    server: str
    user: str
    permissions: list[str]
    ignored_files: list[str] = field(default_factory=list)


@dataclass
class Backup(Row):
    """A backup; it outlives its server (``server`` None)."""

    server: str | None
    node: str
    name: str
    ignored_files: list[str]
    metadata: dict[str, object]
    is_successful: bool = False
    is_browsable: bool = False
    is_streaming: bool = False
    checksum: str | None = None
    bytes: int = 0
    files: int = 0
    completed: float | None = None


@dataclass
class Schedule(Row):
    """Something that a server does by itself at set times."""

    server: str
    name: str
    enabled: bool
    triggers: list[object]
    condition: dict[str, object]


@dataclass
class Activity(Row):
    """A line of the activity log, of the ``kind`` admin, server or user; without an address by itself."""

    kind: str
    event: str
    user: str | None
    impersonator: str | None
    server: str | None
    ip: str | None
    data: dict[str, object]


@dataclass
class DaemonServer:
    """A server as its daemon knows it: what it was last told, and whether it runs."""

    uuid: str
    told: dict[str, Any] = field(default_factory=dict)
    power: str = "offline"

    @property
    def suspended(self) -> bool:
        """What the daemon believes about the suspension."""
        return bool(self.told.get("settings", {}).get("suspended"))

    @property
    def build(self) -> dict[str, Any]:
        """The limits that the daemon enforces."""
        held: dict[str, Any] = self.told.get("settings", {}).get("build", {})
        return held


@dataclass
class Daemon:
    """One node's daemon."""

    behaviour: Behaviour = field(default_factory=Behaviour)
    servers: dict[str, DaemonServer] = field(default_factory=dict)
