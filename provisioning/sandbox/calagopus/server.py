"""The sandbox Calagopus panel: its tables, key, page and controls (see ``sandbox/base.py`` for the rest)."""

from collections.abc import Mapping
from typing import Any

from provisioning.sandbox.base import PanelServer
from provisioning.sandbox.calagopus.panel import Panel
from provisioning.sandbox.calagopus.rows import DaemonServer, Server, User
from provisioning.sandbox.calagopus.seed import seed_admin, seed_catalogue, seed_fleet, seed_services
from provisioning.sandbox.calagopus.world import Settings, State, World
from provisioning.sandbox.daemon import Behaviour
from provisioning.sandbox.page import Table, cell

SERVER_HEADS = (
    "Id", "External id", "Name", "Status", "Daemon", "Memory", "Disk", "CPU", "Owner", "Node", "Port",
)  # fmt: skip
USER_HEADS = ("Id", "External id", "User name", "E-mail", "Name")


class CalagopusSandbox(PanelServer):
    """A Calagopus panel to call: ``with CalagopusSandbox() as panel: requests.get(panel.url + ...)``.

    ``fleet`` False leaves out nests, services, the location and the nodes. A key is made where none is given;
    it is good for the Admin API and the Client API alike.
    """

    title = "Calagopus 1.1.4"
    world: World
    panel: Panel

    def __init__(
        self,
        *,
        port: int = 0,
        settings: Settings | None = None,
        application_key: str = "",
        fleet: bool = True,
    ) -> None:
        self.world = World(settings)
        self.panel = Panel(self.world)
        super().__init__(self.world, self.panel, port)
        self.application_key = self.client_key = seed_admin(self.world, key=application_key)
        if fleet:
            seed_catalogue(self.world)
            seed_services(self.world)
            seed_fleet(self.world)

    @property
    def keys(self) -> Mapping[str, str]:
        """The key by what people call it."""
        return {"Admin": self.application_key}

    @property
    def state(self) -> State:
        """The panel's tables, with everything done that is due by now."""
        self.settle()
        return self.world.state

    def is_api(self, path: str) -> bool:
        """Everything but a browser's favicon: the panel answers 404 in JSON by itself."""
        return path != "/favicon.ico"

    def daemon_view(self, server_id: str) -> DaemonServer | None:
        """What the daemon was told about a server, and what it does with it; None: it does not know it."""
        return self.panel.daemons.view(self.state.servers[server_id])

    def daemon_behave(self, behaviour: Behaviour, node_id: Any) -> None:
        """Give one node's daemon (None: every one's) this behaviour."""
        for node in self.world.state.nodes.values():
            if node_id in (None, node.uuid, node.name):
                self.panel.daemons.of(node.uuid).behaviour = behaviour

    def install_finish(self, server_id: Any, *, successful: bool = True, reinstall: bool = False) -> None:
        """Send the install report of one server now. Raises KeyError for an unknown one."""
        with self.world.lock:
            server = self.world.state.servers[server_id]
            self.panel.daemons.finish_install(server.uuid, successful=successful)

    def backup_finish(self, backup_uuid: str, *, successful: bool = True, size: int = 1234) -> None:
        """Finish a backup. Raises KeyError for an unknown one."""
        with self.world.lock:
            backup = self.world.state.backups[backup_uuid]
            backup.is_successful, backup.completed = successful, self.world.time()
            backup.bytes, backup.checksum = (size, "sha1:abc") if successful else (0, None)

    def server_key(self, text: str) -> str:
        """The uuid of a server by itself or its short form. Raises KeyError."""
        for server in self.state.servers.values():
            if text in (server.uuid, server.short):
                return server.uuid
        raise KeyError(text)

    def server_status(self, server_id: Any) -> str | None:
        """The status that the panel shows for a server."""
        return self.state.servers[server_id].status

    def power_set(self, server_id: Any, power: str) -> None:
        """What the daemon reports for a server from now on. Raises KeyError for an unknown one."""
        known = self.daemon_view(server_id)
        if known is None:
            raise KeyError(server_id)
        known.power = power

    def shown(self) -> dict[str, object]:
        """Servers with what their daemons know, users and queued mails in short, for the control API."""
        state = self.state
        servers = [self._shown(server) for server in state.servers.values()]
        users = [{"id": u.uuid, "external_id": u.external_id, "email": u.email} for u in state.users.values()]
        mails = [{"to": m.to, "subject": m.subject} for m in state.mails]
        return {"servers": servers, "users": users, "mails": mails}

    def _shown(self, row: Server) -> dict[str, object]:
        known = self.panel.daemons.view(row)
        head = {"id": row.uuid, "external_id": row.external_id, "name": row.name, "status": row.status}
        limits = {name: row.limits[name] for name in ("memory", "disk", "cpu")}
        told = {"suspended": known.suspended, "build": known.build, "power": known.power} if known else None
        return {
            **head,
            "suspended": row.suspended,
            "user": row.owner,
            **limits,
            "node": row.node,
            "power": known.power if known else None,
            "daemon": told,
        }

    def tables(self) -> list[Table]:
        """Servers and users for the page."""
        state = self.state
        servers = [self._row(state, s) for s in list(state.servers.values())]
        users = [_user(u) for u in list(state.users.values())]
        return [
            Table("Servers", SERVER_HEADS, servers, "No server yet."),
            Table("Users", USER_HEADS, users, "No user yet."),
        ]

    def _row(self, state: State, row: Server) -> list[str]:
        link = state.links.get(row.primary or "")
        status = "suspended" if row.suspended else row.status or "ready"
        style = "wait" if status in ("installing", "suspended") else "bad" if "failed" in status else "good"
        return [
            cell(row.short),
            cell(row.external_id),
            cell(row.name),
            cell(status, style),
            cell(_daemon(self.panel.daemons.view(row))),
            cell(f"{row.limits['memory']} MiB"),
            cell(f"{row.limits['disk']} MiB"),
            cell(f"{row.limits['cpu']} %"),
            cell(state.users[row.owner].email),
            cell(state.nodes[row.node].name),
            cell(state.allocations[link.allocation].port if link else "none"),
        ]


def _daemon(known: DaemonServer | None) -> str:
    """What the daemon makes of a server, in words."""
    if known is None:
        return "does not know it"
    return f"{known.power}, told to suspend" if known.suspended else known.power


def _user(row: User) -> list[str]:
    named = f"{row.name_first} {row.name_last}"
    return [cell(value) for value in (row.uuid[:8], row.external_id, row.username, row.email, named)]
