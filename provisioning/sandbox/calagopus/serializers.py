"""Rows as the panel shows them: every member always there, in the panel's order (contract section 3)."""

from collections.abc import Mapping

from provisioning.sandbox.calagopus.rows import (
    Allocation,
    AllocationLink,
    ApiKey,
    BackupConfiguration,
    DatabaseHost,
    Egg,
    EggVariable,
    Location,
    Nest,
    Node,
    OAuthLink,
    OAuthProvider,
    Role,
    Row,
    Server,
    User,
)
from provisioning.sandbox.calagopus.world import State, shown_time

Shown = dict[str, object]
DISK_CONFIGS = ("s3", "restic", "pbs", "kopia")


def columns(row: Row, *names: str) -> Shown:
    """The row's fields that are shown as they are."""
    return {name: getattr(row, name) for name in names}


def backup_configuration(row: BackupConfiguration) -> Shown:
    """Secrets and all, as the panel does."""
    return {
        **columns(row, "uuid", "name", "description", "maintenance_enabled", "shared", "backup_disk"),
        "backup_configs": {kind: row.configs.get(kind) for kind in DISK_CONFIGS},
        "created": shown_time(row.created),
    }


def _configuration(state: State, uuid: str | None) -> Shown | None:
    row = state.backup_configurations.get(uuid or "")
    return backup_configuration(row) if row else None


def location(state: State, row: Location) -> Shown:
    """A location with its backup configuration."""
    return {
        "uuid": row.uuid,
        "backup_configuration": _configuration(state, row.backup_configuration),
        **columns(row, "name", "description", "flag"),
        "created": shown_time(row.created),
    }


def node(state: State, row: Node) -> Shown:
    """A node with its location."""
    return {
        "uuid": row.uuid,
        "location": location(state, state.locations[row.location]),
        "backup_configuration": _configuration(state, row.backup_configuration),
        **columns(
            row,
            "name",
            "description",
            "deployment_enabled",
            "maintenance_enabled",
            "public_url",
            "url",
            "sftp_host",
            "sftp_port",
            "memory",
            "disk",
        ),
        "created": shown_time(row.created),
    }


def nest(row: Nest) -> Shown:
    """A nest."""
    return {
        **columns(row, "uuid", "name", "description", "author"),
        "created": shown_time(row.created),
    }


def egg(row: Egg) -> Shown:
    """An egg, without its variables."""
    body = row.body
    return {
        "uuid": row.uuid,
        "egg_repository_egg": None,
        **columns(row, "name", "description", "author"),
        "config_files": body["config_files"],
        "config_startup": body["config_startup"],
        "config_stop": body["config_stop"],
        "config_script": body["config_script"],
        "startup_commands": row.startup_commands,
        "force_outgoing_ip": body["force_outgoing_ip"],
        "separate_port": body["separate_port"],
        "features": body["features"],
        "docker_images": row.docker_images,
        "file_denylist": body["file_denylist"],
        "created": shown_time(row.created),
    }


def _named(row: EggVariable) -> Shown:
    return columns(row, "name", "name_translations", "description", "description_translations")


def egg_variable(row: EggVariable) -> Shown:
    """A variable of an egg."""
    return {
        "uuid": row.uuid,
        **_named(row),
        **columns(
            row,
            "order",
            "env_variable",
            "default_value",
            "user_viewable",
            "user_editable",
            "is_secret",
            "rules",
        ),
        "created": shown_time(row.created),
    }


def server_variable(row: EggVariable, server: Server) -> Shown:
    """A variable with its value on one server: the egg's default where none was given."""
    return {
        **_named(row),
        "env_variable": row.env_variable,
        "default_value": row.default_value,
        "value": server.variables.get(row.uuid, row.default_value or ""),
        "is_editable": row.user_editable,
        "is_secret": row.is_secret,
        "rules": row.rules,
        "created": shown_time(row.created),
    }


def role(row: Role) -> Shown:
    """A role."""
    return {
        **columns(
            row,
            "uuid",
            "name",
            "description",
            "require_two_factor",
            "admin_permissions",
            "server_permissions",
        ),
        "created": shown_time(row.created),
    }


def user(state: State, row: User, *, own: bool = False) -> Shown:
    """A user; one's own view lacks the external id."""
    held = state.roles.get(row.role or "")
    mark: Shown = {} if own else {"external_id": row.external_id}
    return {
        "uuid": row.uuid,
        **mark,
        "username": row.username,
        "role": role(held) if held else None,
        "avatar": None,
        **columns(row, "email", "name_first", "name_last", "admin", "frozen", "suspended"),
        "totp_enabled": False,
        "totp_last_used": None,
        "require_two_factor": bool(held and held.require_two_factor),
        **columns(row, "language", "toast_position", "start_on_grouped_servers"),
        "has_password": row.password is not None,
        "created": shown_time(row.created),
    }


