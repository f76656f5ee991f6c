"""Every permission the panel knows, by group (contract section 2.5); there are no wildcards."""

USER: dict[str, str] = {
    "account": "infos email password two-factor avatar",
    "servers": "create read update delete",
    "api-keys": "create read update delete recreate",
    "security-keys": "create read update delete",
    "ssh-keys": "create read update delete",
    "oauth-links": "create read delete",
    "command-snippets": "create read update delete",
    "sessions": "read delete",
    "activity": "read",
}
ADMIN: dict[str, str] = {
    "stats": "read",
    "settings": "read update",
    "email-templates": "read update",
    "extensions": "read manage",
    "announcements": "create read update delete",
    "assets": "read upload delete",
    "users": "create read update disable-two-factor delete email activity oauth-links impersonate",
    "roles": "create read update delete",
    "locations": "create read update delete database-hosts database-agent-hosts",
    "backup-configurations": "create read update delete backups",
    "system-backup-policies": "create read update delete backups",
    "nodes": (
        "create read update delete read-token reset-token allocations mounts "
        "database-hosts database-agent-hosts backups power transfers"
    ),
    "servers": "create read update delete transfer allocations variables mounts",
    "nests": "create read update delete",
    "eggs": "create read update delete mounts",
    "egg-configurations": "create read update delete",
    "egg-repositories": "create read update delete sync",
    "database-hosts": "create read update delete test",
    "database-agent-hosts": "create read update delete read-token reset-token test",
    "database-agent-templates": "create read update delete",
    "oauth-providers": "create read update delete",
    "mounts": "create read update delete",
    "activity": "read",
}
SERVER: dict[str, str] = {
    "control": "read-console console start stop restart",
    "subusers": "create read update delete",
    "files": "create read read-content update delete archive sftp query-raw",
    "backups": "create read download restore update delete",
    "backup-groups": "create read update delete",
    "schedules": "create read update delete",
    "allocations": "read create update delete",
    "startup": "read update command docker-image",
    "databases": (
        "create read read-password update recreate delete query query-raw edit-rows "
        "edit-structure delete-structure"
    ),
    "database-instances": (
        "create read update apply-update delete power logs databases recreate users "
        "import export query query-raw edit-rows edit-structure delete-structure"
    ),
    "mounts": "attach read detach",
    "settings": "rename timezone auto-kill auto-start install cancel-install",
    "activity": "read read-ip",
}


def keys(groups: dict[str, str]) -> list[str]:
    """The permissions of all groups, as ``group.name``."""
    return [f"{group}.{name}" for group, names in groups.items() for name in names.split()]


USER_KEYS, ADMIN_KEYS, SERVER_KEYS = keys(USER), keys(ADMIN), keys(SERVER)


def described(groups: dict[str, str]) -> dict[str, object]:
    """The groups with a sentence for each, as the panel lists them."""
    return {
        group: {
            "description": f"Permissions about {group.replace('-', ' ')}.",
            "permissions": {name: f"Allows: {name.replace('-', ' ')}." for name in names.split()},
        }
        for group, names in groups.items()
    }
