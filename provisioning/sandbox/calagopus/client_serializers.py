"""Rows as customers see them in the Client API (contract section 7)."""

from urllib.parse import urlsplit

from provisioning.sandbox.calagopus.rows import Backup, Egg, Schedule, Server, Subuser
from provisioning.sandbox.calagopus.serializers import Shown, columns, person, primary, server
from provisioning.sandbox.calagopus.world import State, shown_time

LIMITS = ("cpu", "memory", "swap", "disk")
EGG_CONFIGURATION: Shown = {
    "allocation_self_assign_enabled": False,
    "allocation_self_assign_require_primary": False,
    "startup_allow_custom_command": False,
    "route_order": None,
}


def client_server(state: State, row: Server, *, is_owner: bool, permissions: list[str]) -> Shown:
    """A server without external id, owner and node's secrets."""
    node = state.nodes[row.node]
    place = state.locations[node.location]
    return {
        "uuid": row.uuid,
        "uuid_short": row.short,
        "allocation": primary(state, row),
        "egg": client_egg(state.eggs[row.egg]),
        "egg_configuration": EGG_CONFIGURATION,
        "status": row.status,
        "is_owner": is_owner,
        "is_suspended": row.suspended,
        "is_transferring": row.transfer is not None,
        "permissions": permissions,
        "location_uuid": place.uuid,
        "location_name": place.name,
        "location_flag": place.flag,
        "node_uuid": node.uuid,
        "node_name": node.name,
        "node_maintenance_enabled": node.maintenance_enabled,
        "sftp_host": node.sftp_host or urlsplit(node.public_url or node.url).hostname,
        "sftp_port": node.sftp_port,
        "name": row.name,
        "description": row.description,
        "limits": {name: row.limits[name] for name in LIMITS},
        **columns(row, "feature_limits", "startup", "image", "auto_kill", "auto_start_behavior", "timezone"),
        "created": shown_time(row.created),
    }


def client_egg(row: Egg) -> Shown:
    """What a customer sees of an egg."""
    return {
        **columns(row, "uuid", "name", "description", "startup_commands"),
        "separate_port": row.body["separate_port"],
        "features": row.body["features"],
        "docker_images": row.docker_images,
        "created": shown_time(row.created),
    }


def subuser(state: State, row: Subuser) -> Shown:
    """A sub-user."""
    return {
        "user": person(state.users[row.user]),
        "permissions": row.permissions,
        "ignored_files": row.ignored_files,
        "created": shown_time(row.created),
    }


def schedule(row: Schedule) -> Shown:
    """A schedule."""
    return {
        **columns(row, "uuid", "name", "enabled", "triggers", "condition"),
        "last_run": None,
        "last_failure": None,
        "created": shown_time(row.created),
    }


def backup(row: Backup) -> Shown:
    """A backup as customers see it."""
    return {
        "uuid": row.uuid,
        "backup_group_uuid": None,
        **columns(row, "name", "ignored_files", "is_successful"),
        "is_locked": False,
        **columns(row, "is_browsable", "is_streaming", "checksum", "bytes", "files", "metadata"),
        "deletion_status": None,
        "completed": shown_time(row.completed),
        "created": shown_time(row.created),
    }


def node_backup(state: State, row: Backup) -> Shown:
    """A backup as administrators see it, with the whole server where there is one still."""
    shown = backup(row)
    held_by = state.servers.get(row.server or "")
    head = {"uuid": shown.pop("uuid"), "server": server(state, held_by) if held_by else None}
    group = {"backup_group_uuid": shown.pop("backup_group_uuid"), "system_backup_policy_uuid": None}
    return {**head, **group, **shown, "is_shared": False}
