"""What happened to the recorded Calagopus panel between the lines, and with which key each line was sent."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import requests

from provisioning.sandbox.calagopus.permissions import SERVER_KEYS, USER_KEYS
from tests.contract.calagopus_replay import Exchange, Replay

NODE_1, NODE_DOWN, NODE_EMPTY = (
    "778bcf41-9749-4b85-8053-71d22f2a01ac",
    "8ebab7ea-fcf6-4591-9903-4bfda880e676",
    "6d4d782d-fda8-4be2-896b-b29ea0afe4e8",
)
NEST, SECOND_EGG, LOST_EGG = (
    "2270720b-7606-450c-97b2-bea7ce84ed51",
    "9b769087-1f7d-41f8-abab-7648eb17b5f1",
    "def5d0d5-1892-4c76-9cbd-5f3cdccb8024",
)
ADA, GRACE, LINUS = (
    "f5aaf76f-04eb-4edc-acab-0cf0c4ba0f06",
    "9aec83d8-bdc8-4e25-851f-b7d1f75bc918",
    "dca0ccdb-1ad5-4168-bafc-a930b39c90ec",
)
MAIN, KEPT = "862db8f7-114e-46f2-bc7e-5a0140d2be79", "fcbed3e9-f790-48e1-a546-ecf766e5c762"
FIRST_PORT, PORT_ELSEWHERE = "16206798-630d-4db9-ad49-bd97a0c1b88a", "c45a67ee-6ce7-42b6-ab28-9f8c889ce814"
Step = Callable[[Replay], object]


def key(name: str, of: str = "", **lists: object) -> Step:
    """Somebody made a key."""
    body = {"name": name, "allowed_ips": [], "user_permissions": [], "admin_permissions": [],
            "server_permissions": [], "expires": None, **lists}  # fmt: skip

    def step(replay: Replay) -> None:
        headers = {"Calagopus-User": of} if of else {}
        answer = replay.admin("POST", "/client/account/api-keys", body, **headers)
        replay.keys[name] = answer["key"]

    return step


def expiring(name: str, seconds: float) -> Step:
    """Somebody made a key that does not last."""

    def step(replay: Replay) -> None:
        end = datetime.fromtimestamp(replay.panel.world.time() + seconds, tz=UTC)
        key(name, admin_permissions=["locations.read"], expires=end.isoformat())(replay)

    return step


def call(method: str, path: str, body: Any = None) -> Step:
    """An administrator called."""
    return lambda replay: replay.admin(method, path, body)


def control(path: str, **body: object) -> Step:
    """Something happened outside of the panel."""
    return lambda replay: replay.control(path, **body)


def server_control(server: str, what: str, **body: object) -> Step:
    """Something happened to a server on its machine."""
    return lambda replay: replay.control(f"/servers/{replay.mapped(server)}/{what}", **body)


def egg(recorded: str, name: str) -> Step:
    """Somebody added an egg that later lines speak of."""

    def step(replay: Replay) -> None:
        known = replay.admin("GET", f"/admin/nests/{NEST}/eggs")["eggs"]["data"][0]
        body = {k: v for k, v in known.items() if k not in ("uuid", "created", "egg_repository_egg")}
        answer = replay.admin("POST", f"/admin/nests/{NEST}/eggs", {**body, "name": name})
        replay.ids[recorded] = answer["egg"]["uuid"]

    return step


def used(name: str) -> Step:
    """Somebody used a key."""
    return lambda replay: replay.admin("GET", "/admin/locations", Authorization=f"Bearer {replay.keys[name]}")


def allocation(recorded: str, node: str, ip: str) -> Step:
    """Somebody added a port that later lines speak of."""

    def step(replay: Replay) -> None:
        path = f"/admin/nodes/{node}/allocations"
        replay.admin("POST", path, {"ip": ip, "ip_alias": None, "ports": [25565]})
        found = replay.admin("GET", f"{path}?search={ip}:25565")["allocations"]["data"][0]
        replay.ids[recorded] = found["uuid"]

    return step


def gone(server: str) -> Step:
    """Somebody removed a server again."""
    return call("DELETE", f"/admin/servers/{server}", {})


def gone_by_mark(*marks: str) -> Step:
    """Somebody removed the servers with these external ids."""

    def step(replay: Replay) -> None:
        for row in list(replay.panel.state.servers.values()):
            if row.external_id in marks:
                replay.admin("DELETE", f"/admin/servers/{row.uuid}", {"force": True})

    return step


def transfer(node: str, port: str, *, finished: bool) -> Step:
    """Somebody moved the main server."""

    def step(replay: Replay) -> None:
        body = {"node_uuid": node, "allocation_uuid": port, "allocation_uuids": [], "backups": [],
                "delete_source_backups": False, "archive_format": "tar", "compression_level": None,
                "multiplex_channels": 0}  # fmt: skip
        replay.admin("POST", f"/admin/servers/{MAIN}/transfer", body)
        if finished:
            headers = {"Authorization": daemon_token(replay, node)}
            replay.admin("POST", f"/remote/servers/{MAIN}/transfer/success", {"backups": []}, **headers)

    return step


def daemon_token(replay: Replay, node: str) -> str:
    """What a node's daemon signs in with."""
    row = replay.panel.state.nodes[replay.mapped(node)]
    return f"Bearer {row.token_id}.{row.token}"


