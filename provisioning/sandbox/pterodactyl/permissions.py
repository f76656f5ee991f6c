"""The permission keys of sub-users by group (contract section 8.5). The wording is ours."""

NAMES: dict[str, tuple[str, str]] = {
    "websocket": ("Live console and usage.", "connect"),
    "control": ("Power and console.", "console start stop restart"),
    "user": ("Sub-users.", "create read update delete"),
    "file": ("Files.", "create read read-content update delete archive sftp"),
    "backup": ("Backups.", "create read delete download restore"),
    "allocation": ("Ports.", "read create update delete"),
    "startup": ("Start parameters.", "read update docker-image"),
    "database": ("Databases.", "create read update delete view_password"),
    "schedule": ("Schedules.", "create read update delete"),
    "settings": ("Settings.", "rename reinstall"),
    "activity": ("Activity log.", "read"),
}

GROUPS: dict[str, object] = {
    group: {"description": text, "keys": {key: f"Allows {group}.{key}." for key in keys.split()}}
    for group, (text, keys) in NAMES.items()
}
KEYS = frozenset(f"{group}.{key}" for group, (_, keys) in NAMES.items() for key in keys.split())
