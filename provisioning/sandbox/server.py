"""The sandbox Pterodactyl panel: its tables, keys, page and controls (see ``base.py`` for the rest)."""

from collections.abc import Mapping
from typing import Any

from provisioning.sandbox.base import PanelServer
from provisioning.sandbox.daemon import Behaviour
from provisioning.sandbox.page import Table, cell
from provisioning.sandbox.pterodactyl.panel import Panel
from provisioning.sandbox.seed import seed_fleet, seed_panel
from provisioning.sandbox.world import Server, Settings, State, User, World


class PanelSandbox(PanelServer):
    """A Pterodactyl panel to call: ``with PanelSandbox() as panel: requests.get(panel.url + ...)``.

    ``fleet`` False leaves out the location and the nodes. Keys are generated where none are given.
    """

    title = "Pterodactyl 1.11.7"
    world: World
    panel: Panel

    def __init__(
        self,
        *,
        port: int = 0,
        settings: Settings | None = None,
        application_key: str = "",
        client_key: str = "",
        fleet: bool = True,
    ) -> None:
        self.world = World(settings)
        self.panel = Panel(self.world)
        super().__init__(self.world, self.panel, port)
        keys = seed_panel(self.world, application_key=application_key, client_key=client_key)
        self.application_key, self.client_key = keys
        if fleet:
            seed_fleet(self.world)

    @property
    def keys(self) -> Mapping[str, str]:
        """Both keys by what people call them."""
        return {"Application": self.application_key, "Client": self.client_key}

    @property
    def state(self) -> State:
        """The panel's tables, with everything done that is due by now."""
        self.settle()
        return self.world.state

    def daemon_behave(self, behaviour: Behaviour, node_id: Any) -> None:
        """Give one node's daemon (None: every one's) this behaviour."""
        for node in self.world.state.nodes.values():
            if node_id in (None, node.id):
                self.panel.daemons.of(node.id).behaviour = behaviour

    def install_finish(self, server_id: Any, *, successful: bool = True, reinstall: bool = False) -> None:
        """Send the install callback of one server now. Raises KeyError for an unknown one."""
        with self.world.lock:
            server = self.world.state.servers[server_id]
            self.panel.daemons.finish_install(server, successful=successful, reinstall=reinstall)

    def backup_finish(self, backup_uuid: str, *, successful: bool = True, size: int = 1234) -> None:
        """Finish a backup. Raises KeyError for an unknown one."""
        with self.world.lock:
            found = {backup.uuid: backup for backup in self.world.state.backups.values()}
            backup = found[backup_uuid]
            backup.is_successful, backup.completed_at = successful, self.world.now()
            backup.bytes, backup.checksum = (size, "sha1:abc") if successful else (0, None)

    def server_key(self, text: str) -> int:
        """The id of a server. Raises ValueError for what is no number."""
        return int(text)

    def server_status(self, server_id: Any) -> str | None:
        """The status that the panel shows for a server."""
        return self.state.servers[server_id].status

    def power_set(self, server_id: Any, power: str) -> None:
        """What the daemon reports for a server from now on. Raises KeyError for an unknown one."""
        self.state.servers[server_id].power = power

    def shown(self) -> dict[str, object]:
        """Servers, users and queued mails in short, for the control API."""
        state = self.state
        servers = [
            {"id": s.id, "external_id": s.external_id, "name": s.name, "status": s.status,
             "user": s.owner_id, "memory": s.memory, "disk": s.disk, "cpu": s.cpu, "node": s.node_id,
             "power": s.power}
            for s in state.servers.values()
        ]  # fmt: skip
        users = [{"id": u.id, "external_id": u.external_id, "email": u.email} for u in state.users.values()]
        mails = [{"to": m.to, "subject": m.subject} for m in state.mails]
        return {"servers": servers, "users": users, "mails": mails}

    def tables(self) -> list[Table]:
        """Servers and users for the page."""
        state = self.state
        return [
            Table("Servers", SERVER_HEADS, [_server(state, s) for s in list(state.servers.values())],
                  "No server yet."),
            Table("Users", USER_HEADS, [_user(u) for u in list(state.users.values())], "No user yet."),
        ]  # fmt: skip


SERVER_HEADS = ("Id", "External id", "Name", "Status", "Memory", "Disk", "CPU", "Owner", "Node", "Port")
USER_HEADS = ("Id", "External id", "User name", "E-mail", "Name")


def _server(state: State, server: Server) -> list[str]:
    status = server.status or f"ready, {server.power}"
    style = "wait" if status in ("installing", "suspended") else "bad" if "failed" in status else "good"
    return [
        cell(server.id),
        cell(server.external_id),
        cell(server.name),
        cell(status, style),
        cell(f"{server.memory} MiB"),
        cell(f"{server.disk} MiB"),
        cell(f"{server.cpu} %"),
        cell(state.users[server.owner_id].email),
        cell(state.nodes[server.node_id].name),
        cell(state.allocations[server.allocation_id].port),
    ]


def _user(user: User) -> list[str]:
    named = f"{user.first_name} {user.last_name}"
    return [cell(value) for value in (user.id, user.external_id, user.username, user.email, named)]
