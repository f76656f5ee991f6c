"""What the panel tells a daemon about a server (contract section 10)."""

from provisioning.sandbox.calagopus.rows import Server
from provisioning.sandbox.calagopus.world import State

Body = dict[str, object]


def environment(state: State, server: Server) -> dict[str, str]:
    """The egg's variables with the server's values, or the egg's defaults."""
    return {
        row.env_variable: server.variables.get(row.uuid, row.default_value or "")
        for row in state.variables_of(server.egg)
    }


def allocations(state: State, server: Server) -> Body:
    """Which addresses and ports the server listens on."""
    mappings: dict[str, list[int]] = {}
    for link in state.server_links(server):
        held = state.allocations[link.allocation]
        mappings.setdefault(held.ip, []).append(held.port)
    first = state.links.get(server.primary or "")
    default = state.allocations[first.allocation] if first else None
    return {
        "force_outgoing_ip": state.eggs[server.egg].body["force_outgoing_ip"],
        "default": {"ip": default.ip, "port": default.port} if default else None,
        "mappings": mappings,
    }


def build(server: Server) -> Body:
    """The limits in the daemon's words: MiB, percent, pinned CPUs as text."""
    limits = server.limits
    return {
        "memory_limit": limits["memory"],
        "overhead_memory": limits["memory_overhead"],
        "swap": limits["swap"],
        "io_weight": limits["io_weight"],
        "cpu_limit": limits["cpu"],
        "disk_space": limits["disk"],
        "threads": ",".join(str(cpu) for cpu in server.pinned_cpus) or None,
        "oom_disabled": False,
    }


def container(server: Server) -> Body:
    """The image and how it runs."""
    return {
        "image": server.image,
        "timezone": server.timezone,
        "hugepages_passthrough_enabled": server.hugepages_passthrough_enabled,
        "kvm_passthrough_enabled": server.kvm_passthrough_enabled,
        "seccomp": {"remove_allowed": []},
    }


def configuration(state: State, server: Server) -> Body:
    """Everything, as sent with each sync; later changes of the rows do not reach it."""
    egg = state.eggs[server.egg]
    settings: Body = {
        "uuid": server.uuid,
        "start_on_completion": None,
        "meta": {"name": server.name, "description": server.description or ""},
        "suspended": server.suspended,
        "invocation": server.startup,
        "skip_egg_scripts": False,
        "entrypoint": None,
        "environment": environment(state, server),
        "labels": {},
        "backups": [b.uuid for b in state.backups.values() if b.server == server.uuid],
        "schedules": [],
        "allocations": allocations(state, server),
        "build": build(server),
        "mounts": [],
        "egg": {"id": egg.uuid, "file_denylist": egg.body["file_denylist"]},
        "container": container(server),
        "auto_kill": server.auto_kill,
        "auto_start_behavior": server.auto_start_behavior,
    }
    process = {
        "startup": egg.body["config_startup"],
        "stop": egg.body["config_stop"],
        "configs": egg.body["config_files"],
    }
    return {"settings": settings, "process_configuration": process}


def install_script(state: State, server: Server) -> Body:
    """The installation script of the server's egg, as daemons are told it."""
    script = state.eggs[server.egg].body["config_script"]
    held = script if isinstance(script, dict) else {}
    return {
        "container_image": held.get("container"),
        "entrypoint": held.get("entrypoint"),
        "script": held.get("content"),
        "environment": {},
    }