def given_up(replay: Replay, template: Any) -> None:
    """A create whose caller hung up."""
    try:
        requests.post(
            f"{replay.panel.url}/api/admin/servers",
            json=replay.mapped(template),
            headers={"Authorization": f"Bearer {replay.panel.application_key}"},
            timeout=0.1,
        )
    except requests.ReadTimeout:
        return
    raise AssertionError("the panel answered, though its daemon is silent")


def refused_later(replay: Replay) -> None:
    """Another caller hung up, and then the daemon refused."""
    replay.control("/daemon", mode="hang", node="node-1", seconds=60, status=500, error="stub failure")
    row = next(s for s in replay.panel.state.servers.values() if s.external_id == "bb:130")
    body: dict[str, Any] = {**TEMPLATE, "node_uuid": row.node, "owner_uuid": row.owner, "egg_uuid": row.egg}
    given_up(replay, {**body, "external_id": "bb:131", "name": "MC-131"})
    replay.control("/clock", seconds=61)


TEMPLATE: dict[str, Any] = {
    "allocation_uuids": [], "start_on_completion": False, "skip_installer": False, "description": None,
    "limits": {"cpu": 100, "memory": 1024, "memory_overhead": 0, "swap": 0, "disk": 2048, "io_weight": None},
    "pinned_cpus": [], "startup": "java -Xmx{{SERVER_MEMORY}}M -jar {{SERVER_JARFILE}}",
    "image": "games/java:21", "hugepages_passthrough_enabled": False, "kvm_passthrough_enabled": False,
    "variables": [],
    "feature_limits": {"allocations": 2, "databases": 1, "backups": 2, "schedules": 1},
}  # fmt: skip


def all_running(replay: Replay) -> None:
    """The stub daemon said of each server that it runs."""
    for uuid in list(replay.panel.state.servers):
        replay.control(f"/servers/{uuid}/power", power="running")


REPORT = {
    "checksum": "abc", "checksum_type": "sha1", "size": 1024, "files": 3, "successful": True,
    "browsable": True, "streaming": False, "parts": [],
}  # fmt: skip


def kept_backup(replay: Replay) -> None:
    """A backup was made that its server left behind."""
    server_control(KEPT, "install")(replay)
    body: dict[str, Any] = {"name": "kept", "backup_group_uuid": None, "ignored_files": []}
    made = replay.admin("POST", f"/client/servers/{KEPT}/backups", body)["backup"]["uuid"]
    replay.ids["c7f161dd-7a24-4442-ae0b-f918a4914441"] = made
    replay.admin("POST", f"/remote/backups/{made}", REPORT, Authorization=daemon_token(replay, NODE_1))


def features(*, backups: int, schedules: int) -> Step:
    """Somebody changed how many backups and schedules the main server may have."""
    limits = {"allocations": 2, "databases": 1, "backups": backups, "schedules": schedules}
    return call("PATCH", f"/admin/servers/{MAIN}", {"feature_limits": limits})