def person(row: User) -> Shown:
    """A user as other customers see him."""
    return {
        "uuid": row.uuid,
        "username": row.username,
        "avatar": None,
        "totp_enabled": False,
        "created": shown_time(row.created),
    }


def api_key(row: ApiKey) -> Shown:
    """A key without its secret part."""
    return {
        "uuid": row.uuid,
        "name": row.name,
        "key_start": row.start,
        **columns(row, "allowed_ips", "user_permissions", "admin_permissions", "server_permissions"),
        "last_used": shown_time(row.last_used),
        "expires": shown_time(row.expires),
        "created": shown_time(row.created),
    }


PROVIDER = (
    "name", "description", "client_id", "client_secret", "auth_url", "token_url", "info_url", "scopes",
    "identifier_path", "email_path", "username_path", "name_first_path", "name_last_path", "enabled",
    "login_only", "login_bypass_2fa", "link_viewable", "user_manageable", "basic_auth",
)  # fmt: skip


def oauth_provider(row: OAuthProvider) -> Shown:
    """A provider, its client secret in clear."""
    return {"uuid": row.uuid, **_picked(row.body, PROVIDER), "created": shown_time(row.created)}


def _picked(body: Mapping[str, object], names: tuple[str, ...]) -> Shown:
    return {name: body.get(name) for name in names}


def oauth_link(state: State, row: OAuthLink) -> Shown:
    """A link from the user's side."""
    provider = state.oauth_providers[row.provider]
    shown = {"uuid": provider.uuid, **_picked(provider.body, ("name", "link_viewable", "user_manageable"))}
    return {"uuid": row.uuid, "oauth_provider": shown, **_linked(row)}


def user_oauth_link(state: State, row: OAuthLink) -> Shown:
    """A link from the provider's side."""
    return {"uuid": row.uuid, "user": user(state, state.users[row.user]), **_linked(row)}


def _linked(row: OAuthLink) -> Shown:
    return {"identifier": row.identifier, "last_used": None, "created": shown_time(row.created)}


DATABASE_HOST = ("deployment_enabled", "maintenance_enabled", "type", "public_host", "public_port")


def database_host(row: DatabaseHost) -> Shown:
    """A database host; its password is never shown."""
    credentials = row.body["credentials"]
    hidden = {**credentials, "password": ""} if isinstance(credentials, dict) else credentials
    return {
        "uuid": row.uuid,
        "name": row.name,
        **_picked(row.body, DATABASE_HOST),
        "credentials": hidden,
        "created": shown_time(row.created),
    }


def server_allocation(state: State, link: AllocationLink, server: Server) -> Shown:
    """An allocation as servers show it: its uuid is the link's, not the allocation's."""
    held = state.allocations[link.allocation]
    return {
        "uuid": link.uuid,
        "ip": held.ip,
        "ip_alias": held.ip_alias,
        "port": held.port,
        "notes": link.notes,
        "is_primary": server.primary == link.uuid,
        "created": shown_time(link.created),
    }


def primary(state: State, server: Server) -> Shown | None:
    """The server's primary allocation."""
    link = state.links.get(server.primary or "")
    return server_allocation(state, link, server) if link else None


def node_allocation(state: State, row: Allocation, holder: AllocationLink | None) -> Shown:
    """An allocation of a node, with the whole server that holds it."""
    held_by = state.servers.get(holder.server) if holder else None
    return {
        "uuid": row.uuid,
        "server": server(state, held_by) if held_by else None,
        **columns(row, "ip", "ip_alias", "port"),
        "created": shown_time(row.created),
    }


def server(state: State, row: Server) -> Shown:
    """A server as administrators see it, with node, owner, egg and nest whole."""
    recipe = state.eggs[row.egg]
    return {
        "uuid": row.uuid,
        "uuid_short": row.short,
        "external_id": row.external_id,
        "allocation": primary(state, row),
        "node": node(state, state.nodes[row.node]),
        "owner": user(state, state.users[row.owner]),
        "egg": egg(recipe),
        "nest": nest(state.nests[recipe.nest]),
        "backup_configuration": _configuration(state, row.backup_configuration),
        "status": row.status,
        "is_suspended": row.suspended,
        "is_transferring": row.transfer is not None,
        **columns(
            row,
            "name",
            "description",
            "limits",
            "pinned_cpus",
            "feature_limits",
            "startup",
            "image",
            "auto_kill",
            "auto_start_behavior",
            "timezone",
            "hugepages_passthrough_enabled",
            "kvm_passthrough_enabled",
        ),
        "created": shown_time(row.created),
    }