def daemon(mode: str, node: str = "node-1", **more: object) -> Step:
    """A daemon began to behave like this."""
    return control("/daemon", mode=mode, node=node, error="stub failure", **more)


ROLE_RIGHTS = ["users.read", "users.create", "users.update", "nodes.read"]
BEFORE: dict[str, tuple[Step, ...]] = {
    "auth.key.expires_soon": (expiring("short", 3),),
    "auth.ip_allowed": (key("local", allowed_ips=["127.0.0.0/8"], admin_permissions=["locations.read"]),),
    "key.self": (key("of_four"),),
    "auth.key.expired_within_cache": (control("/clock", seconds=4),),
    "auth.key.expired": (control("/clock", seconds=6),),
    "nodes.create.without_allocations": (daemon("refused", "node-down"),),
    "nests.create": (allocation("e4696ab2-9297-4429-890b-04577b77b36c", NODE_DOWN, "127.0.0.3"),),
    "eggs.delete": (egg(LOST_EGG, "Lost"),),
    "eggs.variables.create.no_default": (egg(SECOND_EGG, "Strict"),),
    "role_admin.users.list": (key("role", LINUS, admin_permissions=ROLE_RIGHTS),),
    "servers.list": (server_control("12537bb1-b0f6-4fff-8a9f-9e03bd06638d", "install"),),
    "client.server.suspended": (
        key("of_ada", ADA, user_permissions=USER_KEYS, server_permissions=SERVER_KEYS),
    ),
    "servers.deploy.closed": (call("PATCH", f"/admin/nodes/{NODE_1}", {"deployment_enabled": False}),),
    "servers.deploy.maintenance": (
        call("PATCH", f"/admin/nodes/{NODE_1}", {"deployment_enabled": True, "maintenance_enabled": True}),
    ),
    "servers.deploy.every_port_is_used_on_the_machine": (control("/settings", ports_in_use=True),),
    "nodes.servers.resources": (all_running,),
    "auth.parent_read_is_needed_too": (key("writer", admin_permissions=["servers.update"]),),
    "servers.transfer.same_node": (allocation(PORT_ELSEWHERE, NODE_EMPTY, "127.0.0.4"),),
    "daemon.transfer_success.from_the_source_node": (transfer(NODE_EMPTY, PORT_ELSEWHERE, finished=False),),
    "servers.clear_state": (transfer(NODE_1, FIRST_PORT, finished=True),),
    "client.list": (call("PATCH", f"/admin/servers/{MAIN}", {}),),
    "client.server.key_without_server_permissions": (key("bare"),),
    "client.resources": (all_running,),
    "client.schedules.create.over_limit": (features(backups=0, schedules=0),),
    "client.schedules.create": (features(backups=2, schedules=1),),
    "client.activity": (server_control(MAIN, "install"),),
    "daemon_500.servers.create": (daemon("5xx"),),
    "daemon_404.servers.delete": (daemon("404"),),
    "daemon_409.servers.create": (daemon("4xx"),),
    "daemon_down.servers.create": (
        call("PATCH", f"/admin/nodes/{NODE_1}", {"url": "http://127.0.0.1:9444"}),
        daemon("refused"),
    ),
    "daemon_silent.servers.create.caller_gives_up_after_2_s": (
        call("PATCH", f"/admin/nodes/{NODE_1}", {"url": "http://127.0.0.1:9443"}),
        daemon("hang", seconds=60),
    ),
    "daemon_silent.servers.external_after_the_daemon_answered": (control("/clock", seconds=61),),
    "daemon_silent.servers.external_after_the_daemon_refused": (refused_later,),
    "daemon_silent.retry_is_a_second_server": (daemon("ok"),),
    "backups_fail.servers.delete": (kept_backup, control("/settings", backups_fail=True)),
    "users.delete.owns_servers": (control("/settings", backups_fail=False),),
    "users.delete": (gone_by_mark("bb:105", "bb:130", "bb:131"),),
    "key.delete": (used("few"),),
    "auth.key.deleted": (control("/clock", seconds=6),),
    "rate.limited.3_s_later": (control("/clock", seconds=3),),
    "rate.free_again": (control("/clock", seconds=40),),
}  # fmt: skip
AFTER: dict[str, tuple[Step, ...]] = {
    "servers.update.plan": (call("PATCH", f"/admin/servers/{MAIN}", {"limits": TEMPLATE["limits"]}),),
    "servers.create.allocation_of_another_node": (gone("d9bc4349-b208-4caa-a7ca-d30ce269965b"),),
    "servers.create.more_than_the_node_has": (gone_by_mark("bb:104"),),
    "servers.create.node_closed_for_deployment": (gone_by_mark("bb:106"),),
    "servers.deploy.overallocation": (gone_by_mark("bb:112"),),
    "servers.deploy.maintenance": (
        gone_by_mark("bb:113"),
        call("PATCH", f"/admin/nodes/{NODE_1}", {"maintenance_enabled": False}),
    ),
    "servers.deploy.assign_to_variable.allocations": (gone_by_mark("bb:114"),),
    "servers.deploy.every_port_is_used_on_the_machine": (control("/settings", ports_in_use=False),),
}
KEYS = {
    "key.create.more_than_self": "few", "auth.key.expires_soon": "short", "auth.no_permission": "few",
    "auth.no_permission.write": "few", "auth.no_permission.write.invalid_body": "few",
    "auth.no_permission.server_create": "few", "auth.key_without_permissions": "empty",
    "auth.ip_not_allowed": "ip_bound", "auth.ip_not_allowed.forwarded_for_is_ignored": "ip_bound",
    "auth.ip_allowed": "local", "key.self.no_permission": "empty", "auth.key.expired_within_cache": "short",
    "auth.key.expired": "short", "impersonation.key_without_the_permission": "few",
    "auth.not_an_admin": "with_admin", "client.account": "of_a_customer",
    "auth.owner_suspended": "of_a_customer",
    "auth.parent_read_is_needed_too": "writer", "client.server.of_somebody_else": "of_a_customer",
    "client.server.key_without_server_permissions": "bare", "client.server.by_subuser": "of_a_customer",
    "client.power.by_subuser": "of_a_customer", "transport.malformed_json.no_permission": "few",
    "auth.key_of_deleted_user": "of_ada", "auth.key.deleted_within_cache": "few", "auth.key.deleted": "few",
    "client.list.other.by_admin": "", "client.server.installing": "", "client.resources.installing": "",
    "client.power.installing": "", "client.power.suspended.by_admin": "",
}  # fmt: skip
HEADERS: dict[str, dict[str, str | None]] = {
    "key.create.of_a_customer": {"Calagopus-User": GRACE},
    "key.create.of_a_customer_with_admin_permissions": {"Calagopus-User": GRACE},
}
GROUPS = {"client": "of_ada", "role_admin": "role"}
TOKENS = {"daemon.transfer_success": NODE_EMPTY}
ODD = {
    "auth.bad_key": f"Bearer c7sp_{'x' * 43}",
    "auth.bad_key.short": "Bearer short",
    "auth.bad_key.other_form_same_length": f"Bearer ptla_{'x' * 43}",
    "auth.basic": None,
    "auth.missing": None,
    "rate.limited.bad_key": f"Bearer c7sp_{'x' * 43}",
    "daemon.bad_token": f"Bearer {'x' * 16}.{'x' * 64}",
    "daemon.missing_token": None,
}


def authorisation(replay: Replay, exchange: Exchange) -> str | None:
    """The header that a line was sent with."""
    name = exchange.name
    if name in ODD:
        return ODD[name]
    if exchange.path.startswith("/api/remote"):
        return daemon_token(replay, TOKENS.get(name, NODE_1))
    if name == "auth.lower_case_scheme_and_right_key":
        return f"bearer {replay.panel.application_key}"
    if not exchange.path.startswith(("/api/admin", "/api/client")):
        return None
    chosen = KEYS.get(name, GROUPS.get(name.partition(".")[0], ""))
    return f"Bearer {replay.keys.get(chosen, replay.panel.application_key)}"
